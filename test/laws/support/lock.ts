/**
 * What the examples of the laws are written with.
 */
import { Cause, Deferred, Effect, Exit, Fiber, Option } from "effect"
import { makeLock } from "../../../src/layers/SessionLock.js"
import type { LockError } from "../../../src/services/Errors.js"
import type { HoldKind, OnBusy } from "../../../src/services/Operation.js"
import type { Lease } from "../../../src/services/SessionLock.js"

export type Lock = ReturnType<typeof makeLock>

export const lockOf = (limits?: { readonly taskWidth?: number; readonly taskDepth?: number }): Lock =>
  makeLock({ taskWidth: 8, taskDepth: 4, ...limits })

/** Lets everyone go on who can. */
export const settle: Effect.Effect<void> = Effect.asVoid(Effect.repeatN(Effect.yieldNow(), 200))

const nothing = () => Effect.void

/** `kind` on `session`: `call(lock, "prompt A", "id", "wait", use)`. */
export const call = <A = void, E = never>(
  lock: Lock,
  what: `${HoldKind} ${string}`,
  operationId: string,
  onBusy: OnBusy = "reject",
  use: (lease: Lease) => Effect.Effect<A, E> = nothing as unknown as (lease: Lease) => Effect.Effect<A, E>
): Effect.Effect<A, E | LockError> => {
  const [kind, session] = what.split(" ") as [HoldKind, string]
  return lock.hold({ session, kind, operationId, onBusy }, use)
}

/** An operation that runs until it is told to end. */
export const occupy = (lock: Lock, what: `${HoldKind} ${string}`, operationId: string, onBusy: OnBusy = "reject") =>
  Effect.gen(function* () {
    const started = yield* Deferred.make<Lease>()
    const gate = yield* Deferred.make<void>()
    const fiber = yield* Effect.fork(
      call(lock, what, operationId, onBusy, (lease) =>
        Effect.zipRight(Deferred.succeed(started, lease), Deferred.await(gate))
      )
    )
    const lease = yield* Deferred.await(started)
    const end = Effect.zipRight(Deferred.succeed(gate, undefined), Fiber.join(fiber))
    return { lease, fiber, end }
  })

/** What a fiber has come to so far. */
export const stateOf = <A, E>(fiber: Fiber.RuntimeFiber<A, E>): string => {
  const exit = fiber.unsafePoll()
  return exit === null ? "running" : answer(exit)
}

/** The name of an answer: the tag of an error, or how else it ended. */
export const answer = <A, E>(exit: Exit.Exit<A, E>): string => {
  if (Exit.isSuccess(exit)) return "success"
  if (Cause.isInterrupted(exit.cause)) return "interrupted"
  const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
  return typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : "failure"
}

/** The name of the answer of an effect. */
export const answered = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<string> =>
  Effect.map(Effect.exit(effect), answer)
