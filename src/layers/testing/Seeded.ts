/**
 * Any interleaving, from a seed.
 *
 * - `run(effect, { seed })` runs an effect to its end synchronously, on a clock of its own that jumps to the next
 *   sleeper when nothing else is left to do. Nothing but the seed decides what happens, so a failure replays from it.
 * - `runPromise(effect, { seed })` does the same for effects that wait for promises too.
 * - `Effect.withScheduler(effect, new SeededScheduler({ seed }))` does it inside any test, on the clock that is there.
 *
 * To do something at exactly the n-th step, give `onStep`. To interrupt a fiber there:
 *
 * ```ts
 * for (let at = 0; ; at++) {
 *   const { steps } = run(program, { seed, onStep: (step) => {
 *     if (step === at) fiber.unsafeInterruptAsFork(FiberId.none)
 *   } })
 *   if (steps <= at) break // every step has had its turn
 * }
 * ```
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import { random, type SeededOptions, SeededScheduler } from "./SeededScheduler.js"
import { SteppedClock } from "./SteppedClock.js"

export * from "./SeededScheduler.js"
export { SteppedClock } from "./SteppedClock.js"

export interface RunOptions extends SeededOptions {
  /** How many op boundaries there may be. Default: 200,000; a prompt of five turns takes about 1,000. */
  readonly maxSteps?: number | undefined
  /**
   * When the effect has ended, runs only what is ready and leaves time as it is. By default what it forked runs on to
   * its end too.
   */
  readonly stopAtEnd?: boolean | undefined
}

export interface RunPromiseOptions extends RunOptions {
  /**
   * How long to wait for the world outside before time moves on or the effect is called hung, in milliseconds of real
   * time. Default: 0, which is right for promises that need nothing but each other. With more, files and sockets work
   * too, but the order is no longer the seed's alone, and each jump of the clock takes that long.
   */
  readonly patience?: number | undefined
  /** Ends the run between two tasks. */
  readonly signal?: AbortSignal | undefined
}

export interface SeededRun<A, E> {
  /** `undefined` where the effect hung: nothing was left to do, or `maxSteps` was reached. */
  readonly exit: Exit.Exit<A, E> | undefined
  /** How many op boundaries there were, daemons included. */
  readonly steps: number
  /** The time at the end, in milliseconds; it starts at 0. */
  readonly time: number
}

/**
 * Runs an effect and all it forked until nothing is left to do. An effect that waits for something outside (a promise,
 * a real timer) never ends here: it is reported as hung. One that hung is left where it stands: its finalizers do not
 * run.
 */
export const run = <A, E>(effect: Effect.Effect<A, E>, options: RunOptions): SeededRun<A, E> => {
  const running = new Running(effect, options)
  while (running.goOn() && (running.scheduler.runOne() || running.jump())) {
    // Each turn runs one task, or moves time on where there is none.
  }
  return running.result()
}

/**
 * `run` for effects that wait for promises. Promises go on when nothing else can, and now and then between two tasks,
 * as the seed says; time moves on when they do not either.
 */
export const runPromise = async <A, E>(
  effect: Effect.Effect<A, E>,
  options: RunPromiseOptions
): Promise<SeededRun<A, E>> => {
  const running = new Running(effect, options)
  const { scheduler } = running
  const next = random(~options.seed)
  const patience = options.patience ?? 0
  while (running.goOn() && options.signal?.aborted !== true) {
    if (scheduler.ready > 0) {
      if (next() < promiseShare) await promises()
      scheduler.runOne()
      continue
    }
    await promises()
    const since = performance.now()
    while (scheduler.ready === 0 && !running.ended() && performance.now() - since < patience) await promises()
    if (scheduler.ready === 0 && !running.jump()) break
  }
  return running.result()
}

/** How often promises go on though fibers could. */
const promiseShare = 0.05

/** Lets every promise go on that can: the queue of microtasks is empty when this one comes. */
const promises = (): Promise<void> => new Promise((resume) => setImmediate(resume))

class Running<A, E> {
  readonly scheduler: SeededScheduler
  private readonly clock = new SteppedClock()
  private readonly fiber: Fiber.RuntimeFiber<A, E>
  private readonly maxSteps: number
  private readonly stopAtEnd: boolean

  constructor(effect: Effect.Effect<A, E>, options: RunOptions) {
    this.scheduler = new SeededScheduler(options, true)
    this.maxSteps = options.maxSteps ?? 200_000
    this.stopAtEnd = options.stopAtEnd ?? false
    const seeded = Effect.withRandom(Effect.withClock(effect, this.clock), Random.make(options.seed))
    this.fiber = Effect.runFork(seeded, { scheduler: this.scheduler, immediate: false })
  }

  goOn(): boolean {
    return this.scheduler.steps < this.maxSteps
  }

  ended(): boolean {
    return this.fiber.unsafePoll() !== null
  }

  /** Moves time on to the next sleeper; `false` if there is none that counts. */
  jump(): boolean {
    return !(this.stopAtEnd && this.ended()) && this.clock.jump()
  }

  result(): SeededRun<A, E> {
    return {
      exit: this.fiber.unsafePoll() ?? undefined,
      steps: this.scheduler.steps,
      time: this.clock.unsafeCurrentTimeMillis()
    }
  }
}
