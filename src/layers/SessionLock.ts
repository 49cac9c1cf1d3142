/**
 * The lock of one process. Every decision (admit, refuse, stand in line, hand on) is one synchronous step over its table.
 * Around it stand the effects: taking and giving back a permit, waiting in a line, and awaiting what is being closed.
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
import type { LockError } from "../services/Errors.js"
import { Limits, sane } from "../services/Limits.js"
import {
  currentMark,
  type HoldOptions,
  type Lease,
  type LeaseRequest,
  lineage,
  refOf,
  SessionLock
} from "../services/SessionLock.js"
import { originOf, validMark } from "./lock/origin.js"
import { DelegationState, LeaseState, Waiter } from "./lock/state.js"
import { busy, makeTable } from "./lock/Table.js"

/**
 * The lock of this process. Provide it once: sessions exclude each other only within one lock. When the layer ends,
 * the operations that hold sessions are interrupted and awaited; who stands in line or asks afterwards is interrupted.
 */
export const layer: Layer.Layer<SessionLock> = Layer.scoped(
  SessionLock,
  Effect.flatMap(Limits, (limits) => {
    const lock = makeLock(sane(limits))
    return Effect.as(Effect.addFinalizer(lock.shutdown), lock)
  })
)

/** What `makeLock` gives besides the service: its insides, for assertions, and its end. */
export interface LockInsides {
  /** How many sessions the table knows: those that are held. */
  readonly size: () => number
  /** Interrupts and awaits every operation, and admits none any more. */
  readonly shutdown: () => Effect.Effect<void>
}

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>
type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export const makeLock = (limits: {
  readonly taskWidth: number
  readonly taskDepth: number
}): Context.Tag.Service<SessionLock> & LockInsides => {
  const { decide, dismiss, holderOf, settle, shut, shutDelegation, shutDown, size } = makeTable(limits)

  /** Set when the layer ends. */
  let down = false

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
      if (down) return Effect.interrupt
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
      for (const lease of all) if (lease.fiber !== self) lease.stop(self.id())
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

  const shutdown = (): Effect.Effect<void> =>
    Effect.suspend(() => {
      down = true
      return Effect.uninterruptible(drain(shutDown()))
    })

  return {
    size,
    shutdown,

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

    stop: (lease) => {
      const it = lease as LeaseState
      it.interruptedBy ??= "shutdown"
      it.stop(FiberId.none)
    },

    holder: (session) =>
      Effect.sync(() => {
        const holder = holderOf(session)
        return holder === undefined
          ? Option.none()
          : Option.some({ ...refOf(holder), since: holder.since, lineage: lineage(holder.parent) })
      })
  }
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
