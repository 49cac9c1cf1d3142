/**
 * Operations that their callers name: each is run once, in whatever process and however often it is asked for.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Schema, TestClock } from "effect"
import { Agent, Engine, Errors, Model, Sandbox, Script, Sessions, SessionStore, Skill, Tool } from "effect-baton"
import { begin, gate, settle } from "../support/stage.js"
import { emptySandbox } from "../support/emptySandbox.js"

const runs: Array<string> = []
const act = Tool.make("act", {
  description: "Has an effect",
  run: (_, { key }) => Effect.sync(() => void runs.push(key))
})
const child = Agent.make("child", { tools: [act], delegate: "off" })
const review = Skill.make("review", { description: "Reviews a change", instructions: "Look twice." })
const agent = Agent.make("lead", { tools: [act], subagents: [child], skills: [review], delegate: "off" })
const Answer = Schema.Struct({ at: Schema.DateFromString })

const script = [
  Script.on("go", Script.calls(Script.call("act")), "gone"),
  Script.on("answer", Script.calls(Script.call("finish", { at: "2026-01-02T03:04:05.000Z" }))),
  Script.on("fail", { fail: new Errors.ModelRejected({ model: "m", reason: "no", status: 400 }) }),
  Script.on("dig", Script.calls(Script.call("act")), "dug")
]

/** A shell that counts how often it was asked. */
const sandbox = (commands: Array<string>) =>
  Layer.succeed(
    Sandbox.Sandbox,
    emptySandbox(({ command }) =>
      Effect.sync(() => {
        commands.push(command)
        return { exitCode: 3, stdout: "out", stderr: "err" }
      })
    )
  )

/** Engines that follow each other on one store, each a process of its own. */
const processes = (also: Script.Script = [], commands: Array<string> = []) =>
  Effect.gen(function* () {
    runs.length = 0
    const store = yield* Layer.build(SessionStore.layerMemory)
    const below = Layer.mergeAll(
      Layer.succeedContext(store),
      Model.layerScripted([...also, ...script]),
      sandbox(commands)
    )
    const next = Effect.flatMap(Layer.build(Layer.provideMerge(Engine.layer, below)), (engine) =>
      Context.get(engine, Sessions.Sessions).open({ id: "s", agent })
    )
    return { next, memory: Context.get(store, SessionStore.Memory) }
  })

describe("an operation that its caller names", () => {
  it.scoped("is run once, and gives what it gave: a prompt", () =>
    Effect.gen(function* () {
      const { memory, next } = yield* processes()
      const reply = yield* (yield* next).prompt("go", { operationId: "1" })
      const written = memory.get("s")!.entries.length
      assert.strictEqual(reply.text, "gone")
      for (const session of [yield* next, yield* next]) {
        assert.deepStrictEqual(yield* session.prompt("go", { operationId: "1" }), reply)
      }
      assert.strictEqual(runs.length, 1)
      assert.strictEqual(memory.get("s")!.entries.length, written)
    })
  )

  it.scoped("gives its structured result as the caller's schema has it", () =>
    Effect.gen(function* () {
      const { next } = yield* processes()
      const options = { operationId: "1", resultSchema: Answer } as const
      const reply = yield* (yield* next).prompt("answer", options)
      assert.deepStrictEqual(reply.value.at, new Date("2026-01-02T03:04:05.000Z"))
      assert.deepStrictEqual(yield* (yield* next).prompt("answer", options), reply)
      const other = { operationId: "1", resultSchema: Schema.Struct({ count: Schema.Number }) } as const
      assert.strictEqual((yield* Effect.flip((yield* next).prompt("answer", other)))._tag, "ResultUnavailable")
    })
  )

  it.scoped("gives the result that was accepted, not the one that was refused beside it", () =>
    Effect.gen(function* () {
      const at = "2026-01-02T03:04:05.000Z"
      const { next } = yield* processes([
        Script.on("twice", Script.calls(Script.call("finish", { at: 5 }), Script.call("finish", { at })))
      ])
      const options = { operationId: "1", resultSchema: Answer } as const
      const reply = yield* (yield* next).prompt("twice", options)
      assert.deepStrictEqual(reply.value.at, new Date(at))
      assert.deepStrictEqual(yield* (yield* next).prompt("twice", options), reply)
    })
  )

  it.scoped("gives all that was said in its last turn, where the model paused", () =>
    Effect.gen(function* () {
      const replies: Array<Script.Turn> = [
        { text: "before ", calls: [Script.call("act")] },
        { text: "one, ", finish: "pause" },
        { text: "two, ", finish: "pause" },
        { text: "three" }
      ]
      const { next } = yield* processes([Script.on("pause", () => replies.shift()!)])
      const reply = yield* (yield* next).prompt("pause", { operationId: "1" })
      assert.strictEqual(reply.text, "one, two, three")
      assert.deepStrictEqual(yield* (yield* next).prompt("pause", { operationId: "1" }), reply)
    })
  )

  it.scoped("fails again with what it failed with, by its name and its fields", () =>
    Effect.gen(function* () {
      const { next } = yield* processes()
      const first = yield* Effect.flip((yield* next).prompt("fail", { operationId: "1" }))
      const second = yield* Effect.flip((yield* next).prompt("fail", { operationId: "1" }))
      assert.instanceOf(second, Errors.ModelRejected)
      assert.deepStrictEqual(second, first)
    })
  )

  it.scoped("a skill gives what it gave, and is another operation with other words", () =>
    Effect.gen(function* () {
      const { memory, next } = yield* processes()
      const options = { operationId: "1", args: "go on" } as const
      const reply = yield* (yield* next).skill("review", options)
      const written = memory.get("s")!.entries.length
      assert.deepStrictEqual(yield* (yield* next).skill("review", options), reply)
      assert.deepStrictEqual([runs.length, memory.get("s")!.entries.length], [1, written])
      const other = yield* Effect.flip((yield* next).skill("review", { ...options, args: "go back" }))
      const prompt = yield* Effect.flip((yield* next).prompt("go on", { operationId: "1" }))
      assert.deepStrictEqual([other._tag, prompt._tag], ["OperationConflict", "OperationConflict"])
      const elsewhere = yield* Effect.flip((yield* next).skill("release", options))
      assert.strictEqual(elsewhere._tag, "OperationConflict")
      const unknown = { operationId: "2" } as const
      assert.strictEqual((yield* Effect.flip((yield* next).skill("none", unknown)))._tag, "SkillNotFound")
      assert.strictEqual(memory.get("s")!.entries.length, written)
    })
  )

  it.scoped("a task and a command give what they gave", () =>
    Effect.gen(function* () {
      const commands: Array<string> = []
      const { next } = yield* processes([], commands)
      const task = { operationId: "t", agent: "child" } as const
      const first = yield* next
      const [dug, ran] = [yield* first.task("dig", task), yield* first.shell("ls", { operationId: "c" })]
      const second = yield* next
      assert.deepStrictEqual(yield* second.task("dig", task), dug)
      assert.deepStrictEqual(yield* second.shell("ls", { operationId: "c" }), ran)
      assert.deepStrictEqual([commands, runs.length], [["ls"], 1])
      const errors = [
        yield* Effect.flip(second.task("dig", { ...task, agent: undefined })),
        yield* Effect.flip(second.shell("rm", { operationId: "c" })),
        yield* Effect.flip(second.prompt("ls", { operationId: "c" }))
      ]
      assert.deepStrictEqual(
        errors.map(({ _tag }) => _tag),
        ["OperationConflict", "OperationConflict", "OperationConflict"]
      )
    })
  )

  it.scoped("stands for one input for good", () =>
    Effect.gen(function* () {
      const { memory, next } = yield* processes()
      yield* (yield* next).prompt("go", { operationId: "1" })
      const written = memory.get("s")!.entries.length
      const error = yield* Effect.flip((yield* next).prompt("go!", { operationId: "1" }))
      assert.deepStrictEqual(error, new Errors.OperationConflict({ session: "s", operationId: "1" }))
      assert.strictEqual(error.message, 'Operation "1" of session "s" was started with another input.')
      assert.strictEqual(memory.get("s")!.entries.length, written)
      for (const operationId of ["", "a\nb", "x".repeat(257), "\ud800", 5 as unknown as string]) {
        const wrong = yield* Effect.flip((yield* next).prompt("go", { operationId }))
        assert.deepInclude(wrong as object, { _tag: "InvalidInput", path: "operationId" })
      }
    })
  )

  it.scoped("is joined where it runs: in this engine and in another", () =>
    Effect.gen(function* () {
      const model = yield* gate
      const { next } = yield* processes([Script.on("wait", { before: model.stop, text: "waited" })])
      const [here, there] = [yield* next, yield* next]
      const ask = (session: Sessions.Session) => begin(session.prompt("wait", { operationId: "1" }))
      const all = [yield* ask(here), yield* ask(here), yield* ask(there)]
      const other = yield* Effect.flip(here.prompt("else", { operationId: "1" }))
      assert.strictEqual(other._tag, "OperationConflict")
      yield* model.open
      yield* settle
      yield* TestClock.adjust("1 second")
      const replies = yield* Effect.forEach(all, Fiber.join)
      assert.deepStrictEqual(new Set(replies.map(({ text }) => text)), new Set(["waited"]))
      assert.strictEqual((yield* here.history).filter((it) => it._tag === "OperationStarted").length, 1)
    })
  )

  it.scoped("runs again where it was interrupted; who joined it runs it then", () =>
    Effect.gen(function* () {
      const model = yield* gate
      let asked = 0
      const first = Effect.suspend(() => (asked++ === 0 ? model.stop : Effect.void))
      const { next } = yield* processes([Script.on("wait", { before: first, text: "waited" })])
      const session = yield* next
      const one = yield* begin(session.prompt("wait", { operationId: "1" }))
      const two = yield* begin(session.prompt("wait", { operationId: "1" }))
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(one)))
      assert.strictEqual((yield* Fiber.join(two)).text, "waited")
      assert.strictEqual(asked, 2)
      assert.deepStrictEqual(
        (yield* session.history).flatMap((it) => (it._tag === "OperationSettled" ? [it.outcome] : [])),
        ["interrupted", "completed"]
      )
    })
  )

  it.scoped("asked for by a tool of itself is a deadlock and no wait for ever", () =>
    Effect.gen(function* () {
      const { next } = yield* processes([Script.on("self", Script.calls(Script.call("again")), "done")])
      const session = yield* next
      const seen: Array<string> = []
      const again = Tool.make("again", {
        description: "Asks for the operation that it is in",
        run: () =>
          Effect.map(Effect.flip(session.prompt("self", { operationId: "1" })), (error) => void seen.push(error._tag))
      })
      const reply = yield* session.prompt("self", { operationId: "1", tools: [again] })
      assert.deepStrictEqual([reply.text, seen], ["done", ["SessionDeadlock"]])
    })
  )

  it.scoped("is resumed where it was left, and its caller gets what it brings", () =>
    Effect.gen(function* () {
      const model = yield* gate
      let asked = 0
      const first = Effect.suspend(() => (asked++ === 0 ? model.stop : Effect.void))
      const { next } = yield* processes([Script.on("wait", { before: first, text: "waited" })])
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* begin((yield* next).prompt("wait", { operationId: "1" }))
          yield* model.reached
        })
      )
      const session = yield* next
      const reply = yield* session.prompt("wait", { operationId: "1" })
      assert.deepStrictEqual([reply.text, asked], ["waited", 2])
      const starts = (yield* session.history).filter((it) => it._tag.startsWith("Operation"))
      assert.deepStrictEqual(
        starts.map(({ _tag }) => _tag),
        ["OperationStarted", "OperationResumed", "OperationSettled"]
      )
    })
  )
})
