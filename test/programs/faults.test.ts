/**
 * Stores that fail or take their time, models that do not keep to their part, values that are shared.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Option, Schema, Stream, TestClock } from "effect"
import {
  Agent,
  Errors,
  type Event,
  Model,
  Sandbox,
  Script,
  SessionLock,
  Sessions,
  SessionStore,
  Tool
} from "effect-baton"
import { echo, engine, engineOver, messagesOf, open, recorder } from "../support/engine.js"
import { problems } from "../support/validMessages.js"
import { emptySandbox } from "../support/emptySandbox.js"

type Store = Context.Tag.Service<SessionStore.SessionStore>

/** The engine over a memory store with some of its members replaced. */
const over = (script: Script.Script, replaced: (store: Store) => Partial<Store>) =>
  engineOver(
    Layer.merge(
      Layer.map(SessionStore.layerMemory, (context) => {
        const store = Context.get(context, SessionStore.SessionStore)
        return Context.add(context, SessionStore.SessionStore, { ...store, ...replaced(store) })
      }),
      Model.layerScripted(script)
    )
  )

/** What was started and has no end, and what ended without a start. */
const unpaired = (events: ReadonlyArray<Event.Event>): ReadonlyArray<string> => {
  const open = new Set<string>()
  const wrong: Array<string> = []
  const end = (key: string) => open.delete(key) || wrong.push(`${key} ended without a start`)
  for (const event of events) {
    if (event._tag === "OperationStarted") open.add(`operation ${event.operationId}`)
    if (event._tag === "ToolStarted") open.add(`call ${event.callId}`)
    if (event._tag === "TaskStarted") open.add(`task ${event.taskId}`)
    if (event._tag === "ToolSettled") open.delete(`call ${event.callId}`)
    if (event._tag === "TaskCompleted" || event._tag === "TaskFailed") end(`task ${event.taskId}`)
    if (event._tag.startsWith("Operation") && event._tag !== "OperationStarted" && "operationId" in event) {
      end(`operation ${event.operationId}`)
    }
  }
  return [...wrong, ...open]
}

describe("a store", () => {
  const child = Agent.make("child", { tools: [echo], delegate: "off" })
  const agent = Agent.make("a", { tools: [echo], subagents: [child] })
  const script = [
    Script.on("go", Script.calls(Script.call("echo", { text: "x" }), Script.task("sub", { agent: "child" })), "done"),
    Script.on("sub", Script.calls(Script.call("echo", { text: "y" })), "sub done"),
    Script.always("ok")
  ]
  const failure = new Errors.SessionStoreError({ operation: "write", reason: "disk full" })

  for (const [how, fail] of [
    ["fails", () => Effect.fail(failure)],
    ["dies", () => Effect.die(failure)],
    [
      "throws",
      () => {
        throw failure
      }
    ]
  ] as const) {
    it.scoped(`that ${how} at any one write: the session is given back, every start has its end, it heals`, () =>
      Effect.gen(function* () {
        for (let at = 0; ; at++) {
          let writes = 0
          let armed = true
          const layer = over(script, (store) => ({
            append: (write) => (armed && writes++ === at ? fail() : store.append(write))
          }))
          yield* Effect.gen(function* () {
            const events = yield* recorder
            const session = yield* open(agent)
            const exit = yield* Effect.exit(session.prompt("go"))
            armed = false
            if (at === 0) assert.isTrue(Exit.isFailure(exit))
            assert.isTrue(Option.isNone(yield* (yield* SessionLock.SessionLock).holder("s")))
            assert.deepStrictEqual(unpaired(yield* events), [], `write ${at}`)
            assert.deepStrictEqual(problems(yield* messagesOf(session)), [], `write ${at}`)
            assert.strictEqual((yield* session.prompt("again")).text, "ok")
          }).pipe(Effect.provide(layer), Effect.scoped)
          if (writes <= at) break
        }
      })
    )
  }

  it.scoped("that takes its time: a task left behind ends before the operation, and its usage is counted", () =>
    Effect.gen(function* () {
      const events = yield* recorder
      const deaf = Tool.make("deaf", { description: "", run: () => Effect.uninterruptible(Effect.never) })
      const session = yield* open(Agent.make("a", { subagents: [Agent.make("child", { tools: [deaf] })] }))
      const running = yield* Effect.fork(session.prompt("go"))
      yield* TestClock.adjust("1 seconds")
      const stopping = yield* Effect.fork(Fiber.interrupt(running))
      for (let i = 0; i < 100; i++) yield* TestClock.adjust("100 millis")
      yield* Fiber.join(stopping)
      const own = (yield* events).filter((event) => event.session === "s").map((event) => event._tag)
      assert.strictEqual(own.at(-2), "OperationInterrupted")
      assert.include(own.slice(0, -2), "TaskFailed")
      const settled = (yield* session.history).at(-1)
      assert.isAbove(settled?._tag === "OperationSettled" ? settled.usage.tasks.output : 0, 0)
    }).pipe(
      Effect.provide(
        over(
          [
            Script.on("go", Script.calls(Script.task("sub", { agent: "child" })), "done"),
            Script.on("sub", Script.calls(Script.call("deaf")))
          ],
          (store) => ({ append: (write) => Effect.zipLeft(store.append(write), Effect.sleep(1)) })
        )
      )
    )
  )

  it.effect("that takes its time: interrupted while a start is being written, nothing is begun", () =>
    Effect.gen(function* () {
      let effects = 0
      const tool = Tool.make("t", { description: "", run: () => effects++ })
      const session = yield* open(Agent.make("a", { tools: [tool] }))
      const running = yield* Effect.fork(session.prompt("go"))
      // The start, the reply, and half of the call's start.
      yield* TestClock.adjust("25 millis")
      yield* Effect.fork(Fiber.interrupt(running))
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(effects, 0)
      const outcomes = (yield* session.history).flatMap((entry) =>
        entry._tag === "ToolSettled" ? [entry.outcome] : []
      )
      assert.deepStrictEqual(outcomes, ["not-run"])
    }).pipe(
      Effect.provide(
        over([Script.on("go", Script.calls(Script.call("t")), "done")], (store) => ({
          append: (write) => Effect.zipLeft(store.append(write), Effect.sleep(10))
        }))
      )
    )
  )

  it.effect("that hangs while it is asked for a session can be left", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      const running = yield* Effect.fork(session.prompt("go"))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(running)
      assert.isTrue(Option.isNone(yield* (yield* SessionLock.SessionLock).holder("s")))
    }).pipe(
      Effect.provide(
        over([], (store) => {
          let asked = 0
          return { get: (id) => (asked++ === 0 ? store.get(id) : Effect.never) }
        })
      )
    )
  )
})

describe("a model", () => {
  it.effect("that says blank text beside its calls, or pauses", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: [echo] }))
      yield* session.prompt("blank")
      assert.strictEqual((yield* session.prompt("pause")).text, "one two")
      assert.deepStrictEqual(problems(yield* messagesOf(session)), [])
    }).pipe(
      Effect.provide(
        engine([
          Script.on("blank", { text: "\n\n", calls: [Script.call("echo", { text: "x" })] }, "done"),
          Script.on("pause", { text: "one ", finish: "pause" }, "two")
        ])
      )
    )
  )

  it.effect("that speaks after its end is not heard", () => {
    let late: ((event: Model.ModelEvent) => void) | undefined
    const model = Layer.succeed(Model.Model, {
      defaultModel: "m",
      stream: (_, emit) =>
        Effect.sync(() => {
          late ??= emit
          emit({ _tag: "TextDelta", text: "hi" })
          return { reason: "stop" as const, usage: undefined }
        })
    } satisfies typeof Model.Model.Service)
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: [echo] }))
      yield* session.prompt("go")
      const before = JSON.stringify(yield* session.history)
      late!({ _tag: "ToolCall", id: "x", name: "echo", args: {} })
      assert.strictEqual(JSON.stringify(yield* session.history), before)
      assert.strictEqual((yield* session.prompt("again")).text, "hi")
    }).pipe(Effect.provide(engineOver(Layer.merge(SessionStore.layerMemory, model))))
  })
})

describe("a script", () => {
  it.effect("with no scene for a prompt says so", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip((yield* open(Agent.make("a"))).prompt("nothing"))
      assert.strictEqual(
        error.message,
        'The model "scripted" refused the request: no scene of the script takes the prompt "nothing".'
      )
    }).pipe(Effect.provide(engine([Script.on("here", "ok")])))
  )
})

describe("what others hold", () => {
  it.scoped("is a copy: neither a handler nor a listener changes the history", () =>
    Effect.gen(function* () {
      const spoil = Tool.make("spoil", {
        description: "",
        parameters: Schema.Struct({ o: Schema.Unknown }),
        run: ({ o }) => {
          ;(o as { x: string }).x = "changed"
          return "ok"
        }
      })
      const events = yield* recorder
      const session = yield* open(Agent.make("a", { tools: [spoil] }))
      yield* session.prompt("go")
      for (const event of yield* events) {
        if (event._tag === "AssistantMessage" && event.calls[0] !== undefined)
          Object.assign(event.calls[0].args as object, { o: 1 })
      }
      const reply = (yield* session.history).find((entry) => entry._tag === "Assistant")
      assert.deepStrictEqual(reply?.content[0]?.type === "tool-call" ? reply.content[0].args : undefined, {
        o: { x: "as it was" }
      })
    }).pipe(
      Effect.provide(engine([Script.on("go", Script.calls(Script.call("spoil", { o: { x: "as it was" } })), "done")]))
    )
  )

  it.effect("an old handle sees nothing of a new session of its name", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const old = yield* open(Agent.make("a"))
      yield* old.prompt("x")
      yield* sessions.remove("s")
      yield* (yield* open(Agent.make("a"))).prompt("y")
      assert.strictEqual((yield* Effect.flip(old.history))._tag, "SessionNotFound")
      assert.strictEqual((yield* Effect.flip(Stream.runHead(old.replay())))._tag, "SessionNotFound")
    }).pipe(Effect.provide(engine([Script.always("ok")])))
  )
})

describe("what is wrong in itself", () => {
  it.scoped("a body that throws ends its operation all the same", () =>
    Effect.gen(function* () {
      const events = yield* recorder
      const session = yield* open(Agent.make("a"))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(session.shell("ls"))))
      assert.deepStrictEqual(unpaired(yield* events), [])
      assert.strictEqual((yield* session.prompt("x")).text, "ok")
    }).pipe(
      Effect.provide(
        engineOver(
          Layer.mergeAll(
            SessionStore.layerMemory,
            Model.layerScripted([Script.always("ok")]),
            Layer.succeed(
              Sandbox.Sandbox,
              emptySandbox(() => {
                throw new Error("thrown")
              })
            )
          )
        )
      )
    )
  )

  it.effect("a task whose tools have one name writes nothing", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      const error = yield* Effect.flip(session.task("x", { agent: Agent.make("w", { tools: [echo] }), tools: [echo] }))
      assert.strictEqual(error._tag, "ToolNameConflict")
      assert.deepStrictEqual(yield* session.history, [])
    }).pipe(Effect.provide(engine([])))
  )
})
