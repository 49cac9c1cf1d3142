/**
 * What a run may and may not do, watched while it runs.
 *
 * Two views are kept. From outside: who runs in which session, and what each call was answered. From inside: the gates
 * themselves, where every grant and every end is checked in the step in which it happens.
 */
import { Cause, Exit, Option } from "effect"
import type { Gate, LeaseState, Waiter } from "../../../src/layers/lock/state.js"
import type { LockError } from "../../../src/services/Errors.js"
import type { Lease, Mark } from "../../../src/services/SessionLock.js"
import type { Call } from "./program.js"

/** What a call may be answered, by the state of its lineage when it asked. */
type Standing = "re-enters" | "own lineage" | "too deep" | "ordinary"

export class Attempt {
  /** In which turn it asked last; a call asks again when its right of entry ended while it waited. */
  asked = 0
  standing: Standing = "ordinary"
  hasLineage = false
  lease: LeaseState | undefined
  answers = 0

  constructor(
    readonly id: string,
    readonly call: Call,
    readonly session: string,
    /** The mark under which it was made. */
    readonly from: Mark | undefined
  ) {}
}

export class Trace {
  /** The first thing that went wrong. */
  wrong: string | undefined
  readonly attempts: Array<Attempt> = []
  private readonly byId = new Map<string, Attempt>()
  private readonly running = new Map<string, Set<Attempt>>()
  private readonly gates = new Set<Gate>()
  private readonly idle = new Map<string, boolean>()
  private turn = 0

  constructor(
    private readonly depthLimit: number,
    /** No program interrupts, fails or leaves a fiber behind. */
    private readonly quiet: boolean
  ) {}

  blame(what: string): void {
    this.wrong ??= what
  }

  attempt(call: Call, session: string, from: Mark | undefined): Attempt {
    const attempt = new Attempt(`#${this.attempts.length + 1}`, call, session, from)
    this.attempts.push(attempt)
    this.byId.set(attempt.id, attempt)
    return attempt
  }

  /** Called in the very step in which the lock decides on the call. */
  asks(attempt: Attempt): void {
    attempt.asked = ++this.turn
    const chain = this.lineageOf(attempt.from)
    attempt.hasLineage = chain.length > 0
    const task = attempt.call.kind === "task"
    const own = chain.filter((lease) => lease.session === attempt.session)
    const delegation = attempt.from?.delegation
    attempt.standing =
      task && (chain[0]?.depth ?? 0) + 1 > this.depthLimit
        ? "too deep"
        : own.length === 0
          ? "ordinary"
          : task && delegation?.lease.live === true && own.some((lease) => lease.live)
            ? "re-enters"
            : "own lineage"
  }

  /** The leases a mark stands for, nearest first: as far as each was asked for by right of one that still stands. */
  private lineageOf(mark: Mark | undefined): Array<Lease> {
    const chain: Array<Lease> = []
    for (let at = mark; at !== undefined && (chain.length === 0 ? stands(at) : holds(chain.at(-1)!, at));) {
      chain.push(at.lease)
      at = this.byId.get(at.lease.operationId)?.from
    }
    return chain
  }

  begins(attempt: Attempt, lease: Lease): void {
    const { session } = attempt
    attempt.lease = lease as LeaseState
    if (attempt.lease.gate !== undefined) this.watch(attempt.lease.gate)
    if (attempt.standing === "own lineage" || attempt.standing === "too deep") {
      this.blame(`${attempt.id} ran, though it asked from its own lineage or too deep`)
    }
    const running = this.running.get(session) ?? new Set()
    this.running.set(session, running)
    if (attempt.standing !== "re-enters" && running.size > 0) {
      this.blame(`exclusion: ${attempt.id} started on ${session} while ${ids(running)} ran`)
    }
    if (attempt.standing === "re-enters" && attempt.lease.gate?.owner?.phase === "ended") {
      this.blame(`${attempt.id} re-entered ${session} under a lease that had ended`)
    }
    running.add(attempt)
    this.idle.set(session, false)
  }

  ends(attempt: Attempt): void {
    this.running.get(attempt.session)?.delete(attempt)
  }

  toldIdle(attempt: Attempt): void {
    const gate = attempt.lease?.gate
    if (gate !== undefined && (gate.holders.size > 0 || gate.line.size > 0 || gate.urgent.size > 0)) {
      this.blame(`idle was told for ${attempt.session} while somebody held it or stood in line`)
    }
    this.idle.set(attempt.session, true)
  }

  answers<A, E>(attempt: Attempt, exit: Exit.Exit<A, E | LockError>): void {
    if (++attempt.answers > 1) this.blame(`${attempt.id} was answered twice`)
    const answer = answerOf(exit)
    const { onBusy } = attempt.call
    const policy = typeof onBusy === "object" ? onBusy._tag : onBusy
    const bounded = typeof onBusy === "object" && (onBusy.timeout !== undefined || onBusy.cap !== undefined)
    const wrong = (expected: string) =>
      this.blame(`${attempt.id} (${attempt.standing}, ${policy}) was answered ${answer}, not ${expected}`)
    if (answer === "interrupted" && this.quiet) wrong("anything else, since nothing interrupts")
    if (answer === "interrupted" || attempt.asked === 0) return
    const refused = answer === "SessionBusy" || answer === "SessionDeadlock" || answer === "TaskDepthExceeded"
    if (refused && attempt.lease !== undefined) wrong("by its own end, since it was admitted")
    switch (attempt.standing) {
      case "too deep":
        if (answer !== "TaskDepthExceeded") wrong("TaskDepthExceeded")
        break
      case "own lineage":
        if (answer !== (policy === "reject" ? "SessionBusy" : "SessionDeadlock")) wrong("its refusal")
        break
      case "re-enters":
        if (answer === "SessionBusy" || answer === "TaskDepthExceeded") wrong("by entering")
        break
      case "ordinary":
        if (answer === "TaskDepthExceeded") wrong("by its policy")
        if (answer === "SessionBusy" && policy !== "reject" && !bounded) wrong("by waiting")
        if (answer === "SessionDeadlock" && (policy !== "wait" || !attempt.hasLineage)) wrong("without a cycle")
    }
  }

  /** What must hold when nothing is left to do. */
  finish(ended: boolean, size: number, allHold: boolean): string | undefined {
    if (this.wrong !== undefined) return this.wrong
    const silent = this.attempts.filter((attempt) => attempt.answers === 0)
    if (silent.length > 0 || !ended) return `hang: ${ids(silent)} got no answer`
    for (const [session, running] of this.running) {
      if (running.size > 0) return `${ids(running)} never ended on ${session}`
    }
    if (size > 0) return `${size} sessions were left in the table`
    for (const { id, lease } of this.attempts) {
      if (lease === undefined) continue
      if (lease.live || lease.phase !== "ended") return `the lease of ${id} is still ${lease.phase}`
      if ((lease.waitingBelow?.size ?? 0) > 0) return `someone still counts as waiting below ${id}`
    }
    if (allHold) {
      for (const [session, told] of this.idle) if (!told) return `${session} became idle and nobody was told`
    }
    return undefined
  }

  /** From now on every grant and every end at this gate is checked in its own step. */
  private watch(gate: Gate): void {
    if (this.gates.has(gate)) return
    this.gates.add(gate)
    const { holders } = gate
    const add = holders.add.bind(holders)
    const remove = holders.delete.bind(holders)
    holders.add = (lease) => {
      this.granted(gate, lease)
      return add(lease)
    }
    holders.delete = (lease) => {
      if (lease.children !== undefined && lease.children.holders.size > 0) {
        this.blame(`structure: ${lease.operationId} was given back before what was admitted under it`)
      }
      return remove(lease)
    }
  }

  private granted(gate: Gate, lease: LeaseState): void {
    const attempt = this.byId.get(lease.operationId)
    if (attempt === undefined) return
    if (gate.holders.size >= gate.width) this.blame(`exclusion: ${attempt.id} was granted a place too many`)
    if (gate.owner !== undefined && !gate.owner.live) {
      this.blame(`liveness of leases: ${attempt.id} was granted under ${gate.owner.operationId}, which had ended`)
    }
    const urgent = attempt.call.onBusy === "interrupt" && gate.owner === undefined
    const overtaken = [...(urgent ? [] : standingIn(gate.line)), ...standingIn(gate.urgent)].filter(
      (waiter) => (this.byId.get(waiter.lease.operationId)?.asked ?? 0) < attempt.asked || !urgent
    )
    for (const waiter of overtaken) {
      if (waiter.lease === lease) continue
      const before = this.byId.get(waiter.lease.operationId)
      if (before === undefined) continue
      if (before.asked < attempt.asked || (waiter.urgent && !urgent)) {
        this.blame(`order: ${attempt.id} overtook ${before.id}`)
      }
    }
  }
}

const stands = (mark: Mark): boolean =>
  (mark.lease as LeaseState).phase !== "ended" && (mark.delegation === undefined || mark.delegation.open)

/** A lease that was admitted under another ends before it; one on another session may be left behind. */
const holds = (lease: Lease, from: Mark): boolean =>
  (lease as LeaseState).gate?.owner !== undefined
    ? (from.lease as LeaseState).phase !== "ended"
    : from.lease.live && (from.delegation === undefined || from.delegation.open)

const standingIn = (line: Gate["line"]): Array<Waiter> => {
  const waiters: Array<Waiter> = []
  for (let at = line.peek(); at !== undefined; at = at.next as Waiter | undefined) waiters.push(at)
  return waiters
}

const ids = (attempts: Iterable<Attempt>): string => [...attempts].map(({ id }) => id).join(", ")

const answerOf = <A, E>(exit: Exit.Exit<A, E | LockError>): string => {
  if (Exit.isSuccess(exit)) return "success"
  if (Cause.isInterrupted(exit.cause)) return "interrupted"
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause))
  if (failure === undefined) return "defect"
  return typeof failure === "object" && failure !== null && "_tag" in failure ? String(failure._tag) : "failure"
}
