/**
 * Opening, finding, creating and removing sessions.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type * as Agent from "../services/Agent.js"
import {
  type InvalidSessionId,
  type LockError,
  type SessionAlreadyExists,
  type SessionBusy,
  SessionNotFound,
  type SessionStoreError
} from "../services/Errors.js"
import { type AgentProblem, type OpenOptions, SessionRef } from "../services/Session.js"
import { Journal } from "../services/History.js"
import type { Removed } from "../services/Retention.js"
import { cleanText } from "../services/Json.js"
import * as SessionId from "../services/SessionId.js"
import type { NewSession, SessionRow } from "../services/SessionStore.js"
import { agentProblem } from "./agentProblem.js"
import { type Engine, engineOf, type Needs } from "./engine.js"
import { busyElsewhere } from "./operation.js"
import { deliver } from "./submit.js"

/**
 * Gets the session or creates it. What the agent's tools need is taken from where this is run, and from `over`.
 */
export const open = <R>(
  options: OpenOptions<R>,
  over?: Context.Context<never>
): Effect.Effect<SessionRef<R>, AgentProblem | InvalidSessionId | SessionStoreError, R | Needs> =>
  withEngine(over, (engine, clock) =>
    checked(options, () => refTo(engine, options, getOrCreate(engine, clock, options)))
  )

/** Gets a session that exists; a child session too. */
export const get = <R>(
  options: OpenOptions<R>,
  over?: Context.Context<never>
): Effect.Effect<SessionRef<R>, AgentProblem | InvalidSessionId | SessionNotFound | SessionStoreError, R | Needs> =>
  withEngine(over, (engine) =>
    isChild(options.id)
      ? checkedAgent(options, () => refTo(engine, options, find(engine, options.id)))
      : checked(options, () => refTo(engine, options, find(engine, options.id)))
  )

/** Creates a session that does not exist. */
export const create = <R>(
  options: OpenOptions<R>,
  over?: Context.Context<never>
): Effect.Effect<
  SessionRef<R>,
  AgentProblem | InvalidSessionId | SessionAlreadyExists | SessionStoreError,
  R | Needs
> => withEngine(over, (engine, clock) => checked(options, () => refTo(engine, options, make(engine, clock, options))))

/** Every session that an application opened, oldest first; or the children of one. */
export const list = (
  parent?: string,
  over?: Context.Context<never>
): Effect.Effect<ReadonlyArray<SessionRow>, SessionStoreError, Needs> =>
  withEngine(over, (engine) =>
    parent === undefined || SessionId.isId(parent) ? engine.store.list(parent) : Effect.succeed([])
  )

/**
 * Opens every session in which something was left to do and whose agent is among these, by its name, so that it is done:
 * what was left unfinished is resumed, and what was acknowledged is run. Gives those sessions. What an engine that is
 * alive is at is left to it, and a child whose parent is unfinished to its parent. Sessions of other agents are told on
 * the log as a warning, unless they are in `told`, and are added to it.
 */
export const recover = <const Agents extends ReadonlyArray<Agent.Any>>(
  agents: Agents,
  over?: Context.Context<never>,
  told: Set<string> = new Set()
): Effect.Effect<
  ReadonlyArray<SessionRef<Agent.Requirements<Agents[number]>>>,
  SessionStoreError,
  Agent.Requirements<Agents[number]> | Needs
> =>
  withEngine(over, (engine) =>
    Effect.flatMap(engine.store.unsettled, (rows) => {
      const known = new Map(agents.map((agent) => [cleanText(agent.name), agent]))
      const unfinished = new Set(rows.flatMap(({ id, running }) => (running === null ? [] : [id])))
      const refs: Array<SessionRef<Agent.Requirements<Agents[number]>>> = []
      const strange: Array<SessionRow> = []
      for (const row of rows) {
        if (isElsewhere(engine, row) || engine.history.current(row.id) !== undefined) continue
        if (row.parent !== null && unfinished.has(row.parent)) continue
        const agent = known.get(row.agent)
        if (agent !== undefined) refs.push(refOf(engine, agent as Agent.Agent<Agent.Requirements<Agents[number]>>, row))
        else if (!told.has(row.incarnation)) strange.push(row)
      }
      for (const { incarnation } of strange) told.add(incarnation)
      const tell = ({ agent, id }: SessionRow) =>
        Effect.logWarning(
          `Session "${id}" was left unfinished by agent "${agent}", which is not known here: it is left.`
        )
      return Effect.as(Effect.forEach(strange, tell, { discard: true }), refs)
    })
  )

/**
 * Removes a session with all its child sessions, for good, and tells what was removed. Refused while an operation holds
 * one of them; holds all of them itself until they are gone.
 */
export const remove = (
  id: string,
  over?: Context.Context<never>
): Effect.Effect<Removed, SessionNotFound | LockError | SessionStoreError, Needs> =>
  withEngine(over, (engine) =>
    Effect.scoped(
      Effect.flatMap(find(engine, id), (row) =>
        Effect.flatMap(holdTree(engine, row), (rows) => removeHeld(engine, rows))
      )
    )
  )

/** Removes sessions that are held. */
export const removeHeld = (
  engine: Engine,
  rows: ReadonlyArray<SessionRow>
): Effect.Effect<Removed, SessionBusy | SessionStoreError> =>
  Effect.map(
    Effect.catchTag(engine.store.remove(rows, engine.history.owner), "SessionOwned", (error) =>
      busyElsewhere(error, "remove")
    ),
    ({ bytes, entries, sessions }) => {
      for (const { incarnation } of rows) forget(engine, incarnation)
      // In the order of the tree, whatever order the store removed them in.
      const gone = new Set(sessions.map(({ incarnation }) => incarnation))
      return { sessions: rows.flatMap(({ id, incarnation }) => (gone.has(incarnation) ? [id] : [])), entries, bytes }
    }
  )

// -------------------------------------------------------------------- parts

const withEngine = <A, E, R>(
  over: Context.Context<never> = Context.empty(),
  use: (engine: Engine, clock: Clock.Clock) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | Needs> =>
  Effect.withFiberRuntime<A, E, R | Needs>((fiber) =>
    use(engineOf(fiber, over), Context.unsafeGet(fiber.currentDefaultServices, Clock.Clock))
  )

const checked = <A, E, R>(
  options: OpenOptions<unknown>,
  then: () => Effect.Effect<A, E, R>
): Effect.Effect<A, E | AgentProblem | InvalidSessionId, R> =>
  SessionId.check(options.id) ?? checkedAgent(options, then)

const checkedAgent = <A, E, R>(
  { agent }: OpenOptions<unknown>,
  then: () => Effect.Effect<A, E, R>
): Effect.Effect<A, E | AgentProblem, R> => agentProblem(agent) ?? then()

const isChild = (id: unknown): boolean => typeof id === "string" && id.startsWith(SessionId.childPrefix)

const refTo = <R, E>(
  engine: Engine,
  { agent }: OpenOptions<R>,
  row: Effect.Effect<SessionRow | NewSession, E>
): Effect.Effect<SessionRef<R>, E | SessionStoreError, R> =>
  Effect.flatMap(row, (it) =>
    "running" in it && it.running !== null && it.parent !== null
      ? // A child is gone on with by its parent, if that is unfinished too.
        Effect.map(engine.store.get(it.parent), (parent) =>
          refOf(engine, agent, parent?.running == null ? it : { ...it, running: null })
        )
      : Effect.succeed(refOf(engine, agent, it))
  )

/**
 * The handle of a session. What was acknowledged in it is run, and what was left unfinished is resumed, unless somebody
 * is at it: here, or in an engine that is alive.
 */
const refOf = <R>(engine: Engine, agent: Agent.Agent<R>, row: SessionRow | NewSession): SessionRef<R> => {
  const ref = new SessionRef(row, agent, kept(engine.context))
  if (!("running" in row)) {
    ref.journal = Journal.ofNew(row)
    return ref
  }
  const { inbox, running } = row
  if (running !== null && !isElsewhere(engine, row) && engine.history.current(row.id) === undefined) {
    ref.resumed = engine.recovery.resume(ref, running)
  }
  if (inbox > 0) deliver(engine, ref)
  return ref
}

const isElsewhere = ({ history }: Engine, { leased, owner }: SessionRow): boolean => leased && owner !== history.owner

/** A handle's context: the span of whoever opened the session is not the parent of what is done with it later. */
export const kept = (context: Context.Context<never>): Context.Context<never> => {
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
  SessionId.isId(id)
    ? Effect.flatMap(store.get(id), (row) =>
        row === undefined ? new SessionNotFound({ session: SessionId.told(id) }) : Effect.succeed(row)
      )
    : new SessionNotFound({ session: SessionId.told(id) })

const newRow = ({ ids }: Engine, clock: Clock.Clock, options: OpenOptions<unknown>): NewSession => ({
  id: options.id,
  incarnation: ids.unsafeNext(),
  agent: cleanText(options.agent.name),
  cwd: cleanText(options.cwd ?? "."),
  parent: null,
  depth: 0,
  createdAt: clock.unsafeCurrentTimeMillis(),
  origin: null
})

const make = (
  engine: Engine,
  clock: Clock.Clock,
  options: OpenOptions<unknown>
): Effect.Effect<NewSession, SessionAlreadyExists | SessionStoreError> => {
  const row = newRow(engine, clock, options)
  return Effect.as(engine.store.create(row), row)
}

const getOrCreate = (
  engine: Engine,
  clock: Clock.Clock,
  options: OpenOptions<unknown>
): Effect.Effect<SessionRow | NewSession, SessionStoreError> =>
  Effect.flatMap(engine.store.get(options.id), (row): Effect.Effect<SessionRow | NewSession, SessionStoreError> => {
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
export const holdTree = (
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
