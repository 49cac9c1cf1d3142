/**
 * What an operation and its tasks may use together.
 *
 * Before a round-trip its worst case is reserved, in the operation's own budget and in those of everyone above it;
 * afterwards what it used is spent and the rest goes back. So tasks that run at the same time cannot each take the last
 * of it: spent and reserved together never pass the budget, unless a provider charges more than it was allowed to.
 */
import * as Effect from "effect/Effect"
import { LimitReached } from "./Errors.js"

/** Tokens, input and output together, and money. */
export interface Amount {
  readonly tokens: number
  readonly cost: number
}

/** What a round-trip wants. */
export interface Wish {
  /** What it costs to send. */
  readonly least: Amount
  /** What one token of the reply costs. */
  readonly price: number
  /** The most tokens of reply that are of use. */
  readonly output: number
}

/** What a round-trip was granted. */
export interface Reservation {
  /** How many tokens the reply may have. */
  readonly output: number
  /** Ends it: what was used is spent, the rest goes back. The first call counts. */
  readonly settle: (used: Amount) => void
}

interface Waiting {
  readonly attempt: () => Reservation | LimitReached | undefined
  answer: Reservation | LimitReached | undefined
  readonly resume: () => void
}

export class Budget {
  readonly limits: Amount
  /** Itself and those above it, to the root. */
  private readonly chain: ReadonlyArray<Budget>
  private used: Amount = nothing
  private held: Amount = nothing
  /** How many reservations are held. */
  private open = 0
  /** First come, first served; of the whole tree, at its root. */
  private readonly line: Array<Waiting> = []

  constructor(limits: Amount, parent?: Budget) {
    this.limits = limits
    this.chain = [this, ...(parent?.chain ?? [])]
  }

  /** Whether it, or one above it, limits the cost. */
  get countsCost(): boolean {
    return this.chain.some(({ limits }) => limits.cost !== Number.POSITIVE_INFINITY)
  }

  /** Counts what was used before, by another run of the same work. */
  spend(used: Amount): void {
    for (const at of this.chain) at.used = plus(at.used, used)
  }

  get spent(): Amount {
    return this.used
  }

  get reserved(): Amount {
    return this.held
  }

  /**
   * Reserves for a round-trip: as many tokens of reply as are wished and left, at least one. Waits while there is
   * little because others hold what they may give back; fails when there would be nothing left anyway. Interruption
   * while waiting leaves nothing behind; what was granted must be settled. Run it where it cannot be interrupted, or a
   * grant may be lost on its way: the wait can be interrupted all the same.
   */
  reserve(wish: Wish): Effect.Effect<Reservation, LimitReached> {
    return Effect.suspend(() => {
      const { line } = this.root()
      const now = line.length === 0 ? this.attempt(wish) : undefined
      if (now !== undefined) return now instanceof LimitReached ? now : Effect.succeed(now)
      return this.wait(wish)
    })
  }

  private wait(wish: Wish): Effect.Effect<Reservation, LimitReached> {
    const { line } = this.root()
    let waiting: Waiting | undefined
    const turn = Effect.async<void>((resume) => {
      waiting = { attempt: () => this.attempt(wish), answer: undefined, resume: () => resume(Effect.void) }
      line.push(waiting)
      this.root().serve()
    })
    return Effect.uninterruptible(
      Effect.matchCauseEffect(Effect.interruptible(turn), {
        onSuccess: () => {
          const { answer } = waiting!
          return answer instanceof LimitReached ? answer : Effect.succeed(answer!)
        },
        onFailure: (cause) => {
          // The grant may have come in the same instant as the interruption.
          if (waiting?.answer !== undefined) {
            if (!(waiting.answer instanceof LimitReached)) waiting.answer.settle(nothing)
          } else if (waiting !== undefined) {
            line.splice(line.indexOf(waiting), 1)
            this.root().serve()
          }
          return Effect.failCause(cause)
        }
      })
    )
  }

  private root(): Budget {
    return this.chain.at(-1)!
  }

  /** Answers those in line from the first on, until one has to go on waiting. */
  private serve(): void {
    for (let first = this.line[0]; first !== undefined; first = this.line[0]) {
      const answer = first.attempt()
      if (answer === undefined) return
      first.answer = answer
      this.line.shift()
      first.resume()
    }
  }

  /** Grants, refuses for good, or does neither where others may give something back. */
  private attempt({ least, output: wished, price }: Wish): Reservation | LimitReached | undefined {
    let output = wished
    let waits = false
    for (const at of this.chain) {
      for (const limit of ["tokens", "cost"] as const) {
        const each = limit === "tokens" ? 1 : price
        const left = at.limits[limit] - at.used[limit]
        if (fits(left, least[limit], each) < 1) return new LimitReached({ limit, value: at.limits[limit] })
        const free = fits(left - at.held[limit], least[limit], each)
        // The last scrap is taken only when nobody is about to give anything back.
        if (free < Math.min(wished, useful) && at.held[limit] > 0) waits = true
        output = Math.min(output, free)
      }
    }
    return waits ? undefined : this.grant({ tokens: least.tokens + output, cost: least.cost + output * price }, output)
  }

  private grant(amount: Amount, output: number): Reservation {
    for (const at of this.chain) {
      at.held = plus(at.held, amount)
      at.open++
    }
    let open = true
    const settle = (used: Amount): void => {
      if (!open) return
      open = false
      for (const at of this.chain) {
        // Sums of money are not exact, and what nobody holds nobody gives back.
        at.held = --at.open === 0 ? nothing : less(at.held, amount)
        at.used = plus(at.used, used)
      }
      this.root().serve()
    }
    return { output, settle }
  }
}

/** Tokens of reply that are worth asking for: most turns of an agent have fewer. */
const useful = 4_096

const nothing: Amount = { tokens: 0, cost: 0 }

const plus = (a: Amount, b: Amount): Amount => ({ tokens: a.tokens + b.tokens, cost: a.cost + b.cost })

/** Sums of money are not exact: what would fall below nothing by a rounding is nothing. */
const less = (a: Amount, b: Amount): Amount => ({
  tokens: Math.max(0, a.tokens - b.tokens),
  cost: Math.max(0, a.cost - b.cost)
})

/** How many tokens of reply there is room for beside what it costs to send. */
const fits = (left: number, least: number, each: number): number => {
  if (left === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
  if (left < least) return 0
  return each === 0 ? Number.POSITIVE_INFINITY : Math.floor((left - least) / each)
}
