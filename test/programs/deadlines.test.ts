import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, TestClock } from "effect"
import { Agent, Script, Tool } from "effect-baton"
import { engine, messagesOf, open, recorder } from "../support/engine.js"
import { problems } from "../support/validMessages.js"

describe("deadlines", () => {
  const deaf = Tool.make("deaf", {
    description: "Looks at no signal",
    deadline: 1_000,
    run: () => Effect.uninterruptible(Effect.never)
  })
  const promise = Tool.make("promise", { description: "", deadline: 2_000, run: () => new Promise(() => {}) })
  const script = [
    Script.on("go", Script.calls(Script.call("deaf"), Script.call("promise")), "went on"),
    Script.always("ok")
  ]

  it.effect("a handler that never ends is left behind at its deadline", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: [deaf, promise] }))
      const running = yield* Effect.fork(session.prompt("go"))
      yield* TestClock.adjust("1999 millis")
      const entries = yield* session.history
      assert.deepStrictEqual(
        entries.flatMap((entry) => (entry._tag === "ToolSettled" ? [[entry.name, entry.outcome]] : [])),
        [["deaf", "deadline"]]
      )
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(running)).text, "went on")
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("interruption waits five seconds for a deaf handler and no longer", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: [deaf, promise] }))
      const running = yield* Effect.fork(session.prompt("go"))
      yield* Effect.yieldNow()
      const stopping = yield* Effect.fork(Fiber.interrupt(running))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual((yield* Fiber.poll(stopping))._tag, "None")
      yield* TestClock.adjust("1 millis")
      const exit = yield* Fiber.join(stopping)
      assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
      assert.deepStrictEqual(problems(yield* messagesOf(session)), [])
      assert.strictEqual((yield* session.prompt("x")).text, "ok")
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("a late result is dropped and noted", () =>
    Effect.gen(function* () {
      const late = yield* Deferred.make<string>()
      const slow = Tool.make("slow", {
        description: "",
        deadline: 100,
        run: () => Effect.uninterruptible(Deferred.await(late))
      })
      yield* Effect.gen(function* () {
        const events = yield* recorder
        const session = yield* open(Agent.make("a", { tools: [slow] }))
        const running = yield* Effect.fork(session.prompt("go"))
        yield* TestClock.adjust("100 millis")
        const reply = yield* Fiber.join(running)
        assert.match(reply.text, /may still be running/)
        yield* TestClock.adjust("5 seconds")
        yield* Deferred.succeed(late, "too late")
        yield* Effect.repeat(events, { until: (all) => all.some((event) => event._tag === "ToolLate") })
        assert.isFalse(JSON.stringify(yield* session.history).includes("too late"))
      }).pipe(
        Effect.provide(engine([Script.on("go", Script.calls(Script.call("slow")), (view) => view.results[0]!.text)]))
      )
    })
  )

  it.effect("the signal of a call is aborted with it", () =>
    Effect.gen(function* () {
      const aborted = yield* Deferred.make<void>()
      const tool = Tool.make("listens", {
        description: "",
        run: (_, { signal }) =>
          new Promise<void>((resolve) => {
            signal.addEventListener("abort", () => {
              Effect.runSync(Deferred.succeed(aborted, undefined))
              resolve()
            })
          })
      })
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [tool] }))
        const running = yield* Effect.fork(session.prompt("go"))
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(running)
        yield* Deferred.await(aborted)
      }).pipe(Effect.provide(engine([Script.on("go", Script.calls(Script.call("listens")))])))
    })
  )
})
