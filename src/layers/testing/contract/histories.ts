import * as Effect from "effect/Effect"
import type { Entry } from "../../../services/Entry.js"
import { everyKind, texts } from "./entries.js"
import { type Case, refused, same, trial } from "./expect.js"
import { claim, fresh, keep, session, user, users } from "./values.js"

const s = session("s")

export const histories: ReadonlyArray<Case> = [
  trial("entries follow each other and are read from any place on", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      yield* store.append(claim(s, { entries: users(1, 2) }))
      yield* store.append(keep(s, 3, { entries: users(3, 1) }))
      yield* store.append(keep(s, 4))
      yield* same("the next place", (yield* store.get("s"))?.nextSeq, 4)
      yield* same("the history", yield* store.read("s", s.incarnation, 1), users(1, 3))
      yield* same("the history from 3", yield* store.read("s", s.incarnation, 3), users(3, 1))
      yield* same("the history from its end", yield* store.read("s", s.incarnation, 4), [])
      yield* same("the history from beyond", yield* store.read("s", s.incarnation, 400), [])
      yield* same("the history of another incarnation", yield* store.read("s", "another", 1), [])
      yield* same("the history of nobody", yield* store.read("t", s.incarnation, 1), [])
    })
  ),

  trial("every kind of entry comes back as it was, with what is optional and without", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      yield* store.append(claim(s, { entries: everyKind }))
      const all = yield* store.read("s", s.incarnation, 1)
      for (let i = 0; i < everyKind.length; i++) yield* same(`entry ${i + 1}`, all[i], everyKind[i])
      yield* same("how many there are", all.length, everyKind.length)
    })
  ),

  trial("texts come back as they were", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      yield* store.append(claim(s, { entries: texts.map((text, i) => user(i + 1, text)) }))
      const all = yield* store.read("s", s.incarnation, 1)
      for (let i = 0; i < texts.length; i++) yield* same(`text ${i}`, all[i], user(i + 1, texts[i]))
      for (const partial of texts) {
        yield* store.append(keep(s, texts.length + 1, { partial }))
        yield* same("what has arrived", (yield* store.get("s"))?.partial === partial, true)
      }
    })
  ),

  trial("a long history and a long write are kept whole", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      yield* store.append(claim(s, { entries: users(1, 2500) }))
      yield* store.append(keep(s, 2501, { entries: users(2501, 1) }))
      yield* same("the history", yield* store.read("s", s.incarnation, 1), users(1, 2501))
      yield* same("its end", yield* store.read("s", s.incarnation, 1001), users(1001, 1501))
    })
  ),

  trial("histories of several sessions do not mix", (store) =>
    Effect.gen(function* () {
      const all = ["a", "b", "c"].map((id) => session(id))
      for (const it of all) {
        yield* store.create(it)
        yield* store.append(claim(it, { entries: [user(1, `${it.id}1`)] }))
      }
      yield* Effect.all(
        all.map((it) =>
          Effect.gen(function* () {
            for (let n = 2; n <= 20; n++) yield* store.append(keep(it, n, { entries: [user(n, `${it.id}${n}`)] }))
          })
        ),
        { concurrency: "unbounded" }
      )
      for (const it of all) {
        yield* same(
          `the history of ${it.id}`,
          yield* store.read(it.id, it.incarnation, 1),
          Array.from({ length: 20 }, (_, i) => user(i + 1, `${it.id}${i + 1}`))
        )
      }
    })
  ),

  trial("a write that is not the next is refused whole", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      yield* store.append(claim(s, { entries: users(1, 1), partial: "so far" }))
      const before = yield* store.get("s")
      for (const place of [1, 3, 100]) {
        const write = keep(s, place, {
          entries: users(place, 2),
          children: [session("child", { parent: "s", depth: 1 })],
          partial: null
        })
        yield* refused(`a write at ${place}`, store.append(write), {
          _tag: "StaleLease",
          session: "s",
          reason: "sequence"
        })
      }
      yield* same("the session", yield* store.get("s"), before)
      yield* same("the history", yield* store.read("s", s.incarnation, 1), users(1, 1))
      yield* same("the child", yield* store.get("child"), undefined)
    })
  ),

  trial("of two writes to one place one is made and one is refused", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      yield* store.append(claim(s))
      const both = yield* Effect.all(
        ["one", "two"].map((text) => Effect.either(store.append(keep(s, 1, { entries: [user(1, text)] })))),
        { concurrency: "unbounded" }
      )
      yield* same("how many were made", both.filter((it) => it._tag === "Right").length, 1)
      yield* same("how many entries there are", (yield* store.read("s", s.incarnation, 1)).length, 1)
    })
  ),

  trial("children are created with the write that links them", (store) =>
    Effect.gen(function* () {
      const children = ["task:s:2", "task:s:1"].map((id) => session(id, { parent: "s", depth: 1 }))
      yield* store.create(s)
      yield* store.append(claim(s, { entries: users(1, 1), children }))
      yield* same(
        "the children",
        yield* store.list("s"),
        children.map((it) => fresh(it))
      )
    })
  ),

  trial("a write whose child is there already leaves nothing", (store) =>
    Effect.gen(function* () {
      const taken = session("taken")
      yield* store.create(s)
      yield* store.create(taken)
      yield* store.append(claim(s))
      const before = yield* store.get("s")
      const write = keep(s, 1, {
        entries: users(1, 1),
        running: { operationId: "o", kind: "prompt", since: 1 },
        children: [session("new", { parent: "s" }), session("taken", { incarnation: "other", parent: "s" })]
      })
      yield* refused("the write", store.append(write), { _tag: "SessionStoreError", operation: "write" })
      yield* same("the session", yield* store.get("s"), before)
      yield* same("its history", yield* store.read("s", s.incarnation, 1), [])
      yield* same("the other child", yield* store.get("new"), undefined)
      yield* same("the session that was there", yield* store.get("taken"), fresh(taken))
      yield* store.append(keep(s, 1, { entries: users(1, 1) }))
    })
  ),

  trial("what runs and what has arrived are those of the last write", (store) =>
    Effect.gen(function* () {
      const running = { operationId: "o 😀", kind: "compact" as const, since: 1_700_000_000_789 }
      yield* store.create(s)
      yield* store.append(claim(s, { running, partial: "par" }))
      const first = yield* store.get("s")
      yield* same("what runs", first?.running, running)
      yield* same("what has arrived", first?.partial, "par")
      yield* store.append(keep(s, 1, { running, partial: "" }))
      yield* same("what has arrived then", (yield* store.get("s"))?.partial, "")
      yield* store.append(keep(s, 1, { running: null, partial: null }))
      const last = yield* store.get("s")
      yield* same("what runs at last", last?.running, null)
      yield* same("what has arrived at last", last?.partial, null)
    })
  ),

  trial("an operation is read by its id, where its caller gave it one: the last of that id, to its end", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      const place = (n: number, operationId: string) => ({
        id: n,
        parentId: n === 1 ? null : n - 1,
        at: n,
        operationId
      })
      const usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
      const report = { turns: usage, retries: usage, compactions: usage, tasks: usage, total: usage }
      const started = (n: number, id: string, key?: string): Entry => ({
        _tag: "OperationStarted",
        ...place(n, id),
        kind: "prompt",
        ...(key === undefined ? undefined : { key })
      })
      const settled = (n: number, id: string, key?: string): Entry => ({
        _tag: "OperationSettled",
        ...place(n, id),
        kind: "prompt",
        outcome: "interrupted",
        by: "caller",
        usage: report,
        ...(key === undefined ? undefined : { key })
      })
      const said = (n: number, id: string): Entry => ({ ...user(n), operationId: id })
      const all = [
        started(1, "a", "k"),
        said(2, "a"),
        settled(3, "a", "k"),
        started(4, "own"),
        said(5, "own"),
        settled(6, "own"),
        started(7, "a", "k"),
        said(8, "a"),
        settled(9, "a", "k"),
        started(10, "b", ""),
        said(11, "b")
      ]
      yield* store.append(claim(s, { entries: all }))
      const read = (id: string) => store.operation("s", s.incarnation, id)
      yield* same("the operation a", yield* read("a"), all.slice(6, 9))
      yield* same("the operation b, which has no end", yield* read("b"), all.slice(9))
      yield* same("an operation whose id nobody gave", yield* read("own"), [])
      yield* same("an operation that was never started", yield* read("c"), [])
      yield* same("one of another incarnation", yield* store.operation("s", "another", "a"), [])
      yield* same("one of nobody", yield* store.operation("t", s.incarnation, "a"), [])
    })
  ),

  trial("an input that joined an operation under an id of its own is read by that id", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      const joined = { ...user(2), asked: { operationId: "input", key: "digest" } } as Entry
      yield* store.append(claim(s, { entries: [user(1), joined, user(3)] }))
      yield* same("the input", yield* store.operation("s", s.incarnation, "input"), [joined])
      yield* same("one of another id", yield* store.operation("s", s.incarnation, "operation"), [])
    })
  )
]
