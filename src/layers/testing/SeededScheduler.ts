/**
 * A scheduler that chooses the interleaving from a seed.
 */
import type { RuntimeFiber } from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import type { Scheduler, Task } from "effect/Scheduler"

type AnyFiber = RuntimeFiber<unknown, unknown>

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

  /** How many tasks are ready. */
  get ready(): number {
    return this.tasks.length
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
