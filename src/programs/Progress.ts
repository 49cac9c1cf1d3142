/**
 * Whether a prompt gets anywhere: the same calls with the same results, again and again, are no progress.
 */
import type { ToolCallPart } from "../services/Entry.js"
import type { ToolResult } from "../services/Conversation.js"

/** How many turns the longest cycle has that is looked for. */
const longest = 4

/** A round of turns that repeats itself. */
export interface Cycle {
  readonly tools: ReadonlyArray<string>
  /** How many turns it has. */
  readonly period: number
}

interface Settled {
  readonly call: ToolCallPart
  readonly result: ToolResult | undefined
}

type Turn = ReadonlyArray<Settled>

/**
 * Looks at the calls of each turn and their results. A cycle is found when the last turns are `repeats` rounds of the
 * same 1 to 4 turns.
 */
export class Progress {
  /** The last turns, newest first. */
  private readonly turns: Array<Turn> = []
  /** For each period, how many of the last turns are what the turn one period before them was. */
  private readonly matches: Array<number> = Array.from({ length: longest }, () => 0)

  constructor(
    private readonly repeats: number,
    /** Calls of these are left out. */
    private readonly isPolling: (tool: string) => boolean
  ) {}

  /** Takes a turn into account. Gives the cycle that the turns are in, if they are. */
  add(calls: ReadonlyArray<ToolCallPart>, resultOf: (callId: string) => ToolResult | undefined): Cycle | undefined {
    const turn: Array<Settled> = []
    for (const call of calls) if (!this.isPolling(call.name)) turn.push({ call, result: resultOf(call.id) })
    if (turn.length === 0) return undefined
    let found: Cycle | undefined
    for (let period = 1; period <= longest; period++) {
      const before = this.turns[period - 1]
      const matches = before !== undefined && same(turn, before) ? this.matches[period - 1]! + 1 : 0
      this.matches[period - 1] = matches
      if (found !== undefined || matches < period * (this.repeats - 1)) continue
      const cycle = [turn, ...this.turns.slice(0, period - 1)].flat()
      found = { period, tools: [...new Set(cycle.map(({ call }) => call.name))] }
    }
    if (this.turns.length === longest) this.turns.pop()
    this.turns.unshift(turn)
    return found
  }
}

/** The same calls with the same results, in order. */
const same = (a: Turn, b: Turn): boolean =>
  a.length === b.length &&
  a.every((it, i) => {
    const other = b[i]!
    return (
      it.call.name === other.call.name &&
      sameResult(it.result, other.result) &&
      it.call.raw === other.call.raw &&
      JSON.stringify(it.call.args) === JSON.stringify(other.call.args)
    )
  })

const sameResult = (a: ToolResult | undefined, b: ToolResult | undefined): boolean => {
  if (a?.text !== b?.text || a?.images?.length !== b?.images?.length) return false
  return a?.images?.every(({ data }, i) => data === b?.images?.[i]?.data) ?? true
}
