/**
 * Opening, finding, creating and removing sessions.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import {
  type InvalidSessionId,
  type LockError,
  type SessionAlreadyExists,
  SessionNotFound,
  type SessionStoreError
} from "../services/Errors.js"
import { type OpenOptions, SessionRef } from "../services/Session.js"
import * as SessionId from "../services/SessionId.js"
import type { SessionRow } from "../services/SessionStore.js"
import { type Engine, engineOf, type Needs } from "./engine.js"

/**
 * Gets the session or creates it. What the agent's tools need is taken from where this is run, and from `over`.
 */
export const open = <R>(
  options: OpenOptions<R>,
  over?: Context.Context<never>
): Effect.Effect<SessionRef<R>, InvalidSessionId | SessionStoreError, R | Needs> =>
  withEngine(over, (engine, clock) =>
    checked(options.id, () => refTo(engine, options, getOrCreate(engine, clock, options)))
  )

/** Gets a session that exists; a child session too. */
export const get = <R>(
  options: OpenOptions<R>,
  over?: Context.Context<never>
): Effect.Effect<SessionRef<R>, InvalidSessionId | SessionNotFound | SessionStoreError, R | Needs> =>
  withEngine(over, (engine) =>
    isChild(options.id)
      ? refTo(engine, options, find(engine, options.id))
      : checked(options.id, () => refTo(engine, options, find(engine, options.id)))
  )

/** Creates a session that does not exist. */
export const create = <R>(
  options: OpenOptions<R>,
  over?: Context.Context<never>
): Effect.Effect<SessionRef<R>, InvalidSessionId | SessionAlreadyExists | SessionStoreError, R | Needs> =>
  withEngine(over, (engine, clock) => checked(options.id, () => refTo(engine, options, make(engine, clock, options))))

/** Every session that an application opened, oldest first; or the children of one. */
export const list = (
  parent?: string,
  over?: Context.Context<never>
): Effect.Effect<ReadonlyArray<SessionRow>, SessionStoreError, Needs> =>
  withEngine(over, (engine) => engine.store.list(parent))

/**
 * Removes a session with all its child sessions, for good. Refused while an operation holds one of them; holds all of
 * them itself until they are gone.
 */
export const remove = (
  id: string,
  over?: Context.Context<never>
): Effect.Effect<void, SessionNotFound | LockError | SessionStoreError, Needs> =>
  withEngine(over, (engine) =>
    Effect.scoped(
      Effect.flatMap(find(engine, id), (row) =>
        Effect.flatMap(holdTree(engine, row), (rows) =>
          Effect.map(engine.store.remove(rows), () => {
            for (const { incarnation } of rows) forget(engine, incarnation)
          })
        )
      )
    )
  )

// -------------------------------------------------------------------- parts

const withEngine = <A, E, R>(
  over: Context.Context<never> = Context.empty(),
  use: (engine: Engine, clock: Clock.Clock) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | Needs> =>
  Effect.withFiberRuntime<A, E, R | Needs>((fiber) =>
    use(engineOf(fiber, over), Context.unsafeGet(fiber.currentDefaultServices, Clock.Clock))
  )

const checked = <A, E, R>(id: unknown, then: () => Effect.Effect<A, E, R>): Effect.Effect<A, E | InvalidSessionId, R> =>
  SessionId.check(id) ?? then()

const isChild = (id: unknown): boolean => typeof id === "string" && id.startsWith(SessionId.childPrefix)

const refTo = <R, E>(
  engine: Engine,
  { agent }: OpenOptions<R>,
  row: Effect.Effect<SessionRow, E>
): Effect.Effect<SessionRef<R>, E, R> => Effect.map(row, (it) => new SessionRef(it, agent, kept(engine.context)))

/** A handle's context: the span of whoever opened the session is not the parent of what is done with it later. */
const kept = (context: Context.Context<never>): Context.Context<never> => {
  if (!context.unsafeMap.has(Tracer.ParentSpan.key)) return context
  let without = spanless.get(context)
  if (without === undefined) {
    without = Context.omit(Tracer.ParentSpan)(context as Context.Context<Tracer.ParentSpan>)
    spanless.set(context, without)
  }
  return without
}

const spanless = new WeakMap<Context.Context<never>, Context.Context<never>>()

const find = ({ store }: Engine, id: string): Effect.Effect<SessionRow, SessionNotFound | SessionStoreError> =>
  Effect.flatMap(store.get(id), (row) =>
    row === undefined ? new SessionNotFound({ session: id }) : Effect.succeed(row)
  )

const newRow = ({ history, ids }: Engine, clock: Clock.Clock, options: OpenOptions<unknown>): SessionRow => ({
  id: options.id,
  incarnation: ids.unsafeNext(),
  owner: history.owner,
  epoch: 1,
  nextSeq: 1,
  agent: options.agent.name,
  cwd: options.cwd ?? ".",
  parent: null,
  depth: 0,
  createdAt: clock.unsafeCurrentTimeMillis()
})

const make = (
  engine: Engine,
  clock: Clock.Clock,
  options: OpenOptions<unknown>
): Effect.Effect<SessionRow, SessionAlreadyExists | SessionStoreError> => {
  const row = newRow(engine, clock, options)
  return Effect.as(engine.store.create(row), row)
}

const getOrCreate = (
  engine: Engine,
  clock: Clock.Clock,
  options: OpenOptions<unknown>
): Effect.Effect<SessionRow, SessionStoreError> =>
  Effect.flatMap(engine.store.get(options.id), (row) => {
    if (row !== undefined) return Effect.succeed(row)
    const made = newRow(engine, clock, options)
    return Effect.matchEffect(engine.store.create(made), {
      onSuccess: () => Effect.succeed(made),
      onFailure: (error) =>
        // Another call was quicker by a step.
        error._tag === "SessionAlreadyExists" ? getOrCreate(engine, clock, options) : Effect.fail(error)
    })
  })

/** Drops what was promised to a session that is gone; who still waits takes their own back. */
const forget = ({ inbox }: Engine, incarnation: string): void => {
  if (!inbox.waits(incarnation)) return
  const inputs = inbox.take(incarnation, "all")
  inbox.giveBack(
    incarnation,
    inputs.filter((it) => !it.promised)
  )
}

/** Holds a session and everything below it, so that no operation runs in any of them. */
const holdTree = (
  { ids, lock, store }: Engine,
  root: SessionRow
): Effect.Effect<ReadonlyArray<SessionRow>, LockError | SessionStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const rows: Array<SessionRow> = []
    for (const queue = [root]; queue.length > 0;) {
      const next = queue.shift()!
      yield* lock.acquire({ session: next.id, kind: "remove", operationId: ids.unsafeNext() })
      rows.push(next)
      queue.push(...(yield* store.list(next.id)))
    }
    return rows
  })
