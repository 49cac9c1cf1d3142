import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, TestClock } from "effect"
import { Agent, Script, Sessions } from "effect-baton"
import { engine, recorder } from "../support/engine.js"

const busyMessage =
  'Session "default" is already running prompt. Start another session for parallel conversation branches.'

const worker = Agent.make("worker", { description: "Does one thing", delegate: "off" })
const lead = Agent.make("lead", { subagents: [worker], delegate: "off" })

describe("races on one session", () => {
  it.effect("of 100 prompts one wins and 99 are refused", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      yield* Effect.gen(function* () {
        const sessions = yield* Sessions.Sessions
        const session = yield* sessions.open({ id: "default", agent: lead })
        const fibers = yield* Effect.forEach(Array.from({ length: 100 }), () =>
          Effect.fork(Effect.either(session.prompt("race")))
        )
        yield* Effect.yieldNow()
        yield* Deferred.succeed(gate, undefined)
        const answers = yield* Effect.forEach(fibers, Fiber.join)
        assert.strictEqual(answers.filter((answer) => answer._tag === "Right").length, 1)
        const refused = answers.flatMap((answer) => (answer._tag === "Left" ? [answer.left.message] : []))
        assert.deepStrictEqual(
          refused,
          Array.from({ length: 99 }, () => busyMessage)
        )
      }).pipe(Effect.provide(engine([Script.on("race", { before: Deferred.await(gate), text: "won" })])))
    })
  )

  it.effect("100 prompts with wait all run, in order", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const session = yield* sessions.open({ id: "default", agent: lead })
      yield* Effect.forEach(
        Array.from({ length: 100 }, (_, i) => i),
        (i) => session.prompt(`number ${i}`, { onBusy: "wait" }),
        { concurrency: "unbounded" }
      )
      const asked = (yield* session.history).flatMap((entry) =>
        entry._tag === "User" ? entry.content.map((part) => (part.type === "text" ? part.text : "")) : []
      )
      assert.deepStrictEqual(
        asked,
        Array.from({ length: 100 }, (_, i) => `number ${i}`)
      )
    }).pipe(Effect.provide(engine([Script.always("ok")])))
  )

  it.effect("wait with a timeout fails with SessionBusy when the time has come", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const session = yield* sessions.open({ id: "default", agent: lead })
      yield* Effect.fork(session.prompt("for ever"))
      yield* Effect.yieldNow()
      const waiting = yield* Effect.fork(Effect.flip(session.prompt("x", { onBusy: { _tag: "wait", timeout: 5_000 } })))
      yield* TestClock.adjust("4999 millis")
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(waiting)).message, busyMessage)
    }).pipe(Effect.provide(engine([Script.on("for ever", { before: Effect.never })])))
  )

  it.scoped("interrupt takes the running prompt's place, and its caller learns by whom", () =>
    Effect.gen(function* () {
      const events = yield* recorder
      const sessions = yield* Sessions.Sessions
      const session = yield* sessions.open({ id: "default", agent: lead })
      const first = yield* Effect.fork(Effect.exit(session.prompt("for ever")))
      yield* Effect.yieldNow()
      const reply = yield* session.prompt("instead", { onBusy: "interrupt" })
      assert.strictEqual(reply.text, "here")
      // The caller goes on: it was its operation that was interrupted.
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(first)))
      const seen = (yield* events).filter((event) => event._tag.startsWith("Operation") || event._tag === "Idle")
      assert.deepStrictEqual(
        seen.map((event) => event._tag),
        ["OperationStarted", "OperationInterrupted", "OperationStarted", "OperationCompleted", "Idle"]
      )
      const [, cut, next] = seen
      assert.deepStrictEqual(cut?._tag === "OperationInterrupted" ? cut.by : undefined, {
        session: "default",
        kind: "prompt",
        operationId: next?._tag === "OperationStarted" ? next.operationId : ""
      })
    }).pipe(Effect.provide(engine([Script.on("for ever", { before: Effect.never }), Script.on("instead", "here")])))
  )

  it.scoped("L11 an observer that starts the next prompt on Idle succeeds", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const session = yield* sessions.open({ id: "default", agent: lead })
      const events = yield* recorder
      for (let i = 0; i < 20; i++) {
        yield* session.prompt("x")
        yield* Effect.repeat(events, { until: (all) => all.filter((event) => event._tag === "Idle").length > i })
      }
      assert.strictEqual((yield* session.history).filter((entry) => entry._tag === "User").length, 20)
    }).pipe(Effect.provide(engine([Script.always("ok")])))
  )
})
