/**
 * Loading what a store is made of.
 */
import * as Effect from "effect/Effect"
import { SessionStoreError } from "../../services/Errors.js"
import { installLine, isMissing } from "../peers.js"

/** Loads a module. Fails where a package is not installed, and says how the packages are; any other mistake is a defect. */
export const load = <A>(
  module: () => Promise<A>,
  ...packages: ReadonlyArray<string>
): Effect.Effect<A, SessionStoreError> =>
  Effect.catchAll(Effect.tryPromise({ try: module, catch: (error) => error }), (error) =>
    isMissing(error)
      ? new SessionStoreError({
          operation: "open",
          reason: `it needs packages that are not installed (${installLine(...packages)})`,
          cause: error
        })
      : Effect.die(error)
  )
