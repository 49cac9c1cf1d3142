/**
 * What tokens cost, as the application knows it.
 */
import * as Context from "effect/Context"
import type { Usage } from "./Usage.js"

/** Money for one million tokens, in whatever currency the application counts. */
export interface Price {
  readonly input: number
  readonly output: number
  /** Of input that was read from the provider's cache; default: `input`. */
  readonly cacheRead?: number | undefined
  /** Of input that was written to the provider's cache; default: `input`. */
  readonly cacheWrite?: number | undefined
}

/**
 * Prices by the name of the model, as it is asked for or as a registry's alias stands for it. No model has one unless
 * the application gives it; one that is not made of amounts counts as none.
 */
export class Prices extends Context.Reference<Prices>()("baton/Prices", {
  defaultValue: (): Readonly<Record<string, Price>> => ({})
}) {}

/** Whether a price, which may come from a file, is made of amounts. */
export const isPrice = ({ cacheRead, cacheWrite, input, output }: Price): boolean =>
  [input, output, cacheRead ?? 0, cacheWrite ?? 0].every((it) => Number.isFinite(it) && it >= 0)

/** A usage with its cost. A cost that the provider told stays; without a price there is none. */
export const priced = (usage: Usage, price: Price | undefined): Usage => {
  if (price === undefined || usage.cost !== undefined) return usage
  const { cacheRead, cacheWrite, input, output } = usage
  const fresh = Math.max(0, input - cacheRead - cacheWrite)
  const cost =
    fresh * price.input +
    cacheRead * (price.cacheRead ?? price.input) +
    cacheWrite * (price.cacheWrite ?? price.input) +
    output * price.output
  return { ...usage, cost: cost / 1_000_000 }
}
