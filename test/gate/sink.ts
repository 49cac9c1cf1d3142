/**
 * A place where values come in, and the rows of the table for it.
 */
import type { Effect } from "effect"
import { check, type Outcome, type Stage } from "./ground.js"

/** A row as it is written down: the outcome, a name, the value, and what is told. */
export type Case<V> = readonly [
  outcome: Exclude<Outcome, "Q">,
  name: string,
  value: () => V,
  tells?: RegExp | undefined
]

export interface Sink {
  readonly name: string
  readonly rows: ReadonlyArray<{
    readonly name: string
    readonly outcome: Outcome
    /** Hands the value in, with a sandbox at `root`, and looks at everything. */
    readonly check: (root: string) => Effect.Effect<void>
  }>
}

/** A new place is added by its name, by how a value is handed in, and by its rows. */
export const sink = <V>(name: string, stage: (value: V) => Stage, cases: ReadonlyArray<Case<V>>): Sink => ({
  name,
  rows: cases.map(([outcome, name, value, tells]) => ({
    name,
    outcome,
    check: (root) => check(stage, { name, value, outcome, tells }, root)
  }))
})
