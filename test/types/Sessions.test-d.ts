import * as OldSchema from "@effect/schema/Schema"
import { Context, Effect, type Layer, Schema, type Stream } from "effect"
import { Agent, Engine, type Errors, type Operation, Session, Sessions, type SessionStore, Tool } from "effect-baton"
import { Archive, type HistoryTree } from "effect-baton/history"
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

  it("recovering asks for what the tools of all the agents need", () => {
    const plain = Agent.make("p")
    const recovered = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.recover([plain, agent]))
    expectTypeOf<Effect.Effect.Context<typeof recovered>>().toEqualTypeOf<Sessions.Sessions | Tickets>()
    expectTypeOf<Effect.Effect.Error<typeof recovered>>().toEqualTypeOf<Errors.SessionStoreError>()
    const nothing = Effect.flatMap(Sessions.Sessions, (sessions) => sessions.recover([plain]))
    expectTypeOf<Effect.Effect.Context<typeof nothing>>().toEqualTypeOf<Sessions.Sessions>()
    const layer = Engine.layerRecovery([plain, agent], { watch: false })
    expectTypeOf<Layer.Layer.Context<typeof layer>>().toEqualTypeOf<Sessions.Sessions | Tickets>()
    expectTypeOf<Layer.Layer.Success<typeof layer>>().toEqualTypeOf<never>()
    const program = Session.recover([agent])
    expectTypeOf<Effect.Effect.Context<typeof program>>().toEqualTypeOf<Session.Needs | Tickets>()
    // @ts-expect-error an agent, not a name
    void Engine.layerRecovery(["plain"])
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

  it("a compaction needs nothing more, and tells what it brought and can fail with", () => {
    const use = (session: Sessions.Session) => {
      const compacted = session.compact({ instructions: "Briefly.", model: "m", onBusy: "wait", operationId: "c" })
      expectTypeOf<Effect.Effect.Context<typeof compacted>>().toEqualTypeOf<never>()
      expectTypeOf<Effect.Effect.Success<typeof compacted>>().toEqualTypeOf<Sessions.Compaction>()
      expectTypeOf<Effect.Effect.Error<typeof compacted>>().toEqualTypeOf<Sessions.CompactError>()
      // @ts-expect-error only a prompt is joined
      void session.compact({ onBusy: "steer" })
    }
    expectTypeOf(use).toBeFunction()
    expectTypeOf<Errors.CompactionStalled>().toExtend<Sessions.CompactError>()
    Agent.make("a", { compaction: "off" })
    Agent.make("a", { compaction: { model: "m", instructions: "Briefly.", thinking: "low" } })
    // @ts-expect-error there is no such setting
    Agent.make("a", { compaction: { modle: "m" } })
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
      | "CorruptRecord"
      | "OperationConflict"
      | "RecoveryExhausted"
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

  it("what reads, finds and removes sessions says what it gives and fails with", () => {
    type Tags<E> = E extends { readonly _tag: infer Tag } ? Tag : never
    const use = (session: Sessions.Session, sessions: Context.Tag.Service<Sessions.Sessions>) => {
      const tree = session.tree({ depth: 2 })
      expectTypeOf<Effect.Effect.Success<typeof tree>>().toEqualTypeOf<HistoryTree.HistoryTree>()
      expectTypeOf<Effect.Effect.Context<typeof tree>>().toEqualTypeOf<never>()
      const page = session.transcript({ tasks: "nested" })
      expectTypeOf<Effect.Effect.Success<typeof page>>().toEqualTypeOf<string>()
      const found = sessions.search("x", { limit: 1 })
      expectTypeOf<Effect.Effect.Success<typeof found>>().toEqualTypeOf<Sessions.Found>()
      expectTypeOf<Tags<Effect.Effect.Error<typeof found>>>().toEqualTypeOf<"InvalidInput" | "SessionStoreError">()
      const pruned = sessions.prune({ olderThan: "30 days", maxBytes: 1, keep: ({ agent }) => agent === "a" })
      expectTypeOf<Effect.Effect.Success<typeof pruned>>().toEqualTypeOf<Sessions.Pruned>()
      expectTypeOf<Tags<Effect.Effect.Error<typeof pruned>>>().toEqualTypeOf<"InvalidInput" | "SessionStoreError">()
      const removed = sessions.remove("x")
      expectTypeOf<Effect.Effect.Success<typeof removed>>().toEqualTypeOf<Sessions.Removed>()
      // @ts-expect-error not a place for tasks
      void session.transcript({ tasks: "above" })
    }
    expectTypeOf(use).toBeFunction()
  })

  it("an import fails with what its lines fail with, and needs what they need", () => {
    const use = (lines: Stream.Stream<string, "gone", Tickets>) => {
      const imported = Archive.importSessions(lines, { as: "x" })
      expectTypeOf<Effect.Effect.Error<typeof imported>>().toEqualTypeOf<"gone" | Archive.ImportError>()
      expectTypeOf<Effect.Effect.Context<typeof imported>>().toEqualTypeOf<Tickets | SessionStore.SessionStore>()
      const plain = Archive.importSessions(["x"])
      expectTypeOf<Effect.Effect.Error<typeof plain>>().toEqualTypeOf<Archive.ImportError>()
      expectTypeOf<Effect.Effect.Context<typeof plain>>().toEqualTypeOf<SessionStore.SessionStore>()
      const again = Archive.importSessions(Archive.exportSession("s"))
      expectTypeOf<Exclude<Effect.Effect.Error<typeof again>, Archive.ImportError>>().toEqualTypeOf<
        Errors.SessionNotFound | Errors.CorruptRecord
      >()
    }
    expectTypeOf(use).toBeFunction()
  })

  it("as functions the operations say what they need", () => {
    const program = Effect.flatMap(Session.open({ id: "s", agent }), (ref) => Session.prompt(ref, "x"))
    expectTypeOf<Effect.Effect.Context<typeof program>>().toEqualTypeOf<Session.Needs | Tickets>()
  })

  it("a structured result has the schema's type, and its failure is there only then", () => {
    const use = (session: Sessions.Session) => {
      const plain = session.prompt("x")
      expectTypeOf<Effect.Effect.Success<typeof plain>["value"]>().toEqualTypeOf<undefined>()
      expectTypeOf<Effect.Effect.Error<typeof plain>>().toEqualTypeOf<Sessions.PromptError>()
      const result = session.prompt("x", { resultSchema: Schema.Struct({ at: Schema.DateFromString }) })
      expectTypeOf<Effect.Effect.Success<typeof result>["value"]>().toEqualTypeOf<{ readonly at: Date }>()
      expectTypeOf<Effect.Effect.Error<typeof result>>().toEqualTypeOf<
        Sessions.PromptError | Errors.ResultUnavailable
      >()
      const old = session.task("x", { resultSchema: OldSchema.Struct({ n: OldSchema.NumberFromString }) })
      expectTypeOf<Effect.Effect.Success<typeof old>["value"]>().toEqualTypeOf<{ readonly n: number }>()
      expectTypeOf<
        Exclude<Effect.Effect.Error<typeof old>, Sessions.TaskError>
      >().toEqualTypeOf<Errors.ResultUnavailable>()
    }
    expectTypeOf(use).toBeFunction()
  })

  it("only a prompt that may join another can be told that it did", () => {
    const use = (session: Sessions.Session, busy: Operation.PromptOnBusy) => {
      const waits = session.prompt("x", { onBusy: { _tag: "wait", timeout: 10 } })
      expectTypeOf<Effect.Effect.Success<typeof waits>["_tag"]>().toEqualTypeOf<"Reply">()
      const steers = session.prompt("x", { onBusy: "steer" })
      expectTypeOf<Effect.Effect.Success<typeof steers>["_tag"]>().toEqualTypeOf<"Reply" | "Delivered">()
      const any = session.prompt("x", { onBusy: busy })
      expectTypeOf<Effect.Effect.Success<typeof any>["_tag"]>().toEqualTypeOf<"Reply" | "Delivered">()
      // @ts-expect-error a task joins nothing
      void session.task("x", { onBusy: "steer" })
      // @ts-expect-error a mistake in a name is seen
      void session.prompt("x", { resultshema: Schema.String })
    }
    expectTypeOf(use).toBeFunction()
  })
})

describe("a session as a tree", () => {
  type Tags<E> = E extends { readonly _tag: infer Tag } ? Tag : never
  const Verdict = Schema.Struct({ ok: Schema.Boolean })

  it("edit gives what a prompt gives, and is never delivered to another", () => {
    const use = (session: Sessions.Session) => {
      const plain = session.edit(2, "x")
      expectTypeOf<Effect.Effect.Success<typeof plain>>().toEqualTypeOf<Sessions.Reply<undefined>>()
      expectTypeOf<Effect.Effect.Context<typeof plain>>().toEqualTypeOf<never>()
      const valued = session.edit(2, "x", { resultSchema: Verdict, tools: [ticket], onBusy: "interrupt" })
      expectTypeOf<Effect.Effect.Success<typeof valued>>().toEqualTypeOf<Sessions.Reply<{ readonly ok: boolean }>>()
      expectTypeOf<Effect.Effect.Context<typeof valued>>().toEqualTypeOf<Tickets>()
      expectTypeOf<
        Exclude<Effect.Effect.Error<typeof plain>, Sessions.PromptError>
      >().toEqualTypeOf<Errors.EntryNotFound>()
      // @ts-expect-error a text that joins takes nothing's place
      void session.edit(2, "x", { onBusy: "steer" })
      // @ts-expect-error nor is anything left to roll back
      void session.edit(2, "x", { onBusy: "rollback" })
    }
    expectTypeOf(use).toBeFunction()
  })

  it("a what-if gives a reply and the session of it, and asks for what its agent's tools need", () => {
    const use = (session: Sessions.Session) => {
      const plain = session.whatIf("w", { from: 2 })
      expectTypeOf<Effect.Effect.Success<typeof plain>>().toEqualTypeOf<Sessions.WhatIf<undefined>>()
      expectTypeOf<Effect.Effect.Success<typeof plain>["session"]>().toEqualTypeOf<Sessions.Session>()
      expectTypeOf<Effect.Effect.Context<typeof plain>>().toEqualTypeOf<never>()
      const valued = session.whatIf("w", {
        from: null,
        input: "x",
        agent,
        resultSchema: Verdict,
        unrecorded: ({ name }) => Effect.succeed(name === "ticket")
      })
      expectTypeOf<Effect.Effect.Success<typeof valued>["value"]>().toEqualTypeOf<{ readonly ok: boolean }>()
      expectTypeOf<Effect.Effect.Context<typeof valued>>().toEqualTypeOf<Tickets>()
      expectTypeOf<Exclude<Tags<Effect.Effect.Error<typeof valued>>, Tags<Sessions.PromptError>>>().toEqualTypeOf<
        "InvalidSessionId" | "SessionAlreadyExists" | "EntryNotFound" | "ResultUnavailable"
      >()
      // @ts-expect-error an entry has to be named
      void session.whatIf("w", { input: "x" })
      // @ts-expect-error who is asked answers yes or no
      void session.whatIf("w", { from: 2, unrecorded: () => Effect.succeed("yes") })
    }
    expectTypeOf(use).toBeFunction()
  })

  it("forks and moves say what they give and can fail with", () => {
    const use = (session: Sessions.Session) => {
      const forked = session.fork("f", "label")
      expectTypeOf<Effect.Effect.Success<typeof forked>>().toEqualTypeOf<Sessions.Session>()
      expectTypeOf<Tags<Effect.Effect.Error<typeof forked>>>().toEqualTypeOf<
        | "InvalidSessionId"
        | "SessionAlreadyExists"
        | "SessionNotFound"
        | "EntryNotFound"
        | "StaleLease"
        | "SessionStoreError"
        | "CorruptRecord"
      >()
      expectTypeOf<Effect.Effect.Success<ReturnType<typeof session.moveTo>>>().toEqualTypeOf<Sessions.Moved>()
      expectTypeOf<Effect.Effect.Success<ReturnType<typeof session.rewind>>>().toEqualTypeOf<Sessions.Rewound>()
      expectTypeOf<Effect.Effect.Success<typeof session.labels>>().toEqualTypeOf<ReadonlyMap<string, number>>()
      // @ts-expect-error a name is no entry to be named
      void session.label("a", "b")
    }
    expectTypeOf(use).toBeFunction()
  })
})
