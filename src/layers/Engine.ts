/**
 * The compositions that most applications start from.
 */
import * as Layer from "effect/Layer"
import type { Alarms } from "../services/Alarms.js"
import type { Events } from "../services/Events.js"
import type { History } from "../services/History.js"
import type { Inbox } from "../services/Inbox.js"
import type { Model } from "../services/Model.js"
import type { Sessions } from "../services/Session.js"
import type { SessionLock } from "../services/SessionLock.js"
import type { SessionStore } from "../services/SessionStore.js"
import type { TaskTool } from "../services/TaskTool.js"
import * as AlarmsLayer from "./Alarms.js"
import * as EventsLayer from "./Events.js"
import * as HistoryLayer from "./History.js"
import * as InboxLayer from "./Inbox.js"
import * as LockLayer from "./SessionLock.js"
import * as SessionStoreLayer from "./SessionStore.js"
import * as SessionsLayer from "./Sessions.js"
import * as TaskToolLayer from "./TaskTool.js"

/** What an engine gives: sessions, and the parts that they are made of. */
export type Services = Sessions | SessionLock | Events | History | TaskTool | Alarms | Inbox

/** Sessions over whatever store and model are provided. */
export const layer: Layer.Layer<Services, never, Model | SessionStore> = SessionsLayer.layer.pipe(
  Layer.provideMerge(Layer.merge(HistoryLayer.layer, TaskToolLayer.layer)),
  Layer.provideMerge(Layer.mergeAll(EventsLayer.layer, LockLayer.layer, AlarmsLayer.layer, InboxLayer.layer))
)

/** Sessions in memory: they end with the program. */
export const layerMemory: Layer.Layer<Services | SessionStore | SessionStoreLayer.Memory, never, Model> =
  Layer.provideMerge(layer, SessionStoreLayer.layerMemory)
