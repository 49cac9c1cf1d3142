/**
 * The frame of operations that go on after the process that ran them ended.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Draft from "../services/Draft.js"
import { RecoveryExhausted, SessionOwned, StaleLease, TaskDepthExceeded } from "../services/Errors.js"
import type { OperationKind } from "../services/Operation.js"
import type { SessionRef } from "../services/Session.js"
import type { Running } from "../services/Operation.js"
import type { Lease } from "../services/SessionLock.js"
import * as Usage from "../services/Usage.js"
import { type Engine, engineOf, type Needs } from "./engine.js"
import { Past } from "./Past.js"
import { operationSpan } from "./spans.js"
import { Operation } from "./held.js"
import type { Done } from "./ends.js"
import { enter, type Restore, bodied } from "./bodies.js"
import { busyElsewhere, type FrameError } from "./operation.js"

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
        journal.compactions = past.compactions
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
