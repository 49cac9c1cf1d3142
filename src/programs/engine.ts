/**
 * What the operations need, gathered once for each.
 */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import { Alarms } from "../services/Alarms.js"
import { Events } from "../services/Events.js"
import { History } from "../services/History.js"
import { Ids } from "../services/Ids.js"
import { Inbox } from "../services/Inbox.js"
import { Leases } from "../services/Leases.js"
import { Limits, type LimitValues, sane } from "../services/Limits.js"
import { Model } from "../services/Model.js"
import { Prices } from "../services/Prices.js"
import { Ongoing } from "../services/Ongoing.js"
import { Recovery } from "../services/Recovery.js"
import { SessionLock } from "../services/SessionLock.js"
import { SessionStore } from "../services/SessionStore.js"
import { TaskTool } from "../services/TaskTool.js"

/** The services that every operation needs. */
export type Needs =
  | SessionLock
  | History
  | Events
  | Alarms
  | Inbox
  | Model
  | TaskTool
  | SessionStore
  | Recovery
  | Ongoing

export interface Engine {
  readonly context: Context.Context<Needs>
  readonly lock: Context.Tag.Service<SessionLock>
  readonly history: Context.Tag.Service<History>
  readonly events: Context.Tag.Service<Events>
  readonly alarms: Context.Tag.Service<Alarms>
  readonly store: Context.Tag.Service<SessionStore>
  readonly model: Context.Tag.Service<Model>
  readonly taskTool: Context.Tag.Service<TaskTool>
  readonly limits: LimitValues
  readonly prices: Context.Tag.Service<Prices>
  readonly inbox: Context.Tag.Service<Inbox>
  readonly ids: Context.Tag.Service<Ids>
  readonly recovery: Context.Tag.Service<Recovery>
  readonly ongoing: Context.Tag.Service<Ongoing>
  readonly leases: Context.Tag.Service<Leases>
}

/** The engine as a fiber sees it, with the services of a handle over its own. */
export const engineOf = (fiber: Fiber.RuntimeFiber<unknown, unknown>, over: Context.Context<never>): Engine => {
  const below = fiber.currentContext
  const last = gathered.get(over)
  if (last?.below === below) return last.engine
  const context = Context.merge(below, over) as Context.Context<Needs>
  const engine: Engine = {
    context,
    lock: Context.get(context, SessionLock),
    history: Context.get(context, History),
    events: Context.get(context, Events),
    alarms: Context.get(context, Alarms),
    store: Context.get(context, SessionStore),
    model: Context.get(context, Model),
    taskTool: Context.get(context, TaskTool),
    limits: sane(Context.get(context, Limits)),
    prices: Context.get(context, Prices),
    inbox: Context.get(context, Inbox),
    ids: Context.get(context, Ids),
    recovery: Context.get(context, Recovery),
    ongoing: Context.get(context, Ongoing),
    leases: Context.get(context, Leases)
  }
  gathered.set(over, { below, engine })
  return engine
}

/** Contexts do not change, and most calls come from where the one before came from. */
const gathered = new WeakMap<
  Context.Context<never>,
  { readonly below: Context.Context<never>; readonly engine: Engine }
>()
