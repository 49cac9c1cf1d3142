/**
 * The one write path, over a store that takes its time.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { Errors, SessionStore } from "effect-baton"
import { Seeded } from "effect-baton/testing"
import { row } from "../support/rows.js"
import * as AlarmsLayer from "../../src/layers/Alarms.js"
import * as EventsLayer from "../../src/layers/Events.js"
import * as HistoryLayer from "../../src/layers/History.js"
import * as Draft from "../../src/services/Draft.js"
import { Events } from "../../src/services/Events.js"
import { History } from "../../src/services/History.js"

const user = (text: string) => Draft.user([{ type: "text", text }])

const texts = Effect.map(
  Effect.flatMap(History, (history) => history.read("s", "s-1")),
  (entries) =>
    entries.map((entry) => (entry._tag === "User" && entry.content[0]?.type === "text" ? entry.content[0].text : ""))
)

/** A memory store whose first write waits at a gate; counts its writes. */
const slowStore = (gate: Deferred.Deferred<void, Errors.SessionStoreError>, writes: Array<number>) =>
  Layer.map(SessionStore.layerMemory, (context) => {
    const store = Context.get(context, SessionStore.SessionStore)
    return Context.add(context, SessionStore.SessionStore, {
      ...store,
      append: (write) =>
        Effect.suspend(() => {
          writes.push(write.entries.length)
          return writes.length === 1
            ? Effect.zipRight(Deferred.await(gate), store.append(write))
            : Effect.zipRight(Effect.yieldNow(), store.append(write))
        })
    })
  })

const history = (gate: Deferred.Deferred<void, Errors.SessionStoreError>, writes: Array<number>) =>
  HistoryLayer.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(slowStore(gate, writes), EventsLayer.layer, AlarmsLayer.layer))
  )

const begin = Effect.gen(function* () {
  const store = yield* SessionStore.SessionStore
  yield* store.create(row("s"))
  return yield* (yield* History).begin("s", "s-1")
})

describe("History", () => {
  it.scoped("writes that come while one is being stored go together in the next, in order", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void, Errors.SessionStoreError>()
      const writes: Array<number> = []
      yield* Effect.gen(function* () {
        const { append } = yield* History
        const journal = yield* begin
        const queue = yield* (yield* Events).subscribe("s")
        const fibers = yield* Effect.forEach(["a", "b", "c", "d"], (text) =>
          Effect.fork(append(journal, "op", [user(text), user(`${text}${text}`)]))
        )
        yield* Effect.yieldNow()
        assert.deepStrictEqual(writes, [2])
        yield* Deferred.succeed(gate, undefined)
        yield* Effect.forEach(fibers, Fiber.join)
        assert.deepStrictEqual(writes, [2, 6])
        assert.deepStrictEqual(yield* texts, ["a", "aa", "b", "bb", "c", "cc", "d", "dd"])
        assert.strictEqual(journal.nextSeq, 9)
        const events = yield* queue.takeAll
        assert.deepStrictEqual(
          [...events].map((event) => ("seq" in event ? event.seq : 0)),
          [1, 2, 3, 4, 5, 6, 7, 8]
        )
        yield* append(journal, "op", [user("e")])
        assert.deepStrictEqual(writes, [2, 6, 1])
      }).pipe(Effect.provide(history(gate, writes)))
    })
  )

  it.effect("a write that fails fails alone; those that waited are stored after it", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void, Errors.SessionStoreError>()
      const writes: Array<number> = []
      yield* Effect.gen(function* () {
        const { append } = yield* History
        const journal = yield* begin
        const first = yield* Effect.fork(Effect.flip(append(journal, "op", [user("lost")])))
        const second = yield* Effect.fork(append(journal, "op", [user("kept")]))
        yield* Effect.yieldNow()
        yield* Deferred.fail(gate, new Errors.SessionStoreError({ operation: "write", reason: "disk full" }))
        assert.strictEqual((yield* Fiber.join(first)).message, "The session store failed to write: disk full.")
        yield* Fiber.join(second)
        assert.deepStrictEqual(yield* texts, ["kept"])
      }).pipe(Effect.provide(history(gate, writes)))
    })
  )

  it.effect("an interrupted writer's entries are stored when it ends", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void, Errors.SessionStoreError>()
      yield* Effect.gen(function* () {
        const { append } = yield* History
        const journal = yield* begin
        const writer = yield* Effect.fork(append(journal, "op", [user("a")]))
        const waiting = yield* Effect.fork(append(journal, "op", [user("b")]))
        yield* Effect.yieldNow()
        const stop = yield* Effect.fork(Fiber.interruptAll([writer, waiting]))
        yield* Effect.yieldNow()
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(stop)
        assert.deepStrictEqual(yield* texts, ["a", "b"])
      }).pipe(Effect.provide(history(gate, [])))
    })
  )

  it.effect("a journal catches up with what another handle wrote, and is told from a removed session's", () =>
    Effect.gen(function* () {
      const { append, begin: again, owner } = yield* History
      const store = yield* SessionStore.SessionStore
      const first = yield* begin
      const second = yield* again("s", "s-1")
      yield* append(second, "op", [user("by the second")])
      const same = yield* again("s", "s-1", first)
      assert.strictEqual(same, first)
      assert.deepStrictEqual(same.conversation.messages(), second.conversation.messages())
      yield* store.remove([row("s")], owner)
      yield* store.create(row("s", { incarnation: "s-2" }))
      assert.strictEqual((yield* Effect.flip(again("s", "s-1", first)))._tag, "SessionNotFound")
      assert.strictEqual((yield* Effect.flip(append(first, "op", [user("late")])))._tag, "StaleLease")
    }).pipe(
      Effect.provide(
        HistoryLayer.layer.pipe(
          Layer.provideMerge(Layer.mergeAll(SessionStore.layerMemory, EventsLayer.layer, AlarmsLayer.layer))
        )
      )
    )
  )

  it("every writer is answered, wherever fibers yield", () => {
    for (let seed = 0; seed < 300; seed++) {
      let writing = false
      let left = 100
      const next = Seeded.random(seed ^ 0x5eed)
      const slow = Layer.map(SessionStore.layerMemory, (context) => {
        const store = Context.get(context, SessionStore.SessionStore)
        const append: typeof store.append = (write) => Effect.zipRight(Effect.yieldNow(), store.append(write))
        return Context.add(context, SessionStore.SessionStore, { ...store, append })
      })
      const program = Effect.gen(function* () {
        const { append } = yield* History
        const journal = yield* begin
        writing = true
        const fibers = yield* Effect.forEach(["a", "b", "c", "d"], (text) =>
          Effect.fork(append(journal, "op", [user(text)]))
        )
        yield* Effect.forEach(fibers, Fiber.join)
        writing = false
        return (yield* texts).toSorted().join("")
      }).pipe(
        Effect.provide(
          HistoryLayer.layer.pipe(Layer.provideMerge(Layer.mergeAll(slow, EventsLayer.layer, AlarmsLayer.layer)))
        )
      )
      const { exit } = Seeded.run(program, {
        seed,
        yieldProbability: 0,
        onStep: () => writing && left > 0 && next() < 0.1 && left-- > 0
      })
      assert.deepStrictEqual(exit, Exit.succeed("abcd"), `seed ${seed}`)
    }
  })
})
