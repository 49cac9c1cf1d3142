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
import type { Request } from "../services/Entry.js"
import {
  type LockError,
  RecoveryExhausted,
  SessionBusy,
  type SessionNotFound,
  SessionOwned,
  StaleLease,
  type StoreError,
  TaskDepthExceeded
} from "../services/Errors.js"
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
import { brief, clean, cleanText, maxSize } from "../services/Json.js"
import type { HoldKind, OnBusy, OperationKind } from "../services/Operation.js"
import type { SessionRef } from "../services/Session.js"
import type { Running } from "../services/Operation.js"
import type { Lease } from "../services/SessionLock.js"
import { describe } from "../services/Tool.js"
import * as Usage from "../services/Usage.js"
import { type Engine, engineOf, type Needs } from "./engine.js"
import { Past } from "./Past.js"
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
  /** The digest of its input, where its caller gave it its id. */
  key: string | undefined
  /** The turn that was begun last, and whether it has not ended. */
  turn = 0
  private inTurn = false
  /** What was left behind and is being ended: it ends before the operation does. */
  readonly leaving = new Set<Fiber.RuntimeFiber<void>>()
  private alarm: Alarm | undefined
  /** When what had arrived of a reply was stored last, whether any of it is, and whether that is being stored. */
  private partialAt = Number.NEGATIVE_INFINITY
  private partialKept = false
  private partialStoring = false

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
    return this.engine.history.append(this.journal, this.id, drafts, { onStored: this.count })
  }

  /** The reply is stored, or is about to be with the operation's end: what it used is that of a turn. */
  readonly count = (): void => {
    // It was stored with the reply's own entry.
    this.partialKept = false
    if (this.reply !== undefined) this.journal.turns = Usage.add(this.journal.turns, this.reply.used())
    this.drop()
  }

  /** The reply is none: nothing of it is kept. */
  drop(): void {
    this.reply = undefined
    if (this.partialKept) this.storePartial("")
  }

  /** A reply begins to stream. */
  startPartial(): void {
    this.partialAt = this.clock.unsafeCurrentTimeMillis()
  }

  /** Stores what has arrived of the reply, now and then: that much survives the process. */
  keepPartial(said: string): void {
    const now = this.clock.unsafeCurrentTimeMillis()
    if (this.partialStoring || now - this.partialAt < partialEvery) return
    this.partialAt = now
    this.storePartial(said)
  }

  private storePartial(said: string): void {
    const { engine, id, journal } = this
    this.partialKept = said !== ""
    this.partialStoring = true
    const append = engine.history.append(journal, id, [], { partial: cleanText(said) })
    // What is wrong with the store will be told by the write that stores the reply.
    const fiber = Runtime.runFork(this.runtime, Effect.ignore(append))
    this.leaving.add(fiber)
    fiber.addObserver(() => {
      this.partialStoring = false
      this.leaving.delete(fiber)
    })
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
    const onStored = () => this.endTurn(turnError(drafts.at(-1)))
    return this.engine.history.append(this.journal, this.id, drafts, { onStored })
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

/** How often what has arrived of a reply is stored, in milliseconds: so much of it may be lost with the process. */
const partialEvery = 1_000

type Live = TurnStarted | TurnCompleted | TurnFailed | ModelRetry | Notice
type WithoutBase<E> = E extends unknown ? Omit<E, "session" | "at" | "operationId"> : never
type Untold = WithoutBase<Live>

/** How a body ends well: its value, and entries to be stored with the end in one write. */
export interface Done<A> {
  /** Read when everything below the operation has ended. */
  readonly value: () => A
  readonly drafts: ReadonlyArray<Draft.Draft>
  /** What is recorded with the end of an operation whose caller gave it its id. */
  readonly recorded?: unknown
}

/** An operation's id as its caller gave it, and a digest of its input. */
export interface Named {
  readonly id: string
  readonly key: string
  /** How far this engine knew the history to go when it was looked for. */
  seen?: number | undefined
}

export interface OperationSpec<B = never> {
  readonly kind: OperationKind
  readonly onBusy?: OnBusy | undefined
  /** The lease that a task's child runs under. */
  readonly under?: Lease | undefined
  /** Its id and a digest of its input, where the caller gave it the id. */
  readonly named?: Named | undefined
  /** Recorded with the start: what is needed to go on with it elsewhere, besides its first entries. */
  readonly request?: Request | undefined
  /** Asked when the session is held and nothing is written yet: what to do instead, if anything. */
  readonly instead?: (() => Effect.Effect<B> | undefined) | undefined
  /** Called when it has to ask for the session once more, because what was left unfinished there is resumed first. */
  readonly again?: (() => void) | undefined
  /** Stored before the start in one write with it. */
  readonly before?: ((journal: Journal, operationId: string) => ReadonlyArray<Draft.Draft>) | undefined
  /** Stored after the start in one write with it. */
  readonly first?: ReadonlyArray<Draft.Draft> | undefined
  /** Inputs of the store's inbox that `first` delivers, by their ids. */
  readonly delivered?: ReadonlyArray<string> | undefined
}

/** What an operation can meet before its body is run. */
type FrameError = LockError | SessionNotFound | StoreError

/**
 * Runs an operation. A `task` that is admitted under a running operation of its own session is part of that one: it
 * writes no start and no end of its own. What another engine left unfinished in the session is resumed before it.
 */
export const operation = <A, E, R, B = never>(
  ref: SessionRef<R>,
  spec: OperationSpec<B>,
  body: (operation: Operation) => Effect.Effect<Done<A>, E, R>
): Effect.Effect<A | B, E | FrameError, R | Needs> =>
  Effect.withFiberRuntime<A | B, E | FrameError, R | Needs>((caller) => {
    const engine = engineOf(caller, ref.context)
    const clock = Context.unsafeGet(caller.currentDefaultServices, Clock.Clock)
    const operationId = spec.named?.id ?? engine.ids.unsafeNext()
    const asked = clock.unsafeCurrentTimeMillis()
    const held = engine.lock.hold(
      { session: ref.id, kind: spec.kind, operationId, onBusy: spec.onBusy, under: spec.under, baseDepth: ref.depth },
      (lease): Effect.Effect<A | B | Unfinished | RanBefore, E | FrameError, R> => {
        const instead = spec.instead?.()
        if (instead !== undefined) return instead
        const outer = nested(lease) ? engine.history.current(ref.id) : undefined
        if (outer !== undefined) return within(new Operation(engine, clock, ref, lease, outer, outer.operationId), body)
        const usage = () => ref.journal!.usage()
        const span = { kind: spec.kind, session: ref.id, agent: ref.agent.name, id: operationId }
        return operationSpan(caller, span, usage, framed(engine, clock, ref, spec, asked, lease, body))
      },
      {
        // What a body needs beyond the engine comes from the handle or the caller, and both are in there.
        context: engine.context as Context.Context<R | Needs>,
        onIdle: () => engine.events.publish({ _tag: "Idle", session: ref.id, at: clock.unsafeCurrentTimeMillis() })
      }
    )
    return Effect.flatMap(held, (result) => {
      if (result !== unfinished) return Effect.succeed(result as A | B)
      spec.again?.()
      // Others in line find the same and would be in its way by turns: it stands in line with them.
      const { started } = engine.recovery.resume(ref as SessionRef<unknown>, ref.journal!.running!, "wait")
      return Effect.flatMap(started, () => {
        const onBusy = leftOf(spec.onBusy, clock.unsafeCurrentTimeMillis() - asked)
        return operation(ref, { ...spec, onBusy }, body)
      })
    })
  })

/** A policy, of whose time some has passed. */
const leftOf = (onBusy: OnBusy | undefined, passed: number): OnBusy | undefined =>
  typeof onBusy === "object" && onBusy.timeout !== undefined
    ? { ...onBusy, timeout: Math.max(0, onBusy.timeout - passed) }
    : onBusy

/** Another operation is unfinished in the session, and nobody runs it. */
const unfinished = Symbol("baton/operation/unfinished")
type Unfinished = typeof unfinished

/** What an operation gives in place of its value that was found to have been run before, under the same id. */
export const ranBefore = Symbol("baton/operation/ranBefore")
type RanBefore = typeof ranBefore

/** Whether a lease was admitted under another of its own session. */
const nested = (lease: Lease): boolean => {
  for (let at = lease.parent; at !== undefined; at = at.parent) if (at.session === lease.session) return true
  return false
}

const framed = <A, E, R>(
  engine: Engine,
  clock: Clock.Clock,
  ref: SessionRef<R>,
  spec: OperationSpec<unknown>,
  asked: number,
  lease: Lease,
  body: (operation: Operation) => Effect.Effect<Done<A>, E, R>
): Effect.Effect<A | Unfinished | RanBefore, E | FrameError, R> => {
  const { before, first = [], kind, named, onBusy, request } = spec
  // What goes before the start is owed once another operation was interrupted for it: it is written in any case.
  const begin = () => engine.history.begin(ref.id, ref.incarnation, ref.journal)
  return Effect.uninterruptibleMask((restore) => {
    type Ended = Effect.Effect<A | Unfinished | RanBefore, E | FrameError, R>
    const start = (pause: number): Ended =>
      Effect.matchCauseEffect(before === undefined ? restore(begin()) : begin(), {
        onFailure: (cause) => wait(cause, pause),
        onSuccess: (journal) => {
          ref.journal = journal
          if (journal.running !== null) return Effect.succeed(unfinished)
          // Where the history is as it was when the id was looked for, that still holds: the start is refused otherwise.
          if (named === undefined || named.seen === journal.nextSeq) return begun(journal, pause)
          const ran = wasRun(engine, ref, named)
          return Effect.flatMap(before === undefined ? restore(ran) : ran, (isRun) =>
            isRun ? Effect.succeed(ranBefore) : begun(journal, pause)
          )
        }
      })
    const begun = (journal: Journal, pause: number): Ended => {
      journal.start(lease.operationId)
      const running = new Operation(engine, clock, ref, lease, journal, lease.operationId)
      running.key = named?.key
      running.from = journal.nextSeq
      const end = enter(running, kind)
      const drafts = [
        ...(before?.(journal, running.id) ?? []),
        Draft.operationStarted(kind, named?.key, request),
        ...first
      ]
      const options = spec.delivered === undefined ? undefined : { delivered: spec.delivered }
      return Effect.matchCauseEffect(engine.history.start(journal, running.id, drafts, options), {
        onFailure: (cause) => {
          end()
          return wait(cause, pause)
        },
        onSuccess: () => bodied(running, kind, end, restore, body)
      })
    }
    /** Another engine holds the session, or was quicker by a step: looks again after a while, where the policy waits. */
    const wait = (cause: Cause.Cause<SessionNotFound | SessionOwned | StoreError>, pause: number): Ended => {
      if (cause._tag !== "Fail") return Effect.failCause(cause as Cause.Cause<FrameError>)
      const { error } = cause
      if (error._tag === "StaleLease" && error.reason !== "delivered") return start(pause)
      if (error._tag !== "SessionOwned") return Effect.fail(error)
      const until = waitsUntil(onBusy, asked)
      const now = clock.unsafeCurrentTimeMillis()
      if (until <= now) return busyElsewhere(error, kind)
      return Effect.zipRight(
        restore(Effect.sleep(Math.min(pause, until - now))),
        Effect.suspend(() => start(Math.min(pause * 1.5, engine.leases.poll)))
      )
    }
    return start(firstPause)
  })
}

/** Whether an operation was run meanwhile under its id, by another engine: one that was interrupted runs again. */
const wasRun = ({ store }: Engine, ref: SessionRef<unknown>, { id }: Named): Effect.Effect<boolean, StoreError> =>
  Effect.map(
    store.operation(ref.id, ref.incarnation, id),
    ([first, ...rest]) =>
      first !== undefined && (first._tag === "User" || new Past([first, ...rest]).end?.outcome !== "interrupted")
  )

/** The pause before the second look at a session that another engine holds, in milliseconds. */
const firstPause = 20

/** Until when a policy waits, in milliseconds since the epoch. */
const waitsUntil = (onBusy: OnBusy | undefined, asked: number): number => {
  if (onBusy === "wait") return Number.POSITIVE_INFINITY
  return typeof onBusy === "object" ? asked + (onBusy.timeout ?? Number.POSITIVE_INFINITY) : Number.NEGATIVE_INFINITY
}

/** The refusal of a session that another engine holds. */
export const busyElsewhere = ({ owner, running, session }: SessionOwned, requested: HoldKind): SessionBusy =>
  new SessionBusy({
    session,
    requested,
    running: running?.kind ?? "prompt",
    operationId: running?.operationId ?? "",
    since: running?.since ?? 0,
    owner
  })

/** Makes an operation the one that its session knows; what it gives takes that back. */
const enter = (running: Operation, kind: OperationKind): (() => void) => {
  const { clock, engine, journal, lease, ref } = running
  if (kind === "prompt") engine.inbox.open(ref.incarnation, running.id)
  engine.history.enter(journal, clock, () => engine.lock.stop(lease))
  return () => {
    running.unwatch()
    if (kind === "prompt") engine.inbox.close(ref.incarnation)
    engine.history.end(ref.id)
  }
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Runs the body of an operation whose start is stored, and records its end. */
const bodied = <A, E, R>(
  running: Operation,
  kind: OperationKind,
  end: () => void,
  restore: Restore,
  body: (operation: Operation) => Effect.Effect<Done<A>, E, R>
): Effect.Effect<A, E | StoreError, R> =>
  Effect.matchCauseEffect(restore(started(running, body)), {
    onFailure: (cause) =>
      left(running, () => {
        end()
        return settleFailed(running, kind, cause)
      }),
    onSuccess: (done) =>
      left(running, () => {
        end()
        return settleDone(running, kind, done)
      })
  })

/** How a resumed operation is run. */
export interface ResumeSpec extends Pick<Running, "kind" | "operationId"> {
  /** The lease that a task's child runs under. */
  readonly under?: Lease | undefined
  /** What it does where somebody holds the session; default `reject`. */
  readonly onBusy?: "wait" | undefined
  /** Called when it is recorded that it goes on. */
  readonly onStarted?: (() => void) | undefined
}

/**
 * Goes on with the operation that was left unfinished in a session, as a part of what is recorded of it. Ends at once
 * where there is none any more; fails with `SessionBusy` where somebody holds the session. `body` is told what it had
 * done.
 */
export const resumed = <A, E, R>(
  ref: SessionRef<R>,
  spec: ResumeSpec,
  body: (operation: Operation, past: Past) => Effect.Effect<Done<A>, E, R>
): Effect.Effect<A | undefined, E | FrameError | RecoveryExhausted, R | Needs> =>
  Effect.withFiberRuntime((caller) => {
    const engine = engineOf(caller, ref.context)
    const clock = Context.unsafeGet(caller.currentDefaultServices, Clock.Clock)
    const { kind, onBusy, operationId, under } = spec
    const held = <B, E2>(
      as: OperationKind,
      does: (operation: Operation, past: Past) => Effect.Effect<Done<B>, E2, R>
    ) =>
      engine.lock.hold(
        { session: ref.id, kind: as, operationId, onBusy, under, baseDepth: ref.depth },
        (lease) => {
          isHeld = true
          const usage = () => ref.journal!.usage()
          const span = { kind, session: ref.id, agent: ref.agent.name, id: operationId }
          return operationSpan(caller, span, usage, reframed(engine, clock, ref, lease, spec, does))
        },
        {
          context: engine.context as Context.Context<R | Needs>,
          onIdle: () => engine.events.publish({ _tag: "Idle", session: ref.id, at: clock.unsafeCurrentTimeMillis() })
        }
      )
    let isHeld = false
    return Effect.catchIf(
      held(kind, body),
      (error): error is TaskDepthExceeded & (E | FrameError | RecoveryExhausted) =>
        error instanceof TaskDepthExceeded && !isHeld,
      // Tasks may go less deep by now than when it was begun. It ends with that, or nothing could be run here any more.
      (error) => held<A, E | FrameError>("prompt", () => error)
    )
  })

const reframed = <A, E, R>(
  engine: Engine,
  clock: Clock.Clock,
  ref: SessionRef<R>,
  lease: Lease,
  { kind, onStarted, operationId, under }: ResumeSpec,
  body: (operation: Operation, past: Past) => Effect.Effect<Done<A>, E, R>
): Effect.Effect<A | undefined, E | FrameError | RecoveryExhausted, R> => {
  const { history, store } = engine
  // Who owned the parent is dead or about to stop: the lease of a child only runs out a little later.
  const begin: ReturnType<typeof history.begin> = Effect.catchIf(
    Effect.suspend(() => history.begin(ref.id, ref.incarnation, ref.journal)),
    (error): error is SessionOwned => under !== undefined && error instanceof SessionOwned,
    () => Effect.zipRight(Effect.sleep(engine.leases.poll), begin)
  )
  type Ended = Effect.Effect<A | undefined, E | FrameError | SessionOwned | RecoveryExhausted, R>
  const start = (restore: Restore): Ended =>
    Effect.flatMap(restore(begin), (journal): Ended => {
      ref.journal = journal
      if (journal.running?.operationId !== operationId) return Effect.succeed(undefined)
      return Effect.flatMap(store.read(ref.id, ref.incarnation, journal.lastStart!.seq), (entries) => {
        const past = new Past(entries)
        journal.start(operationId)
        journal.turns = past.turns
        journal.tasks = past.tasks
        const running = new Operation(engine, clock, ref, lease, journal, operationId)
        running.key = past.start.key
        running.from = past.start.id
        running.turn = past.replies.length
        const end = enter(running, kind)
        const attempt = past.attempts + 1
        const { attempts } = engine.leases
        const again = [Draft.operationResumed(kind, attempt), ...cutOff(engine, ref, past, journal.row.partial ?? "")]
        return Effect.matchCauseEffect(history.start(journal, operationId, again, { onStored: onStarted }), {
          onFailure: (cause): Ended => {
            end()
            // Another engine was quicker by a step: nothing may be left to do.
            const isBehind = cause._tag === "Fail" && cause.error instanceof StaleLease
            return isBehind ? start(restore) : Effect.failCause(cause)
          },
          onSuccess: (): Ended =>
            bodied<A, E | RecoveryExhausted, R>(running, kind, end, restore, () =>
              attempt > attempts
                ? new RecoveryExhausted({ session: ref.id, operationId, attempts: past.attempts })
                : body(running, new Past([...entries, ...again]))
            )
        })
      })
    })
  return Effect.uninterruptibleMask(start).pipe(
    Effect.catchIf(
      (error): error is SessionOwned => error instanceof SessionOwned,
      (error) => busyElsewhere(error, kind)
    )
  )
}

/** What had arrived of the reply that was streaming, marked as cut. */
const cutOff = (
  { model }: Engine,
  { agent }: SessionRef<unknown>,
  { start }: Past,
  partial: string
): ReadonlyArray<Draft.Draft> => {
  if (partial.trim() === "") return []
  const asked = start.request?.model ?? agent.model ?? model.defaultModel ?? ""
  return [Draft.assistant([{ type: "text", text: partial }], asked, "interrupted", Usage.zero, false)]
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
  { drafts, recorded, value }: Done<A>
): Effect.Effect<A, StoreError> => {
  // The last reply is among the drafts, or was stored before.
  running.count()
  const { journal, key } = running
  const value_ = key === undefined ? undefined : recorded
  const end = Draft.operationSettled(kind, key, journal.usage(), { outcome: "completed", value: value_ })
  return record(running, [...drafts, end], Exit.succeed(value()))
}

const settleFailed = <E>(
  running: Operation,
  kind: OperationKind,
  cause: Cause.Cause<E>
): Effect.Effect<never, E | StoreError> => {
  const { journal, key, lease } = running
  const wasCut = Cause.isInterrupted(cause)
  const reply = cutReply(running, wasCut)
  const usage = journal.usage()
  // What another engine has by now is recorded there; what is below it is left to that engine.
  if (wasCut && !journal.lost && isShutdown(lease)) return suspended(running, kind, reply, usage, cause)
  const end = wasCut
    ? Draft.operationSettled(kind, key, usage, { outcome: "interrupted", by: lease.interruptedBy ?? "caller" })
    : Draft.operationSettled(kind, key, usage, { outcome: "failed", error: errorOf(cause) })
  const drafts = [...openCalls(running, wasCut), ...reply, end]
  return record(running, drafts, Exit.failCause(cause))
}

/** Whether the engine's end has interrupted an operation, or one that it stands under. */
export const isShutdown = (lease: Lease): boolean => {
  for (let at: Lease | undefined = lease; at !== undefined; at = at.parent) {
    if (at.interruptedBy === "shutdown") return true
  }
  return false
}

/**
 * The engine ends: what had arrived of a reply is kept, and the operation is left as it is, to be resumed by whoever
 * opens its session next. Those who listen hear of its end all the same.
 */
const suspended = <E>(
  running: Operation,
  kind: OperationKind,
  reply: ReadonlyArray<Draft.Draft>,
  usage: Usage.UsageReport,
  cause: Cause.Cause<E>
): Effect.Effect<never, E> => {
  const end = Draft.operationSettled(kind, running.key, usage, { outcome: "interrupted", by: "shutdown" })
  const kept = reply.length === 0 ? Effect.void : Effect.ignoreLogged(running.append(reply))
  return Effect.zipRight(
    Effect.zipRight(kept, running.engine.history.leave(running.journal)),
    Effect.suspend(() => {
      tellUnstored(running, [end])
      running.release()
      return Effect.failCause(cause)
    })
  )
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
  running.reply = undefined
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
  end: ReadonlyArray<Draft.Draft>,
  result: Exit.Exit<A, E>
): Effect.Effect<A, E | StoreError> => {
  const { late } = running.journal
  const drafts = late.length === 0 ? end : [...late, ...end]
  return Effect.matchCauseEffect(running.appendEnd(drafts), {
    onSuccess: () => {
      running.release()
      return result
    },
    onFailure: (cause) => {
      tellUnstored(running, drafts)
      // Whoever has the session by now ends it. Otherwise it has ended, and is to be recorded as such.
      if (!running.journal.lost) running.engine.history.owe(running.journal, drafts)
      running.release()
      return Effect.failCause(cause)
    }
  })
}

/** Lets those who listen hear of ends that could not be stored: every start has its end. */
export const tellUnstored = (running: Operation, ends: ReadonlyArray<Draft.Draft>): void => {
  const { clock, engine, id, ref } = running
  for (const end of ends) {
    if (end._tag === "OperationSettled") running.endTurn(turnError(end))
    const event = ofEntry(ref.id, { ...end, at: clock.unsafeCurrentTimeMillis(), operationId: id })
    engine.events.publish("seq" in event ? { ...event, seq: undefined } : event)
  }
}

/** The same with what else a typed error says, for whoever asks for the outcome again. */
const errorOf = (cause: Cause.Cause<unknown>): Failure & { readonly data?: unknown } => {
  const failure = failureOf(cause)
  const error = Cause.squash(cause)
  if (typeof error !== "object" || error === null || !("_tag" in error)) return failure
  const {
    _tag,
    cause: _cause,
    message: _message,
    name: _name,
    // Entries of a history are no part of another record.
    readable: _readable,
    stack: _stack,
    ...data
  } = error as Partial<Error> & { readonly readable?: unknown } & typeof error
  const cleaned = clean(data, { room: maxSize, gaps: true })
  return "value" in cleaned ? { ...failure, data: cleaned.value } : failure
}

/** An error by its tag and its sentence, as entries and events carry it. Never throws. */
export const failureOf = (cause: Cause.Cause<unknown>): Failure => {
  const error = Cause.squash(cause)
  const message = brief(error instanceof Error ? error.message : describe(error))
  if (typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string") {
    return { tag: error._tag, message }
  }
  return { tag: "Defect", message }
}
