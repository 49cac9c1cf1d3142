/**
 * What the lock keeps: leases, delegations, gates and the places in their lines. Plain mutable records: every change
 * happens in one synchronous step, so no fiber sees half of it.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as FiberId from "effect/FiberId"
import type { LockError } from "../../services/Errors.js"
import type { HoldKind, OperationRef } from "../../services/Operation.js"
import type { Delegation, Lease, Position } from "../../services/SessionLock.js"
import { Line, type Place } from "./Line.js"

/** A lease, from the moment it is asked for. */
export class LeaseState implements Lease {
  phase: "waiting" | "live" | "closing" | "ended" = "waiting"
  since = 0
  interruptedBy: OperationRef | "shutdown" | undefined
  position: Position | undefined
  /** Set when someone wants it to end before its fiber is known. */
  stopped = false
  /** The fiber to interrupt. */
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  /** `true` where `hold` owns the fiber, so that the fiber's end is followed by the release. */
  owned = false
  /** The gate it was admitted by. */
  gate: Gate | undefined
  /** Whether the gate was made for it, with its permit taken. */
  first = false
  /** The gate of its own children, made with the first one. */
  children: Gate | undefined
  /** The delegation through which it was asked for. */
  delegation: DelegationState | undefined
  /** The leases that were asked for under it and have not ended. */
  below: Set<LeaseState> | undefined
  /** Those in a line who have this lease in their lineage. */
  waitingBelow: Set<Waiter> | undefined
  /** Told once when the lease has ended. */
  onEnd: Array<() => void> | undefined
  onIdle: (() => void) | undefined

  constructor(
    readonly session: string,
    readonly kind: HoldKind,
    readonly operationId: string,
    public parent: LeaseState | undefined,
    readonly depth: number
  ) {}

  get live(): boolean {
    return this.phase === "live"
  }

  /** Interrupts its operation, at once or when its fiber is known. */
  stop(by: FiberId.FiberId): void {
    this.stopped = true
    this.fiber?.unsafeInterruptAsFork(by)
  }
}

/** A tool call's child scope. */
export class DelegationState implements Delegation {
  open = true
  /** What was asked for through it and has not ended, on whatever session. */
  asked: Set<LeaseState> | undefined
  /** Who asked through it and stands in a line. */
  waiting: Set<Waiter> | undefined

  constructor(readonly lease: LeaseState) {}
}

/** So many leases at a time: one for a session, `width` for the children of a lease. */
export class Gate {
  /**
   * Taken only when known to be free, and never where the taker could be interrupted. A gate is made when its first
   * lease is admitted, and that one's permit is taken from the start.
   */
  readonly permits: Effect.Semaphore
  readonly holders = new Set<LeaseState>()
  readonly line = new Line<Waiter>()
  /** Those with the policy `interrupt`, who go ahead of the line. */
  readonly urgent = new Line<Waiter>()

  constructor(
    readonly session: string,
    /** The lease whose children it admits; `undefined` for the gate of the session itself. */
    readonly owner: LeaseState | undefined,
    readonly width: number
  ) {
    this.permits = Effect.unsafeMakeSemaphore(width - 1)
  }
}

/** A place in the line of a gate. */
export class Waiter implements Place {
  prev: Place | undefined
  next: Place | undefined
  outcome: "waiting" | "granted" | "retry" | LockError = "waiting"
  /** Wakes the fiber that waits. */
  wake: (() => void) | undefined

  constructor(
    readonly lease: LeaseState,
    readonly gate: Gate,
    readonly urgent: boolean
  ) {}
}
