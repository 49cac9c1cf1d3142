/**
 * A table of texts.
 */
import stringWidth from "string-width"
import wrapAnsi from "wrap-ansi"
import { cut } from "./cut.js"

/** Fewer columns than these are none to read in. */
const minText = 20

/**
 * Rows of clean cells as lines no wider than `width`: each column begins at the same place, and the last goes on below
 * itself, or stands below the others where there is no room beside them.
 */
export const columns = (
  rows: ReadonlyArray<ReadonlyArray<string>>,
  width = Number.POSITIVE_INFINITY
): ReadonlyArray<string> => {
  const widths = (rows[0] ?? [])
    .slice(0, -1)
    .map((_, column) => rows.reduce((most, row) => Math.max(most, stringWidth(row[column]!)), 0))
  const before = widths.reduce((sum, it) => sum + it + 2, 0)
  const room = width - before
  return rows.flatMap((row) => {
    const cells = widths.map((it, column) => row[column]! + " ".repeat(it - stringWidth(row[column]!) + 2))
    const last = row.at(-1) ?? ""
    const line = cells.join("")
    if (stringWidth(last) <= room) return [`${line}${last}`.trimEnd()]
    if (room < minText) return [cut(line.trimEnd(), width), ...below(last, 2, width)]
    const [first = "", ...more] = below(last, before, width)
    return [line + first.slice(before), ...more]
  })
}

/** A text in lines behind an indent. */
const below = (text: string, indent: number, width: number): ReadonlyArray<string> =>
  wrapAnsi(text, Math.max(1, width - indent), { hard: true })
    .split("\n")
    .map((line) => " ".repeat(indent) + line)

/** How much of a line a name may take that others follow: a third, but no less than one can tell it by. */
export const nameWidth = (width: number): number => Math.max(12, Math.floor(width / 3))
