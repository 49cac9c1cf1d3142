/**
 * The compositions that most applications start from.
 */
import * as Layer from "effect/Layer"
import type { Model } from "../services/Model.js"
import type { Events } from "../services/Events.js"
import type { Sessions } from "../services/Session.js"
import type { SessionLock } from "../services/SessionLock.js"
import type { SessionStore } from "../services/SessionStore.js"
import * as EventsLayer from "./Events.js"
import * as History from "./History.js"
import * as MemorySessionStore from "./MemorySessionStore.js"
import * as Lock from "./SessionLock.js"
import * as SessionsLayer from "./Sessions.js"
import * as TaskTool from "./TaskTool.js"

/** Sessions over whatever store and model are provided. */
export const layer: Layer.Layer<Sessions | SessionLock | Events, never, Model | SessionStore> =
  SessionsLayer.layer.pipe(
    Layer.provide(Layer.merge(History.layer, TaskTool.layer)),
    Layer.provideMerge(Layer.merge(EventsLayer.layer, Lock.layer))
  )

/** Sessions in memory: they end with the program. */
export const layerMemory: Layer.Layer<Sessions | SessionLock | Events, never, Model> = Layer.provide(
  layer,
  MemorySessionStore.layer
)
