/**
 * Showing a model what has changed in a file.
 */
import { newlines } from "./Replacement.js"
import { sliceWhole } from "./text.js"

/** Lines shown before and after a change, lines shown in all, and how much of each, in UTF-16 code units. */
export const context = 3
const maxShownLines = 60
const maxShownLine = 300

/** How many changes are shown at most. */
export const maxShownChanges = 20

interface Hunk {
  readonly line: number
  readonly start: number
  end: number
}

/**
 * The lines around changes, each as its number, a tab and its text. `places` are where the changes begin, in rising
 * order, and `length` is how long each is; `crlf` leaves carriage returns out.
 */
export const excerpt = (
  text: Uint8Array,
  places: ReadonlyArray<number>,
  length: number,
  crlf: boolean
): ReadonlyArray<string> => {
  const shown: Array<string> = []
  let omitted = 0
  for (const [index, hunk] of hunksOf(text, places, length).entries()) {
    if (index > 0 && shown.length < maxShownLines) shown.push("\u2026")
    let line = hunk.line
    for (let at = hunk.start; at < hunk.end; line++) {
      if (shown.length >= maxShownLines) {
        omitted += newlines(text, at, hunk.end) + (text[hunk.end - 1] === 10 ? 0 : 1)
        break
      }
      const newline = text.indexOf(10, at)
      const end = newline < 0 ? text.length : newline
      shown.push(`${line}\t${lineOf(text.subarray(at, crlf && text[end - 1] === 13 && end > at ? end - 1 : end))}`)
      at = end + 1
    }
  }
  if (omitted > 0) shown.push(`[${omitted} more lines of this are not shown.]`)
  return shown
}

/** The lines around each change; those that touch are one. */
const hunksOf = (text: Uint8Array, places: ReadonlyArray<number>, length: number): ReadonlyArray<Hunk> => {
  const hunks: Array<Hunk> = []
  let line = 1
  let counted = 0
  for (const place of places) {
    const last = length > 0 && text[place + length - 1] === 10 ? place + length - 1 : place + length
    const end = forward(text, last)
    const before = hunks.at(-1)
    const start = back(text, place, before?.end ?? 0)
    if (before !== undefined && start <= before.end) {
      before.end = Math.max(before.end, end)
      continue
    }
    line += newlines(text, counted, start)
    counted = start
    hunks.push({ line, start, end })
  }
  return hunks
}

/** Where the line begins that stands some lines before a place, not before `floor`. */
const back = (text: Uint8Array, place: number, floor: number): number => {
  let at = place
  for (let left = context; at > floor; at--) if (text[at - 1] === 10 && left-- === 0) break
  return Math.min(at, place)
}

/** Where the line ends, its newline included, that stands some lines after a place. */
const forward = (text: Uint8Array, place: number): number => {
  let at = place
  for (let left = context; at < text.length; at++) if (text[at] === 10 && left-- === 0) return at + 1
  return at
}

/** A line, cut where it is long. No character has more than four bytes, so none is split where it is cut. */
const lineOf = (bytes: Uint8Array): string => {
  const text = Buffer.from(bytes.subarray(0, 4 * maxShownLine)).toString("utf8")
  return text.length <= maxShownLine ? text : `${sliceWhole(text, 0, maxShownLine - 1)}\u2026`
}
