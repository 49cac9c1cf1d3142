/**
 * What the operations need, gathered once for each.
 */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import * as Clock from "effect/Clock"
import { Events } from "../services/Events.js"
import { History } from "../services/History.js"
import { Ids } from "../services/Ids.js"
import { Limits, type LimitValues } from "../services/Limits.js"
import { Model } from "../services/Model.js"
import { SessionLock } from "../services/SessionLock.js"
import { TaskTool } from "../services/TaskTool.js"

/** The services that every operation needs. */
export type Needs = SessionLock | History | Events | Model | TaskTool

export interface Engine {
  readonly context: Context.Context<Needs>
  readonly lock: Context.Tag.Service<SessionLock>
  readonly history: Context.Tag.Service<History>
  readonly events: Context.Tag.Service<Events>
  readonly model: Context.Tag.Service<Model>
  readonly taskTool: Context.Tag.Service<TaskTool>
  readonly limits: LimitValues
  readonly ids: Context.Tag.Service<Ids>
  readonly clock: Clock.Clock
}

/** The engine as a fiber sees it, with the services of a handle over its own. */
export const engineOf = (fiber: Fiber.RuntimeFiber<unknown, unknown>, over: Context.Context<never>): Engine => {
  const context = Context.merge(fiber.currentContext, over) as Context.Context<Needs>
  return {
    context,
    lock: Context.get(context, SessionLock),
    history: Context.get(context, History),
    events: Context.get(context, Events),
    model: Context.get(context, Model),
    taskTool: Context.get(context, TaskTool),
    limits: Context.get(context, Limits),
    ids: Context.get(context, Ids),
    clock: Context.unsafeGet(fiber.currentDefaultServices, Clock.Clock)
  }
}
