/**
 * A scheduler that chooses the interleaving from a seed.
 */
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import type { Scheduler, Task } from "effect/Scheduler"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** What decides an interleaving. */
export interface SeededOptions {
  readonly seed: number
  /** How likely a fiber yields at an op. Default: 0.05. A probability of 1 would never end. */
  readonly yieldProbability?: number | undefined
  /** How many such yields there are at most. Default: 60. */
  readonly maxYields?: number | undefined
  /**
   * Called at every op boundary of every fiber of the run, before the op; `true` makes the fiber yield there, so that
   * others get between two ops of it. A fiber that is interrupted from here hears of it before its next op.
   */
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

/**
 * Runs tasks one at a time in the order that the seed chooses. Given to `Effect.withScheduler` it takes them from the
 * microtask queue, so that promises, `TestClock.adjust` and real timers all work.
 */
export class SeededScheduler implements Scheduler {
  /** How many op boundaries there were. */
  steps = 0
  private readonly tasks: Array<Task> = []
  private readonly known = new WeakSet<AnyFiber>()
  private readonly drivers = new WeakSet<AnyFiber>()
  private beginning: AnyFiber | undefined
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
    const asked = this.onStep !== undefined && this.onStep(step, fiber) === true
    if (this.beginning === fiber) return false
    if (asked) return 0
    if (this.yields > 0 && this.next() < this.probability) {
      this.yields--
      return 0
    }
    return fiber.currentOpCount > fiber.getFiberRef(FiberRef.currentMaxOpsBeforeYield) ? 0 : false
  }

  /** How many tasks are ready. */
  get ready(): number {
    return this.tasks.length
  }

  scheduleTask(task: Task, _priority?: number, fiber?: AnyFiber): void {
    if (fiber !== undefined) {
      if (fiber === this.beginning) return task()
      if (this.drives(task, fiber)) return this.begin(task, fiber)
    }
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

  /**
   * Whether this is the first that is heard of a fiber which drives a concurrent combinator (`Effect.forEach` and its
   * kin). Such a combinator never ends if it is interrupted before that fiber has begun, which only schedules as free
   * as these bring about; so it begins within the op that makes it. The fibers that it drives begin when they may.
   */
  private drives(task: Task, fiber: AnyFiber): boolean {
    if (this.known.has(fiber)) return false
    this.known.add(fiber)
    // A fiber that is forked, or goes on, comes with a task that it has itself.
    if ("run" in fiber && fiber.run === task) return false
    const maker = Option.getOrUndefined(Fiber.getCurrentFiber())
    return maker !== undefined && maker !== fiber && !this.drivers.has(maker) && maker.unsafePoll() === null
  }

  private begin(task: Task, fiber: AnyFiber): void {
    const before = this.beginning
    this.drivers.add(fiber)
    this.beginning = fiber
    try {
      task()
    } finally {
      this.beginning = before
    }
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
