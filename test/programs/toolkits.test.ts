import { Tool as AiTool, Toolkit } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Fiber, Layer, Schema } from "effect"
import { Agent, type Model, Script, Sessions, Tool } from "effect-baton"
import * as Foreign from "@effect/schema/Schema"
import { echo, engine, messagesOf } from "../support/engine.js"

class Rate extends Context.Tag("test/Rate")<Rate, number>() {}

class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { id: Schema.String }) {
  override get message() {
    return `There is no ${this.id}`
  }
}

const days = Schema.optionalWith(Schema.NumberFromString, { default: () => 1 })
const weather = AiTool.make("weather", {
  description: "Tells the weather",
  parameters: { city: Schema.String, days },
  success: Schema.Struct({ city: Schema.String, at: Schema.Date })
})
const find = AiTool.make("find", {
  description: "Finds",
  parameters: { id: Schema.String },
  success: Schema.String,
  failure: NotFound
})
const returning = AiTool.make("returning", {
  description: "Finds",
  parameters: { id: Schema.String },
  success: Schema.Number,
  failure: NotFound,
  failureMode: "return"
})
const rated = AiTool.make("rated", { success: Schema.Number, dependencies: [Rate] })

class Multiply extends Schema.TaggedRequest<Multiply>()("Multiply", {
  payload: { a: Schema.Number, b: Schema.Number },
  success: Schema.Number,
  failure: Schema.Never
}) {}

const kit = Toolkit.merge(
  Toolkit.make(weather, find),
  Toolkit.make(returning, rated),
  Toolkit.make(AiTool.fromTaggedRequest(Multiply))
)

const handlers = kit.toLayer({
  weather: ({ city, days }) => Effect.succeed({ city: `${city} ${days}`, at: new Date(0) }),
  find: ({ id }) => (id === "x" ? Effect.succeed("found") : Effect.fail(new NotFound({ id }))),
  returning: ({ id }) => (id === "x" ? Effect.succeed(1) : Effect.fail(new NotFound({ id }))),
  rated: () => Effect.map(Rate, (rate) => rate * 2),
  Multiply: ({ a, b }) => Effect.succeed(a * b)
})

/** What the model was told of the calls of one turn. */
const results = <R>(agent: Agent.Agent<R>, ...calls: ReadonlyArray<Script.Call>) =>
  Effect.gen(function* () {
    const session = yield* (yield* Sessions.Sessions).open({ id: "s", agent })
    yield* session.prompt("go")
    return (yield* messagesOf(session)).flatMap((message) =>
      message.role === "tool"
        ? message.results.map((result) => `${result.isError ? "failure" : "success"}: ${result.text}`)
        : []
    )
  }).pipe(Effect.provide(engine([Script.on("go", Script.calls(...calls), "done")])))

const calls = [
  Script.call("weather", { city: "Bern" }),
  Script.call("weather", { city: "Bern", days: "3" }),
  Script.call("weather", { days: 3 }),
  Script.call("find", { id: "x" }),
  Script.call("find", { id: "y" }),
  Script.call("returning", { id: "x" }),
  Script.call("returning", { id: "y" }),
  Script.call("rated"),
  Script.call("Multiply", { _tag: "Multiply", a: 6, b: 7 })
]

const told = [
  'success: {"city":"Bern 1","at":"1970-01-01T00:00:00.000Z"}',
  'success: {"city":"Bern 3","at":"1970-01-01T00:00:00.000Z"}',
  "failure: The arguments do not fit the tool's parameters.\ncity: is missing\ndays: Expected string, actual 3\ndays: Expected undefined, actual 3",
  "success: found",
  "failure: NotFound: There is no y",
  "success: 1",
  'failure: {"id":"y","_tag":"NotFound"}',
  "success: 42",
  "success: 42"
]

const provided = Layer.merge(handlers, Layer.succeed(Rate, 21))

describe("tools of @effect/ai", () => {
  it.effect("run by the handlers of their toolkit", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* results(Agent.make("a", { tools: [kit] }), ...calls), told)
      const alone = [weather, find, returning, rated, AiTool.fromTaggedRequest(Multiply)] as const
      assert.deepStrictEqual(yield* results(Agent.make("a", { tools: alone }), ...calls), told)
    }).pipe(Effect.provide(provided))
  )

  it.effect("run by a toolkit that brings its handlers", () =>
    Effect.gen(function* () {
      const tools = [yield* Effect.provide(kit, handlers)]
      assert.deepStrictEqual(yield* results(Agent.make("a", { tools }), ...calls), told)
    }).pipe(Effect.provideService(Rate, 21))
  )

  it.effect("give a failure that says so where what a handler gave does not fit", () =>
    Effect.gen(function* () {
      const wrong = kit.toLayer({
        weather: () => Effect.succeed({ city: 1, at: new Date(0) } as never),
        find: () => Effect.die(new TypeError("broken")),
        returning: () => Effect.fail("no such failure" as never),
        rated: () => Effect.interrupt,
        Multiply: () => Effect.succeed(1)
      })
      const told = yield* results(Agent.make("a", { tools: [kit] }), calls[0]!, calls[3]!, calls[5]!).pipe(
        Effect.provide(Layer.merge(wrong, Layer.succeed(Rate, 1)))
      )
      assert.match(
        told[0]!,
        /^failure: The tool gave a value that does not fit its own schema\.\ncity: Expected string/
      )
      assert.strictEqual(told[1], "failure: TypeError: broken")
      assert.match(told[2]!, /^failure: The tool gave a failure that does not fit its own schema\./)
    })
  )

  it.effect("without a handler are a failure that says so", () =>
    Effect.gen(function* () {
      const agent = Agent.make("a", { tools: [find] }) as Agent.Agent<never>
      assert.deepStrictEqual(yield* results(agent, calls[3]!), ['failure: The tool "find" has no handler here.'])
    })
  )

  it.effect("may call their own session back, and end with it", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<void>()
      const begun = yield* Deferred.make<void>()
      const opened = yield* Deferred.make<Sessions.Session>()
      const delegate = AiTool.make("delegate", { success: Schema.String })
      const hang = AiTool.make("hang")
      const own = Toolkit.make(delegate, hang).toLayer({
        delegate: () =>
          Deferred.await(opened).pipe(
            Effect.flatMap((session) => session.task("child", { agent: "b" })),
            Effect.map((reply) => reply.text),
            Effect.orDie
          ),
        hang: () =>
          Effect.zipRight(
            Deferred.succeed(begun, undefined),
            Effect.onInterrupt(Effect.never, () => Deferred.succeed(ended, undefined))
          )
      })
      const agent = Agent.make("a", { tools: [delegate, hang], subagents: [Agent.make("b", { delegate: "off" })] })
      const script = [
        Script.on("child", "by the child"),
        Script.on("go", Script.calls(Script.call("delegate")), (view) => view.results[0]?.text ?? ""),
        Script.on("hang", Script.calls(Script.call("hang")), "done")
      ]
      yield* Effect.gen(function* () {
        const session = yield* (yield* Sessions.Sessions).open({ id: "s", agent })
        yield* Deferred.succeed(opened, session)
        assert.strictEqual((yield* session.prompt("go")).text, "by the child")
        const fiber = yield* Effect.fork(session.prompt("hang"))
        yield* Deferred.await(begun)
        yield* Fiber.interrupt(fiber)
        yield* Deferred.await(ended)
      }).pipe(Effect.provide(engine(script)), Effect.provide(own))
    })
  )

  it("claim what their annotations say, and nothing by default", () => {
    const claimed = [
      AiTool.make("a", {}),
      AiTool.make("b", {}).annotate(AiTool.Readonly, true),
      AiTool.make("c", {}).annotate(AiTool.Idempotent, true),
      AiTool.make("d", {}).annotate(AiTool.Readonly, false).annotate(AiTool.Idempotent, false),
      AiTool.make("e", {}).annotate(AiTool.Destructive, false).annotate(AiTool.OpenWorld, false)
    ]
    const agent = Agent.make("a", { tools: claimed })
    assert.deepStrictEqual(
      agent.tools.map(({ effects }) => effects),
      [undefined, "pure", "idempotent", undefined, undefined]
    )
  })

  it("are told to the model by their description and JSON Schema", () => {
    class Described extends Schema.TaggedRequest<Described>()(
      "Described",
      { payload: {}, success: Schema.Void, failure: Schema.Never },
      { description: "By its schema" }
    ) {}
    const titled = AiTool.make("titled", {}).annotate(AiTool.Title, "By its title")
    const { tools } = Agent.make("a", { tools: [find, titled, AiTool.fromTaggedRequest(Described)] })
    assert.deepStrictEqual(
      tools.map(({ description, inputSchema, name }) => ({ name, description, inputSchema })),
      [
        {
          name: "find",
          description: "Finds",
          inputSchema: {
            type: "object",
            required: ["id"],
            properties: { id: { type: "string" } },
            additionalProperties: false
          }
        },
        {
          name: "titled",
          description: "By its title",
          inputSchema: { type: "object", required: [], properties: {}, additionalProperties: false }
        },
        {
          name: "Described",
          description: "By its schema",
          inputSchema: {
            type: "object",
            required: ["_tag"],
            properties: { _tag: { type: "string", enum: ["Described"] } },
            additionalProperties: false,
            description: "By its schema"
          }
        }
      ]
    )
  })

  it.effect("that a provider runs are refused, with a sentence", () =>
    Effect.gen(function* () {
      const search = AiTool.providerDefined({
        id: "openai.web_search",
        toolkitName: "WebSearch",
        providerName: "web_search",
        args: {}
      })({})
      const reason = "it is a tool that its provider runs, and Baton runs the tools itself"
      const lists: ReadonlyArray<ReadonlyArray<unknown>> = [
        [search],
        [Toolkit.make(search)],
        [echo, [yield* Toolkit.make(search)]]
      ]
      for (const [i, tools] of lists.entries()) {
        const agent = Agent.make("a", { tools: tools as ReadonlyArray<Tool.Tool> })
        const error = yield* Effect.flip(results(agent))
        assert.strictEqual(error.message, `Invalid input at agent.tools[${i === 2 ? 1 : 0}]: ${reason}.`)
      }
    })
  )
})

describe("lists of tools", () => {
  const named = (name: string) => Tool.make(name, { description: "", run: () => name })
  const names = (tools: ReadonlyArray<Tool.Any>) => tools.map(({ name }) => name)

  it("are opened in order, and stay the same where nothing is to be done", () => {
    const [a, b, c] = [named("a"), named("b"), named("c")]
    const agent = Agent.make("x", { tools: [a, [b, [find], []], Toolkit.make(weather, returning), c] })
    assert.deepStrictEqual(names(agent.tools), ["a", "b", "find", "weather", "returning", "c"])
    const flat = [a, b]
    assert.strictEqual(Agent.make("x", { tools: flat }).tools, flat)
    // The same tool for the same: what is kept with it is found again.
    assert.strictEqual(Agent.make("y", { tools: [find] }).tools[0], agent.tools[2])
  })

  it.effect("of a call are opened too, also those of a task", () =>
    Effect.gen(function* () {
      const asked: Array<ReadonlyArray<string>> = []
      const turn = ({ request }: { readonly request: Model.ModelRequest }) => {
        asked.push(names(request.tools as ReadonlyArray<Tool.Any>))
        return "done"
      }
      yield* Effect.gen(function* () {
        const session = yield* (yield* Sessions.Sessions).open({
          id: "s",
          agent: Agent.make("a", { tools: [echo], delegate: "off", subagents: [Agent.make("b", { delegate: "off" })] })
        })
        yield* session.prompt("go", { tools: [[named("more")], Toolkit.make(find)] })
        yield* session.task("go", { agent: "b", tools: [Toolkit.make(find)] })
      }).pipe(Effect.provide(engine([Script.always(turn)])), Effect.provide(provided))
      assert.deepStrictEqual(asked, [["echo", "more", "find", "task"], ["find"]])
    })
  )

  it.effect("that hold what is no tool are refused, and one that is in itself", () =>
    Effect.gen(function* () {
      const circle: Array<unknown> = [echo]
      circle.push(circle)
      const hostile = new Proxy(
        {},
        {
          has() {
            throw new Error("no")
          }
        }
      )
      for (const item of [5, null, "echo", {}, () => echo, { tools: {} }, circle, hostile, Schema.String]) {
        const agent = Agent.make("a", { tools: [[item]] as unknown as ReadonlyArray<Tool.Tool> })
        const error = yield* Effect.flip(results(agent))
        assert.match(
          error.message,
          /^(Invalid input at agent\.tools\[\d\]: it is not a tool\.|Two tools are named "echo" \(agent\.tools\[1\]\)\.)$/
        )
      }
    })
  )
})

describe("a tool as a small value", () => {
  const give = (params: unknown) => JSON.stringify(params)
  const inputSchema = {
    type: "object",
    required: ["id"],
    properties: { id: { type: "string" }, n: { type: "number" } },
    additionalProperties: false
  }

  it.effect("takes the fields of its parameters, of either package", () =>
    Effect.gen(function* () {
      const d = Schema.optionalWith(Schema.NumberFromString, { default: () => 7 })
      const own = Tool.make("own", {
        description: "",
        parameters: {
          id: Schema.String,
          n: Schema.optional(Schema.Number),
          d,
          renamed: Schema.propertySignature(Schema.String).pipe(Schema.fromKey("was"))
        },
        run: give
      })
      const foreign = Tool.make("foreign", { description: "", parameters: { n: Foreign.NumberFromString }, run: give })
      const none = Tool.make("none", { description: "", parameters: {}, run: give })
      const simple = Tool.make("simple", {
        description: "",
        parameters: { id: Schema.String, n: Schema.optional(Schema.Number) },
        run: give
      })
      const same = Schema.Struct({
        id: Schema.String,
        n: Schema.optional(Schema.Number),
        d,
        renamed: Schema.propertySignature(Schema.String).pipe(Schema.fromKey("was"))
      })
      assert.deepStrictEqual(
        own.inputSchema,
        Tool.make("own", { description: "", parameters: same, run: give }).inputSchema
      )
      assert.deepStrictEqual(simple.inputSchema, inputSchema)
      assert.deepStrictEqual(
        yield* results(
          Agent.make("a", { tools: [own, foreign, none, simple] }),
          Script.call("own", { id: "x", was: "y" }),
          Script.call("own", { id: "x", was: "y", d: "1", n: 2 }),
          Script.call("own", { id: 1 }),
          Script.call("foreign", { n: "12" }),
          Script.call("none"),
          Script.call("simple", { id: "x" })
        ),
        [
          'success: {"id":"x","d":7,"renamed":"y"}',
          'success: {"id":"x","n":2,"d":1,"renamed":"y"}',
          "failure: The arguments do not fit the tool's parameters.\nid: Expected string, actual 1\nwas: is missing",
          'success: {"n":12}',
          "success: {}",
          'success: {"id":"x"}'
        ]
      )
    })
  )

  it.effect("takes a JSON Schema, and arguments as they are", () =>
    Effect.gen(function* () {
      const tool = Tool.make("t", { description: "", parameters: Tool.jsonSchema(inputSchema), run: give })
      assert.strictEqual(tool.inputSchema, inputSchema)
      assert.deepStrictEqual(yield* results(Agent.make("a", { tools: [tool] }), Script.call("t", { other: [1] })), [
        'success: {"other":[1]}'
      ])
    })
  )

  it("takes a deadline in milliseconds and as a Duration", () => {
    const deadline = (deadline: number | Duration.Duration) =>
      Tool.make("t", { description: "", deadline, run: give }).deadline
    assert.deepStrictEqual(
      [deadline(5), deadline(Duration.seconds(2)), deadline(Duration.infinity)],
      [5, 2_000, Number.POSITIVE_INFINITY]
    )
  })

  it.effect("made wrongly is found where it is used, by the name of its field", () =>
    Effect.gen(function* () {
      const good = { description: "", run: give }
      const cases: ReadonlyArray<readonly [options: unknown, message: string]> = [
        [{ ...good, effects: "maybe" }, 'effects: it is neither "pure" nor "idempotent"'],
        [{ ...good, deadline: -1 }, "deadline: it is neither a number of milliseconds from 0 nor a Duration"],
        [{ ...good, deadline: Number.NaN }, "deadline: it is neither a number of milliseconds from 0 nor a Duration"],
        [{ ...good, deadline: "2s" }, "deadline: it is neither a number of milliseconds from 0 nor a Duration"],
        [{ run: give }, "description: it is not a text"],
        [{ description: 5, run: give }, "description: it is not a text"],
        [{ description: "" }, "run: it is not a function"],
        [{ description: "", run: Effect.void }, "run: it is not a function"],
        [{ ...good, polling: "yes" }, "polling: it is neither true nor false"],
        [{ ...good, success: {} }, "success: it is not a schema"],
        [{ ...good, parameters: 5 }, "parameters: it is not a schema"],
        [{ ...good, parameters: [] }, "parameters: it is not a schema"],
        [{ ...good, parameters: { id: "string" } }, 'parameters: the field "id" is not a schema'],
        [{ ...good, parameters: Schema.String }, "parameters: it is not the schema of an object"],
        [{ ...good, parameters: Tool.jsonSchema(5 as never) }, "parameters: it is not a schema"],
        [{ ...good, parameters: Tool.jsonSchema({ type: "string" }) }, "parameters: it is not the schema of an object"],
        [undefined, "run: it is not a function"],
        [null, "run: it is not a function"]
      ]
      for (const [options, message] of cases) {
        const tool = Tool.make("t", options as typeof good)
        const error = yield* Effect.flip(results(Agent.make("a", { tools: [tool] })))
        assert.strictEqual(error.message, `Invalid input at agent.tools.t.${message}.`)
        assert.strictEqual((error as { readonly _tag?: string })._tag, "InvalidInput")
      }
    })
  )
})
