import * as Effect from "effect/Effect"
import { same, refused, trial, type Case } from "./expect.js"
import { claim, fresh, input, keep, keyOf, session, users } from "./values.js"

const ids = [
  "a",
  "A",
  "a ",
  " a",
  "\u00e9",
  "e\u0301",
  "\u00df",
  "ss",
  "__proto__",
  "constructor",
  "'; DROP TABLE baton_sessions; --",
  "%",
  "_",
  "?",
  "$1",
  "0",
  "00",
  "1e3",
  "null",
  "😀",
  "\ufffd",
  "i".repeat(256)
]

export const sessions: ReadonlyArray<Case> = [
  trial("a session that was created is found as nobody's, and one that was not is not found", (store) =>
    Effect.gen(function* () {
      yield* same("a session that was never created", yield* store.get("s"), undefined)
      const made = session("s", { parent: "p", depth: 3, agent: "an agent 😀", cwd: "/a b/'" })
      yield* store.create(made)
      yield* same("the session", yield* store.get("s"), fresh(made))
    })
  ),

  trial("a name that is taken is refused, and what has it stays as it is", (store) =>
    Effect.gen(function* () {
      const made = session("s")
      yield* store.create(made)
      yield* store.append(claim(made, { entries: users(1, 2) }))
      const before = yield* store.get("s")
      yield* refused("a second creation", store.create(session("s", { incarnation: "another" })), {
        _tag: "SessionAlreadyExists",
        session: "s"
      })
      yield* same("the session", yield* store.get("s"), before)
    })
  ),

  trial("names are compared as given", (store) =>
    Effect.gen(function* () {
      for (const id of ids) yield* store.create(session(id))
      for (const id of ids) yield* same(`the session "${id}"`, yield* store.get(id), fresh(session(id)))
      const listed = yield* store.list()
      yield* same(
        "the list",
        listed.map(({ id }) => id),
        ids
      )
    })
  ),

  trial("a list has the sessions without a parent, oldest first; one of children has those of their parent", (store) =>
    Effect.gen(function* () {
      const of = (parent: string | null, ...names: ReadonlyArray<string>) =>
        names.map((id) => session(id, { parent, depth: parent === null ? 0 : 1 }))
      const made = [...of(null, "z", "y"), ...of("z", "m", "b"), ...of(null, "a"), ...of("y", "n"), ...of("z", "a2")]
      for (const it of made) yield* store.create(it)
      const names = Effect.map((rows: ReadonlyArray<{ readonly id: string }>) => rows.map(({ id }) => id))
      yield* same("the list", yield* names(store.list()), ["z", "y", "a"])
      yield* same("the list of children of z", yield* names(store.list("z")), ["m", "b", "a2"])
      yield* same("the list of children of nobody", yield* names(store.list("b")), [])
      yield* same(
        "the rows",
        yield* store.list("y"),
        of("y", "n").map((it) => fresh(it))
      )
    })
  ),

  trial("what is unsettled is what runs, and what has something in its inbox, oldest first", (store) =>
    Effect.gen(function* () {
      const [idle, runs, waits, both, done, child] = ["f", "e", "d", "c", "b", "a"].map((id) => session(id)) as [
        ReturnType<typeof session>,
        ...Array<ReturnType<typeof session>>
      ]
      const running = { operationId: "o", kind: "prompt" as const, since: 17 }
      for (const it of [idle, runs!, waits!, both!, done!]) yield* store.create(it)
      yield* store.create({ ...child!, parent: "e", depth: 1 })
      for (const it of [idle, runs!, both!, done!, child!]) yield* store.append(claim(it, { running }))
      yield* store.append(keep(idle, 1, { running: null }))
      yield* store.append(keep(done!, 1, { running: null, lease: "release" }))
      for (const it of [waits!, both!, done!]) yield* store.put(keyOf(it), input("i"))
      yield* store.withdraw(keyOf(done!), "i")
      const rows = yield* store.unsettled
      yield* same(
        "what is unsettled",
        rows.map(({ id }) => id),
        ["e", "d", "c", "a"]
      )
      yield* same("the operation that runs", rows[0]?.running, running)
    })
  ),

  trial("removal is for good: later writes and claims are refused, and the name is free for another session", (store) =>
    Effect.gen(function* () {
      const first = session("s")
      const removed = { _tag: "StaleLease", session: "s", reason: "removed" }
      yield* store.create(first)
      yield* store.append(claim(first, { entries: users(1, 3) }))
      yield* store.put(keyOf(first), input("i"))
      yield* store.remove([keyOf(first), { id: "never", incarnation: "was" }], "me")
      yield* same("the removed session", yield* store.get("s"), undefined)
      yield* same("its history", yield* store.read("s", first.incarnation, 1), [])
      yield* same("its inbox", yield* store.waiting(keyOf(first)), [])
      yield* same("what is unsettled", yield* store.unsettled, [])
      const late = [claim(first), keep(first, 4, { entries: users(4, 1) }), keep(first, 4, { lease: "release" })]
      for (const write of late) yield* refused("a later write", store.append(write), removed)
      yield* refused("a later input", store.put(keyOf(first), input("i")), removed)

      const second = session("s", { incarnation: "s/2" })
      yield* store.create(second)
      for (const write of late) yield* refused("a write to the earlier one", store.append(write), removed)
      yield* refused("an input for the earlier one", store.put(keyOf(first), input("i")), removed)
      yield* same("what was withdrawn from the earlier one", yield* store.withdraw(keyOf(first), "i"), false)
      yield* same("a renewal of the earlier one", yield* store.renew("me", [{ ...keyOf(first), epoch: 1 }], 1000), [])
      yield* store.remove([keyOf(first)], "me")
      yield* same("the later session", yield* store.get("s"), fresh(second))
      yield* same("its history", yield* store.read("s", second.incarnation, 1), [])
      yield* same("its inbox", yield* store.waiting(keyOf(second)), [])
    })
  ),

  trial("sessions that another owns are not removed, nor are those beside them", (store) =>
    Effect.gen(function* () {
      const mine = session("a")
      const theirs = session("b")
      const running = { operationId: "o", kind: "task" as const, since: 5 }
      for (const it of [mine, theirs]) yield* store.create(it)
      yield* store.append(claim(mine))
      yield* store.append(claim(theirs, { owner: "they", running, entries: users(1, 1) }))
      yield* refused("the removal", store.remove([keyOf(mine), keyOf(theirs)], "me"), {
        _tag: "SessionOwned",
        session: "b",
        owner: "they",
        running
      })
      yield* same("the first one's epoch", (yield* store.get("a"))?.epoch, 1)
      yield* same("the other's history", yield* store.read("b", theirs.incarnation, 1), users(1, 1))
      yield* store.append(keep(theirs, 2, { owner: "they", lease: "release" }))
      yield* store.remove([keyOf(mine), keyOf(theirs)], "me")
      yield* same("what is left", yield* store.list(), [])
    })
  )
]
