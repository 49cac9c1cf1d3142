/**
 * A tool that does not end holds nobody up: every kind of handler against every kind of end, in virtual time.
 */
import { setImmediate } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Deferred, Effect, Exit, Fiber, Layer, Scope, TestClock } from "effect"
import { Agent, Engine, type Event, Model, Script, type Sessions, SessionStore, Tool } from "effect-baton"
import { messagesOf, open, recorder } from "../support/engine.js"
import { problems } from "../support/validMessages.js"

/** What a handler is given by the test: it ends late when it is let go. */
interface Gate {
  readonly promise: Promise<void>
  readonly letGo: Effect.Effect<void>
  readonly await: Effect.Effect<void>
}

interface Handler {
  readonly what: string
  /** Whether it ends when it is told to. */
  readonly heeds: boolean
  /** Whether it ends after all, when it is let go. */
  readonly late: boolean
  readonly run: (gate: Gate, call: Tool.ToolCall) => Effect.Effect<unknown, unknown> | PromiseLike<unknown>
}

const handlers: ReadonlyArray<Handler> = [
  { what: "an Effect that can be interrupted", heeds: true, late: false, run: () => Effect.never },
  {
    what: "an Effect whose finalizer fails",
    heeds: true,
    late: false,
    run: () => Effect.onInterrupt(Effect.never, () => Effect.dieMessage("late finalizer"))
  },
  {
    what: "an Effect whose finalizer throws",
    heeds: true,
    late: false,
    run: () =>
      Effect.onInterrupt(Effect.never, () => {
        throw new Error("late finalizer")
      })
  },
  {
    what: "an Effect whose finalizer never ends",
    heeds: false,
    late: false,
    run: () => Effect.onInterrupt(Effect.never, () => Effect.never)
  },
  {
    what: "an Effect that cannot be interrupted and never ends",
    heeds: false,
    late: false,
    run: () => Effect.uninterruptible(Effect.never)
  },
  {
    what: "an Effect that cannot be interrupted and brings a late result",
    heeds: false,
    late: true,
    run: (gate) => Effect.uninterruptible(Effect.as(gate.await, "the late result"))
  },
  {
    what: "an Effect that cannot be interrupted and throws late",
    heeds: false,
    late: true,
    run: (gate) =>
      Effect.uninterruptible(
        Effect.map(gate.await, () => {
          throw new Error("the late result")
        })
      )
  },
  { what: "a promise that never settles", heeds: false, late: false, run: () => new Promise(() => {}) },
  {
    what: "a promise that looks at no signal and brings a late result",
    heeds: false,
    late: true,
    run: (gate) => gate.promise.then(() => "the late result")
  },
  {
    what: "a promise that rejects at its signal",
    heeds: true,
    late: false,
    run: (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("the late result"))))
  },
  {
    what: "a promise that rejects long after its signal",
    heeds: false,
    late: true,
    run: (gate, { signal }) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => void gate.promise.then(() => reject(new Error("the late result"))))
      )
  },
  {
    what: "an async function that throws late",
    heeds: false,
    late: true,
    run: async (gate) => {
      await gate.promise
      throw new Error("the late result")
    }
  },
  {
    what: "an async function that works through its call",
    heeds: true,
    late: false,
    run: async (_, call) => call.runPromise(Effect.never)
  },
  {
    what: "a thenable that calls nobody back",
    heeds: false,
    late: false,
    // oxlint-disable-next-line unicorn/no-thenable
    run: () => ({ then: () => new Promise<never>(() => {}) })
  }
]

interface World {
  readonly session: Sessions.Session
  readonly shutdown: Effect.Effect<void>
}

interface End {
  readonly what: string
  /** When the call is told to end, in milliseconds. */
  readonly at: number
  /** Whether whoever waits gets it at that time also from a handler that does not end. */
  readonly atOnce: boolean
  readonly limits?: Agent.Any["limits"]
  /** What is run to its end, and when that is, is measured. */
  readonly run: (world: World) => Effect.Effect<unknown, unknown>
  /** What became of the prompt. */
  readonly outcome: RegExp
  /** The engine ends with it. */
  readonly shutdown?: true
}

/** Runs a prompt and does something to it at half a second; ends when both have. */
const and =
  (then: (prompt: Fiber.RuntimeFiber<unknown, unknown>, world: World) => Effect.Effect<unknown, unknown>) =>
  (world: World) =>
    Effect.gen(function* () {
      const prompt = yield* Effect.fork(world.session.prompt("go"))
      yield* Effect.sleep(500)
      yield* then(prompt, world)
      return yield* Fiber.join(prompt)
    })

const ends: ReadonlyArray<End> = [
  {
    what: "the deadline of the tool",
    at: 1_000,
    atOnce: true,
    run: ({ session }) => session.prompt("go"),
    outcome: /^went on: Error: deadline$/
  },
  {
    what: "interruption of the caller",
    at: 500,
    atOnce: false,
    run: and((prompt) => Fiber.interrupt(prompt)),
    outcome: /^interrupted$/
  },
  {
    what: "Effect.timeout by the caller",
    at: 500,
    atOnce: false,
    run: ({ session }) => Effect.timeout(session.prompt("go"), 500),
    outcome: /^TimeoutException$/
  },
  {
    what: "the limit of time",
    at: 500,
    atOnce: false,
    limits: { wallTime: 500 },
    run: ({ session }) => session.prompt("go"),
    outcome: /^LimitReached$/
  },
  {
    what: "another operation that takes its place",
    at: 500,
    atOnce: false,
    run: and((_, { session }) => session.prompt("next", { onBusy: "interrupt" })),
    outcome: /^interrupted$/
  },
  {
    what: "the end of the engine",
    at: 500,
    atOnce: false,
    run: and((_, { shutdown }) => shutdown),
    outcome: /^interrupted$/,
    shutdown: true
  }
]

const grace = 5_000

const script = [
  Script.on("go", Script.calls(Script.call("tool")), (view) =>
    view.results[0]!.isError && view.results[0]!.text.includes("deadline") ? "went on: Error: deadline" : "wrong"
  ),
  Script.on("next", "still here")
]

/** Lets promises and what waits for them have their turn. */
const settled = Effect.promise(() => setImmediate())

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return (exit.value as { readonly text: string }).text
  if (Cause.isInterruptedOnly(exit.cause)) return "interrupted"
  const error = Cause.squash(exit.cause)
  return typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : String(error)
}

const check = (handler: Handler, end: End) =>
  Effect.gen(function* () {
    const rejections: Array<unknown> = []
    const onRejection = (error: unknown) => void rejections.push(error)
    process.on("unhandledRejection", onRejection)
    yield* Effect.addFinalizer(() => Effect.sync(() => process.off("unhandledRejection", onRejection)))

    const gate = yield* Deferred.make<void>()
    const given: Gate = {
      promise: Effect.runPromise(Deferred.await(gate)),
      letGo: Deferred.succeed(gate, undefined),
      await: Deferred.await(gate)
    }
    const tool = Tool.make("tool", {
      description: "",
      deadline: end.limits === undefined && end.at === 1_000 ? 1_000 : 60_000,
      run: (_, call) => handler.run(given, call)
    })
    const store = yield* Layer.build(SessionStore.layerMemory)
    const scope = yield* Scope.make()
    const engine = yield* Layer.buildWithScope(
      Layer.provide(Engine.layer, Layer.merge(Layer.succeedContext(store), Model.layerScripted(script))),
      scope
    )
    yield* Effect.gen(function* () {
      const events = yield* recorder
      const session = yield* open(Agent.make("a", { tools: [tool], delegate: "off", limits: end.limits ?? {} }))
      let endedAt = Number.NaN
      const running = yield* Effect.fork(
        Effect.ensuring(
          end.run({ session, shutdown: Scope.close(scope, Exit.void) }),
          Effect.map(Clock.currentTimeMillis, (now) => (endedAt = now))
        )
      )
      for (let i = 0; i < 12; i++) {
        yield* settled
        yield* TestClock.adjust("500 millis")
      }
      yield* settled
      const due = handler.heeds || end.atOnce ? end.at : end.at + grace
      assert.strictEqual(endedAt, due, "it returned on time")
      assert.match(outcomeOf(yield* Fiber.await(running)), end.outcome)

      // The handler is let go when everybody has gone: half a second after it was given up.
      yield* given.letGo
      yield* settled
      yield* settled
      const all = yield* events
      const late = all.filter((event): event is Event.ToolLate => event._tag === "ToolLate")
      if (end.shutdown === undefined) {
        assert.deepStrictEqual(
          late.map(({ name }) => name),
          handler.late ? ["tool"] : [],
          "a late end is noted once"
        )
      }
      assert.deepStrictEqual(rejections, [])

      // What came late is nowhere, and every call has its one end.
      const entries = yield* session.history
      assert.notInclude(JSON.stringify(entries), "the late result")
      const calls = entries.flatMap((entry) => (entry._tag === "ToolSettled" ? [entry.outcome] : []))
      assert.deepStrictEqual(calls, [end.atOnce ? "deadline" : "interrupted"])
      assert.deepStrictEqual(problems(yield* messagesOf(session)), [])

      const next = yield* Effect.exit(session.prompt("next"))
      assert.strictEqual(outcomeOf(next), end.shutdown === undefined ? "still here" : "interrupted")
    }).pipe(Effect.provide(engine))
    yield* Scope.close(scope, Exit.void)
  }).pipe(Effect.scoped)

describe("a tool that does not end", () => {
  for (const end of ends) {
    describe(end.what, () => {
      for (const handler of handlers) it.effect(handler.what, () => check(handler, end))
    })
  }
})
