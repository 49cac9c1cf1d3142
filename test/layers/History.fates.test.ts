/**
 * Writes whose fate is not known when they fail, and sessions that somebody else has meanwhile.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, type Scope, TestClock } from "effect"
import { Errors, SessionStore } from "effect-baton"
import { row } from "../support/rows.js"
import * as AlarmsLayer from "../../src/layers/Alarms.js"
import * as EventsLayer from "../../src/layers/Events.js"
import * as HistoryLayer from "../../src/layers/History.js"
import * as Draft from "../../src/services/Draft.js"
import { Events } from "../../src/services/Events.js"
import { History } from "../../src/services/History.js"

const user = (text: string) => Draft.user([{ type: "text", text }])
const failure = new Errors.SessionStoreError({ operation: "write", reason: "the connection was lost" })

/** What goes wrong with the next call of a store. */
interface Faults {
  /** The next write is made, or not, and the answer is lost. */
  append: "made" | "not made" | undefined
  /** The next look at the session fails. */
  get: boolean
}

/** Histories of several engines over one store; the store of the first one is faulty. */
const engines = Effect.gen(function* () {
  const faults: Faults = { append: undefined, get: false }
  const memory = yield* Layer.build(SessionStore.layerMemory)
  const store = Context.get(memory, SessionStore.SessionStore)
  const writes: Array<SessionStore.Append> = []
  const faulty: typeof store = {
    ...store,
    get: (id) =>
      Effect.suspend(() => {
        if (!faults.get) return store.get(id)
        faults.get = false
        return failure
      }),
    append: (write) =>
      Effect.suspend(() => {
        writes.push(write)
        const fault = faults.append
        faults.append = undefined
        if (fault === undefined) return store.append(write)
        return fault === "made" ? Effect.zipRight(store.append(write), failure) : failure
      })
  }
  const over = (it: typeof store) =>
    Layer.build(
      HistoryLayer.layer.pipe(
        Layer.provideMerge(Layer.mergeAll(EventsLayer.layer, AlarmsLayer.layer)),
        Layer.provide(Layer.succeed(SessionStore.SessionStore, it)),
        Layer.fresh
      )
    )
  const first = yield* over(faulty)
  const history = Context.get(first, History)
  yield* store.create(row("s"))
  const journal = yield* history.begin("s", "s-1")
  const queue = yield* Context.get(first, Events).subscribe("s")
  return {
    faults,
    writes,
    journal,
    write: (text: string) => history.append(journal, "op", [user(text)]),
    other: Effect.map(over(store), Context.get(History)),
    texts: Effect.map(Effect.orDie(store.read("s", "s-1", 1)), (entries) =>
      entries.map((it) => (it._tag === "User" && it.content[0]?.type === "text" ? it.content[0].text : it._tag))
    ),
    told: Effect.map(queue.takeAll, (events) => [...events].map((event) => ("seq" in event ? event.seq : 0)))
  }
})

/** Another engine writes, once the lease has run out. */
const takenOver = (other: Effect.Effect<Context.Tag.Service<History>, never, Scope.Scope>, text: string) =>
  Effect.gen(function* () {
    yield* TestClock.adjust("10 seconds")
    const history = yield* other
    const journal = yield* history.begin("s", "s-1")
    yield* history.start(journal, "theirs", [user(text)])
    return history
  })

describe("a write that fails", () => {
  it.scoped("though it was made has been made", () =>
    Effect.gen(function* () {
      const { faults, journal, texts, told, write } = yield* engines
      yield* write("a")
      faults.append = "made"
      yield* write("b")
      yield* write("c")
      assert.deepStrictEqual(yield* texts, ["a", "b", "c"])
      assert.deepStrictEqual(yield* told, [1, 2, 3])
      assert.strictEqual(journal.nextSeq, 4)
    })
  )

  it.scoped("and of which nothing can be found out is looked for before the next: it was made", () =>
    Effect.gen(function* () {
      const { faults, journal, texts, told, write } = yield* engines
      // The first one is the claim.
      for (const [lost, next] of [
        ["a", "b"],
        ["c", "d"]
      ] as const) {
        Object.assign(faults, { append: "made", get: true })
        assert.strictEqual(yield* Effect.flip(write(lost)), failure)
        yield* write(next)
      }
      assert.deepStrictEqual(yield* texts, ["a", "b", "c", "d"])
      assert.deepStrictEqual(yield* told, [1, 2, 3, 4], "it is told when it is found")
      assert.strictEqual(journal.nextSeq, 5)
    })
  )

  it.scoped("and of which nothing can be found out is looked for before the next: it was not made", () =>
    Effect.gen(function* () {
      const { faults, texts, told, write } = yield* engines
      yield* write("a")
      Object.assign(faults, { append: "not made", get: true })
      assert.strictEqual(yield* Effect.flip(write("b")), failure)
      yield* write("c")
      assert.deepStrictEqual(yield* texts, ["a", "c"])
      assert.deepStrictEqual(yield* told, [1, 2])
    })
  )

  it.scoped("while another engine writes in its place was not made", () =>
    Effect.gen(function* () {
      const { faults, other, texts, told, write } = yield* engines
      yield* write("a")
      faults.append = "not made"
      yield* takenOver(other, "theirs")
      assert.strictEqual(yield* Effect.flip(write("b")), failure)
      assert.deepStrictEqual(yield* texts, ["a", "theirs"])
      assert.deepStrictEqual(yield* told, [1])
    })
  )

  it.scoped("and of which nothing can be found out until another engine has the session is the last", () =>
    Effect.gen(function* () {
      const { faults, journal, other, texts, told, write } = yield* engines
      yield* write("a")
      Object.assign(faults, { append: "not made", get: true })
      assert.strictEqual(yield* Effect.flip(write("b")), failure)
      yield* takenOver(other, "theirs")
      assert.deepInclude(yield* Effect.flip(write("c")), { _tag: "StaleLease", reason: "epoch" })
      assert.isTrue(journal.lost)
      assert.deepStrictEqual(yield* texts, ["a", "theirs"])
      assert.deepStrictEqual(yield* told, [1])
    })
  )

  it.scoped("for the session is another's is the last: nothing more is tried", () =>
    Effect.gen(function* () {
      const { journal, other, texts, write, writes } = yield* engines
      yield* write("a")
      yield* takenOver(other, "theirs")
      assert.deepInclude(yield* Effect.flip(write("b")), { _tag: "StaleLease", reason: "epoch" })
      assert.isTrue(journal.lost)
      const tried = writes.length
      assert.deepInclude(yield* Effect.flip(write("c")), { _tag: "StaleLease", reason: "epoch" })
      assert.strictEqual(writes.length, tried)
      assert.deepStrictEqual(yield* texts, ["a", "theirs"])
    })
  )
})

describe("what has arrived of a reply", () => {
  it.scoped("is kept no longer than until something else is stored, also in one write with it", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const memory = yield* Layer.build(SessionStore.layerMemory)
      const store = Context.get(memory, SessionStore.SessionStore)
      let first = true
      const slow: typeof store = {
        ...store,
        append: (write) => {
          const wait = first ? Deferred.await(gate) : Effect.void
          first = false
          return Effect.zipRight(wait, store.append(write))
        }
      }
      const context = yield* Layer.build(
        HistoryLayer.layer.pipe(
          Layer.provide(Layer.mergeAll(EventsLayer.layer, AlarmsLayer.layer)),
          Layer.provide(Layer.succeed(SessionStore.SessionStore, slow))
        )
      )
      const { append, begin } = Context.get(context, History)
      yield* store.create(row("s"))
      const journal = yield* begin("s", "s-1")
      const all = [
        yield* Effect.fork(append(journal, "op", [user("a")])),
        yield* Effect.fork(Effect.zipRight(Effect.yieldNow(), append(journal, "op", [], { partial: "so far" }))),
        yield* Effect.fork(
          Effect.repeatN(Effect.yieldNow(), 3).pipe(Effect.zipRight(append(journal, "op", [user("b")])))
        )
      ]
      yield* Effect.repeatN(Effect.yieldNow(), 10)
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.forEach(all, Fiber.join)
      assert.strictEqual(journal.nextSeq, 3)
      assert.isNull((yield* store.get("s"))!.partial)
    })
  )
})
