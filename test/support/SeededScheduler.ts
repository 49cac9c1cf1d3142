/**
 * A scheduler that chooses the interleaving from a seed.
 *
 * It has two uses:
 *
 * - `Effect.withScheduler(effect, new SeededScheduler({ seed }))` inside any test. Tasks are then run one at a time, in
 *   the order the seed chooses, from the microtask queue; promises, `TestClock.adjust` and real timers all work.
 * - `runSeeded(effect, { seed })` runs an effect to the end synchronously, on a clock of its own that jumps to the next
 *   sleeper when nothing else is left to do. Nothing but the seed decides what happens, so a failure replays from it.
 *   An effect that waits for something outside (a promise, a real timer) never ends there: it is reported as hung.
 *
 * To do something at exactly the n-th step, give `onStep`. It is called at every op boundary of every fiber that runs
 * on this scheduler, before the op. To interrupt a fiber there:
 *
 * ```ts
 * for (let at = 0; ; at++) {
 *   const run = runSeeded(program, { seed, onStep: (step) => {
 *     if (step === at) fiber.unsafeInterruptAsFork(FiberId.none)
 *   } })
 *   if (run.steps <= at) break // every step has had its turn
 * }
 * ```
 *
 * A fiber that is interrupted while it runs hears of it before its next op; returning `true` makes the running fiber
 * yield there, so that others get between two ops of it.
 */
import type { RuntimeFiber } from "effect/Fiber"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import type { Scheduler, Task } from "effect/Scheduler"

type AnyFiber = RuntimeFiber<unknown, unknown>

export interface SeededOptions {
  readonly seed: number
  /** How likely a fiber yields at an op. Default: 0.05. A probability of 1 would never end. */
  readonly yieldProbability?: number | undefined
  /** How many such yields there are at most. Default: 60. */
  readonly maxYields?: number | undefined
  /** Called at every op boundary; `true` makes the fiber yield there. */
  readonly onStep?: ((step: number, fiber: AnyFiber) => boolean | void) | undefined
}

/** A small generator of numbers in [0, 1) (mulberry32). */
export const random = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export class SeededScheduler implements Scheduler {
  /** How many op boundaries there were. */
  steps = 0
  private readonly tasks: Array<Task> = []
  private readonly next: () => number
  private readonly probability: number
  private readonly onStep: SeededOptions["onStep"]
  private yields: number
  private pumping = false

  /** `manual` leaves it to the caller to run the tasks, with `runOne`. */
  constructor(
    options: SeededOptions,
    private readonly manual = false
  ) {
    this.next = random(options.seed)
    this.probability = options.yieldProbability ?? 0.05
    this.yields = options.maxYields ?? 60
    this.onStep = options.onStep
  }

  shouldYield(fiber: AnyFiber): number | false {
    const step = this.steps++
    if (this.onStep !== undefined && this.onStep(step, fiber) === true) return 0
    if (this.yields > 0 && this.next() < this.probability) {
      this.yields--
      return 0
    }
    return fiber.currentOpCount > fiber.getFiberRef(FiberRef.currentMaxOpsBeforeYield) ? 0 : false
  }

  scheduleTask(task: Task): void {
    this.tasks.push(task)
    if (this.manual || this.pumping) return
    this.pumping = true
    queueMicrotask(() => this.pump())
  }

  /** Runs one task of those that are ready; `false` if there is none. */
  runOne(): boolean {
    const count = this.tasks.length
    if (count === 0) return false
    const index = count === 1 ? 0 : Math.floor(this.next() * count)
    const task = this.tasks[index]!
    this.tasks[index] = this.tasks[count - 1]!
    this.tasks.pop()
    task()
    return true
  }

  /** Runs what is ready, and lets timers and input have their turn when that takes long. */
  private pump(): void {
    for (let i = 0; i < 2048; i++) {
      if (!this.runOne()) {
        this.pumping = false
        return
      }
    }
    setImmediate(() => this.pump())
  }
}

/** A clock that stands still until it is told to go on. */
export class SteppedClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  private now = 0
  private readonly sleepers: Array<{ readonly at: number; readonly wake: () => void }> = []

  unsafeCurrentTimeMillis(): number {
    return this.now
  }

  unsafeCurrentTimeNanos(): bigint {
    return BigInt(this.now) * 1_000_000n
  }

  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.unsafeCurrentTimeMillis())
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.unsafeCurrentTimeNanos())

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const sleeper = { at: this.now + Duration.toMillis(duration), wake: () => resume(Effect.void) }
      this.sleepers.push(sleeper)
      return Effect.sync(() => {
        const index = this.sleepers.indexOf(sleeper)
        if (index >= 0) this.sleepers.splice(index, 1)
      })
    })
  }

  /** Goes on to the earliest sleeper and wakes it; `false` if nobody sleeps. */
  jump(): boolean {
    let first = 0
    for (let i = 1; i < this.sleepers.length; i++) if (this.sleepers[i]!.at < this.sleepers[first]!.at) first = i
    const [sleeper] = this.sleepers.splice(first, 1)
    if (sleeper === undefined) return false
    this.now = Math.max(this.now, sleeper.at)
    sleeper.wake()
    return true
  }
}

export interface SeededRun<A, E> {
  /** `undefined` where the effect did not end: nothing was left to do, or `maxSteps` was reached. */
  readonly exit: Exit.Exit<A, E> | undefined
  /** How many op boundaries there were, daemons included. */
  readonly steps: number
  /** The time at the end, in milliseconds; it starts at 0. */
  readonly time: number
}

/**
 * Runs an effect and all it forked until nothing is left to do, or until `maxSteps` (default: 200,000) op boundaries.
 */
export const runSeeded = <A, E>(
  effect: Effect.Effect<A, E>,
  options: SeededOptions & { readonly maxSteps?: number | undefined }
): SeededRun<A, E> => {
  const scheduler = new SeededScheduler(options, true)
  const clock = new SteppedClock()
  const maxSteps = options.maxSteps ?? 200_000
  const fiber = Effect.runFork(Effect.withClock(effect, clock), { scheduler, immediate: false })
  while (scheduler.steps < maxSteps && (scheduler.runOne() || clock.jump())) {
    // Each turn runs one task, or moves time on where there is none.
  }
  return { exit: fiber.unsafePoll() ?? undefined, steps: scheduler.steps, time: clock.unsafeCurrentTimeMillis() }
}
