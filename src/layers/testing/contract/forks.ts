/**
 * Sessions that begin with a history, and those that share one.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Entry } from "../../../services/Entry.js"
import type { Begun, NewSession, SessionStore } from "../../../services/SessionStore.js"
import { type Case, refused, same, trial } from "./expect.js"
import { claim, fresh, keep, keyOf, session, user, users } from "./values.js"

type Store = Context.Tag.Service<SessionStore>

/** Entries that say whose they are. */
const own = (of: string, from: number, to: number): ReadonlyArray<Entry> =>
  Array.from({ length: to - from + 1 }, (_, i) => user(from + i, `${of} ${from + i}`))

const forkOf = (base: NewSession, seq: number, id: string, entries: ReadonlyArray<Entry> = []): Begun => ({
  session: session(id, { origin: { session: base.id, entry: seq } }),
  base: { ...keyOf(base), seq },
  entries
})

/** Three in a chain: `a` has 1 to 6, `b` shares 4 of them and has 5 to 8, `c` shares 6 of those and has 7 to 9. */
const chain = (store: Store) =>
  Effect.gen(function* () {
    const a = session("a")
    yield* store.create(a)
    yield* store.append(claim(a, { entries: own("a", 1, 6), lease: "once" }))
    const b = forkOf(a, 4, "b", own("b", 5, 6))
    yield* store.begin([b])
    yield* store.append(claim(b.session, { entries: own("b", 7, 8), expectedSeq: 7, lease: "once" }))
    const c = forkOf(b.session, 6, "c", own("c", 7, 9))
    yield* store.begin([c])
    return { a, b: b.session, c: c.session }
  })

const histories: Readonly<Record<string, ReadonlyArray<Entry>>> = {
  a: own("a", 1, 6),
  b: [...own("a", 1, 4), ...own("b", 5, 8)],
  c: [...own("a", 1, 4), ...own("b", 5, 6), ...own("c", 7, 9)]
}

const keptWhole = (store: Store, ids: Iterable<string>) =>
  Effect.forEach(ids, (id) =>
    Effect.gen(function* () {
      yield* same(`the history of ${id}`, yield* store.read(id, `${id}/1`, 1), histories[id])
    })
  )

const orders = (items: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> =>
  items.length === 0
    ? [[]]
    : items.flatMap((it) => orders(items.filter((other) => other !== it)).map((rest) => [it, ...rest]))

export const forks: ReadonlyArray<Case> = [
  trial("a session that begins with entries has them, is nobody's, and goes on behind them", (store) =>
    Effect.gen(function* () {
      const s = session("s", { origin: { session: "where it came from", entry: 17 } })
      yield* store.begin([{ session: s, base: null, entries: users(1, 700) }])
      yield* same("the session", yield* store.get("s"), fresh(s, { nextSeq: 701 }))
      yield* same("its history", yield* store.read("s", s.incarnation, 1), users(1, 700))
      yield* store.append(claim(s, { expectedSeq: 701, entries: users(701, 1) }))
      yield* same("its end", yield* store.read("s", s.incarnation, 700), users(700, 2))
      yield* store.begin([{ session: session("t"), base: null, entries: [] }])
      yield* same("one without entries", yield* store.get("t"), fresh(session("t")))
      yield* store.begin([])
      yield* same(
        "the list",
        (yield* store.list()).map(({ id, origin }) => [id, origin]),
        [
          ["s", s.origin],
          ["t", null]
        ]
      )
    })
  ),

  trial("a fork has the entries of its base up to a place, and both go on by themselves", (store) =>
    Effect.gen(function* () {
      const { a, b, c } = yield* chain(store)
      yield* keptWhole(store, ["a", "b", "c"])
      yield* same("the next places", [(yield* store.get("a"))?.nextSeq, (yield* store.get("c"))?.nextSeq], [7, 10])
      yield* same("the fork", yield* store.get("c"), fresh(c, { nextSeq: 10 }))
      yield* store.append(claim(c, { entries: own("c", 10, 10), expectedSeq: 10 }))
      yield* store.append(claim(a, { entries: own("a", 7, 7), expectedSeq: 7, epoch: 1 }))
      yield* same("the fork's history", yield* store.read("c", c.incarnation, 1), [
        ...histories.c!,
        ...own("c", 10, 10)
      ])
      yield* same("the base's", yield* store.read("a", a.incarnation, 1), own("a", 1, 7))
      yield* keptWhole(store, ["b"])
      yield* same("the history of another incarnation", yield* store.read("b", `${b.id}/2`, 1), [])
    })
  ),

  trial("a history that is shared is read from any place to any place", (store) =>
    Effect.gen(function* () {
      const { c } = yield* chain(store)
      for (let from = 1; from <= 11; from++) {
        for (let to = from - 1; to <= 11; to++) {
          yield* same(
            `the history from ${from} to ${to}`,
            yield* store.read("c", c.incarnation, from, to),
            histories.c!.slice(from - 1, to)
          )
        }
        yield* same(
          `the history from ${from}`,
          yield* store.read("c", c.incarnation, from),
          histories.c!.slice(from - 1)
        )
      }
      yield* same("the history from before", yield* store.read("a", "a/1", 0, 2), own("a", 1, 2))
    })
  ),

  trial("a long history that is shared is read whole", (store) =>
    Effect.gen(function* () {
      const a = session("a")
      yield* store.begin([{ session: a, base: null, entries: users(1, 1500) }])
      const b = forkOf(a, 1200, "b", users(1201, 1100))
      yield* store.begin([b])
      yield* same("the history", yield* store.read("b", b.session.incarnation, 1), users(1, 2300))
      yield* same("a part of it", yield* store.read("b", b.session.incarnation, 1100, 1300), users(1100, 201))
    })
  ),

  trial(
    "a fork at a place that its base shares itself, at the first and at the last, and one that shares nothing",
    (store) =>
      Effect.gen(function* () {
        const { a, b, c } = yield* chain(store)
        const made = [forkOf(c, 2, "d"), forkOf(c, 1, "e"), forkOf(b, 8, "f"), forkOf(a, 6, "g"), forkOf(a, 0, "h")]
        yield* store.begin(made)
        const expected = [own("a", 1, 2), own("a", 1, 1), histories.b!, histories.a!, []]
        for (let i = 0; i < made.length; i++) {
          const it = made[i]!.session
          yield* same(`the history of ${it.id}`, yield* store.read(it.id, it.incarnation, 1), expected[i])
          yield* same(`the next place of ${it.id}`, (yield* store.get(it.id))?.nextSeq, expected[i]!.length + 1)
        }
        yield* store.remove([keyOf(a), keyOf(b), keyOf(c)], "me")
        for (let i = 0; i < made.length; i++) {
          const it = made[i]!.session
          yield* same(`what is left of ${it.id}`, yield* store.read(it.id, it.incarnation, 1), expected[i])
        }
      })
  ),

  trial("sessions begin all or none", (store) =>
    Effect.gen(function* () {
      const { a } = yield* chain(store)
      const good = { session: session("good"), base: null, entries: users(1, 3) }
      const exists = { _tag: "SessionAlreadyExists", session: "b" }
      const nobody = (id: string) => ({ _tag: "SessionNotFound", session: id })
      yield* refused("a name that is taken", store.begin([good, { ...good, session: session("b") }]), exists)
      yield* refused("a name that is given twice", store.begin([good, good]), {
        _tag: "SessionAlreadyExists",
        session: "good"
      })
      const other = (seq: number, key = keyOf(a)): Begun => ({
        session: session("other"),
        base: { ...key, seq },
        entries: []
      })
      yield* refused("a place that is not there", store.begin([good, other(7)]), nobody("a"))
      yield* refused("a place before the first", store.begin([good, other(-1)]), nobody("a"))
      yield* refused("a place between two", store.begin([good, other(1.5)]), nobody("a"))
      yield* refused(
        "a base of another time",
        store.begin([good, other(1, { id: "a", incarnation: "x" })]),
        nobody("a")
      )
      yield* refused("a base that is nobody", store.begin([good, other(1, { id: "x", incarnation: "x" })]), nobody("x"))
      yield* refused("a base that begins with it", store.begin([good, other(1, keyOf(good.session))]), nobody("good"))
      const misplaced = { _tag: "SessionStoreError" }
      yield* refused("entries with a gap", store.begin([good, { ...other(3), entries: users(5, 1) }]), misplaced)
      yield* refused("entries that overlap", store.begin([good, { ...other(3), entries: users(3, 2) }]), misplaced)
      yield* same("what is left of it", [yield* store.get("good"), yield* store.get("other")], [undefined, undefined])
      yield* same("the list", (yield* store.list()).length, 3)
      yield* store.begin([good, { ...other(3), entries: users(4, 1) }])
      yield* same("the list", (yield* store.list()).length, 5)
    })
  ),

  trial("of two that begin under one name at once one does", (store) =>
    Effect.gen(function* () {
      const both = yield* Effect.all(
        ["x", "y"].map((incarnation) =>
          Effect.either(
            store.begin([{ session: session("s", { incarnation }), base: null, entries: [user(1, incarnation)] }])
          )
        ),
        { concurrency: "unbounded" }
      )
      yield* same("what came of them", both.map((it) => (it._tag === "Left" ? it.left._tag : "")).toSorted(), [
        "",
        "SessionAlreadyExists"
      ])
      const { incarnation } = (yield* store.get("s"))!
      yield* same("the history", yield* store.read("s", incarnation, 1), [user(1, incarnation)])
    })
  ),

  trial("an operation is found in a fork by its id, wherever it stands", (store) =>
    Effect.gen(function* () {
      const a = session("a")
      const started = (id: number, operationId: string): Entry => ({
        ...user(id),
        _tag: "OperationStarted",
        operationId,
        kind: "prompt",
        key: "digest"
      })
      const of = (id: number, operationId: string): Entry => ({ ...user(id), operationId })
      const asked = (id: number): Entry => ({
        ...user(id),
        _tag: "User",
        content: [],
        asked: { operationId: "joined", key: "digest" }
      })
      yield* store.create(a)
      const first = [started(1, "o"), of(2, "o"), started(3, "p"), asked(4), of(5, "p"), of(6, "p")]
      yield* store.append(claim(a, { entries: first, lease: "once" }))
      const b = forkOf(a, 5, "b", [of(6, "p"), started(7, "q")])
      yield* store.begin([b])
      const c = forkOf(b.session, 7, "c", [of(8, "q"), started(9, "o"), of(10, "o")])
      yield* store.begin([c])
      const ids = (id: string, operationId: string) =>
        Effect.map(store.operation(id, `${id}/1`, operationId), (all) => all.map((it) => it.id))
      yield* same("the first in the base", yield* ids("a", "o"), [1, 2])
      yield* same("the first in the fork", yield* ids("b", "o"), [1, 2])
      yield* same("the one that both have a part of", yield* ids("b", "p"), [3, 5, 6])
      yield* same("the same, by another fork", yield* ids("c", "p"), [3, 5, 6])
      yield* same("one that goes on behind the fork", yield* ids("c", "q"), [7, 8])
      yield* same("the last of that name", yield* ids("c", "o"), [9, 10])
      yield* same("the input that joined", yield* ids("c", "joined"), [4])
      yield* same("one that the base does not have", yield* ids("a", "q"), [])
    })
  ),

  trial("what a fork shares stays when the original is removed, in whatever order they go", (store) =>
    Effect.gen(function* () {
      for (const order of orders(["a", "b", "c"])) {
        yield* chain(store)
        const left = new Set(order)
        for (const id of order) {
          left.delete(id)
          yield* store.remove([{ id, incarnation: `${id}/1` }], "me")
          yield* keptWhole(store, left)
          yield* same(`${id} after its removal`, yield* store.get(id), undefined)
          yield* same(`the history of ${id} after its removal`, yield* store.read(id, `${id}/1`, 1), [])
          yield* same(
            "the list",
            (yield* store.list()).map((it) => it.id),
            [...left].toSorted()
          )
        }
      }
      const { a, b, c } = yield* chain(store)
      yield* store.remove([keyOf(c), keyOf(a)], "me")
      yield* keptWhole(store, ["b"])
      yield* store.remove([keyOf(b)], "me")
      yield* same("the list", yield* store.list(), [])
    })
  ),

  trial("the name of an original is free when it is removed, and its forks are as they were", (store) =>
    Effect.gen(function* () {
      const { a, b } = yield* chain(store)
      yield* store.remove([keyOf(a)], "me")
      yield* refused("a fork of what was removed", store.begin([forkOf(a, 2, "d")]), {
        _tag: "SessionNotFound",
        session: "a"
      })
      const again = session("a", { incarnation: "a/2" })
      yield* store.create(again)
      yield* store.append(claim(again, { entries: users(1, 2) }))
      yield* same("the later session", yield* store.read("a", "a/2", 1), users(1, 2))
      yield* same("the earlier one", yield* store.read("a", "a/1", 1), [])
      yield* keptWhole(store, ["b", "c"])
      yield* same("where it came from", (yield* store.get("b"))?.origin, { session: "a", entry: 4 })
      yield* store.begin([forkOf(b, 2, "d")])
      yield* store.remove([keyOf(again), keyOf(b)], "me")
      yield* keptWhole(store, ["c"])
      yield* same("a fork of the fork", yield* store.read("d", "d/1", 1), own("a", 1, 2))
    })
  ),

  trial("a write that claims and gives up at once leaves a session that nobody owns, under the next epoch", (store) =>
    Effect.gen(function* () {
      const s = session("s")
      yield* store.create(s)
      yield* same("what it tells", yield* store.append(claim(s, { lease: "once", entries: users(1, 2) })), {
        epoch: 1,
        inbox: 0
      })
      yield* same("the session", yield* store.get("s"), fresh(s, { epoch: 1, nextSeq: 3 }))
      yield* refused("one that follows another epoch", store.append(claim(s, { lease: "once", expectedSeq: 3 })), {
        _tag: "StaleLease",
        reason: "epoch"
      })
      yield* refused("one at another place", store.append(claim(s, { lease: "once", epoch: 1, expectedSeq: 2 })), {
        _tag: "StaleLease",
        reason: "sequence"
      })
      const running = { operationId: "o", kind: "prompt" as const, since: 3 }
      yield* store.append(claim(s, { epoch: 1, expectedSeq: 3, running }))
      yield* refused(
        "one while another owns it",
        store.append(claim(s, { lease: "once", epoch: 2, expectedSeq: 3, owner: "they" })),
        { _tag: "SessionOwned", owner: "me", running }
      )
      yield* store.append(keep(s, 3, { epoch: 2, lease: "release" }))
      yield* store.append(claim(s, { lease: "once", epoch: 2, expectedSeq: 3, owner: "they", entries: users(3, 1) }))
      yield* same("the session", yield* store.get("s"), fresh(s, { epoch: 3, nextSeq: 4 }))
      yield* same("its history", yield* store.read("s", s.incarnation, 1), users(1, 3))
    })
  ),

  trial("of several that claim and give up at once, at the same instant, one is made", (store) =>
    Effect.gen(function* () {
      const all = ["s", "t", "u"].map((id) => session(id))
      for (const it of all) yield* store.create(it)
      const made = yield* Effect.all(
        all.flatMap((it) =>
          ["me", "they", "me"].map((owner) =>
            Effect.either(store.append(claim(it, { owner, lease: "once", entries: users(1, 1) })))
          )
        ),
        { concurrency: "unbounded" }
      )
      yield* same("what came of them", made.map((it) => (it._tag === "Left" ? it.left._tag : "")).toSorted(), [
        "",
        "",
        "",
        ...Array<string>(6).fill("StaleLease")
      ])
      for (const it of all) {
        yield* same("the session", yield* store.get(it.id), fresh(it, { epoch: 1, nextSeq: 2 }))
      }
      const children = [session("child", { parent: "s", depth: 1 })]
      yield* store.append(claim(all[0]!, { epoch: 1, lease: "once", expectedSeq: 2, children }))
      yield* same("a child", yield* store.get("child"), fresh(children[0]!))
    })
  )
]
