/**
 * The frame of every operation: asks for the session, records the start, runs the body, records the end, gives the
 * session back.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import { Alarm } from "../services/Alarms.js"
import { explain } from "../services/Conversation.js"
import * as Draft from "../services/Draft.js"
import type { LockError, SessionNotFound, StoreError } from "../services/Errors.js"
import {
  type Failure,
  interrupted,
  type ModelRetry,
  type Notice,
  ofEntry,
  type TurnCompleted,
  type TurnFailed,
  type TurnStarted
} from "../services/Event.js"
import type { Journal } from "../services/History.js"
import type { OnBusy, OperationKind } from "../services/Operation.js"
import { cleanText } from "../services/Json.js"
import type { SessionRef } from "../services/Session.js"
import type { Lease } from "../services/SessionLock.js"
import { describe } from "../services/Tool.js"
import * as Usage from "../services/Usage.js"
import { type Engine, engineOf, type Needs } from "./engine.js"
import { operationSpan } from "./spans.js"

/** An operation that holds its session. */
export class Operation {
  readonly engine: Engine
  readonly ref: SessionRef<unknown>
  readonly lease: Lease
  readonly journal: Journal
  /** The id under which entries are written: that of the operation, or of the one that a task re-entered. */
  readonly id: string
  readonly clock: Clock.Clock
  /** The place of its first entry. */
  from = 0
  /** The reply that is streaming, or was and is not stored. */
  reply: { readonly said: string; readonly used: () => Usage.Usage } | undefined
  /** The fiber of the model that is asked, and how long it may take to end when it is interrupted. */
  asking:
    | {
        readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
        readonly grace: number
        /** Called when it was ended from outside, or given up. */
        readonly onEnd: () => void
      }
    | undefined
  /** How fibers of the operation are started. */
  runtime: Runtime.Runtime<never> = Runtime.defaultRuntime
  /** The turn that was begun last, and whether it has not ended. */
  private turn = 0
  private inTurn = false
  /** What was left behind and is being ended: it ends before the operation does. */
  readonly leaving = new Set<Fiber.RuntimeFiber<void>>()
  private alarm: Alarm | undefined

  constructor(
    engine: Engine,
    clock: Clock.Clock,
    ref: SessionRef<unknown>,
    lease: Lease,
    journal: Journal,
    id: string
  ) {
    this.engine = engine
    this.clock = clock
    this.ref = ref
    this.lease = lease
    this.journal = journal
    this.id = id
  }

  append(drafts: ReadonlyArray<Draft.Draft>): Effect.Effect<void, StoreError> {
    return this.engine.history.append(this.journal, this.id, drafts)
  }

  /** Stores a reply with what goes with it, and counts it as a turn. */
  keep(drafts: ReadonlyArray<Draft.Draft>): Effect.Effect<void, StoreError> {
    return this.engine.history.append(this.journal, this.id, drafts, undefined, this.count)
  }

  /** The reply is stored, or is about to be with the operation's end: what it used is that of a turn. */
  readonly count = (): void => {
    if (this.reply !== undefined) this.journal.turns = Usage.add(this.journal.turns, this.reply.used())
    this.drop()
  }

  /** The reply is none: nothing of it is kept. */
  drop(): void {
    this.reply = undefined
  }

  /** Begins a turn. */
  startTurn(model: string): void {
    this.turn++
    this.inTurn = true
    this.tell({ _tag: "TurnStarted", turn: this.turn, model })
  }

  /** Ends the turn, if it has not ended: with the operation's failure where there was one. */
  endTurn(error?: Failure): void {
    if (!this.inTurn) return
    this.inTurn = false
    const { turn } = this
    this.tell(error === undefined ? { _tag: "TurnCompleted", turn } : { _tag: "TurnFailed", turn, error })
  }

  /** Tells that the model failed and what is done about it. */
  retry(attempt: number, model: string, error: Failure, delay: number, next: string): void {
    this.tell({ _tag: "ModelRetry", turn: this.turn, attempt, model, error, delay, next })
  }

  notice(message: string): void {
    this.tell({ _tag: "Notice", message: cleanText(message) })
  }

  private tell(event: Untold): void {
    const { clock, engine, id, ref } = this
    if (!engine.events.heard(ref.id)) return
    engine.events.publish({ ...event, session: ref.id, at: clock.unsafeCurrentTimeMillis(), operationId: id })
  }

  /** Calls `then` at a time, in milliseconds since the epoch, in place of what was asked for before. */
  watch(time: number, then: () => void): void {
    if (this.alarm === undefined) this.alarm = new Alarm(then)
    else this.alarm.fire = then
    if (time === Number.POSITIVE_INFINITY) this.unwatch()
    else this.engine.alarms.set(this.clock, this.alarm, time)
  }

  /** Stores its end. The turn that is open is closed before. */
  appendEnd(drafts: ReadonlyArray<Draft.Draft>): Effect.Effect<void, StoreError> {
    const close = () => this.endTurn(turnError(drafts.at(-1)))
    return this.engine.history.append(this.journal, this.id, drafts, undefined, close)
  }

  /** Lets go of what it ran in, which whoever keeps a part of it would keep too. */
  release(): void {
    this.runtime = Runtime.defaultRuntime
  }

  /** Interrupts the fiber of the model that is asked, and calls `late` where it does not end within the grace. */
  endAsking(late: () => void): void {
    const { fiber, grace } = this.asking!
    fiber.unsafeInterruptAsFork(fiber.id())
    this.watch(this.clock.unsafeCurrentTimeMillis() + grace, late)
  }

  /** Nothing is called any more. */
  unwatch(): void {
    if (this.alarm !== undefined && this.alarm.due !== Number.POSITIVE_INFINITY) {
      this.engine.alarms.unset(this.clock, this.alarm)
    }
  }
}

type Live = TurnStarted | TurnCompleted | TurnFailed | ModelRetry | Notice
type WithoutBase<E> = E extends unknown ? Omit<E, "session" | "at" | "operationId"> : never
type Untold = WithoutBase<Live>

/** How a body ends well: its value, and entries to be stored with the end in one write. */
export interface Done<A> {
  /** Read when everything below the operation has ended. */
  readonly value: () => A
  readonly drafts: ReadonlyArray<Draft.Draft>
}

export interface OperationSpec<B = never> {
  readonly kind: OperationKind
  readonly onBusy?: OnBusy | undefined
  /** The lease that a task's child runs under. */
  readonly under?: Lease | undefined
  /** Asked when the session is held and nothing is written yet: what to do instead, if anything. */
  readonly instead?: (() => Effect.Effect<B> | undefined) | undefined
  /** Stored before the start in one write with it. */
  readonly before?: ((journal: Journal, operationId: string) => ReadonlyArray<Draft.Draft>) | undefined
  /** Stored after the start in one write with it. */
  readonly first?: ReadonlyArray<Draft.Draft> | undefined
}

/**
 * Runs an operation. A `task` that is admitted under a running operation of its own session is part of that one: it
 * writes no start and no end of its own.
 */
export const operation = <A, E, R, B = never>(
  ref: SessionRef<R>,
  spec: OperationSpec<B>,
  body: (operation: Operation) => Effect.Effect<Done<A>, E, R>
): Effect.Effect<A | B, E | LockError | SessionNotFound | StoreError, R | Needs> =>
  Effect.withFiberRuntime<A | B, E | LockError | SessionNotFound | StoreError, R | Needs>((caller) => {
    const engine = engineOf(caller, ref.context)
    const clock = Context.unsafeGet(caller.currentDefaultServices, Clock.Clock)
    const operationId = engine.ids.unsafeNext()
    return engine.lock.hold(
      { session: ref.id, kind: spec.kind, operationId, onBusy: spec.onBusy, under: spec.under, baseDepth: ref.depth },
      (lease): Effect.Effect<A | B, E | SessionNotFound | StoreError, R> => {
        const instead = spec.instead?.()
        if (instead !== undefined) return instead
        const outer = nested(lease) ? engine.history.current(ref.id) : undefined
        return outer === undefined
          ? operationSpan(
              caller,
              { kind: spec.kind, session: ref.id, agent: ref.agent.name, id: operationId },
              () => ref.journal!.usage(),
              framed(engine, clock, ref, spec, lease, body)
            )
          : within(new Operation(engine, clock, ref, lease, outer, outer.operationId), body)
      },
      {
        // What a body needs beyond the engine comes from the handle or the caller, and both are in there.
        context: engine.context as Context.Context<R | Needs>,
        onIdle: () => engine.events.publish({ _tag: "Idle", session: ref.id, at: clock.unsafeCurrentTimeMillis() })
      }
    )
  })

/** Whether a lease was admitted under another of its own session. */
const nested = (lease: Lease): boolean => {
  for (let at = lease.parent; at !== undefined; at = at.parent) if (at.session === lease.session) return true
  return false
}

const framed = <A, E, R>(
  engine: Engine,
  clock: Clock.Clock,
  ref: SessionRef<R>,
  spec: Pick<OperationSpec, "kind" | "before" | "first">,
  lease: Lease,
  body: (operation: Operation) => Effect.Effect<Done<A>, E, R>
): Effect.Effect<A, E | SessionNotFound | StoreError, R> => {
  // What goes before the start is owed once another operation was interrupted for it: it is written in any case.
  const begin = engine.history.begin(ref.id, ref.incarnation, ref.journal)
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(spec.before === undefined ? restore(begin) : begin, (journal) => {
      ref.journal = journal
      journal.start(lease.operationId)
      const running = new Operation(engine, clock, ref, lease, journal, lease.operationId)
      running.from = journal.nextSeq
      if (spec.kind === "prompt") engine.inbox.open(ref.incarnation, running.id)
      engine.history.enter(journal)
      const end = () => {
        running.unwatch()
        if (spec.kind === "prompt") engine.inbox.close(ref.incarnation)
        engine.history.end(ref.id)
      }
      const { before, first = [] } = spec
      const drafts = [...(before?.(journal, running.id) ?? []), Draft.operationStarted(spec.kind), ...first]
      return Effect.matchCauseEffect(running.append(drafts), {
        onFailure: (cause) => {
          end()
          return Effect.failCause(cause)
        },
        onSuccess: () =>
          Effect.matchCauseEffect(restore(started(running, body)), {
            onFailure: (cause) =>
              left(running, () => {
                end()
                return settleFailed(running, spec.kind, cause)
              }),
            onSuccess: (done) =>
              left(running, () => {
                end()
                return settleDone(running, spec.kind, done)
              })
          })
      })
    })
  )
}

/** Runs the body, with the fiber that does for the model of its other fibers. */
const started = <A, E, R>(
  running: Operation,
  body: (operation: Operation) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime<A, E, R>((fiber) => {
    running.runtime = Runtime.make({
      context: fiber.currentContext,
      runtimeFlags: Runtime.defaultRuntimeFlags,
      fiberRefs: fiber.getFiberRefs()
    })
    return body(running)
  })

/** Ends the model's fiber, waits for what was left behind, which has been interrupted, and goes on. */
const left = <A, E>(running: Operation, then: () => Effect.Effect<A, E>): Effect.Effect<A, E> => {
  const { asking, leaving } = running
  if (asking !== undefined) {
    const ended = Effect.async<void>((resume) => {
      const go = () => resume(Effect.void)
      asking.fiber.addObserver(go)
      running.endAsking(go)
    })
    return Effect.flatMap(ended, () => {
      asking.onEnd()
      running.asking = undefined
      return left(running, then)
    })
  }
  return leaving.size === 0
    ? then()
    : Effect.flatMap(
        Effect.forEach(leaving, (fiber) => fiber.await, { discard: true }),
        then
      )
}

/** Runs a body as a part of the operation that it re-entered. */
const within = <A, E, R>(
  running: Operation,
  body: (operation: Operation) => Effect.Effect<Done<A>, E, R>
): Effect.Effect<A, E | StoreError, R> =>
  Effect.flatMap(body(running), ({ drafts, value }) =>
    drafts.length === 0 ? Effect.sync(value) : Effect.map(running.append(drafts), value)
  )

/** Records the end in one write with what the body left to record. */
const settleDone = <A>(
  running: Operation,
  kind: OperationKind,
  { drafts, value }: Done<A>
): Effect.Effect<A, StoreError> => {
  // The last reply is among the drafts, or was stored before.
  running.count()
  return record(running, [...drafts, Draft.completed(kind, running.journal.usage())], Exit.succeed(value()))
}

const settleFailed = <E>(
  running: Operation,
  kind: OperationKind,
  cause: Cause.Cause<E>
): Effect.Effect<never, E | StoreError> => {
  const reply = cutReply(running, Cause.isInterrupted(cause))
  const usage = running.journal.usage()
  const by = running.lease.interruptedBy ?? "caller"
  const wasCut = Cause.isInterrupted(cause)
  const end = wasCut ? Draft.interrupted(kind, usage, by) : Draft.failed(kind, usage, failureOf(cause))
  const drafts = [...openCalls(running, wasCut), ...reply, end]
  return record(running, drafts, Exit.failCause(cause))
}

/** Ends for the calls that have none: the operation was cut while they were being written, or a write failed. */
const openCalls = ({ journal }: Operation, cut: boolean): ReadonlyArray<Draft.Draft> =>
  journal.conversation.unsettled().map(({ call: { id, name }, started }) => {
    const outcome = started ? (cut ? "interrupted" : "unknown") : "not-run"
    return Draft.toolSettled(id, name, outcome, explain(outcome), undefined)
  })

/** What had arrived of a reply that was interrupted is kept, marked; what it used counts either way. */
const cutReply = (running: Operation, keep: boolean): ReadonlyArray<Draft.Draft> => {
  const { journal, reply } = running
  if (reply === undefined) return []
  running.drop()
  const { said } = reply
  const usage = reply.used()
  if (!keep || said.trim() === "") {
    journal.retries = Usage.add(journal.retries, usage)
    return []
  }
  journal.turns = Usage.add(journal.turns, usage)
  const text = { type: "text" as const, text: cleanText(said) }
  return [Draft.assistant([text], journal.call?.model ?? "", "interrupted", usage, false)]
}

/** How a turn ended that the operation's end found open. */
const turnError = (end: Draft.Draft | undefined): Failure | undefined => {
  if (end?._tag !== "OperationSettled" || end.outcome === "completed") return undefined
  return end.outcome === "interrupted" ? interrupted : end.error
}

/** Stores the end, then gives the result. */
const record = <A, E>(
  running: Operation,
  drafts: ReadonlyArray<Draft.Draft>,
  result: Exit.Exit<A, E>
): Effect.Effect<A, E | StoreError> =>
  Effect.matchCauseEffect(running.appendEnd(drafts), {
    onSuccess: () => {
      running.release()
      return result
    },
    onFailure: (cause) => {
      tellUnstored(running, drafts)
      running.release()
      return Effect.failCause(cause)
    }
  })

/** Lets those who listen hear of ends that could not be stored: every start has its end. */
export const tellUnstored = (running: Operation, ends: ReadonlyArray<Draft.Draft>): void => {
  const { clock, engine, id, ref } = running
  for (const end of ends) {
    if (end._tag === "OperationSettled") running.endTurn(turnError(end))
    const event = ofEntry(ref.id, { ...end, at: clock.unsafeCurrentTimeMillis(), operationId: id })
    engine.events.publish("seq" in event ? { ...event, seq: undefined } : event)
  }
}

/** An error by its tag and its sentence, as entries and events carry it. Never throws. */
export const failureOf = (cause: Cause.Cause<unknown>): Failure => {
  const error = Cause.squash(cause)
  const message = cleanText(error instanceof Error ? error.message : describe(error))
  if (typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string") {
    return { tag: error._tag, message }
  }
  return { tag: "Defect", message }
}
