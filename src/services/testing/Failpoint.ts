/**
 * Points of a program at which something can be made to go wrong, by plan.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { SessionStoreError } from "../Errors.js"

/**
 * What happens at a point.
 *
 * - `kill`: the process ends at once, by SIGKILL to itself.
 * - `fail`: a `SessionStoreError`. Before a write nothing is written; after one that is `unknown`.
 * - `die`: a defect.
 * - `interrupt`: the fiber that came by is interrupted, and goes on as far as it cannot be.
 * - `delay`: it waits, by the Clock.
 * - `duplicate`: before a write, which is then made twice; the first answer counts. Where the second one is taken too,
 *   though a store must refuse it, that is a defect, and stands in `accepted`.
 * - `unknown`: after a write, which then fails with a `SessionStoreError` all the same.
 */
export type Action = "kill" | "fail" | "die" | "interrupt" | "delay" | "duplicate" | "unknown"

/** One passing of a point: the how many-th, from 1. */
export interface Hit {
  readonly point: string
  readonly hit: number
}

/** Something that goes wrong, once. The point `*` is every point: its third hit is the third of all hits. */
export interface Plan extends Hit {
  readonly action: Action
  /** How long a `delay` is, in milliseconds; 50 where nothing is said. */
  readonly delay?: number | undefined
}

export class Failpoint extends Context.Tag("baton/testing/Failpoint")<
  Failpoint,
  {
    /**
     * Says that the program is at a point, and does there what the plan says. Completes at once where it says nothing.
     * A point of the program's own takes `duplicate` for nothing, and `unknown` for `fail`.
     */
    readonly hit: (point: string) => Effect.Effect<void, SessionStoreError>

    /** The same outside of Effect: throws what `hit` fails with or dies of. `interrupt` and `delay` do nothing there. */
    readonly unsafeHit: (point: string) => void

    /** A write with a point `<name> before` and one `<name> after` it. */
    readonly write: <A, E>(name: string, write: Effect.Effect<A, E>) => Effect.Effect<A, E | SessionStoreError>

    /** What came by so far, in order; the array grows. */
    readonly hits: ReadonlyArray<Hit>

    /** The name of the write that was begun last. */
    readonly writing: () => string

    /** Writes that were made twice, both times with success. */
    readonly accepted: ReadonlyArray<string>
  }
>() {}
