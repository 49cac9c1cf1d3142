/**
 * How long an engine's hold on a session lasts, where several engines work on one store.
 */
import * as Context from "effect/Context"

/**
 * An engine that dies keeps its sessions from others until their leases run out. One that is only slow loses them when
 * it cannot renew in time, and stops what it runs there.
 */
export class Leases extends Context.Reference<Leases>()("baton/Leases", {
  defaultValue: (): {
    /** How long a lease holds from when it was taken or renewed last, in milliseconds, by the store's clock. */
    readonly duration: number
    /** How often the leases of the operations that run are renewed, in milliseconds. Three chances within a lease. */
    readonly renewal: number
    /** The longest pause between two looks at a session that another engine holds, in milliseconds. */
    readonly poll: number
    /** How often an operation is begun, the first run included, before it fails with `RecoveryExhausted`. */
    readonly attempts: number
  } => ({ duration: 10_000, renewal: 3_000, poll: 1_000, attempts: 10 })
}) {}
