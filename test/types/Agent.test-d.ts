import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { describe, expectTypeOf, it } from "vitest"
import * as Agent from "../../src/services/Agent.js"
import * as Tool from "../../src/services/Tool.js"

class Tickets extends Context.Tag("test/Tickets")<Tickets, string>() {}
class Names extends Context.Tag("test/Names")<Names, string>() {}
class Clocks extends Context.Tag("test/Clocks")<Clocks, string>() {}

const description = "Does something"

const tickets = Tool.make("tickets", { description, run: () => Tickets })
const names = Tool.make("names", { description, run: () => Names })
const clocks = Tool.make("clocks", { description, run: () => Clocks })
const free = Tool.make("free", { description, run: () => "free" })

describe("Agent.make", () => {
  it("needs nothing where its tools need nothing", () => {
    expectTypeOf(Agent.make("bare")).toEqualTypeOf<Agent.Agent<never>>()
    expectTypeOf(Agent.make("bare", { instructions: "Be brief.", delegate: "off" })).toEqualTypeOf<Agent.Agent<never>>()
    expectTypeOf(Agent.make("free", { tools: [free] })).toEqualTypeOf<Agent.Agent<never>>()
    expectTypeOf(Agent.make("free", { tools: [], subagents: [] })).toEqualTypeOf<Agent.Agent<never>>()
  })

  it("needs what its tools and its subagents need together", () => {
    expectTypeOf(Agent.make("tools", { tools: [tickets, free, names] })).toEqualTypeOf<Agent.Agent<Tickets | Names>>()
    const child = Agent.make("child", { tools: [clocks] })
    expectTypeOf(Agent.make("parent", { subagents: [child] })).toEqualTypeOf<Agent.Agent<Clocks>>()
    expectTypeOf(Agent.make("parent", { tools: [tickets], subagents: [child, Agent.make("bare")] })).toEqualTypeOf<
      Agent.Agent<Tickets | Clocks>
    >()
    const grandparent = Agent.make("grandparent", {
      tools: [names],
      subagents: [Agent.make("parent", { tools: [tickets], subagents: [child] })]
    })
    expectTypeOf(grandparent).toEqualTypeOf<Agent.Agent<Names | Tickets | Clocks>>()
    expectTypeOf<Agent.Requirements<typeof grandparent>>().toEqualTypeOf<Names | Tickets | Clocks>()
  })

  it("takes lists that were made elsewhere", () => {
    const list: ReadonlyArray<Tool.Tool<Tickets> | Tool.Tool<Names>> = [tickets, names]
    expectTypeOf(Agent.make("list", { tools: list })).toEqualTypeOf<Agent.Agent<Tickets | Names>>()
  })

  it("is covariant in what it needs", () => {
    expectTypeOf<Agent.Agent<never>>().toExtend<Agent.Agent<Tickets>>()
    expectTypeOf<Agent.Agent<Tickets>>().not.toExtend<Agent.Agent<never>>()
  })

  it("refuses what is not a tool", () => {
    // @ts-expect-error -- an Effect is no tool
    Agent.make("wrong", { tools: [Effect.void] })
    // @ts-expect-error -- a level that does not exist
    Agent.make("wrong", { thinking: "extreme" })
  })
})
