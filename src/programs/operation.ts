/**
 * The frame of every operation: asks for the session, records the start, runs the body, records the end, gives the
 * session back.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Conversation } from "../services/Conversation.js"
import * as Draft from "../services/Draft.js"
import type { Request } from "../services/Entry.js"
import {
  type LockError,
  SessionBusy,
  type SessionNotFound,
  type SessionOwned,
  type StoreError
} from "../services/Errors.js"
import type { Journal } from "../services/History.js"
import type { HoldKind, OnBusy, OperationKind } from "../services/Operation.js"
import type { SessionRef } from "../services/Session.js"
import { none as noSkills, type Skills } from "../services/Skill.js"
import type { Lease } from "../services/SessionLock.js"
import type * as Workspace from "../services/Workspace.js"
import { type Engine, engineOf, type Needs } from "./engine.js"
import { isBehind } from "./log.js"
import { Past } from "./Past.js"
import { operationSpan } from "./spans.js"
import { Operation } from "./held.js"
import type { Done } from "./ends.js"
import { enter, bodied, type Restore, within } from "./bodies.js"

/** An operation's id as its caller gave it, and a digest of its input. */
export interface Named {
  readonly id: string
  readonly key: string
  /** How far this engine knew the history to go when it was looked for. */
  seen?: number | undefined
}

/** What an operation found out before its start. */
export interface Prepared {
  readonly first: ReadonlyArray<Draft.Draft>
  readonly skills: Skills
}

/** Where the head goes before an operation's start, and the conversation there (`History.at`). */
export interface Moving {
  readonly to: number | null
  readonly moved: Conversation | undefined
}

export interface OperationSpec<B = never, P = never> {
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
  /**
   * Asked while the session is held and nothing is written yet: where the head goes in one write with the start, if it
   * goes anywhere. Asked anew each time that the start is tried. What it fails with the operation fails with, and nothing
   * is written.
   */
  readonly moves?: ((engine: Engine, journal: Journal) => Effect.Effect<Moving | undefined, P | StoreError>) | undefined
  /**
   * Asked while the session is held and nothing is written yet, for what else is stored with the start, before `first`;
   * gives nothing where nobody needs to look. It is told what the workspace tells where the start will stand. What it
   * fails with the operation fails with, and nothing is written.
   */
  readonly prepare?: ((engine: Engine, told: Workspace.View) => Effect.Effect<Prepared, P> | undefined) | undefined
  /** Stored after the start in one write with it. */
  readonly first?: ReadonlyArray<Draft.Draft> | undefined
  /** Inputs of the store's inbox that `first` delivers, by their ids. */
  readonly delivered?: ReadonlyArray<string> | undefined
}

/** What an operation can meet before its body is run. */
export type FrameError = LockError | SessionNotFound | StoreError

/**
 * Runs an operation. A `task` that is admitted under a running operation of its own session is part of that one: it
 * writes no start and no end of its own. What another engine left unfinished in the session is resumed before it.
 */
export const operation = <A, E, R, B = never, P = never>(
  ref: SessionRef<R>,
  spec: OperationSpec<B, P>,
  body: (operation: Operation) => Effect.Effect<Done<A>, E, R>
): Effect.Effect<A | B, E | P | FrameError, R | Needs> =>
  Effect.withFiberRuntime<A | B, E | P | FrameError, R | Needs>((caller) => {
    const engine = engineOf(caller, ref.context)
    const clock = Context.unsafeGet(caller.currentDefaultServices, Clock.Clock)
    const operationId = spec.named?.id ?? engine.ids.unsafeNext()
    const asked = clock.unsafeCurrentTimeMillis()
    const held = engine.lock.hold(
      { session: ref.id, kind: spec.kind, operationId, onBusy: spec.onBusy, under: spec.under, baseDepth: ref.depth },
      (lease): Effect.Effect<A | B | Unfinished | RanBefore, E | P | FrameError, R> => {
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
export const leftOf = (onBusy: OnBusy | undefined, passed: number): OnBusy | undefined =>
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

const framed = <A, E, R, P>(
  engine: Engine,
  clock: Clock.Clock,
  ref: SessionRef<R>,
  spec: OperationSpec<unknown, P>,
  asked: number,
  lease: Lease,
  body: (operation: Operation) => Effect.Effect<Done<A>, E, R>
): Effect.Effect<A | Unfinished | RanBefore, E | P | FrameError, R> => {
  const { before, first = [], kind, moves, named, request } = spec
  // What goes before the start is owed once another operation was interrupted for it: it is written in any case.
  const begin = () => engine.history.begin(ref.id, ref.incarnation, ref.journal)
  return Effect.uninterruptibleMask((restore) => {
    type Ended = Effect.Effect<A | Unfinished | RanBefore, E | P | FrameError, R>
    const start = (pause: number): Ended =>
      Effect.matchCauseEffect(before === undefined ? restore(begin()) : begin(), {
        onFailure: (cause) => wait(cause, pause),
        onSuccess: (journal) => {
          ref.journal = journal
          if (journal.running !== null) return Effect.succeed(unfinished)
          // Where the history is as it was when the id was looked for, that still holds: the start is refused otherwise.
          if (named === undefined || named.seen === journal.nextSeq) return moving(journal, pause)
          const ran = wasRun(engine, ref, named)
          return Effect.flatMap(before === undefined ? restore(ran) : ran, (isRun) =>
            isRun ? Effect.succeed(ranBefore) : moving(journal, pause)
          )
        }
      })
    const moving = (journal: Journal, pause: number): Ended =>
      moves === undefined
        ? prepared(journal, pause, undefined)
        : Effect.matchCauseEffect(restore(moves(engine, journal)), {
            onFailure: (cause) => (isBehind(cause) ? start(pause) : Effect.failCause(cause)),
            onSuccess: (move) => prepared(journal, pause, move)
          })
    const prepared = (journal: Journal, pause: number, move: Moving | undefined): Ended => {
      const owed = move === undefined ? (before?.(journal, lease.operationId) ?? []) : [Draft.headMoved(move.to)]
      const looking = spec.prepare?.(engine, toldAt(journal, owed.length > 0, move?.moved))
      const moved = move?.moved
      if (looking === undefined) return begun(journal, pause, owed, moved, none)
      return Effect.matchCauseEffect(restore(looking), {
        onSuccess: (it) => begun(journal, pause, owed, moved, it),
        onFailure: (cause) =>
          before !== undefined && Cause.isInterrupted(cause)
            ? begun(journal, pause, owed, moved, none)
            : Effect.failCause(cause)
      })
    }
    const begun = (
      journal: Journal,
      pause: number,
      owed: ReadonlyArray<Draft.Draft>,
      moved: Conversation | undefined,
      found: Prepared
    ): Ended => {
      journal.start(lease.operationId)
      const running = new Operation(engine, clock, ref, lease, journal, lease.operationId)
      running.key = named?.key
      running.from = journal.nextSeq + owed.length
      running.skills = found.skills
      const end = enter(running, kind)
      const drafts = [...owed, Draft.operationStarted(kind, named?.key, request), ...found.first, ...first]
      const { delivered } = spec
      const options = delivered === undefined && moved === undefined ? undefined : { delivered, moved }
      return Effect.matchCauseEffect(engine.history.start(journal, running.id, drafts, options), {
        onFailure: (cause) => {
          end()
          return wait(cause, pause)
        },
        onSuccess: () => bodied(running, kind, end, restore, body)
      })
    }
    const wait = (cause: Cause.Cause<SessionNotFound | SessionOwned | StoreError>, pause: number): Ended =>
      tryAgain(engine, clock, spec, asked, restore, cause, pause, start)
    return start(firstPause)
  })
}

const none: Prepared = { first: [], skills: noSkills }

/** What the workspace tells, as it was recorded last on the way to where an operation's start will stand. */
const toldAt = ({ conversation }: Journal, goesBack: boolean, moved: Conversation | undefined): Workspace.View =>
  moved !== undefined ? moved.workspace : goesBack ? conversation.workspaceBefore : conversation.workspace

/**
 * What becomes of a first write that was refused: where another engine was quicker by a step it is tried again, and
 * where one holds the session, after a while, as long as the policy waits.
 */
export const tryAgain = <A, E, R>(
  engine: Engine,
  clock: Clock.Clock,
  { kind, onBusy }: { readonly kind: HoldKind; readonly onBusy?: OnBusy | undefined },
  /** When the session was asked for, in milliseconds since the epoch. */
  asked: number,
  restore: Restore,
  cause: Cause.Cause<SessionNotFound | SessionOwned | StoreError>,
  pause: number,
  start: (pause: number) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | FrameError, R> => {
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

/** Whether an operation was run meanwhile under its id, by another engine: one that was interrupted runs again. */
const wasRun = ({ store }: Engine, ref: SessionRef<unknown>, { id }: Named): Effect.Effect<boolean, StoreError> =>
  Effect.map(
    store.operation(ref.id, ref.incarnation, id),
    ([first, ...rest]) =>
      first !== undefined && (first._tag === "User" || new Past([first, ...rest]).end?.outcome !== "interrupted")
  )

/** The pause before the second look at a session that another engine holds, in milliseconds. */
export const firstPause = 20

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
