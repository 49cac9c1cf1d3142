import * as AiTool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as Foreign from "@effect/schema/Schema"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { describe, expectTypeOf, it } from "vitest"
import * as Agent from "../../src/services/Agent.js"
import type * as Sessions from "../../src/services/Session.js"
import * as Tool from "../../src/services/Tool.js"

class Tickets extends Context.Tag("test/Tickets")<
  Tickets,
  { readonly find: (id: string) => Effect.Effect<{ readonly title: string; readonly open: boolean }, Error> }
>() {}

class Names extends Context.Tag("test/Names")<Names, ReadonlyMap<string, string>>() {}

const description = "Looks a ticket up"

const Ticket = Schema.Struct({ title: Schema.String, open: Schema.Boolean })

const ForeignTicket = Foreign.Struct({ title: Foreign.String, open: Foreign.Boolean })

/** Encoded as text, decoded as a number; needs a service to be decoded. */
const Numbered = Schema.transformOrFail(Schema.String, Schema.Number, {
  strict: true,
  decode: (text) => Effect.map(Names, (names) => names.get(text)?.length ?? 0),
  encode: (number) => Effect.succeed(String(number))
})

const ForeignNumbered = Foreign.transformOrFail(Foreign.String, Foreign.Number, {
  strict: true,
  decode: (text) => Effect.map(Names, (names) => names.get(text)?.length ?? 0),
  encode: (number) => Effect.succeed(String(number))
})

describe("Tool.make", () => {
  it("infers the parameters", () => {
    Tool.make("own", {
      description,
      parameters: Schema.Struct({ id: Schema.NumberFromString, note: Schema.optional(Schema.String) }),
      run: (params, call) => {
        expectTypeOf(params).toEqualTypeOf<{ readonly id: number; readonly note?: string | undefined }>()
        expectTypeOf(call).toEqualTypeOf<Tool.ToolCall>()
      }
    })
    Tool.make("foreign", {
      description,
      parameters: Foreign.Struct({ id: Foreign.NumberFromString, tags: Foreign.Array(Foreign.Literal("a", "b")) }),
      run: (params) => {
        expectTypeOf(params).toEqualTypeOf<{ readonly id: number; readonly tags: ReadonlyArray<"a" | "b"> }>()
      }
    })
    Tool.make("none", {
      description,
      run: (params) => {
        expectTypeOf(params).toEqualTypeOf<Record<string, never>>()
      }
    })
    class Params extends Schema.Class<Params>("Params")({ id: Schema.String }) {}
    Tool.make("class", {
      description,
      parameters: Params,
      run: (params) => {
        expectTypeOf(params).toEqualTypeOf<Params>()
      }
    })
  })

  it("infers the parameters from fields, and knows nothing of those of a JSON Schema", () => {
    Tool.make("own", {
      description,
      parameters: { id: Schema.NumberFromString, note: Schema.optional(Schema.String) },
      run: (params) => {
        expectTypeOf(params).toEqualTypeOf<{ readonly id: number; readonly note?: string | undefined }>()
      }
    })
    Tool.make("foreign", {
      description,
      parameters: { id: Foreign.NumberFromString, own: Schema.String },
      run: (params) => {
        expectTypeOf(params).toEqualTypeOf<{ readonly id: number; readonly own: string }>()
      }
    })
    Tool.make("json", {
      description,
      parameters: Tool.jsonSchema({ type: "object" }),
      run: (params) => {
        expectTypeOf(params).toEqualTypeOf<Readonly<Record<string, unknown>>>()
      }
    })
    const needs = Tool.make("needs", { description, parameters: { n: Numbered }, run: ({ n }) => n })
    expectTypeOf(needs).toEqualTypeOf<Tool.Tool<Names>>()
    const foreign = Tool.make("needs", { description, parameters: { n: ForeignNumbered }, run: ({ n }) => n })
    expectTypeOf(foreign).toEqualTypeOf<Tool.Tool<Names>>()
    // @ts-expect-error -- a field that is no schema
    Tool.make("wrong", { description, parameters: { id: "string" }, run: () => 1 })
    // @ts-expect-error -- effects that are none
    Tool.make("wrong", { description, effects: "maybe", run: () => 1 })
    // @ts-expect-error -- a text is no deadline
    Tool.make("wrong", { description, deadline: "2s", run: () => 1 })
    Tool.make("deadline", { description, deadline: Duration.seconds(2), run: () => 1 })
    const content = Tool.make("content", {
      description,
      run: () => Effect.as(Names, Tool.content([{ type: "json", value: 1 }]))
    })
    expectTypeOf(content).toEqualTypeOf<Tool.Tool<Names>>()
    // @ts-expect-error -- a part that is none
    Tool.content([{ type: "video", data: "" }])
  })

  it("takes the decoded result", () => {
    Tool.make("own", { description, success: Schema.NumberFromString, run: () => Effect.succeed(1) })
    Tool.make("foreign", { description, success: Foreign.NumberFromString, run: () => 1 })
    // @ts-expect-error -- the encoded form
    Tool.make("encoded", { description, success: Schema.NumberFromString, run: () => Effect.succeed("1") })
    // @ts-expect-error -- the encoded form
    Tool.make("encoded", { description, success: Foreign.NumberFromString, run: () => "1" })
  })

  it("takes an Effect, a promise or a plain value, and keeps the literal types of a result", () => {
    const Verdict = Schema.Struct({ severity: Schema.Literal("low", "high") })
    const effect = Tool.make("effect", {
      description,
      success: Verdict,
      run: (_params) => Effect.succeed({ severity: "low" })
    })
    const promise = Tool.make("promise", { description, success: Verdict, run: async () => ({ severity: "low" }) })
    const plain = Tool.make("plain", { description, success: Verdict, run: () => ({ severity: "low" }) })
    const generator = Tool.make("generator", {
      description,
      success: Ticket,
      run: () =>
        Effect.gen(function* () {
          const tickets = yield* Tickets
          return yield* tickets.find("1")
        })
    })
    expectTypeOf(effect).toEqualTypeOf<Tool.Tool<never>>()
    expectTypeOf(promise).toEqualTypeOf<Tool.Tool<never>>()
    expectTypeOf(plain).toEqualTypeOf<Tool.Tool<never>>()
    expectTypeOf(generator).toEqualTypeOf<Tool.Tool<Tickets>>()
  })

  it("refuses a wrong result", () => {
    // @ts-expect-error -- a property is missing
    Tool.make("effect", { description, success: Ticket, run: () => Effect.succeed({ title: "a" }) })
    // @ts-expect-error -- a property is missing
    Tool.make("promise", { description, success: ForeignTicket, run: async () => ({ title: "a" }) })
    // @ts-expect-error -- a property has another type
    Tool.make("plain", { description, success: Ticket, run: () => ({ title: "a", open: 1 }) })
    // @ts-expect-error -- nothing is given back
    Tool.make("nothing", { description, success: Ticket, run: () => {} })
  })

  it("tells what the handler needs, with and without a schema of its result", () => {
    const find = Effect.flatMap(Tickets, (tickets) => tickets.find("1"))
    const without = Tool.make("without", { description, run: () => find })
    expectTypeOf(without).toEqualTypeOf<Tool.Tool<Tickets>>()
    const withSuccess = Tool.make("with", { description, success: Ticket, run: () => find })
    expectTypeOf(withSuccess).toEqualTypeOf<Tool.Tool<Tickets>>()
    const either = Tool.make("either", {
      description,
      parameters: Schema.Struct({ deep: Schema.Boolean }),
      run: ({ deep }) => (deep ? find : Effect.asVoid(Names))
    })
    expectTypeOf(either).toEqualTypeOf<Tool.Tool<Tickets | Names>>()
    const sometimes = Tool.make("sometimes", {
      description,
      parameters: Schema.Struct({ deep: Schema.Boolean }),
      run: ({ deep }) => (deep ? find : "nothing")
    })
    expectTypeOf(sometimes).toEqualTypeOf<Tool.Tool<Tickets>>()
  })

  it("tells what the schemas need", () => {
    const own = Tool.make("own", { description, parameters: Schema.Struct({ n: Numbered }), run: ({ n }) => n })
    expectTypeOf(own).toEqualTypeOf<Tool.Tool<Names>>()
    const foreign = Tool.make("foreign", {
      description,
      parameters: Foreign.Struct({ n: ForeignNumbered }),
      run: ({ n }) => Effect.as(Tickets, n)
    })
    expectTypeOf(foreign).toEqualTypeOf<Tool.Tool<Names | Tickets>>()
    const success = Tool.make("success", { description, success: Numbered, run: () => 1 })
    expectTypeOf(success).toEqualTypeOf<Tool.Tool<Names>>()
  })

  it("is covariant in what it needs", () => {
    expectTypeOf<Tool.Tool<never>>().toExtend<Tool.Tool<Tickets>>()
    expectTypeOf<Tool.Tool<Tickets>>().not.toExtend<Tool.Tool<never>>()
    expectTypeOf<Tool.Requirements<Tool.Tool<Tickets> | Tool.Tool<Names>>>().toEqualTypeOf<Tickets | Names>()
  })
})

describe("a tool that is made where it is used", () => {
  it("needs what its handler needs, whatever that gives back", () => {
    const tools = Agent.make("a", {
      tools: [
        Tool.make("plain", {
          description: "",
          parameters: Schema.Struct({ x: Schema.String }),
          run: ({ x }) => x.length
        }),
        Tool.make("async", { description: "", run: async () => 1 }),
        Tool.make("nothing", { description: "", run: () => {} }),
        Tool.make("any", { description: "", run: () => JSON.parse("1") })
      ]
    })
    expectTypeOf(tools).toEqualTypeOf<Agent.Agent>()
    const needy = Agent.make("a", { tools: [Tool.make("t", { description: "", run: () => Names })] })
    expectTypeOf(needy).toEqualTypeOf<Agent.Agent<Names>>()
    const call = (session: Sessions.Session) =>
      session.prompt("x", { tools: [Tool.make("t", { description: "", run: () => 1 })] })
    expectTypeOf<Effect.Effect.Context<ReturnType<typeof call>>>().toEqualTypeOf<never>()
  })
})

describe("tools and toolkits of @effect/ai in a list", () => {
  const own = Tool.make("own", { description, run: () => Tickets })
  const plain = AiTool.make("plain", { parameters: { id: Schema.String } })
  const needy = AiTool.make("needy", { dependencies: [Names] })
  const decoding = AiTool.make("decoding", { parameters: { n: Numbered } })
  class Request extends Schema.TaggedRequest<Request>()("Request", {
    payload: { id: Schema.String },
    success: Schema.Void,
    failure: Schema.Never
  }) {}
  const kit = Toolkit.make(plain, needy)
  const merged = Toolkit.merge(kit, Toolkit.make(decoding, AiTool.fromTaggedRequest(Request)))
  const search = AiTool.providerDefined({ id: "a.search", toolkitName: "Search", providerName: "search", args: {} })({})

  it("need their handlers, and what their tools need besides", () => {
    expectTypeOf(Agent.make("a", { tools: [kit] })).toEqualTypeOf<
      Agent.Agent<AiTool.Handler<"plain"> | AiTool.Handler<"needy"> | Names>
    >()
    expectTypeOf(Agent.make("a", { tools: [own, [merged]] })).toEqualTypeOf<
      Agent.Agent<
        | Tickets
        | Names
        | AiTool.Handler<"plain">
        | AiTool.Handler<"needy">
        | AiTool.Handler<"decoding">
        | AiTool.Handler<"Request">
      >
    >()
    expectTypeOf(Agent.make("a", { tools: [own, [[own], []]] })).toEqualTypeOf<Agent.Agent<Tickets>>()
  })

  it("need anything where they may be anything", () => {
    const list: ReadonlyArray<Tool.Listed> = [kit, [own]]
    expectTypeOf(Agent.make("a", { tools: list })).toEqualTypeOf<Agent.Agent<unknown>>()
    expectTypeOf(Agent.make("a", { tools: [[list]] })).toEqualTypeOf<Agent.Agent<unknown>>()
  })

  it("need no handlers where they bring them", () => {
    const handled = {} as Effect.Effect.Success<typeof merged>
    expectTypeOf(Agent.make("a", { tools: [handled] })).toEqualTypeOf<Agent.Agent<Names>>()
  })

  it("by themselves need what the layer of a toolkit gives", () => {
    const open = <R>(_agent: Agent.Agent<R>): Effect.Effect<void, never, R> => Effect.context<R>() as never
    const handlers = kit.toLayer({ plain: () => Effect.void, needy: () => Effect.void })
    const names = Layer.succeed(Names, new Map())
    const agent = Agent.make("a", { tools: [plain, needy] })
    const opened = Effect.provide(open(agent), Layer.merge(handlers, names))
    expectTypeOf(opened).toEqualTypeOf<Effect.Effect<void>>()
    const bare = Effect.provide(open(agent), handlers)
    expectTypeOf(bare).toEqualTypeOf<Effect.Effect<void, never, Names>>()
    const unhandled = Effect.provide(open(agent), names)
    expectTypeOf<Effect.Effect.Context<typeof unhandled>["name"]>().toEqualTypeOf<"plain" | "needy">()
    const other = Toolkit.make(AiTool.make("other")).toLayer({ other: () => Effect.void })
    const strange = Effect.provide(open(Agent.make("a", { tools: [plain] })), other)
    expectTypeOf<Effect.Effect.Context<typeof strange>["name"]>().toEqualTypeOf<"plain">()
    const ofKit = Effect.provide(open(Agent.make("a", { tools: [kit] })), Layer.merge(handlers, names))
    expectTypeOf(ofKit).toEqualTypeOf<Effect.Effect<void>>()
  })

  it("are needed by a call that brings them", () => {
    const call = (session: Sessions.Session) => session.prompt("x", { tools: [[own], kit] })
    expectTypeOf<Effect.Effect.Context<ReturnType<typeof call>>>().toEqualTypeOf<
      Tickets | Names | AiTool.Handler<"plain"> | AiTool.Handler<"needy">
    >()
  })

  it("that a provider runs are refused", () => {
    // @ts-expect-error -- its provider runs it
    Agent.make("a", { tools: [search] })
    // @ts-expect-error -- its provider runs it
    Agent.make("a", { tools: [Toolkit.make(search)] })
    // @ts-expect-error -- a schema is no tool
    Agent.make("a", { tools: [Request] })
  })
})
