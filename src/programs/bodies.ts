/**
 * Runs the bodies of operations, from when their start is stored to the record of their end.
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type { StoreError } from "../services/Errors.js"
import type { OperationKind } from "../services/Operation.js"
import type { Operation } from "./held.js"
import { type Done, settleDone, settleFailed } from "./ends.js"

/** Makes an operation the one that its session knows; what it gives takes that back. */
export const enter = (running: Operation, kind: OperationKind): (() => void) => {
  const { clock, engine, journal, lease, ref } = running
  const hasTurns = kind === "prompt" || kind === "skill"
  if (hasTurns) engine.inbox.open(ref.incarnation, running.id)
  engine.history.enter(journal, clock, () => engine.lock.stop(lease))
  lease.position = journal
  return () => {
    // The journal goes on with the next operation; who was left behind by this one does not.
    lease.position = { row: journal.row, nextSeq: journal.nextSeq }
    running.unwatch()
    if (hasTurns) engine.inbox.close(ref.incarnation)
    engine.history.end(ref.id)
  }
}

export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Runs the body of an operation whose start is stored, and records its end. */
export const bodied = <A, E, R>(
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
export const within = <A, E, R>(
  running: Operation,
  body: (operation: Operation) => Effect.Effect<Done<A>, E, R>
): Effect.Effect<A, E | StoreError, R> =>
  Effect.flatMap(body(running), ({ drafts, value }) =>
    drafts.length === 0 ? Effect.sync(value) : Effect.map(running.append(drafts), value)
  )
