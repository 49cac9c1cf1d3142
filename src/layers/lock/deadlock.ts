/**
 * Who waits for whom.
 *
 * A lease ends when its operation does, and its operation cannot end while anyone who stands in its lineage waits in a
 * line. So a lease depends on the holders of the gates at which those below it wait: on all of them, since one that
 * frees its place lets the waiter in.
 */
import type { OperationRef } from "../../services/Operation.js"
import { refOf } from "../../services/SessionLock.js"
import type { Gate, LeaseState } from "./state.js"

/** The leases that end only after a caller with this parent has ended. */
export const lineageOf = (parent: LeaseState | undefined): Set<LeaseState> => {
  const chain = new Set<LeaseState>()
  for (let at = parent; at !== undefined; at = at.parent) chain.add(at)
  return chain
}

/**
 * The path from a gate back to `mine`, if whoever waits at the gate would wait for `mine` to end.
 *
 * A place at a gate comes free when any of its holders ends, so all of them must be stuck. Two that wait for each other
 * hold each other up: hence each is taken to be stuck until it is shown that it may go on.
 */
export const findCycle = (gate: Gate, mine: ReadonlySet<LeaseState>): ReadonlyArray<OperationRef> | undefined => {
  const stuck = new Set<LeaseState>()
  for (const holder of gate.holders) {
    if (mine.has(holder)) continue
    if (holder.waitingBelow === undefined || holder.waitingBelow.size === 0) return undefined
    stuck.add(holder)
  }
  for (const lease of stuck) {
    for (const next of gatesOf(lease)) {
      for (const holder of next.holders) if (!mine.has(holder)) stuck.add(holder)
    }
  }
  const blocked = (at: Gate): boolean => {
    for (const holder of at.holders) if (!mine.has(holder) && !stuck.has(holder)) return false
    return true
  }
  let before: number
  do {
    before = stuck.size
    for (const lease of stuck) if (!gatesOf(lease).some(blocked)) stuck.delete(lease)
  } while (stuck.size < before)
  if (!blocked(gate)) return undefined
  const seen = new Set<LeaseState>()
  const pathFrom = (at: Gate): ReadonlyArray<OperationRef> | undefined => {
    for (const holder of at.holders) {
      if (mine.has(holder)) return [refOf(holder)]
      if (seen.has(holder)) continue
      seen.add(holder)
      for (const next of gatesOf(holder)) {
        const path = blocked(next) ? pathFrom(next) : undefined
        if (path !== undefined) return [refOf(holder), ...path]
      }
    }
    return undefined
  }
  return pathFrom(gate) ?? [...gate.holders].map(refOf)
}

/** The gates that hold a lease up. One that interrupts waits only as long as an interruption takes. */
const gatesOf = (lease: LeaseState): ReadonlyArray<Gate> => {
  const gates: Array<Gate> = []
  if (lease.waitingBelow !== undefined) {
    for (const waiter of lease.waitingBelow) if (!waiter.urgent) gates.push(waiter.gate)
  }
  return gates
}
