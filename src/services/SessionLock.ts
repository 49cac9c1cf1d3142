/**
 * The kernel: one operation holds a session at a time, and the `task` of a tool call re-enters under its own prompt.
 *
 * A *lease* is the proof that an operation holds its session. A *delegation* is the child scope in which one tool call
 * runs; its fibers carry a mark that names the lease. A mark is a hint, never a right: only an open delegation of a
 * live lease admits anyone.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { LockError } from "./Errors.js"
import type { HoldKind, OnBusy, OperationRef } from "./Operation.js"

/** The proof that an operation holds its session. */
export interface Lease extends OperationRef {
  /** When it was granted, in milliseconds since the epoch. */
  readonly since: number
  /** The lease in whose delegation this one was asked for, if that lease was live. */
  readonly parent: Lease | undefined
  /** How many tasks stand in its lineage, itself included. */
  readonly depth: number
  /** `true` from the grant until the session is being given back. */
  readonly live: boolean
  /** Who interrupted the operation: the one that takes its place, or the engine's end; `undefined` where neither did. */
  readonly interruptedBy: OperationRef | "shutdown" | undefined
  /**
   * Where what is done under it counts in the history of its session; `undefined` until its operation writes there, and
   * for one that is a part of another. When the operation ends it stays where its last write begins. Its operation sets it.
   */
  position: Position | undefined
}

/** A place in a session's history that moves on as that is written. */
export interface Position {
  readonly row: { readonly incarnation: string }
  /** The place that the next entry will have. */
  readonly nextSeq: number
}

/** One tool call's child scope. Closing it ends the mark, then interrupts and awaits what was admitted through it. */
export interface Delegation {
  readonly lease: Lease
  readonly open: boolean
}

/** What the FiberRef carries: the nearest lease, and the delegation through which `task` may re-enter, if any. */
export interface Mark {
  readonly lease: Lease
  readonly delegation: Delegation | undefined
}

/** A call for a session. */
export interface LeaseRequest {
  readonly session: string
  readonly kind: HoldKind
  readonly operationId: string
  /** Default: `"reject"`. A `task` that re-enters waits at its gate whatever the policy. */
  readonly onBusy?: OnBusy | undefined
  /** The lineage to stand under, where it is known better than by the mark (a task's child session, for instance). */
  readonly under?: Lease | undefined
  /** The depth that the session itself stands at, where no lineage tells (a child session prompted directly). */
  readonly baseDepth?: number | undefined
}

/** Who holds a session. */
export interface Holder extends OperationRef {
  readonly since: number
  /** The operations under which it runs, nearest first. */
  readonly lineage: ReadonlyArray<OperationRef>
}

export interface HoldOptions<R> {
  /** The services that the operation sees in place of its caller's. */
  readonly context?: Context.Context<R> | undefined
  /**
   * Called when the session is free and nobody stands in line, in the very step that frees it, so that whoever is
   * told can start the next operation. It must not throw.
   */
  readonly onIdle?: (() => void) | undefined
}

export class SessionLock extends Context.Tag("baton/SessionLock")<
  SessionLock,
  {
    /**
     * Asks for the session; closing the scope gives it back. Waits in line only where the policy says so, and at the
     * gate of its lease for a `task` that re-enters; interruption while waiting withdraws the call and leaves nothing
     * behind. Giving back first interrupts and awaits everything that was admitted under the lease. Another
     * operation that interrupts this one interrupts the fiber that called `acquire`.
     */
    readonly acquire: (request: LeaseRequest) => Effect.Effect<Lease, LockError, Scope.Scope>

    /**
     * Asks for the session, runs `use` in a fiber of its own while holding it, and gives it back when `use` has
     * ended, however it ended. Another operation that interrupts this one interrupts `use` and not the caller, who
     * sees an interrupted result. Interrupting the caller interrupts `use` and waits for its end.
     */
    readonly hold: <A, E, R>(
      request: LeaseRequest,
      use: (lease: Lease) => Effect.Effect<A, E, R>,
      options?: HoldOptions<R>
    ) => Effect.Effect<A, E | LockError, R>

    /** Opens a delegation of a live lease, for a tool call that is forked with `markOf` in its FiberRefs. */
    readonly open: (lease: Lease) => Delegation

    /**
     * Ends a delegation's mark at once, and tells whether that is all: `false` where `close` has something to await.
     */
    readonly shut: (delegation: Delegation) => boolean

    /**
     * Closes a delegation: at once no fiber that carries it has a right of entry. Waits until what was admitted
     * through it has ended, having interrupted it. Cannot be interrupted.
     */
    readonly close: (delegation: Delegation) => Effect.Effect<void>

    /** Runs an effect in a delegation of its own and closes it afterwards, however the effect ended. */
    readonly delegate: (lease: Lease) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

    /**
     * Interrupts the operation that has a lease, as the engine's end does: it is not for this engine any more to say how
     * it ends. Does not wait for its end.
     */
    readonly stop: (lease: Lease) => void

    /** Tells who holds a session. */
    readonly holder: (session: string) => Effect.Effect<Option.Option<Holder>>
  }
>() {}

/**
 * The mark. A forked fiber starts with its parent's; joining it leaves the parent's as it was. A fiber that outlives
 * the lease keeps a mark that admits nobody.
 */
export const currentMark: FiberRef.FiberRef<Mark | undefined> = globalValue("baton/SessionLock/currentMark", () =>
  FiberRef.unsafeMake<Mark | undefined>(undefined, { join: (parent) => parent })
)

/** A lineage kept around a promise, and the id of the fiber that called it: only younger fibers can stem from it. */
export interface PromiseLineage {
  readonly mark: Mark
  readonly fiber: number
}

/**
 * The lineage around tools written as plain async functions, which call back through fibers that carry no mark. It
 * only lets the lock refuse what would wait for itself; it admits nobody.
 */
export const promiseLineage: {
  readonly run: <A>(lineage: PromiseLineage, use: () => A) => A
  readonly getStore: () => PromiseLineage | undefined
} = globalValue("baton/SessionLock/promiseLineage", () => new AsyncLocalStorage<PromiseLineage>())

/** The operations from a lease to the root of its lineage, nearest first. */
export const lineage = (lease: Lease | undefined): ReadonlyArray<OperationRef> => {
  const chain: Array<OperationRef> = []
  for (let at = lease; at !== undefined; at = at.parent) chain.push(refOf(at))
  return chain
}

/** The three words that name an operation. */
export const refOf = ({ kind, operationId, session }: OperationRef): OperationRef => ({ session, kind, operationId })
