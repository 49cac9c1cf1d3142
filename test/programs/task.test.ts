import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import {
  Agent,
  Errors,
  type Model,
  Model as ModelModule,
  Sandbox,
  Script,
  Sessions,
  SessionStore,
  Tool
} from "effect-baton"
import { engine, engineOver, messagesOf, open, recorder } from "../support/engine.js"
import { emptySandbox } from "../support/emptySandbox.js"

const usage = (n: number) => ({ input: n, output: 10 * n, cacheRead: 0, cacheWrite: 0, reasoning: 0 })

describe("a task of the application", () => {
  it.scoped("is an operation of kind task on an idle session", () =>
    Effect.gen(function* () {
      const events = yield* recorder
      const session = yield* open(Agent.make("a"))
      const reply = yield* session.task("do it", { description: "the thing" })
      assert.strictEqual(reply.text, "did it")
      assert.isTrue(reply.session.startsWith("task:s:"))
      const entries = yield* session.history
      assert.deepStrictEqual(
        entries.map((entry) => entry._tag),
        ["OperationStarted", "TaskLink", "TaskSettled", "OperationSettled"]
      )
      assert.strictEqual(entries[0]?._tag === "OperationStarted" ? entries[0].kind : "", "task")
      assert.strictEqual(entries[1]?._tag === "TaskLink" ? entries[1].description : "", "the thing")
      const own = (yield* events).filter((event) => event.session === "s").map((event) => event._tag)
      assert.deepStrictEqual(own, ["OperationStarted", "TaskStarted", "TaskCompleted", "OperationCompleted", "Idle"])
      // The parent's model never sees it.
      assert.deepStrictEqual(yield* messagesOf(session), [])
    }).pipe(Effect.provide(engine([Script.on("do it", "did it")])))
  )

  it.effect("a result of which a model could not be told creates nothing", () =>
    Effect.gen(function* () {
      const resultSchema = Schema.declare((it): it is symbol => typeof it === "symbol")
      const sessions = yield* Sessions.Sessions
      const session = yield* open(Agent.make("a"))
      const error = yield* Effect.flip(session.task("do it", { resultSchema }))
      assert.deepInclude(error, { _tag: "InvalidInput", path: "resultSchema" })
      assert.deepStrictEqual(yield* session.history, [])
      const agent = Agent.make("b", { resultSchema })
      assert.strictEqual((yield* Effect.flip(session.task("do it", { agent })))._tag, "InvalidInput")
      assert.deepStrictEqual(yield* sessions.list("s"), [])
    }).pipe(Effect.provide(engine([Script.on("do it", "did it")])))
  )

  it.effect("no text is said so; an unknown agent creates nothing and lists the known ones", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const session = yield* open(Agent.make("a", { subagents: [Agent.make("b"), Agent.make("c")] }))
      assert.strictEqual(
        (yield* session.task("silent", { limits: { retries: 0 } })).text,
        "(task completed with no text)"
      )
      const error = yield* Effect.flip(session.task("x", { agent: "d" }))
      assert.strictEqual(error.message, 'There is no agent "d" (known agents: b, c).')
      assert.strictEqual((yield* sessions.list("s")).length, 1)
    }).pipe(Effect.provide(engine([Script.always("")])))
  )

  it.effect("a failing child fails the task, and the session is usable", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      const error = yield* Effect.flip(session.task("bad"))
      assert.strictEqual(error._tag, "ModelRejected")
      const settled = (yield* session.history).find((entry) => entry._tag === "TaskSettled")
      assert.deepStrictEqual(settled?.error?.tag, "ModelRejected")
      assert.strictEqual((yield* session.task("good")).text, "ok")
    }).pipe(
      Effect.provide(
        engine([
          Script.on("bad", { fail: new Errors.ModelRejected({ model: "scripted", reason: "no" }) }),
          Script.always("ok")
        ])
      )
    )
  )
})

describe("what a child inherits", () => {
  /** Answers with what it was asked for. */
  const telling = (asked: Array<Model.ModelRequest>) =>
    Script.always((view) => {
      asked.push(view.request)
      return "ok"
    })
  const secret = Tool.make("secret", { description: "", run: () => "" })
  const builtin = Tool.make("builtin", { description: "", run: () => "" })

  it.effect("never history, instructions or tools; the sandbox's tools for the general delegate", () =>
    Effect.gen(function* () {
      const asked: Array<Model.ModelRequest> = []
      yield* Effect.gen(function* () {
        const agent = Agent.make("a", { instructions: "Parent only.", tools: [secret] })
        const session = yield* open(agent)
        yield* session.prompt("first")
        yield* session.task("second")
        const [, child] = asked
        assert.strictEqual(child?.instructions, "")
        assert.deepStrictEqual(child?.messages, [{ role: "user", content: [{ type: "text", text: "second" }] }])
        assert.deepStrictEqual(
          child?.tools.map(({ name }) => name),
          ["builtin"]
        )
      }).pipe(Effect.provide(engine([telling(asked)])), Effect.provideService(Sandbox.SandboxTools, [builtin]))
    })
  )

  it.effect("a named agent has what its value gives it; the task's options come before that", () =>
    Effect.gen(function* () {
      const asked: Array<Model.ModelRequest> = []
      yield* Effect.gen(function* () {
        const child = Agent.make("child", { instructions: "Child.", model: "child-model", delegate: "off" })
        const session = yield* open(Agent.make("a", { subagents: [child], model: "parent-model" }))
        yield* session.task("x", { agent: "child" })
        yield* session.task("x", { agent: "child", model: "task-model", thinking: "high", tools: [secret] })
        yield* session.task("x")
        assert.deepStrictEqual(
          asked.map(({ instructions, model, thinking, tools }) => [
            instructions,
            model,
            thinking,
            tools.map(({ name }) => name)
          ]),
          [
            ["Child.", "child-model", undefined, []],
            ["Child.", "task-model", "high", ["secret"]],
            // No call runs in the parent, so the engine's default holds.
            ["", "scripted", undefined, []]
          ]
        )
      }).pipe(Effect.provide(engine([telling(asked)])))
    })
  )

  it.effect("model and thinking of the parent's running call, before the engine's default", () =>
    Effect.gen(function* () {
      const asked: Array<readonly [string, Model.Thinking | undefined]> = []
      const script = [
        Script.on("go", Script.calls(Script.task("sub")), "done"),
        Script.on("sub", (view) => {
          asked.push([view.request.model, view.request.thinking])
          return "ok"
        })
      ]
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { model: "agent-model" }))
        yield* session.prompt("go", { model: "call-model", thinking: "medium" })
        assert.deepStrictEqual(asked, [["call-model", "medium"]])
      }).pipe(Effect.provide(engine(script)))
    })
  )

  it.effect("the task tool is hidden from agents with nobody to delegate to, and at the depth limit", () =>
    Effect.gen(function* () {
      const tools: Array<ReadonlyArray<string>> = []
      const script = [
        Script.on(
          "go",
          (view) => {
            tools.push(view.request.tools.map(({ name }) => name))
            return Script.calls(Script.task("go", { agent: "next" }))
          },
          "done"
        )
      ]
      const chain = (n: number): Agent.Agent =>
        Agent.make("next", { delegate: "off", subagents: n === 0 ? [] : [chain(n - 1)] })
      yield* Effect.gen(function* () {
        yield* (yield* open(chain(2))).prompt("go")
      }).pipe(Effect.provide(engine(script)))
      assert.deepStrictEqual(tools, [["task"], ["task"], []])
      tools.length = 0
      yield* Effect.gen(function* () {
        yield* (yield* open(chain(9))).prompt("go")
      }).pipe(Effect.provide(engine(script)))
      assert.deepStrictEqual(tools, [["task"], ["task"], ["task"], ["task"], []])
    })
  )

  it.effect("bad arguments of the tool are told to the model", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { subagents: [Agent.make("b")], delegate: "off" }))
      const reply = yield* session.prompt("go")
      assert.strictEqual(
        reply.text,
        [
          '"prompt" is missing.',
          '"agent" must be a text.',
          'The task failed. AgentNotFound: There is no agent "general" (known agents: b).',
          'The task failed. AgentNotFound: There is no agent "zzz" (known agents: b).'
        ].join("|")
      )
      assert.deepStrictEqual(yield* (yield* Sessions.Sessions).list("s"), [])
    }).pipe(
      Effect.provide(
        engine([
          Script.on(
            "go",
            Script.calls(
              Script.call("task", {}),
              Script.call("task", { prompt: "x", agent: 7 }),
              Script.task("x"),
              Script.task("x", { agent: "zzz" })
            ),
            (view) => view.results.map((result) => result.text).join("|")
          )
        ])
      )
    )
  )
})

describe("depth", () => {
  it.effect("is that of the session, also for a child session that is prompted directly", () => {
    const chain = (n: number): Agent.Agent =>
      Agent.make("next", { delegate: "off", subagents: n === 0 ? [] : [chain(n - 1)] })
    return Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const session = yield* open(chain(9))
      yield* session.prompt("go")
      let id = "s"
      for (let rows = yield* sessions.list(id); rows[0] !== undefined; rows = yield* sessions.list(id)) id = rows[0].id
      const deepest = yield* sessions.get({ id, agent: chain(9) })
      const error = yield* Effect.flip(deepest.task("further", { agent: "next" }))
      assert.strictEqual(error.message, "A task at depth 5 was refused: tasks may be nested 4 levels deep.")
      assert.deepStrictEqual(yield* sessions.list(id), [])
      assert.strictEqual(
        (yield* deepest.prompt("go")).text,
        "(The task failed. TaskDepthExceeded: A task at depth 5 was refused: tasks may be nested 4 levels deep.)"
      )
    }).pipe(
      Effect.provide(
        engine([
          Script.on("go", Script.calls(Script.task("go", { agent: "next" })), (seen) => `(${seen.results[0]!.text})`)
        ])
      )
    )
  })
})

describe("a tool of the application that delegates", () => {
  it.effect("re-enters under the running prompt, from an Effect and from a plain async function", () =>
    Effect.gen(function* () {
      let session!: Sessions.Session
      const effect = Tool.make("effect", {
        description: "",
        run: () => Effect.map(session.task("sub"), (reply) => reply.text)
      })
      const promise = Tool.make("promise", {
        description: "",
        run: async (_, call) => (await call.runPromise(session.task("sub"))).text
      })
      yield* Effect.gen(function* () {
        session = yield* open(Agent.make("a", { tools: [effect, promise] }))
        assert.strictEqual((yield* session.prompt("go")).text, "ok ok")
        const operations = (yield* session.history).filter((entry) => entry._tag === "OperationStarted")
        assert.deepStrictEqual(
          operations.map(({ kind }) => kind),
          ["prompt"]
        )
      }).pipe(
        Effect.provide(
          engine([
            Script.on("go", Script.calls(Script.call("effect"), Script.call("promise")), (view) =>
              view.results.map((result) => result.text).join(" ")
            ),
            Script.on("sub", "ok")
          ])
        )
      )
    })
  )
})

describe("what a call runs by runPromise", () => {
  it.effect("ends with the call, and nothing can be run after it", () =>
    Effect.gen(function* () {
      const ends: Array<string> = []
      let late: (() => Promise<unknown>) | undefined
      const tool = Tool.make("t", {
        description: "",
        run: async (_, call) => {
          const left = call.runPromise(Effect.onInterrupt(Effect.never, () => Effect.sync(() => ends.push("left"))))
          left.catch(() => ends.push("rejected"))
          late = () => call.runPromise(Effect.sync(() => ends.push("late")))
          return "done"
        }
      })
      yield* Effect.gen(function* () {
        yield* (yield* open(Agent.make("a", { tools: [tool] }))).prompt("go")
        yield* Effect.promise(() => late!().catch(() => ends.push("refused")))
        assert.deepStrictEqual(ends, ["left", "rejected", "refused"])
      }).pipe(Effect.provide(engine([Script.on("go", Script.calls(Script.call("t")), "done")])))
    })
  )
})

describe("usage", () => {
  it.effect("is summed over the tree, each round-trip counted once", () =>
    Effect.gen(function* () {
      const low = Agent.make("low", { delegate: "off" })
      const mid = Agent.make("mid", { subagents: [low], delegate: "off" })
      const session = yield* open(Agent.make("a", { subagents: [mid], delegate: "off" }))
      const reply = yield* session.prompt("top")
      assert.deepStrictEqual(reply.usage.turns, usage(1 + 2))
      assert.deepStrictEqual(reply.usage.tasks, usage(2 * (4 + 8 + 16)))
      assert.deepStrictEqual(reply.usage.total, usage(3 + 56))
      const settled = (yield* session.history).at(-1)
      assert.deepStrictEqual(settled?._tag === "OperationSettled" ? settled.usage : undefined, reply.usage)
      const again = yield* session.prompt("alone")
      assert.deepStrictEqual(again.usage.total, usage(32))
    }).pipe(
      Effect.provide(
        engine([
          Script.on(
            "top",
            {
              calls: [Script.task("mid", { agent: "mid" }), Script.task("mid", { agent: "mid" })],
              usage: usage(1)
            },
            { text: "done", usage: usage(2) }
          ),
          Script.on(
            "mid",
            { calls: [Script.task("low", { agent: "low" })], usage: usage(4) },
            { text: "ok", usage: usage(8) }
          ),
          Script.on("low", { text: "ok", usage: usage(16) }),
          Script.on("alone", { text: "ok", usage: usage(32) })
        ])
      )
    )
  )

  it.effect("counts what a failed child had used", () =>
    Effect.gen(function* () {
      const tool = Tool.make("t", { description: "", parameters: Schema.Struct({}), run: () => "x" })
      const session = yield* open(Agent.make("a", { subagents: [Agent.make("b", { tools: [tool] })] }))
      const reply = yield* session.prompt("top")
      assert.deepStrictEqual(reply.usage.tasks, usage(4))
    }).pipe(
      Effect.provide(
        engine([
          Script.on("top", Script.calls(Script.task("sub", { agent: "b" })), "done"),
          Script.on(
            "sub",
            { calls: [Script.call("t")], usage: usage(4) },
            { fail: new Errors.ModelRejected({ model: "scripted", reason: "gone" }) }
          )
        ])
      )
    )
  )
})

describe("shell", () => {
  const sandbox = Layer.succeed(
    Sandbox.Sandbox,
    emptySandbox(({ command, cwd, env }) =>
      command === "hang"
        ? Effect.never
        : command === "refuse"
          ? Effect.fail(new Errors.SandboxError({ operation: "exec", path: "x", reason: "it is outside" }))
          : Effect.succeed({
              stdout: `${command} in ${cwd} with ${env?.TOKEN ?? "none"}`,
              stderr: "",
              exitCode: command === "false" ? 1 : 0,
              dropped: { stdout: 0, stderr: 0 }
            })
    )
  )

  const shell = engineOver(
    Layer.mergeAll(SessionStore.layerMemory, ModelModule.layerScripted([Script.always("ok")]), sandbox)
  )

  it.effect("a non-zero exit is a value; it is recorded as a call of bash with the names of the environment", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      const result = yield* session.shell("false", { cwd: "sub", env: { TOKEN: "hunter2" } })
      assert.deepStrictEqual([result.exitCode, result.stdout], [1, "false in sub with hunter2"])
      const messages = yield* messagesOf(session)
      const [call] = messages[1]?.role === "assistant" ? messages[1].content : []
      assert.deepInclude(call, { name: "bash", args: { command: "false", cwd: "sub", env: ["TOKEN"] } })
      assert.strictEqual((yield* session.prompt("x")).text, "ok")
    }).pipe(Effect.provide(shell))
  )

  it.effect("a refusal of the sandbox and an interruption are recorded", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      const error = yield* Effect.flip(session.shell("refuse"))
      assert.strictEqual(error.message, "Cannot exec x: it is outside.")
      yield* Effect.timeoutOption(session.shell("hang"), 0)
      const outcomes = (yield* session.history).flatMap((entry) =>
        entry._tag === "ToolSettled" || entry._tag === "OperationSettled" ? [entry.outcome] : []
      )
      assert.deepStrictEqual(outcomes, ["failure", "failed", "interrupted", "interrupted"])
    }).pipe(Effect.provide(shell))
  )

  it.effect("without a sandbox it fails with a sentence", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      assert.strictEqual((yield* Effect.flip(session.shell("ls"))).message, "Cannot exec .: no sandbox is configured.")
    }).pipe(Effect.provide(engine([])))
  )
})
