/**
 * Tools written as plain async functions: they answer, fail, are told to end and call back as those written in Effect.
 */
import { setImmediate } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, FiberId, Option, Runtime, Schema, TestClock } from "effect"
import { Agent, Script, SessionLock, Sessions, Tool } from "effect-baton"
import { engine, open, recorder } from "../support/engine.js"

const worker = Agent.make("worker", { description: "Does one thing", delegate: "off" })

/** The session that a tool calls back into, once it is open. */
class Home {
  session: Sessions.Session | undefined
  get(): Sessions.Session {
    return this.session!
  }
}

/** Opens the session of an agent with one tool. */
const at = (home: Home, ...tools: ReadonlyArray<Tool.Tool>) =>
  Effect.tap(open(Agent.make("a", { tools, subagents: [worker], delegate: "off" })), (session) =>
    Effect.sync(() => (home.session = session))
  )

const script = [
  Script.on("go", Script.calls(Script.call("tool", { n: 1 })), (view) =>
    view.results.map(({ isError, text }) => `${isError ? "!" : ""}${text}`).join("; ")
  ),
  Script.on(/^part/, (view) => `did ${view.prompt}`),
  Script.always("ok")
]

const settled = Effect.promise(() => setImmediate())

describe("an async tool that calls back", () => {
  it.scoped("through its call re-enters: the task is a part of the running prompt", () => {
    const home = new Home()
    const tool = Tool.make("tool", {
      description: "",
      run: async (_, call) => {
        await setImmediate()
        const { text } = await call.runPromise(home.get().task("part one", { agent: worker }))
        return text
      }
    })
    return Effect.gen(function* () {
      const events = yield* recorder
      const session = yield* at(home, tool)
      assert.strictEqual((yield* session.prompt("go")).text, "did part one")
      const own = (yield* events).filter((event) => event.session === "s").map((event) => event._tag)
      assert.deepStrictEqual(
        own.filter((tag) => tag.startsWith("Operation") || tag.startsWith("T")),
        [
          "OperationStarted",
          "TurnStarted",
          "ToolStarted",
          "TaskStarted",
          "TaskCompleted",
          "ToolSettled",
          "TurnCompleted",
          "TurnStarted",
          "TextDelta",
          "TurnCompleted",
          "OperationCompleted"
        ]
      )
      assert.strictEqual((yield* (yield* Sessions.Sessions).list("s")).length, 1)
    }).pipe(Effect.provide(engine(script)))
  })

  it.effect("through its call runs several tasks at once, and in a child's tool too", () => {
    const home = new Home()
    const inner = Tool.make("tool", {
      description: "",
      // A child's tool is not in its parent's delegation alone, but in that of its parent's parent as well.
      run: async (_, call) => (await call.runPromise(home.get().task("part of a child", { agent: worker }))).text
    })
    const child = Agent.make("child", { tools: [inner], delegate: "off" })
    const tool = Tool.make("tool", {
      description: "",
      run: async (_, call) => {
        const tasks = [
          home.get().task("part one", { agent: worker }),
          home.get().task("go deeper", { agent: child }),
          home.get().task("part two", { agent: worker })
        ]
        const replies = await Promise.all(tasks.map((task) => call.runPromise(task)))
        return replies.map(({ text }) => text).join(", ")
      }
    })
    return Effect.gen(function* () {
      const session = yield* at(home, tool)
      assert.strictEqual((yield* session.prompt("go")).text, "did part one, did part of a child, did part two")
    }).pipe(Effect.provide(engine(script)))
  })

  for (const [what, call] of [
    [
      "a task",
      (session: Sessions.Session, onBusy: SessionLockPolicy) => session.task("part", { agent: worker, onBusy })
    ],
    ["a prompt", (session: Sessions.Session, onBusy: SessionLockPolicy) => session.prompt("part", { onBusy })]
  ] as const) {
    for (const onBusy of ["reject", "wait", "interrupt"] as const) {
      it.effect(`around its call is refused at once and never hangs: ${what}, ${onBusy}`, () => {
        const home = new Home()
        const tool = Tool.make("tool", {
          description: "",
          run: async () => {
            await setImmediate()
            const error = await Effect.runPromise(Effect.flip(call(home.get(), onBusy)))
            return error._tag
          }
        })
        return Effect.gen(function* () {
          const session = yield* at(home, tool)
          assert.strictEqual(
            (yield* session.prompt("go")).text,
            onBusy === "reject" ? "SessionBusy" : "SessionDeadlock"
          )
          assert.deepStrictEqual(yield* (yield* Sessions.Sessions).list("s"), [])
        }).pipe(Effect.provide(engine(script)))
      })
    }
  }

  it.effect("through its call with a prompt of its own session is refused: only tasks re-enter", () => {
    const home = new Home()
    const tool = Tool.make("tool", {
      description: "",
      run: async (_, call) => (await call.runPromise(Effect.flip(home.get().prompt("part", { onBusy: "wait" }))))._tag
    })
    return Effect.gen(function* () {
      const session = yield* at(home, tool)
      assert.strictEqual((yield* session.prompt("go")).text, "SessionDeadlock")
    }).pipe(Effect.provide(engine(script)))
  })

  it.effect("what its call still runs ends with the call, and nothing begins after it", () => {
    const home = new Home()
    let kept: Tool.ToolCall | undefined
    let left: Promise<unknown> | undefined
    const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
      promise.then(
        () => "it went on",
        (error: unknown) =>
          Runtime.isFiberFailure(error) && Cause.isInterruptedOnly(error[Runtime.FiberFailureCauseId])
            ? "interrupted"
            : error
      )
    const tool = Tool.make("tool", {
      description: "",
      run: async (_, call) => {
        kept = call
        left = failureOf(call.runPromise(Effect.never))
        return "answered"
      }
    })
    return Effect.gen(function* () {
      const session = yield* at(home, tool)
      assert.strictEqual((yield* session.prompt("go")).text, "answered")
      assert.strictEqual(yield* Effect.promise(() => left!), "interrupted")
      const late = yield* Effect.promise(() => failureOf(kept!.runPromise(session.task("part"))))
      assert.strictEqual(late, "interrupted")
      assert.deepStrictEqual(yield* (yield* Sessions.Sessions).list("s"), [])
    }).pipe(Effect.provide(engine(script)))
  })
})

type SessionLockPolicy = "reject" | "wait" | "interrupt"

describe("a captured Runtime", () => {
  it.effect("keeps the delegation while the call is open, and admits nobody afterwards", () => {
    const home = new Home()
    const late = Deferred.unsafeMake<void>(FiberId.none)
    const ran: Array<string> = []
    let after: Promise<string> | undefined
    const tool = Tool.make("tool", {
      description: "",
      run: () =>
        Effect.flatMap(Effect.runtime<never>(), (runtime) => {
          const run = Runtime.runPromise(runtime)
          // A callback of somebody else's, which knows of no fiber.
          after = Effect.runPromise(Deferred.await(late)).then(() =>
            run(
              Effect.match(home.get().task("part late", { agent: worker }), {
                onFailure: (error) => error._tag,
                onSuccess: ({ text }) => text
              })
            )
          )
          return Effect.promise(() =>
            setImmediate()
              .then(() => run(home.get().task("part now", { agent: worker })))
              .then(({ text }) => {
                ran.push(text)
                return text
              })
          )
        })
    })
    return Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const end = yield* Deferred.make<void>()
      yield* Effect.gen(function* () {
        const session = yield* at(home, tool)
        assert.strictEqual((yield* session.prompt("go")).text, "did part now")
        assert.deepStrictEqual(ran, ["did part now"])
        const second = yield* Effect.fork(session.prompt("slow"))
        yield* Deferred.await(begun)
        yield* Deferred.succeed(late, undefined)
        assert.strictEqual(yield* Effect.promise(() => after!), "SessionBusy")
        yield* Deferred.succeed(end, undefined)
        yield* Fiber.join(second)
        assert.strictEqual((yield* (yield* Sessions.Sessions).list("s")).length, 1)
      }).pipe(
        Effect.provide(
          engine([
            Script.on("slow", {
              before: Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(end)),
              text: "slow"
            }),
            ...script
          ])
        )
      )
    })
  })
})

describe("an async tool", () => {
  class Greeting extends Context.Tag("test/Greeting")<Greeting, string>() {}

  it.effect("decodes its arguments, gives values of its schema, and rejects with what the model is told", () =>
    Effect.gen(function* () {
      const parameters = Schema.Struct({ n: Schema.NumberFromString })
      const run = (tool: Tool.Tool, n: unknown) =>
        Effect.gen(function* () {
          const session = yield* open(Agent.make("a", { tools: [tool], delegate: "off" }))
          return (yield* session.prompt("go")).text.slice(2)
        }).pipe(
          Effect.provide(
            engine([Script.on("go", Script.calls(Script.call("tool", { n })), (view) => `: ${view.results[0]!.text}`)])
          )
        )
      const success = Schema.Struct({ at: Schema.Date })
      const dated = Tool.make("tool", {
        description: "",
        parameters,
        success,
        run: async ({ n }) => ({ at: new Date(n) })
      })
      assert.strictEqual(yield* run(dated, "0"), '{"at":"1970-01-01T00:00:00.000Z"}')
      assert.match(yield* run(dated, "x"), /^The arguments do not fit/)
      const wrong = Tool.make("tool", {
        description: "",
        parameters,
        success,
        run: async () => ({ at: new Date(NaN) })
      })
      assert.match(yield* run(wrong, "0"), /^The tool gave a value that does not fit its own schema/)
      const rejects = (error: unknown) =>
        Tool.make("tool", {
          description: "",
          run: async () => {
            await setImmediate()
            throw error
          }
        })
      assert.strictEqual(yield* run(rejects(new TypeError("broken")), 1), "TypeError: broken")
      assert.strictEqual(yield* run(rejects({ _tag: "NotThere", message: "gone" }), 1), "NotThere: gone")
      assert.strictEqual(yield* run(rejects(undefined), 1), "The tool failed with undefined.")
      const nothing = Tool.make("tool", { description: "", run: async () => {} })
      assert.strictEqual(yield* run(nothing, 1), "")
    })
  )

  it.effect("has its end awaited when it is interrupted, and its signal says so", () => {
    const steps: Array<string> = []
    const begun = Deferred.unsafeMake<void>(FiberId.none)
    const tool = Tool.make("tool", {
      description: "",
      run: async (_, { signal }) => {
        Effect.runSync(Deferred.succeed(begun, undefined))
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()))
        steps.push(`told: ${String(signal.aborted)}`)
        await setImmediate()
        steps.push("put away")
      }
    })
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: [tool], delegate: "off" }))
      const running = yield* Effect.fork(session.prompt("go"))
      yield* Deferred.await(begun)
      const exit = yield* Fiber.interrupt(running)
      assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
      assert.deepStrictEqual(steps, ["told: true", "put away"])
      assert.isTrue(Option.isNone(yield* (yield* SessionLock.SessionLock).holder("s")))
    }).pipe(Effect.provide(engine(script)))
  })

  it.effect("has a signal that is aborted at its deadline, also where it is read late", () => {
    const seen: Array<boolean> = []
    const gate = Deferred.unsafeMake<void>(FiberId.none)
    const tool = Tool.make("tool", {
      description: "",
      deadline: 1_000,
      run: async (_, call) => {
        await Effect.runPromise(Deferred.await(gate))
        seen.push(call.signal.aborted)
      }
    })
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: [tool], delegate: "off" }))
      const running = yield* Effect.fork(session.prompt("go"))
      yield* TestClock.adjust("1 seconds")
      assert.match((yield* Fiber.join(running)).text, /longer than its deadline/)
      yield* Deferred.succeed(gate, undefined)
      yield* settled
      yield* settled
      assert.deepStrictEqual(seen, [true])
    }).pipe(Effect.provide(engine(script)))
  })

  it.effect("gets services from the Runtime that it closes over", () => {
    return Effect.gen(function* () {
      const runtime = yield* Effect.runtime<Greeting>()
      const tool = Tool.make("tool", {
        description: "",
        run: (_, call) => call.runPromise(Effect.provide(Greeting, runtime))
      })
      const session = yield* open(Agent.make("a", { tools: [tool], delegate: "off" }))
      assert.strictEqual((yield* session.prompt("go")).text, "hello")
    }).pipe(Effect.provide(engine(script)), Effect.provideService(Greeting, "hello"))
  })
})
