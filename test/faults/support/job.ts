/** What a process of the fault tests is told to do. */
import type { Failpoints } from "effect-baton/testing"

interface Place {
  readonly folder: string
  /** Where the Postgres server is; SQLite where there is none. */
  readonly server?: string | undefined
}

export type Job = Place &
  (
    | {
        /** Runs the scenario, and tells every point that it came by. */
        readonly mode: "scenario"
        readonly plan?: Failpoints.Plan
      }
    | {
        /** Goes on with what another has left. */
        readonly mode: "recover"
        readonly plan?: Failpoints.Plan
      }
    | {
        /** Works on several sessions until it is killed. */
        readonly mode: "chaos"
        readonly seed: number
      }
    | {
        /** Works in the sessions that its input names, one after the other, until each is lost. */
        readonly mode: "zombie"
      }
    | {
        /** Prompts until that fails, and tells by what. */
        readonly mode: "fill"
      }
    | {
        /** Prompts twenty sessions, each some times. */
        readonly mode: "hammer"
        readonly name: string
        readonly prompts: number
      }
  )
