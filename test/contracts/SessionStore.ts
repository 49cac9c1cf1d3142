/**
 * What every store holds to. Each case gets a store of its own.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { type Entry, SessionStore } from "effect-baton"

export const row = (id: string, more: Partial<SessionStore.SessionRow> = {}): SessionStore.SessionRow => ({
  id,
  incarnation: `${id}-1`,
  owner: "me",
  epoch: 1,
  nextSeq: 1,
  agent: "a",
  cwd: ".",
  parent: null,
  depth: 0,
  createdAt: 1_700_000_000_000,
  ...more
})

const user = (id: number, text: string): Entry.Entry => ({
  _tag: "User",
  id,
  parentId: id === 1 ? null : id - 1,
  at: id,
  operationId: "op",
  content: [{ type: "text", text }]
})

const write = (of: SessionStore.SessionRow, expectedSeq: number, ...texts: ReadonlyArray<string>) => ({
  session: of.id,
  incarnation: of.incarnation,
  epoch: of.epoch,
  expectedSeq,
  entries: texts.map((text, i) => user(expectedSeq + i, text)),
  children: []
})

export const contract = (name: string, layer: () => Layer.Layer<SessionStore.SessionStore, unknown>): void => {
  const test = (what: string, run: Effect.Effect<unknown, unknown, SessionStore.SessionStore>) =>
    it.effect(what, () => Effect.provide(run, layer()))

  describe(`${name} holds to the contract of stores`, () => {
    test(
      "a session that was created is found, once",
      Effect.gen(function* () {
        const store = yield* SessionStore.SessionStore
        assert.isUndefined(yield* store.get("s"))
        yield* store.create(row("s"))
        assert.deepStrictEqual(yield* store.get("s"), row("s"))
        const error = yield* Effect.flip(store.create(row("s", { incarnation: "other" })))
        assert.strictEqual(error._tag, "SessionAlreadyExists")
        assert.deepStrictEqual(yield* store.get("s"), row("s"))
      })
    )

    test(
      "ids are compared as given",
      Effect.gen(function* () {
        const store = yield* SessionStore.SessionStore
        const ids = ["a", "A", "a ", "\u00e9", "e\u0301", "__proto__", "'; drop table sessions; --", "%", "🙂"]
        for (const id of ids) yield* store.create(row(id))
        for (const id of ids) assert.strictEqual((yield* store.get(id))?.id, id)
        assert.deepStrictEqual(
          (yield* store.list()).map(({ id }) => id),
          ids
        )
      })
    )

    test(
      "entries follow each other and come back as they were",
      Effect.gen(function* () {
        const store = yield* SessionStore.SessionStore
        const s = row("s")
        yield* store.create(s)
        yield* store.append(write(s, 1, "one", "two"))
        yield* store.append(write(s, 3, "three"))
        assert.strictEqual((yield* store.get("s"))?.nextSeq, 4)
        const all = yield* store.read("s", s.incarnation, 1)
        assert.deepStrictEqual(all, [user(1, "one"), user(2, "two"), user(3, "three")])
        assert.deepStrictEqual(yield* store.read("s", s.incarnation, 3), [user(3, "three")])
        assert.deepStrictEqual(yield* store.read("s", s.incarnation, 4), [])
        assert.deepStrictEqual(yield* store.read("s", "another", 1), [])
      })
    )

    test(
      "a write that is not the next is refused whole",
      Effect.gen(function* () {
        const store = yield* SessionStore.SessionStore
        const s = row("s")
        yield* store.create(s)
        yield* store.append(write(s, 1, "one"))
        for (const seq of [1, 3]) {
          const error = yield* Effect.flip(store.append({ ...write(s, seq, "x", "y"), children: [row("child")] }))
          assert.deepStrictEqual(error._tag === "StaleLease" ? error.reason : "", "sequence")
        }
        assert.strictEqual((yield* store.read("s", s.incarnation, 1)).length, 1)
        assert.isUndefined(yield* store.get("child"))
      })
    )

    test(
      "a claim raises the epoch, and the earlier owner can write no more",
      Effect.gen(function* () {
        const store = yield* SessionStore.SessionStore
        const s = row("s")
        yield* store.create(s)
        yield* store.append(write(s, 1, "one"))
        const claimed = yield* store.claim("s", s.incarnation, "other")
        assert.deepStrictEqual(claimed, { ...s, owner: "other", epoch: 2, nextSeq: 2 })
        const error = yield* Effect.flip(store.append(write(s, 2, "late")))
        assert.deepStrictEqual(error._tag === "StaleLease" ? error.reason : "", "epoch")
        yield* store.append(write(claimed, 2, "two"))
        assert.strictEqual((yield* store.read("s", s.incarnation, 1)).length, 2)
      })
    )

    test(
      "children are created with the write that links them, and listed by their parent",
      Effect.gen(function* () {
        const store = yield* SessionStore.SessionStore
        const s = row("s")
        yield* store.create(s)
        const children = [row("task:s:1", { parent: "s", depth: 1 }), row("task:s:2", { parent: "s", depth: 1 })]
        yield* store.append({ ...write(s, 1, "one"), children })
        assert.deepStrictEqual(yield* store.list("s"), children)
        assert.deepStrictEqual(
          (yield* store.list()).map(({ id }) => id),
          ["s"]
        )
      })
    )

    test(
      "removal is final: a later write is refused, a new session of the name is another one",
      Effect.gen(function* () {
        const store = yield* SessionStore.SessionStore
        const s = row("s")
        yield* store.create(s)
        yield* store.append(write(s, 1, "one"))
        yield* store.remove([s, row("never")])
        assert.isUndefined(yield* store.get("s"))
        const again = row("s", { incarnation: "s-2" })
        yield* store.create(again)
        for (const refused of [store.append(write(s, 2, "late")), store.claim("s", s.incarnation, "me")]) {
          const error = yield* Effect.flip(refused)
          assert.deepStrictEqual(error._tag === "StaleLease" ? error.reason : "", "removed")
        }
        yield* store.remove([s])
        assert.deepStrictEqual(yield* store.get("s"), again)
        assert.deepStrictEqual(yield* store.read("s", again.incarnation, 1), [])
      })
    )
  })
}
