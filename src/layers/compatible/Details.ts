/**
 * OpenRouter's `reasoning_details`: blocks of reasoning that arrive in pieces and go back whole.
 */
import { type Fields, isRecord } from "../ai/json.js"

export class Details {
  private blocks: Array<Record<string, unknown>> = []

  /** Puts pieces together: those of one index and type are one block. */
  add(pieces: ReadonlyArray<unknown>): void {
    for (const piece of pieces) {
      if (!isRecord(piece)) continue
      const block = this.blocks.at(-1)
      if (
        block !== undefined &&
        piece["type"] === block["type"] &&
        piece["index"] === block["index"] &&
        !isSealed(piece)
      ) {
        join(block, piece)
      } else this.blocks.push({ ...piece })
    }
  }

  /** The blocks that came since they were last taken. */
  take(): ReadonlyArray<unknown> {
    const { blocks } = this
    this.blocks = []
    return blocks
  }
}

/** Encrypted content comes as a whole. */
const isSealed = (piece: Fields): boolean => piece["type"] === "reasoning.encrypted"

/** Text grows; anything else, the signature above all, comes once and stays. */
const join = (block: Record<string, unknown>, piece: Fields): void => {
  for (const [key, value] of Object.entries(piece)) {
    if (value === undefined || value === null) continue
    const before = block[key]
    block[key] =
      (key === "text" || key === "summary") && typeof before === "string" ? `${before}${String(value)}` : value
  }
}
