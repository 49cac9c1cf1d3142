/**
 * Operations that are run once, however often they are asked for, in whatever process.
 */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import {
  OperationConflict,
  SessionBusy,
  SessionDeadlock,
  SessionNotFound,
  type StoreError
} from "../services/Errors.js"
import type { OperationKind } from "../services/Operation.js"
import type { Delivered, SessionRef } from "../services/Session.js"
import { currentMark, lineage, promiseLineage } from "../services/SessionLock.js"
import { type Engine, engineOf, type Needs } from "./engine.js"
import { type Named, ranBefore } from "./operation.js"
import { Past } from "./Past.js"

/** The name of an operation; `undefined` where its caller gave it none. */
export const named = (kind: OperationKind, id: string | undefined, input: unknown): Named | undefined =>
  id === undefined
    ? undefined
    : {
        id,
        key: createHash("sha256")
          .update(JSON.stringify([kind, input]))
          .digest("base64url")
      }

/**
 * Runs an operation unless it was run before: then it gives what that gave, or fails with what that failed with. Joins
 * it where it runs, here or in another engine; resumes it where it was left unfinished. One that was interrupted
 * runs again. An id that stands for another input is an `OperationConflict`.
 */
export const once = <A, E, R>(
  ref: SessionRef<unknown>,
  kind: OperationKind,
  it: Named | undefined,
  run: Effect.Effect<A, E, R>,
  recorded: (past: Past) => Effect.Effect<A, E, R>
): Effect.Effect<A | Delivered, E | OperationConflict | SessionDeadlock | SessionNotFound | StoreError, R | Needs> =>
  it === undefined
    ? run
    : // Who claims it tells when it is over, whoever interrupts.
      Effect.uninterruptibleMask((restore) =>
        Effect.withFiberRuntime((fiber) => {
          const engine = engineOf(fiber, ref.context)
          const conflict = new OperationConflict({ session: ref.id, operationId: it.id })
          const ask = (): Effect.Effect<A | Delivered, Failure | E, R> => {
            const claim = engine.ongoing.claim(ref.incarnation, it.id, it.key)
            if (claim._tag === "First") {
              const looked = Effect.suspend(() => look(engine, ref, it, conflict, run, recorded, 0))
              return Effect.ensuring(restore(looked), Effect.sync(claim.done))
            }
            if (claim.key !== it.key) return conflict
            const self = inLineage(fiber, it.id)
            if (self) {
              const own = { session: ref.id, kind, operationId: it.id }
              return new SessionDeadlock({ cycle: [own, own] })
            }
            return Effect.flatMap(restore(claim.over), ask)
          }
          return ask()
        })
      )

type Failure = OperationConflict | SessionDeadlock | SessionNotFound | StoreError

/** Whether a call comes from within an operation: waiting for that would be waiting for oneself. */
const inLineage = (fiber: Fiber.RuntimeFiber<unknown, unknown>, operationId: string): boolean => {
  const mark = fiber.getFiberRef(currentMark) ?? promiseLineage.getStore()?.mark
  return lineage(mark?.lease).some((it) => it.operationId === operationId)
}

/** Looks for what is recorded, and runs the operation where nothing is. */
const look = <A, E, R>(
  engine: Engine,
  ref: SessionRef<unknown>,
  it: Named,
  conflict: OperationConflict,
  run: Effect.Effect<A, E, R>,
  recorded: (past: Past) => Effect.Effect<A, E, R>,
  resumed: number
): Effect.Effect<A | Delivered, Failure | E, R> => {
  const { history, leases, recovery, store } = engine
  const again = (after: number) => Effect.suspend(() => look(engine, ref, it, conflict, run, recorded, after))
  const begin = (): ReturnType<typeof again> =>
    Effect.matchCauseEffect(run, {
      onSuccess: (value) => ((value as unknown) === ranBefore ? again(resumed) : Effect.succeed(value)),
      onFailure: (cause) => {
        // Another engine began it since.
        const error = cause._tag === "Fail" ? cause.error : undefined
        const isThat = error instanceof SessionBusy && error.owner !== undefined && error.operationId === it.id
        return isThat ? again(resumed) : Effect.failCause(cause)
      }
    })
  it.seen = ref.journal?.nextSeq
  return Effect.flatMap(store.operation(ref.id, ref.incarnation, it.id), (entries): ReturnType<typeof again> => {
    const [first] = entries
    if (first === undefined) return begin()
    if (first._tag === "User") {
      // It joined another prompt as one of its inputs.
      if (first.asked?.key !== it.key) return conflict
      return Effect.succeed({ _tag: "Delivered", operationId: first.operationId })
    }
    const past = new Past(entries)
    if (past.start.key !== it.key) return conflict
    if (past.end?.outcome === "interrupted") return begin()
    if (past.end !== undefined) return recorded(past)
    return Effect.flatMap(store.get(ref.id), (row): ReturnType<typeof again> => {
      if (row?.incarnation !== ref.incarnation) return new SessionNotFound({ session: ref.id })
      // It has ended since.
      if (row.running?.operationId !== it.id) return again(resumed)
      if (row.leased && row.owner !== history.owner) return Effect.zipRight(Effect.sleep(leases.poll), again(resumed))
      const resuming = recovery.resume(ref, row.running)
      const over = Effect.zipRight(resuming.started, resuming.ended)
      // The second time somebody else was at it: that takes a while.
      const pause = resumed === 0 ? Effect.void : Effect.sleep(leases.poll)
      return Effect.zipRight(Effect.zipRight(pause, over), again(resumed + 1))
    })
  })
}
