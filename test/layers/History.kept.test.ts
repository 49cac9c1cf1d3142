/**
 * What is known of a long history outlives the handle that learned it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, FastCheck, Layer } from "effect"
import { Conversation, SessionStore } from "effect-baton"
import { row } from "../support/rows.js"
import * as AlarmsLayer from "../../src/layers/Alarms.js"
import * as EventsLayer from "../../src/layers/Events.js"
import * as HistoryLayer from "../../src/layers/History.js"
import * as Draft from "../../src/services/Draft.js"
import { History, type Journal } from "../../src/services/History.js"

/** Notes from which place on the store was read. */
const readsOf = (reads: Array<number>) =>
  HistoryLayer.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        AlarmsLayer.layer,
        Layer.map(SessionStore.layerMemory, (context) => {
          const store = Context.get(context, SessionStore.SessionStore)
          const read: typeof store.read = (id, incarnation, from) => {
            reads.push(from)
            return store.read(id, incarnation, from)
          }
          return Context.add(context, SessionStore.SessionStore, { ...store, read })
        }),
        EventsLayer.layer
      )
    )
  )

let texts = 0
const users = (count: number) => Array.from({ length: count }, () => Draft.user([{ type: "text", text: `${texts++}` }]))

/** An operation that writes so many entries. */
const operate = (session: string, incarnation: string, count: number, known?: Journal, drafts = users(count)) =>
  Effect.gen(function* () {
    const history = yield* History
    const journal = yield* history.begin(session, incarnation, known)
    journal.start(`op-${texts}`)
    history.enter(journal, yield* Effect.clock, () => {})
    yield* history.start(journal, journal.operationId, drafts)
    journal.turns = { ...journal.turns, input: count }
    history.end(session)
    yield* history.leave(journal)
    return journal
  })

/** What a journal knows is what the store holds. */
const check = (journal: Journal) =>
  Effect.gen(function* () {
    const { id, incarnation } = journal.row
    const entries = yield* (yield* SessionStore.SessionStore).read(id, incarnation, 1)
    assert.strictEqual(journal.nextSeq, entries.length + 1)
    assert.deepStrictEqual(journal.conversation.messages(), Conversation.fold(entries))
  })

const create = (id: string, incarnation = `${id}-1`) =>
  Effect.flatMap(SessionStore.SessionStore, (store) => store.create(row(id, { incarnation })))

describe("a journal that is kept", () => {
  it.effect("saves another handle the reading, and leaves the first one its usage", () => {
    const reads: Array<number> = []
    return Effect.gen(function* () {
      yield* create("s")
      const first = yield* operate("s", "s-1", 100)
      const second = yield* operate("s", "s-1", 3)
      assert.notStrictEqual(second, first)
      assert.deepStrictEqual(reads, [])
      assert.deepStrictEqual([first.usage().total.input, second.usage().total.input], [100, 3])
      yield* check(second)
      // The first handle comes back, and takes over in turn.
      assert.strictEqual(yield* operate("s", "s-1", 2, first), first)
      yield* operate("s", "s-1", 1, first)
      assert.deepStrictEqual(
        reads.filter((from) => from === 1),
        [1]
      )
      yield* check(first)
      yield* check(yield* operate("s", "s-1", 1, second))
    }).pipe(Effect.provide(readsOf(reads)))
  })

  it.effect("is caught up with what another engine wrote", () => {
    const reads: Array<number> = []
    return Effect.gen(function* () {
      yield* create("s")
      yield* operate("s", "s-1", 100)
      const store = Layer.effect(SessionStore.SessionStore, SessionStore.SessionStore)
      const other = HistoryLayer.layer.pipe(Layer.provide(EventsLayer.layer), Layer.provide(store), Layer.fresh)
      yield* Effect.provide(operate("s", "s-1", 5), other)
      assert.deepStrictEqual(reads, [1])
      const journal = yield* operate("s", "s-1", 1)
      assert.deepStrictEqual(reads, [1, 101])
      yield* check(journal)
    }).pipe(Effect.provide(readsOf(reads)))
  })

  it.effect("is not that of another session of the name", () =>
    Effect.gen(function* () {
      yield* create("s")
      const old = yield* operate("s", "s-1", 100)
      yield* (yield* SessionStore.SessionStore).remove([row("s")], "another engine")
      yield* create("s", "s-2")
      const journal = yield* operate("s", "s-2", 70)
      assert.strictEqual(journal.nextSeq, 71)
      yield* check(journal)
      assert.strictEqual((yield* Effect.flip(operate("s", "s-1", 1, old)))._tag, "SessionNotFound")
      yield* check(yield* operate("s", "s-2", 1))
    }).pipe(Effect.provide(readsOf([])))
  )

  it.effect("goes when others were used since and stand for too much together; short ones are not kept", () => {
    const reads: Array<number> = []
    const starts = () => Array.from({ length: 20_000 }, () => Draft.operationStarted("prompt", undefined, undefined))
    return Effect.gen(function* () {
      yield* Effect.forEach(["a", "b", "c", "short"], (session) => create(session))
      const first = yield* operate("a", "a-1", 0, undefined, starts())
      yield* operate("a", "a-1", 1)
      yield* operate("b", "b-1", 0, undefined, starts())
      yield* operate("c", "c-1", 0, undefined, starts())
      assert.deepStrictEqual(reads, [])
      // What the first handle of it knew has been taken over, and that has gone.
      assert.strictEqual(yield* operate("a", "a-1", 1, first), first)
      assert.deepStrictEqual(reads, [1])
      yield* check(first)
      yield* operate("c", "c-1", 1)
      yield* operate("short", "short-1", 5)
      assert.deepStrictEqual(reads, [1, 1])
      yield* operate("b", "b-1", 1)
      yield* operate("short", "short-1", 5)
      assert.deepStrictEqual(reads, [1, 1, 1, 1])
    }).pipe(Effect.provide(readsOf(reads)))
  })

  it.effect.prop(
    "knows what the store holds, whichever handle of whichever engine worked",
    [
      FastCheck.array(
        FastCheck.record({
          engine: FastCheck.nat(1),
          handle: FastCheck.nat(2),
          session: FastCheck.constantFrom("s", "t"),
          entries: FastCheck.integer({ min: 1, max: 40 })
        }),
        { maxLength: 25 }
      )
    ],
    ([steps]) =>
      Effect.gen(function* () {
        yield* create("s")
        yield* create("t")
        const store = Layer.effect(SessionStore.SessionStore, SessionStore.SessionStore)
        const engine = HistoryLayer.layer.pipe(Layer.provide(EventsLayer.layer), Layer.provide(store), Layer.fresh)
        const engines = [yield* Layer.build(engine), yield* Layer.build(engine)]
        const handles = new Map<string, Journal>()
        for (const { engine, entries, handle, session } of steps) {
          const key = `${engine} ${session} ${handle}`
          const known = handles.get(key)
          const journal = yield* Effect.provide(operate(session, `${session}-1`, entries, known), engines[engine]!)
          if (known !== undefined) assert.strictEqual(journal, known)
          handles.set(key, journal)
          assert.strictEqual(journal.usage().total.input, entries)
          yield* check(journal)
        }
      }).pipe(Effect.scoped, Effect.provide(readsOf([]))),
    { fastCheck: { numRuns: 60 } }
  )
})
