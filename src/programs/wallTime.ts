/**
 * A limit of time that is a failure of its own, not an interruption.
 */
import * as Effect from "effect/Effect"
import { LimitReached } from "../services/Errors.js"

/** Interrupts an effect after so many milliseconds, waits for its end, and fails. */
export const within = <A, E, R>(
  millis: number,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | LimitReached, R> =>
  Effect.timeoutFail(effect, {
    duration: millis,
    onTimeout: () => new LimitReached({ limit: "wallTime", value: millis })
  })
