/**
 * The ways in which a value is handed in.
 */
import { Effect, Layer, Schema } from "effect"
import { Agent, Model, Script, type Sessions, type SessionStore, Tool } from "effect-baton"
import type { Sandbox } from "../../src/services/Sandbox.js"
import { limits, type Stage } from "./ground.js"

/** A scripted model that answers "before" and "after", and whatever else by the turns. */
export const scripted = (...turns: ReadonlyArray<Script.Reply>) =>
  Model.layerScripted([Script.on("before", "ok"), Script.on("after", "ok"), Script.always(...turns)])

/** Does something with a session in which every prompt is answered. */
export const inSession =
  <V>(
    act: (
      value: V,
      session: Sessions.Session,
      sessions: Sessions.Sessions["Type"]
    ) => Effect.Effect<unknown, unknown, Sandbox | SessionStore.SessionStore>
  ) =>
  (value: V): Stage => ({ model: scripted("done"), act: (session, sessions) => act(value, session, sessions) })

/** Gives its text back. */
export const echo = Tool.make("echo", {
  description: "Gives the text back",
  parameters: Schema.Struct({ text: Schema.String }),
  run: ({ text }) => Effect.succeed(text)
})

/** A prompt in which the model makes these calls of these tools, and then ends. */
export const calling = (tools: ReadonlyArray<Tool.Tool<Sandbox>>, ...calls: ReadonlyArray<Script.Call>): Stage => ({
  model: scripted(Script.calls(...calls), "done"),
  agent: Agent.make("a", { tools, limits, delegate: "off" }),
  act: (session) => session.prompt("go", { limits })
})

/** A prompt of which the first reply is made of what is emitted, as no adapter should. */
export const emitting = (
  events: (emit: (event: Model.ModelEvent) => void) => unknown,
  more: { readonly tools?: ReadonlyArray<Tool.Tool<Sandbox>> } = {}
): Stage => ({
  model: Layer.succeed(Model.Model, {
    defaultModel: "m",
    stream: (request, emit) =>
      Effect.suspend(() => {
        const last = request.messages.at(-1)
        const asked = last?.role === "user" ? last.content.at(-1) : undefined
        if (asked?.type === "text" && asked.text === "go") return events(emit) as Effect.Effect<Model.ModelFinish>
        emit({ _tag: "TextDelta", text: "ok" })
        return Effect.succeed<Model.ModelFinish>({
          reason: "stop",
          usage: { input: 1, output: 1, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
        })
      })
  }),
  agent: Agent.make("a", { tools: more.tools ?? [echo], limits, delegate: "off" }),
  act: (session) => session.prompt("go", { limits })
})
