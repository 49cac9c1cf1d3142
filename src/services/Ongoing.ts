/**
 * Operations whose callers gave them an id, while they are asked for or run in this engine.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** What somebody finds who asks for an operation by its id. */
export type Claim =
  /** Nobody else is at it; `done` tells those who come meanwhile that it is over. */
  | { readonly _tag: "First"; readonly done: () => void }
  /** Somebody is; `over` waits for that. `key` is the digest of the input. */
  | { readonly _tag: "Running"; readonly key: string; readonly over: Effect.Effect<void> }

export class Ongoing extends Context.Tag("baton/Ongoing")<
  Ongoing,
  {
    /** Asks for an operation of a session, by its incarnation. Who comes first is to tell when it is over. */
    readonly claim: (incarnation: string, operationId: string, key: string) => Claim
  }
>() {}
