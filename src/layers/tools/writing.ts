/**
 * What `write` and `edit` have in common.
 */
import * as Effect from "effect/Effect"
import { SandboxError } from "../../services/Errors.js"

/** Failures tell of the file by the name that the model has for it. */
export const calledBy = <A, E, R>(
  path: string,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | SandboxError, R> =>
  Effect.mapError(effect, (error) =>
    error instanceof SandboxError
      ? new SandboxError({ operation: error.operation, path, reason: error.reason, cause: error.cause })
      : error
  )

/** What is wrong with a text that UTF-8 cannot hold. */
export const halfOf = (name: string, text: string): string | undefined =>
  text.isWellFormed() ? undefined : `${name} has half of a character (a lone surrogate)`
