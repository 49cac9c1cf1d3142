/**
 * An operation that goes on after the process that ran it ended.
 */
import type * as Effect from "effect/Effect"
import type { SessionNotFound, StoreError } from "./Errors.js"
import type { Running } from "./Operation.js"

/** An operation that is being resumed. */
export interface Resuming extends Pick<Running, "operationId" | "kind"> {
  /**
   * Waits until it is recorded that the operation goes on, or somebody else does that, or nothing was left of it; fails
   * where it cannot be recorded.
   */
  readonly started: Effect.Effect<void, SessionNotFound | StoreError>
  /** Waits for its end, however it ends: that is in the session's history. */
  readonly ended: Effect.Effect<void>
  /** Interrupts it as its caller could, and waits for its end, which is recorded: it is not resumed again. */
  readonly interrupt: Effect.Effect<void>
}
