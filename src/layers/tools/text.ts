/**
 * Cutting text for a model.
 */

/**
 * The most that one result holds, in bytes of UTF-8 and so in UTF-16 code units too: a little under 50,000, which is
 * where the engine cuts results in the middle.
 */
export const maxResult = 49_000

/** `text.slice(start, end)`, moved so that it begins and ends with whole characters. Never longer than asked. */
export const sliceWhole = (text: string, start: number, end: number): string => {
  const from = splitsPair(text, start) ? start + 1 : start
  const to = splitsPair(text, end) ? end - 1 : end
  return text.slice(from, Math.max(from, to))
}

const splitsPair = (text: string, at: number): boolean =>
  at > 0 && at < text.length && isHigh(text.charCodeAt(at - 1)) && isLow(text.charCodeAt(at))

const isHigh = (unit: number) => (unit & 0xfc00) === 0xd800
const isLow = (unit: number) => (unit & 0xfc00) === 0xdc00

/** The end of a text and what was left out before it. */
export interface TextTail {
  readonly text: string
  /** In UTF-16 code units. */
  readonly cut: number
}

/** The last `maxLines` lines within `maxUnits` UTF-16 code units, from the beginning of a line where there is one. */
export const tailOf = (text: string, maxLines: number, maxUnits: number): TextTail => {
  let start = text.length > maxUnits ? text.length - maxUnits : 0
  if (start > 0 && text[start - 1] !== "\n") {
    const next = text.indexOf("\n", start)
    if (next >= 0 && next < text.length - 1) start = next + 1
  }
  let from = text.endsWith("\n") ? text.length - 1 : text.length
  for (let lines = 0; lines < maxLines && from >= start; lines++)
    from = from === 0 ? -1 : text.lastIndexOf("\n", from - 1)
  if (from >= start) start = from + 1
  const kept = sliceWhole(text, start, text.length)
  return { text: kept, cut: text.length - kept.length }
}

/** Whether bytes are of a file that is not text: as git has it, a NUL among the first 8,000. */
export const isBinary = (bytes: Uint8Array): boolean => bytes.subarray(0, 8_000).includes(0)

/** A whole number from whatever a model gave. */
export const whole = (value: number | undefined, absent: number, min: number, max: number): number =>
  value === undefined || Number.isNaN(value) ? absent : Math.min(max, Math.max(min, Math.trunc(value)))
