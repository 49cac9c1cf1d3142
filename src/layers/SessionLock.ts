/**
 * The lock of one process: a table of gates, one for each session that is held, and the tree of leases below them.
 *
 * Every decision (admit, refuse, stand in line, hand on) is one synchronous step over that table. Around it stand the
 * few effects: taking and giving back a permit, waiting in a line, and awaiting what is being closed.
 */
export * from "../services/SessionLock.js"

import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRefs from "effect/FiberRefs"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import { type LockError, SessionBusy, SessionDeadlock, TaskDepthExceeded } from "../services/Errors.js"
import { Limits } from "../services/Limits.js"
import {
  currentMark,
  type HoldOptions,
  type Lease,
  type LeaseRequest,
  lineage,
  type Mark,
  promiseLineage,
  refOf,
  SessionLock
} from "../services/SessionLock.js"
import { findCycle, lineageOf } from "./lock/deadlock.js"
import { DelegationState, Gate, LeaseState, Waiter } from "./lock/state.js"

/** The lock of this process. Provide it once: sessions exclude each other only within one lock. */
export const layer: Layer.Layer<SessionLock> = Layer.effect(
  SessionLock,
  Effect.map(Limits, (limits) => makeLock(limits))
)

/** What `makeLock` gives besides the service: its insides, for assertions. */
export interface LockInsides {
  /** How many sessions the table knows: those that are held. */
  readonly size: () => number
}

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>
type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export const makeLock = (limits: {
  readonly taskWidth: number
  readonly taskDepth: number
}): Context.Tag.Service<SessionLock> & LockInsides => {
  const table = new Map<string, Gate>()

  // ---------------------------------------------------------------- decisions: each one a single synchronous step

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
      stop(holder, FiberId.none)
    }
  }

  const stop = (lease: LeaseState, by: FiberId.FiberId): void => {
    lease.stopped = true
    lease.fiber?.unsafeInterruptAsFork(by)
  }

  // ---------------------------------------------------------------- effects around the decisions

  /**
   * Asks until admitted or refused, then takes the permit and goes on with `use`. Runs where it cannot be interrupted
   * but for the wait in a line.
   */
  const enter = <A, E, R>(
    request: LeaseRequest,
    restore: Restore,
    owned: boolean,
    onIdle: (() => void) | undefined,
    use: (lease: LeaseState, fiber: AnyFiber) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | LockError, R> =>
    Effect.withFiberRuntime<A, E | LockError, R>((fiber) => {
      const mark = request.under === undefined ? validMark(fiber) : undefined
      const from = mark ?? originOf(request, fiber)
      const parent = from?.lease as LeaseState | undefined
      const depth = Math.max(parent?.depth ?? 0, request.baseDepth ?? 0) + (request.kind === "task" ? 1 : 0)
      const lease = new LeaseState(request.session, request.kind, request.operationId, parent, depth)
      lease.since = Context.unsafeGet(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis()
      lease.delegation = from?.delegation as DelegationState | undefined
      // Known from the start: a grant that is withdrawn at once makes the session idle as well.
      lease.onIdle = onIdle
      lease.owned = owned
      if (!owned) lease.fiber = fiber as AnyFiber
      const decision = decide(request, lease, mark)
      const admitted = (): Effect.Effect<A, E, R> =>
        lease.first
          ? use(lease, fiber as AnyFiber)
          : // It is free: the grant has reserved it, and whoever held it gave it back before that.
            Effect.flatMap(lease.gate!.permits.take(1), () => use(lease, fiber as AnyFiber))
      if (decision === undefined) return admitted()
      if (!(decision instanceof Waiter)) return Effect.fail(decision)
      return stand(request, decision, restore, admitted, () => enter(request, restore, owned, onIdle, use))
    })

  const stand = <A, E, R>(
    request: LeaseRequest,
    waiter: Waiter,
    restore: Restore,
    admitted: () => Effect.Effect<A, E, R>,
    again: () => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | LockError, R> =>
    Effect.matchCauseEffect(restore(withTimer(request, waiter, wait(waiter))), {
      onFailure: (cause) => {
        // The grant may have come in the same instant as the interruption: then the place goes on to the next.
        if (waiter.outcome === "granted") settle(waiter.lease)
        else dismiss(waiter, "retry")
        return Effect.failCause(cause)
      },
      onSuccess: (): Effect.Effect<A, E | LockError, R> => {
        if (waiter.outcome === "granted") return Effect.flatMap(stamp(waiter.lease), admitted)
        return waiter.outcome === "retry" ? again() : Effect.fail(waiter.outcome as LockError)
      }
    })

  const stamp = (lease: LeaseState): Effect.Effect<void> =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      lease.since = now
    })

  const wait = (waiter: Waiter): Effect.Effect<void> =>
    Effect.async<void>((resume) => {
      // The outcome may have come before this fiber got to wait for it.
      if (waiter.outcome !== "waiting") return resume(Effect.void)
      waiter.wake = () => resume(Effect.void)
    })

  /** A time limit fails the place in the line; it never cuts the wait itself. */
  const withTimer = (request: LeaseRequest, waiter: Waiter, waiting: Effect.Effect<void>): Effect.Effect<void> => {
    const timeout = typeof request.onBusy === "object" ? request.onBusy.timeout : undefined
    if (timeout === undefined || waiter.gate.owner !== undefined) return waiting
    const expire = Effect.zipRight(
      Effect.sleep(timeout),
      Effect.sync(() => {
        const [holder] = waiter.gate.holders
        if (holder !== undefined) dismiss(waiter, busy(request, holder))
      })
    )
    return Effect.acquireUseRelease(Effect.fork(Effect.interruptible(expire)), () => waiting, Fiber.interrupt)
  }

  /** Gives an acquired place back after everything under it has ended. Idempotent; never interrupted. */
  const release = (lease: LeaseState): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (lease.phase === "ended") return Effect.void
      return lease.phase === "closing" ? ended(lease) : giveBack(lease, Effect.void)
    })

  /** Ends what was admitted under a lease, gives its permit back, hands its place on, and goes on with the result. */
  const giveBack = <A, E>(lease: LeaseState, result: Effect.Effect<A, E>): Effect.Effect<A, E> => {
    const ending = shut(lease)
    const over = () =>
      Effect.flatMap(lease.gate!.permits.release(1), () => {
        settle(lease)
        return result
      })
    return ending.size > 0 ? Effect.flatMap(drain(ending), over) : over()
  }

  /** Interrupts leases and awaits their end. */
  const drain = (leases: Iterable<LeaseState>): Effect.Effect<void> =>
    Effect.withFiberRuntime<void>((self) => {
      const all = [...leases]
      for (const lease of all) if (lease.fiber !== self) stop(lease, self.id())
      return Effect.forEach(all, (lease) => revoke(lease, self as AnyFiber), { discard: true })
    })

  /** Awaits a lease that was told to stop. One whose fiber is gone, or is ours, will not come: it is taken back. */
  const revoke = (lease: LeaseState, self: AnyFiber): Effect.Effect<void> => {
    const { fiber } = lease
    if (lease.owned || fiber === undefined) return ended(lease)
    if (fiber === self) return release(lease)
    return Effect.zipRight(endedOrGone(lease, fiber), release(lease))
  }

  const ended = (lease: LeaseState): Effect.Effect<void> =>
    Effect.async<void>((resume) => {
      if (lease.phase === "ended") return resume(Effect.void)
      ;(lease.onEnd ??= []).push(() => resume(Effect.void))
    })

  /** Not a race of two effects: the loser could not be interrupted here. */
  const endedOrGone = (lease: LeaseState, fiber: AnyFiber): Effect.Effect<void> =>
    Effect.async<void>((resume) => {
      if (lease.phase === "ended") return resume(Effect.void)
      const go = () => resume(Effect.void)
      ;(lease.onEnd ??= []).push(go)
      fiber.addObserver(go)
    })

  const close = (delegation: DelegationState): Effect.Effect<void> =>
    Effect.suspend(() => {
      const ending = shutDelegation(delegation)
      return ending.size > 0 ? Effect.uninterruptible(drain(ending)) : Effect.void
    })

  const hold = <A, E, R>(
    request: LeaseRequest,
    use: (lease: Lease) => Effect.Effect<A, E, R>,
    options?: HoldOptions<R>
  ): Effect.Effect<A, E | LockError, R> =>
    Effect.uninterruptibleMask((restore) =>
      enter(request, restore, true, options?.onIdle, (lease, caller) => {
        const fiber = fork(caller, lease, use, options?.context)
        lease.fiber = fiber as AnyFiber
        // Whoever wanted it to end before its fiber was known has not been heard yet.
        if (lease.stopped) fiber.unsafeInterruptAsFork(caller.id())
        const exit = fiber.unsafePoll()
        if (exit !== null) return giveBack(lease, exit)
        return Effect.matchCauseEffect(restore(exitOf(fiber)), {
          onSuccess: (exit) => giveBack(lease, exit),
          onFailure: (cause) => {
            fiber.unsafeInterruptAsFork(caller.id())
            return Effect.flatMap(exitOf(fiber), () => giveBack(lease, Effect.failCause(cause)))
          }
        })
      })
    )

  return {
    size: () => table.size,

    acquire: (request) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Scope.Scope, (scope) =>
          enter(request, restore, false, undefined, (lease) =>
            Effect.as(Scope.addFinalizer(scope, release(lease)), lease)
          )
        )
      ),

    hold,

    open: (lease) => new DelegationState(lease as LeaseState),

    shut: (delegation) => shutDelegation(delegation as DelegationState).size === 0,

    close: (delegation) => close(delegation as DelegationState),

    delegate: (lease) => (effect) =>
      Effect.suspend(() => {
        const delegation = new DelegationState(lease as LeaseState)
        return Effect.ensuring(Effect.locally(effect, currentMark, { lease, delegation }), close(delegation))
      }),

    holder: (session) =>
      Effect.sync(() => {
        const [holder] = table.get(session)?.holders ?? []
        return holder === undefined
          ? Option.none()
          : Option.some({ ...refOf(holder), since: holder.since, lineage: lineage(holder.parent) })
      })
  }
}

// -------------------------------------------------------------------- helpers on the state

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

const busy = (request: LeaseRequest, holder: LeaseState): SessionBusy =>
  new SessionBusy({
    session: request.session,
    requested: request.kind,
    running: holder.kind,
    operationId: holder.operationId,
    since: holder.since
  })

/** The mark of a fiber, if its lease still stands and its delegation, if it has one, is open. */
const validMark = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Mark | undefined => {
  const mark = fiber.getFiberRef(currentMark)
  return mark !== undefined && stands(mark) ? mark : undefined
}

const stands = (mark: Mark): boolean =>
  (mark.lease as LeaseState).phase !== "ended" && (mark.delegation === undefined || mark.delegation.open)

/**
 * Where a call comes from, if not from the mark. Around a promise the lineage is known from its context, for fibers
 * younger than the tool call: an older one is only being resumed there.
 */
const originOf = (request: LeaseRequest, fiber: Fiber.RuntimeFiber<unknown, unknown>): Mark | undefined => {
  if (request.under !== undefined) {
    return (request.under as LeaseState).phase === "ended" ? undefined : { lease: request.under, delegation: undefined }
  }
  const around = promiseLineage.getStore()
  if (around === undefined || !stands(around.mark)) return undefined
  const id = fiber.id()
  return FiberId.isRuntime(id) && id.id > around.fiber ? around.mark : undefined
}

/** Starts the operation's own fiber, marked with its lease; it is interruptible whatever the caller is. */
const fork = <A, E, R>(
  caller: AnyFiber,
  lease: LeaseState,
  use: (lease: Lease) => Effect.Effect<A, E, R>,
  context: Context.Context<R> | undefined
): Fiber.RuntimeFiber<A, E> => {
  const runtime = Runtime.make<R>({
    context: context ?? (caller.currentContext as Context.Context<R>),
    runtimeFlags: Runtime.defaultRuntimeFlags,
    fiberRefs: caller.getFiberRefs()
  })
  const updateRefs = (refs: FiberRefs.FiberRefs, fiberId: FiberId.Runtime) =>
    FiberRefs.updateAs(refs, { fiberId, fiberRef: currentMark, value: { lease, delegation: undefined } })
  return Runtime.runFork(
    runtime,
    Effect.suspend(() => use(lease)),
    { updateRefs }
  )
}

/** How a fiber ends. Its observers are called in the step in which it does, which `await` would wait a turn for. */
const exitOf = <A, E>(fiber: Fiber.RuntimeFiber<A, E>): Effect.Effect<Exit.Exit<A, E>> =>
  Effect.async<Exit.Exit<A, E>>((resume) => {
    fiber.addObserver((exit) => resume(Effect.succeed(exit)))
  })
