/**
 * An engine in memory with its insides within reach: a fresh one for each test.
 */
import { Effect, Layer, Queue, type Scope } from "effect"
import { Conversation, Engine, type Event, Events, Model, type Script, type Sessions, SessionStore } from "effect-baton"

/** The engine over a store and a model. */
export const engineOver = <Out, E, R>(below: Layer.Layer<Out | SessionStore.SessionStore | Model.Model, E, R>) =>
  Layer.provideMerge(Engine.layer, below)

/** The engine over a script and the memory store. */
export const engine = (script: Script.Script) =>
  engineOver(Layer.provideMerge(SessionStore.layerMemory, Model.layerScripted(script)))

/** Follows the engine from now on; what was published so far is given each time it is asked for. */
export const recorder: Effect.Effect<
  Effect.Effect<ReadonlyArray<Event.Event>>,
  never,
  Events.Events | Scope.Scope
> = Effect.gen(function* () {
  const queue = yield* (yield* Events.Events).subscribe()
  const seen: Array<Event.Event> = []
  return Effect.map(Queue.takeAll(queue), (chunk) => {
    seen.push(...chunk)
    return seen
  })
})

/** The messages that a model would be sent now. */
export const messagesOf = (session: Sessions.Session) => Effect.map(session.history, Conversation.fold)
