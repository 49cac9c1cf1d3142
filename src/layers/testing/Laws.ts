/**
 * The laws that hold for every agent, tried on one over random schedules: any interleaving of its parallel calls,
 * interruption at any step, a crash after any write.
 */
import * as Effect from "effect/Effect"
import { type Law, LawBroken } from "../../services/testing/Law.js"
import type { Outcome } from "../../services/testing/Outcome.js"
import type { SubjectOf } from "../../services/testing/Subject.js"
import { random } from "./Seeded.js"
import { restart, type Schedule, trial, type Trial, type Tried } from "./trial.js"

export { type Law, LawBroken, laws } from "../../services/testing/Law.js"
export type { Outcome } from "../../services/testing/Outcome.js"
export type { Subject, Verdict } from "../../services/testing/Subject.js"

export interface Options extends Omit<Schedule, "signal"> {
  /** How many interleavings are tried, at least 1. Default: 100. */
  readonly schedules?: number | undefined
  /** The seed of the first; the others have those that follow. Default: 1. */
  readonly seed?: number | undefined
  /**
   * Where the prompts of each interleaving are interrupted: not at all, at one step that the seed chooses, or in a run
   * of its own at each step there is (a few hundred for a prompt with tools). Default: `"random"`.
   */
  readonly interrupt?: "never" | "random" | "every" | undefined
  /** After which writes of each interleaving the process crashes, in the same terms. Default: `"random"`. */
  readonly crash?: "never" | "random" | "every" | undefined
  /** Laws that the agent is not held to. */
  readonly without?: ReadonlyArray<Law> | undefined
}

/** What was tried. */
export interface Report {
  readonly schedules: number
  /** Runs of the prompts, interrupted or not. */
  readonly runs: number
  /** Those of them in which a prompt was interrupted. */
  readonly interrupted: number
  /** Restarts after a crash. */
  readonly crashes: number
}

/** What is replayed: the figures of a `LawBroken`. */
export interface Replay extends Trial {
  readonly crash?: number | undefined
}

/**
 * Tries the laws on an agent, each run over an engine, a store and a layer of its own, on virtual time. Fails with the
 * first breach, made as small as it was found to be: without the interruption where it shows without, else at the
 * earliest step. What is decided by seeds is: ids, randomness and time that come from Effect's services. Interruption
 * ends it between two tasks of a run.
 */
export const check = <R = never, I = never>(
  subject: SubjectOf<R, I>,
  options: Options = {}
): Effect.Effect<Report, LawBroken> =>
  Effect.flatten(
    Effect.promise(async (signal) => {
      const search = new Search(subject, options, signal)
      const broken = await search.run()
      return broken === undefined ? Effect.succeed(search.report) : Effect.fail(broken)
    })
  )

/** One run again, with what it came to. Fails as it did before. */
export const replay = <R = never, I = never>(
  subject: SubjectOf<R, I>,
  { crash, seed, step }: Replay,
  options: Omit<Options, "schedules" | "seed" | "interrupt" | "crash"> = {}
): Effect.Effect<Outcome | undefined, LawBroken> =>
  Effect.flatten(
    Effect.promise(async (signal) => {
      const search = new Search(subject, options, signal)
      const tried = await search.try({ seed, step })
      const broken =
        tried.broken ?? (crash === undefined ? undefined : await search.crash(tried, { seed, step }, crash))
      return broken === undefined ? Effect.succeed(tried.outcome) : Effect.fail(broken)
    })
  )

type Judged = Tried & { readonly broken: LawBroken | undefined }

class Search<R, I> {
  report: Report = { schedules: 0, runs: 0, interrupted: 0, crashes: 0 }
  private readonly schedule: Schedule
  private readonly without: ReadonlySet<Law>

  constructor(
    private readonly subject: SubjectOf<R, I>,
    private readonly options: Options,
    private readonly signal: AbortSignal
  ) {
    const { maxSteps, maxYields, patience, yieldProbability } = options
    this.schedule = { maxSteps, maxYields, patience, signal, yieldProbability }
    this.without = new Set(options.without)
  }

  async run(): Promise<LawBroken | undefined> {
    const { seed: first = 1 } = this.options
    // Nothing tried is nothing shown.
    const schedules = Math.max(1, this.options.schedules ?? 100)
    for (let seed = first; seed < first + schedules && !this.signal.aborted; seed++) {
      this.count({ schedules: 1 })
      const broken = await this.interleaving(seed)
      if (broken !== undefined) return broken
    }
    return undefined
  }

  /** All that is tried under one seed: the run itself, its interruptions, its crashes. */
  private async interleaving(seed: number): Promise<LawBroken | undefined> {
    const next = random(seed)
    const whole = await this.try({ seed })
    if (whole.broken !== undefined) return whole.broken
    for (const step of chosen(this.options.interrupt, whole.steps, next)) {
      const cut = await this.try({ seed, step })
      if (cut.broken !== undefined) return this.earliest(cut.broken, seed, step)
      if (this.signal.aborted) return undefined
    }
    for (const crash of chosen(this.options.crash, whole.writes.length + 1, next)) {
      const broken = await this.crash(whole, { seed }, crash)
      if (broken !== undefined) return this.first(broken, whole, seed, crash)
      if (this.signal.aborted) return undefined
    }
    return undefined
  }

  /** The same breach at the first step, of a number of steps spread over those before, at which it shows. */
  private async earliest(broken: LawBroken, seed: number, found: number): Promise<LawBroken> {
    if (this.options.interrupt === "every") return broken
    const stride = Math.max(1, Math.ceil(found / mostTries))
    for (let step = 0; step < found && !this.signal.aborted; step += stride) {
      const earlier = await this.try({ seed, step })
      if (earlier.broken?.law === broken.law) return earlier.broken
    }
    return broken
  }

  /** The same after the first write that shows it. */
  private async first(broken: LawBroken, whole: Tried, seed: number, found: number): Promise<LawBroken> {
    if (this.options.crash === "every") return broken
    for (let crash = 0; crash < found && !this.signal.aborted; crash++) {
      const earlier = await this.crash(whole, { seed }, crash)
      if (earlier !== undefined) return earlier
    }
    return broken
  }

  async try(how: Trial): Promise<Judged> {
    const tried = await trial(this.subject, how, this.schedule)
    this.count({ runs: 1, interrupted: tried.interrupted ? 1 : 0 })
    const breach = this.signal.aborted ? undefined : tried.breaches.find(({ law }) => !this.without.has(law))
    if (breach === undefined) return { ...tried, broken: undefined }
    const { seed } = how
    const step = tried.interrupted ? how.step : undefined
    return { ...tried, broken: new LawBroken({ ...breach, seed, step, crash: undefined, outcome: tried.outcome }) }
  }

  async crash({ outcome, writes }: Tried, { seed, step }: Trial, crash: number): Promise<LawBroken | undefined> {
    if (this.without.has("crash")) return undefined
    this.count({ crashes: 1 })
    const [breach] = await restart(this.subject, writes, { seed, crash }, this.schedule)
    if (breach === undefined || this.signal.aborted) return undefined
    return new LawBroken({ ...breach, seed, step, crash, outcome })
  }

  private count(more: Partial<Report>): void {
    const { crashes, interrupted, runs, schedules } = this.report
    this.report = {
      schedules: schedules + (more.schedules ?? 0),
      runs: runs + (more.runs ?? 0),
      interrupted: interrupted + (more.interrupted ?? 0),
      crashes: crashes + (more.crashes ?? 0)
    }
  }
}

/** How many runs are spent on making a breach smaller. */
const mostTries = 200

/** Numbers from 0 to below `count`: none, one, or all. */
const chosen = (which: Options["interrupt"], count: number, next: () => number): Iterable<number> => {
  if (which === "never" || count === 0) return []
  if (which === "every") return Array.from({ length: count }, (_, i) => i)
  return [Math.floor(next() * count)]
}
