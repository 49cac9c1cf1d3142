/**
 * A session on a stage: every request is written down as lines that a person can read, and is answered by a function.
 */
import { Context, Deferred, Effect, type Fiber, identity, Layer } from "effect"
import { type Conversation, type Model, Script, SessionStore } from "effect-baton"
import { makeInbox } from "../../src/layers/Inbox.js"
import * as AlarmsLayer from "../../src/layers/Alarms.js"
import * as EventsLayer from "../../src/layers/Events.js"
import * as HistoryLayer from "../../src/layers/History.js"
import * as ModelLayer from "../../src/layers/Model.js"
import * as RecoveryLayer from "../../src/layers/Recovery.js"
import * as OngoingLayer from "../../src/layers/Ongoing.js"
import * as LockLayer from "../../src/layers/SessionLock.js"
import * as SessionsLayer from "../../src/layers/Sessions.js"
import * as TaskToolLayer from "../../src/layers/TaskTool.js"
import { defaults } from "../../src/services/Limits.js"
import { Inbox } from "../../src/services/Inbox.js"
import { SessionLock } from "../../src/services/SessionLock.js"

/** A place that an effect stops at until it is let through. */
export interface Gate {
  readonly stop: Effect.Effect<void>
  readonly reached: Effect.Effect<void>
  readonly open: Effect.Effect<void>
}

export const gate: Effect.Effect<Gate> = Effect.map(
  Effect.all([Deferred.make<void>(), Deferred.make<void>()]),
  ([reached, opened]) => ({
    stop: Effect.zipRight(Deferred.succeed(reached, undefined), Deferred.await(opened)),
    reached: Deferred.await(reached),
    open: Effect.asVoid(Deferred.succeed(opened, undefined))
  })
)

/** A message as a line: who says it, and what. */
export const lineOf = (message: Conversation.Message): string => {
  if (message.role === "tool") return `tool: ${message.results.map(({ text }) => text).join(" | ")}`
  const parts = message.content.map((part) =>
    part.type === "text" || part.type === "reasoning"
      ? part.text
      : part.type === "tool-call"
        ? `${part.name}()`
        : part.type
  )
  return `${message.role}: ${parts.join(" | ")}`
}

export const linesOf = (messages: ReadonlyArray<Conversation.Message>): ReadonlyArray<string> => messages.map(lineOf)

/** Lets everyone go on who can. */
export const settle: Effect.Effect<void> = Effect.asVoid(Effect.repeatN(Effect.yieldNow(), 200))

/** Forks and lets it get as far as it can. */
export const begin = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R> =>
  Effect.tap(Effect.fork(effect), () => settle)

type Parts = SessionLock | Inbox

/** An engine in memory whose lock and inbox show their insides; `watch` may put itself before them. */
export const openEngine = (
  model: Layer.Layer<Model.Model>,
  watch: (parts: Context.Context<Parts>) => Context.Context<Parts> = identity
) => {
  const inbox = makeInbox()
  const lock = LockLayer.makeLock(defaults)
  const parts = watch(Context.make(Inbox, inbox).pipe(Context.add(SessionLock, lock)))
  const layer = SessionsLayer.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(HistoryLayer.layer, TaskToolLayer.layer, RecoveryLayer.layer)),
    Layer.provideMerge(
      Layer.mergeAll(EventsLayer.layer, AlarmsLayer.layer, OngoingLayer.layer, Layer.succeedContext(parts))
    ),
    Layer.provideMerge(Layer.merge(SessionStore.layerMemory, model))
  )
  return { inbox, lock, layer }
}

/** What a request shows, and the how many-th it is, from 0. */
export type Play = (lines: ReadonlyArray<string>, n: number) => Script.Turn | string

export const stage = (play: Play) => {
  const requests: Array<ReadonlyArray<string>> = []
  const script = [
    Script.always(({ request }) => {
      requests.push(linesOf(request.messages))
      return play(requests.at(-1)!, requests.length - 1)
    })
  ]
  return { requests, ...openEngine(ModelLayer.layerScripted(script)) }
}
