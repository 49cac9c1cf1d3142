import * as Foreign from "@effect/schema/Schema"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
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
