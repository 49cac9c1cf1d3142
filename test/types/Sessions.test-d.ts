import { Context, Effect, Schema } from "effect"
import { Agent, type Errors, Session, Sessions, Tool } from "effect-baton"
import { describe, expectTypeOf, it } from "vitest"

class Tickets extends Context.Tag("Tickets")<Tickets, { readonly find: (id: number) => Effect.Effect<string> }>() {}

const ticket = Tool.make("ticket", {
  description: "",
  parameters: Schema.Struct({ id: Schema.Number }),
  run: ({ id }) => Effect.flatMap(Tickets, (tickets) => tickets.find(id))
})
const agent = Agent.make("a", { subagents: [Agent.make("b", { tools: [ticket] })] })

describe("Sessions", () => {
  it("open asks for what the tools of the agent and its subagents need", () => {
    const opened = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.open({ id: "s", agent }))
    expectTypeOf<Effect.Effect.Context<typeof opened>>().toEqualTypeOf<Sessions.Sessions | Tickets>()
    const plain = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.open({ id: "s", agent: Agent.make("a") }))
    expectTypeOf<Effect.Effect.Context<typeof plain>>().toEqualTypeOf<Sessions.Sessions>()
  })

  it("a session's operations need nothing more, but for the tools of the call", () => {
    const use = (session: Sessions.Session) => {
      expectTypeOf<Effect.Effect.Context<ReturnType<typeof session.shell>>>().toEqualTypeOf<never>()
      const prompt = session.prompt("x")
      expectTypeOf<Effect.Effect.Context<typeof prompt>>().toEqualTypeOf<never>()
      const withTool = session.prompt("x", { tools: [ticket] })
      expectTypeOf<Effect.Effect.Context<typeof withTool>>().toEqualTypeOf<Tickets>()
      const task = session.task("x", { tools: [ticket] })
      expectTypeOf<Effect.Effect.Context<typeof task>>().toEqualTypeOf<Tickets>()
    }
    expectTypeOf(use).toBeFunction()
  })

  it("what an operation can fail with is told tag by tag", () => {
    type Tags<E> = E extends { readonly _tag: infer Tag } ? Tag : never
    expectTypeOf<Tags<Sessions.PromptError>>().toEqualTypeOf<
      | "SessionBusy"
      | "SessionDeadlock"
      | "TaskDepthExceeded"
      | "SessionNotFound"
      | "StaleLease"
      | "SessionStoreError"
      | "InvalidInput"
      | "ToolNameConflict"
      | "ModelNotConfigured"
      | "ModelUnavailable"
      | "ModelRejected"
      | "ContextOverflow"
      | "LimitReached"
      | "NoProgress"
    >()
    expectTypeOf<Exclude<Sessions.TaskError, Sessions.PromptError>>().toEqualTypeOf<Errors.AgentNotFound>()
    const caught = (session: Sessions.Session) => Effect.catchTag(session.prompt("x"), "SessionBusy", () => Effect.void)
    expectTypeOf<Effect.Effect.Error<ReturnType<typeof caught>>>().toEqualTypeOf<
      Exclude<Sessions.PromptError, Errors.SessionBusy>
    >()
  })

  it("as functions the operations say what they need", () => {
    const program = Effect.flatMap(Session.open({ id: "s", agent }), (ref) => Session.prompt(ref, "x"))
    expectTypeOf<Effect.Effect.Context<typeof program>>().toEqualTypeOf<Session.Needs | Tickets>()
  })
})
