/**
 * Histories whose entries are each of the format and do not go together, as no writer leaves them.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Agent, type Entry, Model, Script, Sessions, SessionStore } from "effect-baton"
import { engineOver, open } from "../support/engine.js"

const agent = Agent.make("a", { delegate: "off" })

/** A store that gives one entry otherwise than it was stored, from when it is told to. */
const damaging = (seq: number, change: (entry: Entry.Entry) => Entry.Entry) => {
  const at = { isDamaged: false }
  const store = Layer.effect(
    SessionStore.SessionStore,
    Effect.map(SessionStore.SessionStore, (store) => ({
      ...store,
      read: (id: string, incarnation: string, from: number, to?: number) =>
        Effect.map(store.read(id, incarnation, from, to), (entries) =>
          entries.map((entry) => (at.isDamaged && entry.id === seq ? change(entry) : entry))
        )
    }))
  ).pipe(Layer.provide(SessionStore.layerMemory))
  return { at, layer: engineOver(Layer.merge(store, Model.layerScripted([Script.always("ok")]))) }
}

const place = ({ at, id, operationId, parentId }: Entry.Entry) => ({ at, id, operationId, parentId })

it.effect("a head that moves while an operation runs closes the session", () => {
  const { at, layer } = damaging(3, (entry) => ({ _tag: "HeadMoved", ...place(entry), parentId: null }))
  return Effect.gen(function* () {
    yield* (yield* open(agent)).prompt("one")
    at.isDamaged = true
    const error = yield* Effect.flip((yield* open(agent)).prompt("two"))
    assert.strictEqual(error.message, `Entry 3 of session "s" cannot be read: the head moves while an operation runs.`)
  }).pipe(Effect.provide(layer))
})

it.effect("the same where the whole is folded anew", () => {
  const { at, layer } = damaging(11, (entry) => ({ _tag: "HeadMoved", ...place(entry), parentId: 4 }))
  return Effect.gen(function* () {
    const session = yield* open(agent)
    for (const text of ["one", "two"]) yield* session.prompt(text)
    yield* session.moveTo(3)
    yield* session.prompt("three")
    at.isDamaged = true
    const error = yield* Effect.flip((yield* open(agent)).prompt("four"))
    assert.strictEqual(error.message, `Entry 11 of session "s" cannot be read: the head moves while an operation runs.`)
  }).pipe(Effect.provide(layer))
})

it.effect("what is damaged on a way that was left is told whoever goes there, and goes on elsewhere", () => {
  const { at, layer } = damaging(16, (entry) => ({
    ...{ _tag: "Compaction", ...place(entry), summary: "", firstKept: 1, trigger: "manual", tokensBefore: 1 },
    ...{ tokensAfter: 1, files: { read: [], changed: [] }, model: "m" },
    usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
  }))
  return Effect.gen(function* () {
    const first = yield* open(agent)
    for (const text of ["one", "two", "three"]) yield* first.prompt(text)
    yield* first.moveTo(4)
    yield* first.prompt("four")
    yield* first.moveTo(8)
    at.isDamaged = true
    const session = yield* open(agent)
    assert.strictEqual((yield* session.prompt("five")).text, "ok")
    const before = yield* session.history
    for (const wrong of [session.moveTo(17), session.whatIf("other", { from: 17 })]) {
      const error = yield* Effect.flip(wrong as Effect.Effect<unknown, Error>)
      assert.strictEqual(error.message, `Entry 16 of session "s" cannot be read: no message began with entry 1.`)
    }
    assert.deepStrictEqual(yield* session.history, before)
    assert.lengthOf(yield* (yield* Sessions.Sessions).list(), 1)
    assert.strictEqual((yield* session.prompt("six")).text, "ok")
  }).pipe(Effect.provide(layer))
})
