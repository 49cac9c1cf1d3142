/**
 * Resumed operations, and whatever else outlives its caller, as fibers of the engine.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRefs from "effect/FiberRefs"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { recover } from "../programs/recover.js"
import { CorruptRecord, SessionNotFound, SessionStoreError, StaleLease, type StoreError } from "../services/Errors.js"
import type { Running } from "../services/Operation.js"
import { Recovery } from "../services/Recovery.js"
import type { Resuming } from "../services/Resuming.js"
import type { SessionRef } from "../services/Session.js"
import { currentMark } from "../services/SessionLock.js"

export const layer: Layer.Layer<Recovery> = Layer.scoped(
  Recovery,
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const { context, fiberRefs, runtimeFlags } = yield* Effect.runtime<Scope.Scope>()
    // The engine may be built within a tool call, whose right of entry is not the engine's.
    const unmarked = FiberRefs.updateAs(fiberRefs, {
      fiberId: FiberId.unsafeMake(),
      fiberRef: currentMark,
      value: undefined
    })
    const runtime = Runtime.make({ context, runtimeFlags, fiberRefs: unmarked })
    const running = new Map<string, Resuming>()

    const fork = <A, E>(effect: Effect.Effect<A, E>): Fiber.RuntimeFiber<A, E> =>
      Runtime.runFork(runtime, effect, { scope })

    const resume = (ref: SessionRef<unknown>, { kind, operationId }: Running, onBusy?: "wait"): Resuming => {
      const known = running.get(ref.incarnation)
      if (known !== undefined) return known
      const started = Deferred.unsafeMake<void, SessionNotFound | StoreError>(FiberId.none)
      const ended = Deferred.unsafeMake<void>(FiberId.none)
      let fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
      const resuming: Resuming = {
        kind,
        operationId,
        started: Deferred.await(started),
        ended: Deferred.await(ended),
        interrupt: Effect.suspend(() => (fiber === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(fiber))))
      }
      running.set(ref.incarnation, resuming)
      const onStarted = () => Deferred.unsafeDone(started, Effect.void)
      fiber = fork(
        Effect.onExit(recover(ref, { kind, operationId, onBusy, onStarted }), (exit) => {
          running.delete(ref.incarnation)
          // What it fails with after that is in the session's history.
          return Effect.zipRight(Deferred.done(started, beginning(exit)), Deferred.succeed(ended, undefined))
        })
      )
      return resuming
    }

    return { resume, background: (effect) => void fork(effect) }
  })
)

/**
 * How the beginning of a resumption ended that has ended by now: where somebody else holds the session, all is well.
 * What broke would break again: whoever waits for it is told.
 */
const beginning = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<void, SessionNotFound | StoreError> => {
  if (Exit.isSuccess(exit)) return Exit.void
  const { cause } = exit
  if (cause._tag === "Fail") return isOfStore(cause.error) ? Exit.fail(cause.error) : Exit.void
  return Cause.isDie(cause) ? Exit.die(Cause.squash(cause)) : Exit.void
}

const isOfStore = (error: unknown): error is SessionNotFound | StoreError =>
  error instanceof SessionNotFound ||
  error instanceof SessionStoreError ||
  error instanceof CorruptRecord ||
  error instanceof StaleLease
