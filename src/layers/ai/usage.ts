/**
 * A provider's figures, whatever they are.
 */
import type { Usage } from "../../services/Usage.js"

/** A count of tokens, where the value is a number at all. Nothing is less than zero. */
export const figure = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) ? Math.max(0, value) : undefined

/** Figures as a provider tells them. */
export type Figures = { readonly [K in "input" | "output" | "cacheRead" | "cacheWrite" | "reasoning"]?: unknown }

/** The usage, where at least the input is told; a figure that is missing beside it, or is no number, counts as zero. */
export const usageOf = (figures: Figures): Usage | undefined => {
  const input = figure(figures.input)
  if (input === undefined) return undefined
  return {
    input,
    output: figure(figures.output) ?? 0,
    cacheRead: figure(figures.cacheRead) ?? 0,
    cacheWrite: figure(figures.cacheWrite) ?? 0,
    reasoning: figure(figures.reasoning) ?? 0
  }
}
