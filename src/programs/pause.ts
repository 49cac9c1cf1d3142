/**
 * A pause in long work.
 */
import { setImmediate } from "node:timers/promises"
import * as Effect from "effect/Effect"

/** One turn of the event loop; `Effect.yieldNow` would only let other fibers run. */
export const pause: Effect.Effect<void> = Effect.promise(() => setImmediate())
