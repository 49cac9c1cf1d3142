/**
 * The table of a lock: a gate for each session that is held, and the tree of leases below them. Each function is one
 * synchronous step over it, so no fiber sees half of a decision.
 */
import * as FiberId from "effect/FiberId"
import { type LockError, SessionBusy, SessionDeadlock, TaskDepthExceeded } from "../../services/Errors.js"
import { type LeaseRequest, type Mark, refOf } from "../../services/SessionLock.js"
import { findCycle, lineageOf } from "./deadlock.js"
import { type DelegationState, Gate, type LeaseState, Waiter } from "./state.js"

export interface Table {
  /** How many sessions are held. */
  readonly size: () => number
  readonly holderOf: (session: string) => LeaseState | undefined
  /** Admits a lease if it may enter now (`undefined`), stands it in a line, or says why not. */
  readonly decide: (request: LeaseRequest, lease: LeaseState, mark: Mark | undefined) => Waiter | LockError | undefined
  /** Takes a waiter out of its line with another outcome than a grant. */
  readonly dismiss: (waiter: Waiter, outcome: "retry" | LockError) => void
  /** Ends a lease: its place goes to the next in line, or the session is idle. */
  readonly settle: (lease: LeaseState) => void
  /** Lets nobody enter under a lease any longer. Gives what must end with it. */
  readonly shut: (lease: LeaseState) => ReadonlySet<LeaseState>
  /** Lets nobody enter through a delegation any longer. Gives what must end with it. */
  readonly shutDelegation: (delegation: DelegationState) => ReadonlySet<LeaseState>
  /** Lets nobody enter any longer, and sends those in line away. Gives every operation that holds a session. */
  readonly shutDown: () => ReadonlySet<LeaseState>
}

export const makeTable = (limits: { readonly taskWidth: number; readonly taskDepth: number }): Table => {
  const table = new Map<string, Gate>()

  /** Admits the lease if it may enter now, stands it in a line, or says why not. */
  const decide = (request: LeaseRequest, lease: LeaseState, mark: Mark | undefined): Waiter | LockError | undefined => {
    if (lease.kind === "task" && lease.depth > limits.taskDepth) {
      return new TaskDepthExceeded({ session: lease.session, depth: lease.depth, limit: limits.taskDepth })
    }
    const ancestor = nearest(lease.parent, lease.session)
    if (ancestor !== undefined) {
      const delegation = mark?.delegation as DelegationState | undefined
      if (lease.kind !== "task" || delegation === undefined || !delegation.lease.live || !ancestor.live) {
        return ownLineage(request, ancestor)
      }
      if (ancestor.children !== undefined) return enterOrWait(ancestor.children, lease, false)
      ancestor.children = new Gate(lease.session, ancestor, limits.taskWidth)
      return found(ancestor.children, lease)
    }
    // Called from what an operation left behind that is ending now: it is not awaited, and would not be parted again.
    if (lease.parent?.live === false) lease.parent = lease.delegation = undefined
    const gate = table.get(lease.session)
    if (gate !== undefined) return refuse(request, gate) ?? enterOrWait(gate, lease, policyOf(request) === "interrupt")
    const made = new Gate(lease.session, undefined, 1)
    table.set(lease.session, made)
    return found(made, lease)
  }

  /** Admits the first lease of a gate. */
  const found = (gate: Gate, lease: LeaseState): undefined => {
    lease.first = true
    grant(gate, lease)
  }

  const enterOrWait = (gate: Gate, lease: LeaseState, urgent: boolean): Waiter | SessionDeadlock | undefined => {
    if (gate.holders.size < gate.width && gate.line.size === 0 && gate.urgent.size === 0) {
      grant(gate, lease)
      return undefined
    }
    if (lease.parent !== undefined && !urgent) {
      const cycle = findCycle(gate, lineageOf(lease.parent))
      if (cycle !== undefined) return new SessionDeadlock({ cycle: [refOf(lease), ...cycle] })
    }
    const waiter = new Waiter(lease, gate, urgent)
    ;(urgent ? gate.urgent : gate.line).push(waiter)
    for (let at = lease.parent; at !== undefined; at = at.parent) (at.waitingBelow ??= new Set()).add(waiter)
    if (lease.delegation !== undefined) (lease.delegation.waiting ??= new Set()).add(waiter)
    if (urgent && gate.urgent.peek() === waiter) interruptHolders(gate, lease)
    return waiter
  }

  const grant = (gate: Gate, lease: LeaseState): void => {
    gate.holders.add(lease)
    lease.gate = gate
    lease.phase = "live"
    if (lease.parent !== undefined) (lease.parent.below ??= new Set()).add(lease)
    if (lease.delegation !== undefined) (lease.delegation.asked ??= new Set()).add(lease)
  }

  /** Gives free places to those in line, then lets the next urgent one interrupt who got in. */
  const handOn = (gate: Gate): void => {
    while (gate.holders.size < gate.width) {
      const next = gate.urgent.shift() ?? gate.line.shift()
      if (next === undefined) break
      forget(next)
      grant(gate, next.lease)
      next.outcome = "granted"
      next.wake?.()
    }
    const urgent = gate.urgent.peek()
    if (urgent !== undefined) interruptHolders(gate, urgent.lease)
  }

  /** Takes a waiter out of its line with another outcome than a grant. */
  const dismiss = (waiter: Waiter, outcome: "retry" | LockError): void => {
    if (waiter.outcome !== "waiting") return
    ;(waiter.urgent ? waiter.gate.urgent : waiter.gate.line).remove(waiter)
    forget(waiter)
    waiter.outcome = outcome
    waiter.wake?.()
    if (waiter.gate.owner === undefined && isEmpty(waiter.gate)) table.delete(waiter.gate.session)
  }

  const forget = (waiter: Waiter): void => {
    for (let at = waiter.lease.parent; at !== undefined; at = at.parent) at.waitingBelow?.delete(waiter)
    waiter.lease.delegation?.waiting?.delete(waiter)
  }

  /** The end of a lease: its place goes to the next in line, or the session is idle. */
  const settle = (lease: LeaseState): void => {
    const gate = lease.gate!
    lease.phase = "ended"
    gate.holders.delete(lease)
    lease.parent?.below?.delete(lease)
    lease.delegation?.asked?.delete(lease)
    lease.fiber = undefined
    handOn(gate)
    const idle = gate.owner === undefined && isEmpty(gate)
    if (idle) table.delete(gate.session)
    if (lease.onEnd !== undefined) for (const tell of lease.onEnd) tell()
    if (idle) lease.onIdle?.()
  }

  /** From here on nobody enters under this lease, and nobody counts as being below it. Gives what must end with it. */
  const shut = (lease: LeaseState): ReadonlySet<LeaseState> => {
    lease.phase = "closing"
    if (lease.children === undefined && lease.waitingBelow === undefined && lease.below === undefined) return nobody
    const ending = new Set(lease.children?.holders)
    for (const waiter of [...(lease.waitingBelow ?? [])]) {
      if (waiter.gate.owner === lease || waiter.lease.parent === lease) part(waiter)
    }
    for (const below of [...(lease.below ?? [])]) cut(below, ending)
    return ending
  }

  /** The same for a delegation. */
  const shutDelegation = (delegation: DelegationState): ReadonlySet<LeaseState> => {
    delegation.open = false
    if (delegation.waiting === undefined && delegation.asked === undefined) return nobody
    const ending = new Set<LeaseState>()
    for (const waiter of [...(delegation.waiting ?? [])]) part(waiter)
    for (const asked of [...(delegation.asked ?? [])]) cut(asked, ending)
    return ending
  }

  /** A waiter that outlived where it came from: one by right of it asks again, another keeps its place without it. */
  const part = (waiter: Waiter): void => {
    if (waiter.gate.owner !== undefined) return dismiss(waiter, "retry")
    forget(waiter)
    waiter.lease.parent = waiter.lease.delegation = undefined
  }

  /**
   * A lease that outlived where it came from. What was admitted by right of that must end; an operation on another
   * session goes on as one that was called by nobody, and takes nothing below it along into the lineage it leaves.
   */
  const cut = (lease: LeaseState, ending: Set<LeaseState>): void => {
    if (lease.gate!.owner !== undefined) {
      ending.add(lease)
      return
    }
    const left = lineageOf(lease.parent)
    lease.parent?.below?.delete(lease)
    lease.delegation?.asked?.delete(lease)
    lease.parent = lease.delegation = undefined
    for (const waiter of [...(lease.waitingBelow ?? [])]) {
      for (const at of left) at.waitingBelow?.delete(waiter)
      if (waiter.gate.owner !== undefined && left.has(waiter.gate.owner)) dismiss(waiter, "retry")
    }
    const under = [...(lease.below ?? [])]
    for (let at = under.pop(); at !== undefined; at = under.pop()) {
      if (at.gate!.owner !== undefined && left.has(at.gate!.owner)) ending.add(at)
      else under.push(...(at.below ?? []))
    }
  }

  const interruptHolders = (gate: Gate, by: LeaseState): void => {
    for (const holder of gate.holders) {
      if (holder.interruptedBy !== undefined || holder.phase !== "live") continue
      holder.interruptedBy = refOf(by)
      holder.stop(FiberId.none)
    }
  }

  const shutDown = (): ReadonlySet<LeaseState> => {
    const ending = new Set<LeaseState>()
    for (const gate of [...table.values()]) {
      for (const line of [gate.urgent, gate.line]) {
        for (let waiter = line.peek(); waiter !== undefined; waiter = line.peek()) dismiss(waiter, "retry")
      }
      for (const holder of gate.holders) {
        holder.interruptedBy ??= "shutdown"
        ending.add(holder)
      }
    }
    return ending
  }

  return {
    size: () => table.size,
    holderOf: (session) => {
      const [holder] = table.get(session)?.holders ?? []
      return holder
    },
    decide,
    dismiss,
    settle,
    shut,
    shutDelegation,
    shutDown
  }
}

const nobody: ReadonlySet<LeaseState> = new Set()

const isEmpty = (gate: Gate): boolean => gate.holders.size === 0 && gate.line.size === 0 && gate.urgent.size === 0

const policyOf = (request: LeaseRequest) =>
  typeof request.onBusy === "object" ? request.onBusy._tag : (request.onBusy ?? "reject")

/** The nearest lease of a session in a lineage that has not ended; a live one before one that is closing. */
const nearest = (from: LeaseState | undefined, session: string): LeaseState | undefined => {
  let closing: LeaseState | undefined
  for (let at = from; at !== undefined; at = at.parent) {
    if (at.session !== session || at.phase === "ended") continue
    if (at.live) return at
    closing ??= at
  }
  return closing
}

/** A call on a session of one's own lineage that may not re-enter: it would wait for itself. */
const ownLineage = (request: LeaseRequest, ancestor: LeaseState): LockError => {
  if (policyOf(request) !== "reject") {
    return new SessionDeadlock({ cycle: [refOf(request), refOf(ancestor)] })
  }
  let root = ancestor
  for (let at = ancestor.parent; at !== undefined; at = at.parent) {
    if (at.session === ancestor.session && at.phase !== "ended") root = at
  }
  return busy(request, root)
}

/** What the policy answers on a held session before anyone stands in line. */
const refuse = (request: LeaseRequest, gate: Gate): SessionBusy | undefined => {
  const [holder] = gate.holders
  if (holder === undefined) return undefined
  if (policyOf(request) === "reject") return busy(request, holder)
  const cap = typeof request.onBusy === "object" ? request.onBusy.cap : undefined
  return cap !== undefined && gate.line.size >= cap ? busy(request, holder) : undefined
}

/** The refusal of a session that is held. */
export const busy = (request: LeaseRequest, holder: LeaseState): SessionBusy =>
  new SessionBusy({
    session: request.session,
    requested: request.kind,
    running: holder.kind,
    operationId: holder.operationId,
    since: holder.since
  })
