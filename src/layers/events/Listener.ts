/**
 * A function that hears events, kept apart from whoever publishes them.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type { Event } from "../../services/Event.js"
import { copyOf } from "../../services/Events.js"

export class Listener {
  /** Set when its scope closes: an event that is being handed out at that moment is not heard any more. */
  left = false
  private failures = 0

  constructor(
    private readonly call: (event: Event) => unknown,
    private readonly runtime: Runtime.Runtime<never>
  ) {}

  /** Never throws. */
  hear(event: Event): void {
    if (this.left) return
    try {
      const given = this.call(copyOf(event))
      if (given instanceof Promise) given.catch((error: unknown) => this.tell(event, error))
    } catch (error) {
      this.tell(event, error)
    }
  }

  /** Text comes in thousands of pieces: a log with a line for each failure would be worse than the failure. */
  private tell({ _tag, session }: Event, error: unknown): void {
    const times = ++this.failures
    if ((times & (times - 1)) !== 0) return
    const message = `A listener failed on ${_tag} of session "${session}" (failure ${times}) and goes on hearing.`
    Runtime.runSyncExit(this.runtime)(Effect.logWarning(message, Cause.die(error)))
  }
}
