/**
 * Spans through Effect's tracer, by OpenTelemetry's names.
 */
import * as conventions from "@opentelemetry/semantic-conventions/incubating"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Option, Tracer } from "effect"
import { Agent, Errors, Script, Tool } from "effect-baton"
import { echo, engine, open } from "../support/engine.js"
import { recording } from "../support/tracer.js"

const usage = { input: 10, output: 2, cacheRead: 4, cacheWrite: 1, reasoning: 1 }
const script = [
  Script.on(
    "go",
    {
      calls: [
        Script.call("echo", { text: "canary" }),
        Script.call("inner"),
        Script.call("fails"),
        Script.task("sub", { agent: "child" })
      ],
      usage
    },
    { text: "canary", usage }
  ),
  Script.on("sub", { text: "ok", usage }),
  Script.on("bad", { fail: new Errors.ModelRejected({ model: "scripted", reason: "no" }) })
]

describe("spans", () => {
  it.effect("of an operation, its model requests, its tool calls and its tasks hang together", () => {
    const { ended, tracer } = recording()
    const inner = Tool.make("inner", {
      description: "",
      run: (_, call) => call.runPromise(Effect.withSpan(Effect.succeed("x"), "mine"))
    })
    const fails = Tool.make("fails", { description: "", run: () => Effect.fail("no canary") })
    return Effect.gen(function* () {
      const child = Agent.make("child", { delegate: "off" })
      const session = yield* open(
        Agent.make("lead", { tools: [echo, inner, fails], subagents: [child], delegate: "off" })
      )
      yield* Effect.withSpan(session.prompt("go"), "request")
      assert.deepStrictEqual(ended.map(({ name, parent }) => `${parent} > ${name}`).toSorted(), [
        "execute_tool inner > mine",
        "execute_tool task > invoke_agent child",
        "invoke_agent child > chat scripted",
        "invoke_agent lead > chat scripted",
        "invoke_agent lead > chat scripted",
        "invoke_agent lead > execute_tool echo",
        "invoke_agent lead > execute_tool fails",
        "invoke_agent lead > execute_tool inner",
        "invoke_agent lead > execute_tool task",
        "request > invoke_agent lead",
        "undefined > request"
      ])
      const lead = ended.find(({ name }) => name === "invoke_agent lead")!
      assert.deepInclude(lead.attributes, {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "lead",
        "gen_ai.conversation.id": "s",
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.cache_read.input_tokens": 12
      })
      assert.deepInclude(
        ended.find(({ name }) => name === "chat scripted"),
        { kind: "client" }
      )
      yield* Effect.flip(session.prompt("bad"))
      const failed = ended.filter(({ exit }) => exit?._tag === "Failure")
      assert.deepStrictEqual(
        failed.map(({ attributes, name }) => [name, attributes["error.type"]]),
        [
          ["execute_tool fails", "_OTHER"],
          ["chat scripted", "ModelRejected"],
          ["invoke_agent lead", "ModelRejected"]
        ]
      )
      const own = ended.filter(({ name }) => name !== "request" && name !== "mine")
      assert.notInclude(JSON.stringify(own), "canary", "what is said is in no span")
      const known = new Set<unknown>(Object.values(conventions))
      for (const { attributes } of ended) {
        for (const key of Object.keys(attributes)) {
          if (!key.startsWith("baton.")) assert.isTrue(known.has(key), key)
        }
        const operation = attributes["gen_ai.operation.name"]
        if (operation !== undefined) assert.isTrue(known.has(operation), String(operation))
      }
    }).pipe(Effect.provide(Layer.mergeAll(engine(script), Layer.setTracer(tracer))))
  })

  it.effect("are not made for Effect's own tracer, which nobody looks at", () =>
    Effect.gen(function* () {
      const parents: Array<Option.Option<Tracer.AnySpan>> = []
      const look = Tool.make("look", {
        description: "",
        run: () =>
          Effect.contextWith((context: Context.Context<never>) => {
            parents.push(Context.getOption(context, Tracer.ParentSpan))
            return "x"
          })
      })
      const session = yield* open(Agent.make("a", { tools: [look] }))
      yield* session.prompt("go")
      assert.deepStrictEqual(parents.map(Option.isNone), [true])
    }).pipe(Effect.provide(engine([Script.on("go", Script.calls(Script.call("look")), "ok")])))
  )
})
