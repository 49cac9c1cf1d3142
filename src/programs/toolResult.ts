/**
 * What a model is told of a tool's value.
 */
import { cleanText, print } from "../services/Json.js"
import { describe } from "../services/Tool.js"

/** A text for the model, and how long it was before it was cut, if it was. */
export interface ResultText {
  readonly text: string
  readonly cutFrom: number | undefined
}

/** The text of a value: a string as it is, anything else as JSON; or why it is not JSON. */
export const textOf = (value: unknown): { readonly text: string } | { readonly problem: string } => {
  if (typeof value === "string") return { text: value }
  if (value === undefined) return { text: "" }
  if (typeof value === "function" || typeof value === "symbol") {
    return { problem: `The tool gave a ${typeof value}, which is not JSON.` }
  }
  const printed = print(value)
  if ("json" in printed) return { text: printed.json }
  return { problem: `The tool gave a value that cannot be shown: ${printed.problem}.` }
}

/** Cleans a result and cuts it in the middle where it is longer than `limit` UTF-16 code units. */
export const fit = (result: string, limit: number): ResultText => {
  // Before it is cut: half a secret would not be known for one.
  // A tool that was not made by `Tool.make` may give what is no text.
  const text = cleanText(typeof result === "string" ? result : describe(result))
  if (text.length <= limit) return { text, cutFrom: undefined }
  const half = Math.floor(limit / 2)
  const head = text.slice(0, endBefore(text, half))
  const tail = text.slice(startAfter(text, text.length - half))
  const left = text.length - head.length - tail.length
  return { text: `${head}\n[… ${left} characters left out …]\n${tail}`, cutFrom: text.length }
}

const isHigh = (unit: number) => unit >= 0xd800 && unit <= 0xdbff
const isLow = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff

/** A cut before `at` or one unit earlier, never within a surrogate pair. */
const endBefore = (text: string, at: number) =>
  isHigh(text.charCodeAt(at - 1)) && isLow(text.charCodeAt(at)) ? at - 1 : at

/** A cut at `at` or one unit later, never within a surrogate pair. */
const startAfter = (text: string, at: number) =>
  isLow(text.charCodeAt(at)) && isHigh(text.charCodeAt(at - 1)) ? at + 1 : at
