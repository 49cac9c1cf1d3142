/**
 * An engine in memory with its insides within reach: a fresh one for each test.
 */
import { Effect, Layer, Schema } from "effect"
import { type Agent, Conversation, Engine, Model, type Script, Sessions, SessionStore, Tool } from "effect-baton"
import { Recorder } from "effect-baton/testing"

/** The engine over a store and a model. */
export const engineOver = <Out, E, R>(below: Layer.Layer<Out | SessionStore.SessionStore | Model.Model, E, R>) =>
  Layer.provideMerge(Engine.layer, below)

/** The engine over a script and the memory store. */
export const engine = (script: Script.Script) =>
  engineOver(Layer.provideMerge(SessionStore.layerMemory, Model.layerScripted(script)))

/** A scripted model, what is known of it, and what it was sent. */
export const watchedModel = (script: Script.Script, info?: Model.ModelInfo) => {
  const requests: Array<Model.ModelRequest> = []
  const layer = Layer.effect(
    Model.Model,
    Effect.map(Model.Model, (it) => ({
      ...it,
      info: () => info,
      stream: (request: Model.ModelRequest, emit: (event: Model.ModelEvent) => void) => {
        requests.push(request)
        return it.stream(request, emit)
      }
    }))
  ).pipe(Layer.provide(Model.layerScripted(script)))
  return { requests, layer }
}

/** Follows the engine from now on; what was published so far is given each time it is asked for. */
export const recorder = Effect.map(Recorder.make, (it) => it.events)

/** The messages that a model would be sent now. */
export const messagesOf = (session: Sessions.Session) => Effect.map(session.history, Conversation.fold)

/** Opens a session of the engine around it. */
export const open = (agent: Agent.Agent, id = "s") =>
  Effect.flatMap(Sessions.Sessions, (sessions) => sessions.open({ id, agent }))

/** Gives its text back. */
export const echo = Tool.make("echo", {
  description: "Gives the text back",
  parameters: Schema.Struct({ text: Schema.String }),
  run: ({ text }) => Effect.succeed(text)
})
