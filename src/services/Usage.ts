/**
 * What model round-trips cost.
 */

/**
 * Tokens as the provider counted them, and money where a price is known. `input` includes what was read from and
 * written to the provider's cache, `output` includes reasoning.
 */
export interface Usage {
  readonly input: number
  readonly output: number
  readonly cacheRead: number
  readonly cacheWrite: number
  readonly reasoning: number
  /** In the currency of the application's price table. */
  readonly cost?: number | undefined
}

/** The usage of one operation, each round-trip counted once. */
export interface UsageReport {
  /** The operation's own turns. */
  readonly turns: Usage
  /** Attempts at a turn that failed, as far as the provider told what they used. */
  readonly retries: Usage
  /** Summaries of the older part of the history. */
  readonly compactions: Usage
  /** The totals of the tasks that it delegated. */
  readonly tasks: Usage
  readonly total: Usage
}

export const zero: Usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }

export const add = (a: Usage, b: Usage): Usage => {
  if (a === zero) return b
  if (b === zero) return a
  const cost = a.cost === undefined ? b.cost : a.cost + (b.cost ?? 0)
  return {
    input: a.input + b.input,
    output: a.output + b.output,
    cacheRead: a.cacheRead + b.cacheRead,
    cacheWrite: a.cacheWrite + b.cacheWrite,
    reasoning: a.reasoning + b.reasoning,
    ...(cost === undefined ? undefined : { cost })
  }
}

export const report = (turns: Usage, retries: Usage, compactions: Usage, tasks: Usage): UsageReport => ({
  turns,
  retries,
  compactions,
  tasks,
  total: add(add(add(turns, retries), compactions), tasks)
})

/** Input and output together, the figure that people compare. */
export const tokens = (usage: Usage): number => usage.input + usage.output
