/**
 * The compositions that most applications start from.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Agent from "../services/Agent.js"
import type { Alarms } from "../services/Alarms.js"
import type { SessionStoreError } from "../services/Errors.js"
import type { Events } from "../services/Events.js"
import type { History } from "../services/History.js"
import type { Inbox } from "../services/Inbox.js"
import { Leases } from "../services/Leases.js"
import type { Model } from "../services/Model.js"
import type { Ongoing } from "../services/Ongoing.js"
import type { Recovery } from "../services/Recovery.js"
import { type Session, Sessions } from "../services/Session.js"
import type { SessionLock } from "../services/SessionLock.js"
import type { SessionStore } from "../services/SessionStore.js"
import type { TaskTool } from "../services/TaskTool.js"
import * as AlarmsLayer from "./Alarms.js"
import * as EventsLayer from "./Events.js"
import * as HistoryLayer from "./History.js"
import * as InboxLayer from "./Inbox.js"
import * as RecoveryLayer from "./Recovery.js"
import * as OngoingLayer from "./Ongoing.js"
import * as LockLayer from "./SessionLock.js"
import * as SessionStoreLayer from "./SessionStore.js"
import * as SessionsLayer from "./Sessions.js"
import * as TaskToolLayer from "./TaskTool.js"

/** What an engine gives: sessions, and the parts that they are made of. */
export type Services = Sessions | SessionLock | Events | History | TaskTool | Alarms | Inbox | Ongoing | Recovery

/** Sessions over whatever store and model are provided. */
export const layer: Layer.Layer<Services, never, Model | SessionStore> = SessionsLayer.layer.pipe(
  // Above what it writes by and the alarms: when the engine ends the lock ends what runs in it, which is recorded, and
  // they tell when to wait no longer.
  Layer.provideMerge(LockLayer.layer),
  Layer.provideMerge(Layer.mergeAll(HistoryLayer.layer, TaskToolLayer.layer, RecoveryLayer.layer)),
  Layer.provideMerge(Layer.mergeAll(EventsLayer.layer, AlarmsLayer.layer, InboxLayer.layer, OngoingLayer.layer))
)

/** Sessions in memory: they end with the program. */
export const layerMemory: Layer.Layer<Services | SessionStore | SessionStoreLayer.Memory, never, Model> =
  Layer.provideMerge(layer, SessionStoreLayer.layerMemory)

export interface RecoveryOptions {
  /**
   * Whether to look again as often as leases are renewed (`Leases.renewal`, every 3 s), until the layer ends: what a
   * process leaves that dies is then taken over within that time after its lease ran out. Default `true`. A process that
   * was killed and is started again at once finds its own sessions still leased: without watching they are left.
   */
  readonly watch?: boolean | undefined
}

/**
 * Goes on with what was left unfinished in the sessions of these agents, whoever began it and though nobody opens them:
 * see `Sessions.recover`. Fails where the store cannot tell what that is when the layer is built; what fails later is
 * told on the log. What it has begun belongs to the engine and ends with that.
 */
export const layerRecovery = <const Agents extends ReadonlyArray<Agent.Any>>(
  agents: Agents,
  { watch = true }: RecoveryOptions = {}
): Layer.Layer<never, SessionStoreError, Sessions | Agent.Requirements<Agents[number]>> =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const { renewal } = yield* Leases
      const said = new Set<string>()
      yield* begun(yield* sessions.recover(agents), said)
      if (!watch) return
      const look = Effect.flatMap(sessions.recover(agents), (recovered) => begun(recovered, said))
      const again = Effect.catchAll(look, (error) => Effect.logWarning(`Recovery was put off. ${error.message}`))
      yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Effect.sleep(renewal), again)))
    })
  )

/** Waits until it is known of each whether it goes on, and tells, once, of those that do not. */
const begun = (recovered: ReadonlyArray<Session>, said: Set<string>): Effect.Effect<void> =>
  Effect.forEach(
    recovered,
    ({ id, resumed }) =>
      resumed === undefined
        ? Effect.void
        : Effect.catchAll(resumed.started, ({ message }) => {
            const line = `Session "${id}" was left unfinished, and cannot be gone on with. ${message}`
            if (said.has(line)) return Effect.void
            said.add(line)
            return Effect.logWarning(line)
          }),
    { discard: true }
  )
