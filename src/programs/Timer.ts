/**
 * One timer for the deadlines of an operation.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"

/**
 * Calls `fire` when the earliest of the times given to `at` has come. Its fiber sleeps on: arming it for a later time
 * than it sleeps to costs nothing, which is what makes a deadline for every tool call affordable. `stop` ends it.
 */
export class Timer {
  private readonly runtime: Runtime.Runtime<never>
  private readonly now: () => number
  private readonly fire: () => void
  private fiber: Fiber.RuntimeFiber<void> | undefined
  private wakes = Number.POSITIVE_INFINITY
  private due = Number.POSITIVE_INFINITY

  constructor(runtime: Runtime.Runtime<never>, now: () => number, fire: () => void) {
    this.runtime = runtime
    this.now = now
    this.fire = fire
  }

  /** Sets the time, in milliseconds since the epoch, in place of the one before. */
  at(time: number): void {
    this.due = time
    if (time >= this.wakes) return
    this.fiber?.unsafeInterruptAsFork(FiberId.none)
    this.sleep()
  }

  stop(): void {
    this.due = Number.POSITIVE_INFINITY
    this.wakes = Number.POSITIVE_INFINITY
    this.fiber?.unsafeInterruptAsFork(FiberId.none)
    this.fiber = undefined
  }

  private sleep(): void {
    this.wakes = this.due
    const awake = Effect.sync(() => {
      this.fiber = undefined
      this.wakes = Number.POSITIVE_INFINITY
      if (this.due <= this.now()) this.fire()
      else if (this.due !== Number.POSITIVE_INFINITY) this.sleep()
    })
    this.fiber = Runtime.runFork(this.runtime, Effect.zipRight(Effect.sleep(Math.max(0, this.due - this.now())), awake))
  }
}
