/**
 * Going on with what was left unfinished when the process that ran it ended.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Running } from "./Operation.js"
import type { Resuming } from "./Resuming.js"
import type { SessionRef } from "./Session.js"

export class Recovery extends Context.Tag("baton/Recovery")<
  Recovery,
  {
    /**
     * Resumes an operation with the agent of the handle, in a fiber of the engine's: it outlives its caller and ends
     * with the engine, which leaves it to be resumed again. It holds the session when this returns, unless somebody
     * else does: then it gives that up, or waits for its turn. Asked again while it runs, it gives the same.
     */
    readonly resume: (ref: SessionRef<unknown>, running: Running, onBusy?: "wait") => Resuming

    /** Runs an effect in a fiber of the engine's, which is interrupted when the engine ends. Begins at once. */
    readonly background: <A, E>(effect: Effect.Effect<A, E>) => void
  }
>() {}
