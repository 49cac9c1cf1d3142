/**
 * Where new ids come from.
 */
import * as Context from "effect/Context"

/**
 * Draws identifiers. The default draws random UUIDs from the platform's generator; a test provides its own.
 * Drawing is synchronous, so that an id can be taken inside the step that uses it.
 */
export class Ids extends Context.Reference<Ids>()("baton/Ids", {
  defaultValue: (): { readonly unsafeNext: () => string } => ({ unsafeNext: () => globalThis.crypto.randomUUID() })
}) {}
