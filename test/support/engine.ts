/**
 * An engine in memory with its insides within reach: a fresh one for each test.
 */
import { Effect, Layer, Queue, type Scope } from "effect"
import { Conversation, type Event, Model, type Script, Sessions, SessionStore } from "effect-baton"
import * as EventsLayer from "../../src/layers/Events.js"
import * as HistoryLayer from "../../src/layers/History.js"
import * as LockLayer from "../../src/layers/SessionLock.js"
import * as TaskToolLayer from "../../src/layers/TaskTool.js"
import { Events } from "../../src/services/Events.js"

/** The engine over a store and a model. */
export const engineOver = <Out, E, R>(below: Layer.Layer<Out | SessionStore.SessionStore | Model.Model, E, R>) =>
  Sessions.layer.pipe(
    Layer.provideMerge(HistoryLayer.layer),
    Layer.provideMerge(Layer.mergeAll(EventsLayer.layer, TaskToolLayer.layer, LockLayer.layer)),
    Layer.provideMerge(below)
  )

/** The engine over a script and the memory store. */
export const engine = (script: Script.Script) =>
  engineOver(Layer.provideMerge(SessionStore.layerMemory, Model.layerScripted(script)))

/** Follows the engine from now on; what was published so far is given each time it is asked for. */
export const recorder: Effect.Effect<
  Effect.Effect<ReadonlyArray<Event.Event>>,
  never,
  Events | Scope.Scope
> = Effect.gen(function* () {
  const queue = yield* (yield* Events).subscribe()
  const seen: Array<Event.Event> = []
  return Effect.map(Queue.takeAll(queue), (chunk) => {
    seen.push(...chunk)
    return seen
  })
})

/** The messages that a model would be sent now. */
export const messagesOf = (session: Sessions.Session) => Effect.map(session.history, Conversation.fold)
