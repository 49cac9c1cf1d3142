/**
 * Sessions over a store, a history and a lock.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { Needs } from "../programs/engine.js"
import { prompt } from "../programs/prompt.js"
import { shell } from "../programs/shell.js"
import { task } from "../programs/task.js"
import { follow, replay } from "../programs/follow.js"
import type { Entry } from "../services/Entry.js"
import {
  type InvalidSessionId,
  type LockError,
  type SessionAlreadyExists,
  SessionNotFound,
  type SessionStoreError
} from "../services/Errors.js"
import type { Event } from "../services/Event.js"
import { Events } from "../services/Events.js"
import { History } from "../services/History.js"
import { Ids } from "../services/Ids.js"
import {
  type OpenOptions,
  type PromptInput,
  type PromptOptions,
  type Session,
  SessionRef,
  Sessions,
  type ShellOptions,
  type TaskOptions
} from "../services/Session.js"
import * as SessionId from "../services/SessionId.js"
import { SessionLock } from "../services/SessionLock.js"
import { type SessionRow, SessionStore } from "../services/SessionStore.js"
import type * as Tool from "../services/Tool.js"

export * from "../services/Session.js"

/** The sessions of an engine that is made of the services around it. */
export const layer: Layer.Layer<Sessions, never, Needs | SessionStore> = Layer.effect(
  Sessions,
  Effect.map(Effect.context<Needs | SessionStore>(), (context) => make(context))
)

const make = (engine: Context.Context<Needs | SessionStore>): Context.Tag.Service<Sessions> => {
  const store = Context.get(engine, SessionStore)
  const lock = Context.get(engine, SessionLock)
  const history = Context.get(engine, History)
  const events = Context.get(engine, Events)
  const ids = Context.get(engine, Ids)

  /** What a handle's operations see: what its tools need, taken from where it was opened, and the engine. */
  const contextOf = (opener: Context.Context<never>): Context.Context<never> => {
    if (opener !== lastOpener) {
      lastOpener = opener
      // The span of whoever opened the session is not the parent of what is done with it later.
      lastContext = Context.merge(withoutSpan(opener), engine)
    }
    return lastContext
  }
  let lastOpener: Context.Context<never> | undefined
  let lastContext: Context.Context<never> = engine

  const handle = <R>(row: SessionRow, { agent }: OpenOptions<R>): Effect.Effect<Session, never, R> =>
    Effect.withFiberRuntime<Session, never, R>((fiber) =>
      Effect.succeed(new Handle(new SessionRef(row, agent, contextOf(fiber.currentContext)), history, events))
    )

  const find = (id: string): Effect.Effect<SessionRow, SessionNotFound | SessionStoreError> =>
    Effect.flatMap(store.get(id), (row) =>
      row === undefined ? new SessionNotFound({ session: id }) : Effect.succeed(row)
    )

  const create = (options: OpenOptions<unknown>): Effect.Effect<SessionRow, SessionAlreadyExists | SessionStoreError> =>
    Effect.withFiberRuntime((fiber) => {
      const row: SessionRow = {
        id: options.id,
        incarnation: ids.unsafeNext(),
        owner: history.owner,
        epoch: 1,
        nextSeq: 1,
        agent: options.agent.name,
        cwd: options.cwd ?? ".",
        parent: null,
        depth: 0,
        createdAt: Context.unsafeGet(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis()
      }
      return Effect.as(store.create(row), row)
    })

  const getOrCreate = (options: OpenOptions<unknown>): Effect.Effect<SessionRow, SessionStoreError> =>
    Effect.flatMap(store.get(options.id), (row) =>
      row === undefined
        ? Effect.catchTag(create(options), "SessionAlreadyExists", () => getOrCreate(options))
        : Effect.succeed(row)
    )

  /** Holds a session and everything below it, so that no operation runs in any of them. */
  const holdTree = (row: SessionRow): Effect.Effect<ReadonlyArray<SessionRow>, LockError | SessionStoreError, Scope> =>
    Effect.gen(function* () {
      const rows: Array<SessionRow> = []
      for (const queue = [row]; queue.length > 0;) {
        const next = queue.shift()!
        yield* lock.acquire({ session: next.id, kind: "remove", operationId: ids.unsafeNext() })
        rows.push(next)
        queue.push(...(yield* store.list(next.id)))
      }
      return rows
    })

  return {
    open: (options) =>
      Effect.flatMap(checked(options.id), () => Effect.flatMap(getOrCreate(options), (row) => handle(row, options))),
    get: (options) =>
      Effect.flatMap(isChild(options.id) ? Effect.void : checked(options.id), () =>
        Effect.flatMap(find(options.id), (row) => handle(row, options))
      ),
    create: (options) =>
      Effect.flatMap(checked(options.id), () => Effect.flatMap(create(options), (row) => handle(row, options))),
    list: (parent) => store.list(parent),
    remove: (id) =>
      Effect.scoped(Effect.flatMap(find(id), (row) => Effect.flatMap(holdTree(row), (rows) => store.remove(rows)))),
    events: follow(events)
  }
}

type Scope = Effect.Effect.Context<ReturnType<Context.Tag.Service<SessionLock>["acquire"]>>

const withoutSpan = (context: Context.Context<never>): Context.Context<never> =>
  context.unsafeMap.has(Tracer.ParentSpan.key)
    ? (Context.omit(Tracer.ParentSpan)(context as Context.Context<Tracer.ParentSpan>) as Context.Context<never>)
    : context

const checked = (id: unknown): Effect.Effect<void, InvalidSessionId> =>
  Effect.suspend(() => SessionId.check(id) ?? Effect.void)

const isChild = (id: unknown): boolean => typeof id === "string" && id.startsWith(SessionId.childPrefix)

/** An open session. */
class Handle<R> implements Session {
  readonly id: string
  readonly agent: string
  readonly cwd: string

  constructor(
    private readonly ref: SessionRef<R>,
    private readonly past: Context.Tag.Service<History>,
    private readonly bus: Context.Tag.Service<Events>
  ) {
    this.id = ref.id
    this.agent = ref.agent.name
    this.cwd = ref.cwd
  }

  prompt<const Tools extends ReadonlyArray<Tool.Any> = []>(input: PromptInput, options?: PromptOptions<Tools>) {
    return met(prompt(this.ref, input, options))
  }

  task<const Tools extends ReadonlyArray<Tool.Any> = []>(input: PromptInput, options?: TaskOptions<Tools>) {
    return met(task(this.ref, input, options))
  }

  shell(command: string, options?: ShellOptions) {
    return met(shell(this.ref, command, options))
  }

  get history(): Effect.Effect<ReadonlyArray<Entry>, SessionNotFound | SessionStoreError> {
    return this.past.read(this.id)
  }

  get events(): Stream.Stream<Event> {
    return follow(this.bus, this.id)
  }

  replay(after = 0): Stream.Stream<Event, SessionNotFound | SessionStoreError> {
    return replay(this.bus, this.past, this.id, after)
  }
}

/** The handle's context brings the engine and what the agent's tools need. */
const met = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, never> =>
  effect as Effect.Effect<A, E, never>
