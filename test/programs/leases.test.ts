/**
 * Two engines on one store: one at a time has a session, and a dead one does not keep it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Deferred, Effect, Either, Fiber, Layer, TestClock } from "effect"
import { Agent, Engine, Model, Script, Sessions, SessionStore, Tool } from "effect-baton"
import { Messages } from "effect-baton/testing"
import { begin, gate, settle } from "../support/stage.js"
import { messagesOf } from "../support/engine.js"
import { problems } from "../support/recoveries.js"

const effects: Array<string> = []
const act = Tool.make("act", {
  description: "Has an effect",
  run: (_, { session }) => Effect.sync(() => void effects.push(session))
})
const agent = Agent.make("lead", { tools: [act], delegate: "off" })

/** Engines over one store; the first may be frozen: then it renews nothing. */
const twoEngines = (first: Script.Script, second: Script.Script, of: Agent.Agent = agent) =>
  Effect.gen(function* () {
    const memory = yield* Layer.build(SessionStore.layerMemory)
    const store = Context.get(memory, SessionStore.SessionStore)
    const frozen = yield* Deferred.make<void>()
    let isFrozen = false
    const slow: typeof store = {
      ...store,
      renew: (...of) => Effect.zipRight(isFrozen ? Deferred.await(frozen) : Effect.void, store.renew(...of))
    }
    const over = (script: Script.Script, it: typeof store) =>
      Effect.map(
        Layer.build(
          Layer.provide(
            Engine.layer,
            Layer.merge(Layer.succeed(SessionStore.SessionStore, it), Model.layerScripted(script))
          )
        ),
        Context.get(Sessions.Sessions)
      )
    const a = yield* Effect.flatMap(over(first, slow), (it) => it.open({ id: "default", agent: of }))
    const b = yield* over(second, store)
    return {
      a,
      b,
      memory: Context.get(memory, SessionStore.Memory),
      freeze: Effect.sync(() => (isFrozen = true)),
      thaw: Effect.zipRight(
        Effect.sync(() => (isFrozen = false)),
        Deferred.succeed(frozen, undefined)
      )
    }
  })

describe("two engines on one store", () => {
  it.scoped("the second is refused with the owner's name, or waits until the first is done", () =>
    Effect.gen(function* () {
      const model = yield* gate
      const { a, b, memory } = yield* twoEngines(
        [Script.always({ before: model.stop, text: "by a" })],
        [Script.always("by b")]
      )
      const running = yield* Effect.fork(a.prompt("x"))
      yield* model.reached
      const session = yield* b.open({ id: "default", agent })
      const busy = yield* Effect.flip(session.prompt("y"))
      assert.strictEqual(busy._tag, "SessionBusy")
      const { row } = memory.get("default")!
      const [owner, what] = [row.owner!, row.running]
      assert.deepInclude(busy as object, {
        owner,
        operationId: what?.operationId,
        running: "prompt",
        requested: "prompt"
      })
      assert.include(busy.message, `another process (${owner})`)
      assert.strictEqual((yield* Effect.flip(b.remove("default")))._tag, "SessionBusy")
      const late = yield* begin(Effect.flip(session.prompt("z", { onBusy: { _tag: "wait", timeout: 5_000 } })))
      const waiting = yield* begin(session.prompt("y", { onBusy: "wait" }))
      // Renewed every three seconds, the lease holds for as long as the operation runs.
      yield* Effect.repeatN(Effect.zipRight(TestClock.adjust("1 second"), settle), 30)
      assert.strictEqual((yield* Fiber.join(late))._tag, "SessionBusy")
      assert.strictEqual((yield* Fiber.poll(waiting))._tag, "None")
      yield* model.open
      assert.strictEqual((yield* Fiber.join(running)).text, "by a")
      yield* Effect.zipRight(settle, TestClock.adjust("1 second"))
      assert.strictEqual((yield* Fiber.join(waiting)).text, "by b")
    })
  )

  it.scoped("who does not renew loses the session within the lease: the other goes on, and the first one stops", () =>
    Effect.gen(function* () {
      effects.length = 0
      const model = yield* gate
      const { a, b, freeze, memory, thaw } = yield* twoEngines(
        [Script.always({ before: model.stop, calls: [Script.call("act")] })],
        [Script.on("x", "x by b"), Script.on("y", "y by b")]
      )
      const running = yield* Effect.fork(Effect.flip(a.prompt("x")))
      yield* model.reached
      yield* freeze
      const session = yield* b.open({ id: "default", agent })
      assert.strictEqual(session.resumed, undefined)
      const waiting = yield* begin(session.prompt("y", { onBusy: "wait" }))
      yield* Effect.repeatN(Effect.zipRight(TestClock.adjust("1 second"), settle), 10)
      assert.strictEqual((yield* Fiber.join(waiting)).text, "y by b")
      const { entries } = memory.get("default")!
      const kept = [...entries]
      yield* thaw
      yield* model.open
      const lost = yield* Fiber.join(running)
      assert.deepInclude(lost, { _tag: "StaleLease", session: "default" })
      assert.deepStrictEqual(entries, kept, "nothing of the first one's was written after it")
      assert.deepStrictEqual(effects, [], "nor was anything done")
      assert.deepStrictEqual(
        entries.flatMap((it) => (it._tag === "OperationSettled" ? [it.outcome] : [])),
        ["completed", "completed"]
      )
      assert.deepStrictEqual(Messages.problems(yield* messagesOf(session)), [])
    })
  )

  it.scoped("who learns from a renewal that the session is lost stops at once", () =>
    Effect.gen(function* () {
      const { a, b, freeze, thaw } = yield* twoEngines(
        [Script.always({ before: Effect.never, text: "" })],
        [Script.always("b")]
      )
      const running = yield* begin(Effect.flip(a.prompt("x")))
      yield* freeze
      yield* TestClock.adjust("10 seconds")
      const session = yield* b.open({ id: "default", agent })
      assert.strictEqual(session.resumed?.kind, "prompt")
      yield* session.resumed!.ended
      yield* thaw
      yield* Effect.zipRight(TestClock.adjust("3 seconds"), settle)
      assert.strictEqual((yield* Fiber.join(running))._tag, "StaleLease")
    })
  )

  it.scoped("a clock that is set forward or back costs a lease at most: no write is doubled, no session stuck", () =>
    Effect.gen(function* () {
      // Sixty leases; each renewal in between takes the test some milliseconds.
      for (const time of [600_000, -600_000]) {
        const model = yield* gate
        const { a, b, memory } = yield* twoEngines(
          [Script.on("x", { before: model.stop, text: "by a" }), Script.always("ok")],
          [Script.always("by b")]
        )
        yield* TestClock.adjust("2 hours")
        const patient = { limits: { modelIdle: Number.POSITIVE_INFINITY } }
        const running = yield* begin(Effect.either(a.prompt("x", patient)))
        yield* model.reached
        yield* Effect.flatMap(Clock.currentTimeMillis, (now) => TestClock.setTime(now + time))
        const there = yield* b.open({ id: "default", agent })
        const other = yield* begin(Effect.either(there.prompt("y")))
        yield* model.open
        yield* settle
        const [first, second] = [yield* Fiber.join(running), yield* Fiber.join(other)]
        assert.isTrue(Either.isRight(first) || first.left._tag === "StaleLease")
        assert.isTrue(Either.isRight(second) || second.left._tag === "SessionBusy")
        yield* TestClock.adjust("11 seconds")
        yield* settle
        assert.strictEqual((yield* there.prompt("z")).text, "by b")
        assert.deepStrictEqual(problems(memory), [])
      }
    })
  )

  it.scoped("a handle of one engine works after what another has done in the session", () =>
    Effect.gen(function* () {
      const { a, b } = yield* twoEngines([Script.always("by a")], [Script.always("by b")])
      const session = yield* b.open({ id: "default", agent })
      for (const it of [a, session, a, a, session]) yield* it.prompt("x")
      assert.deepStrictEqual(
        (yield* messagesOf(a))
          .flatMap((it) => (it.role === "assistant" ? it.content : []))
          .map((it) => "text" in it && it.text),
        ["by a", "by b", "by a", "by a", "by b"]
      )
    })
  )

  it.scoped("an answer that comes late says nothing of a session that was claimed anew since", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* gate, yield* gate]
      const { a, freeze, thaw } = yield* twoEngines(
        [Script.on("one", { before: one.stop, text: "1" }), Script.on("two", { before: two.stop, text: "2" })],
        []
      )
      const first = yield* begin(a.prompt("one"))
      yield* freeze
      yield* TestClock.adjust("3 seconds")
      yield* one.open
      yield* Fiber.join(first)
      const second = yield* begin(a.prompt("two"))
      yield* thaw
      yield* settle
      yield* two.open
      assert.strictEqual((yield* Fiber.join(second)).text, "2")
    })
  )

  it.scoped("a task of a session that was lost is gone on with by whoever has it, and not ended by who had it", () =>
    Effect.gen(function* () {
      const child = Agent.make("child", { delegate: "off" })
      const parent = Agent.make("lead", { subagents: [child], delegate: "off" })
      const model = yield* gate
      const dig = Script.calls(Script.task("dig", { agent: "child" }))
      const { a, b, freeze, memory, thaw } = yield* twoEngines(
        [Script.on("go", dig, "never"), Script.on("dig", { before: model.stop, text: "by a" })],
        [Script.on("go", dig, "done by b"), Script.on("dig", "dug by b")],
        parent
      )
      const running = yield* begin(Effect.flip(a.prompt("go")))
      yield* model.reached
      yield* freeze
      yield* TestClock.adjust("10 seconds")
      const session = yield* b.open({ id: "default", agent: parent })
      // The renewal of the first one answers now: parent and child are lost, while the child goes on over there.
      yield* Effect.zipRight(thaw, settle)
      yield* TestClock.adjust("4 seconds")
      yield* settle
      yield* session.resumed!.ended
      assert.strictEqual((yield* Fiber.join(running))._tag, "StaleLease")
      const outcomes = [...memory.values()].flatMap(({ entries }) =>
        entries.flatMap((it) => (it._tag === "OperationSettled" || it._tag === "TaskSettled" ? [it.outcome] : []))
      )
      assert.deepStrictEqual(outcomes, ["completed", "completed", "completed"])
      assert.deepStrictEqual(problems(memory), [])
    })
  )
})
