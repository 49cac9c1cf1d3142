/**
 * Two columns of text.
 */
import stringWidth from "string-width"
import { textLines } from "./render.js"
import { oneLine } from "./tree.js"

export type Row = readonly [name: string, text: string]

/** Fewer columns than these are none to read in. */
const minText = 20

/** The rows in lines of `width` columns: the second column begins at the same place in each row, and goes on there. */
export const table = (rows: ReadonlyArray<Row>, width: number): ReadonlyArray<string> => {
  const clean = rows.map(([name, text]) => [oneLine(name), oneLine(text)] as const)
  const first = Math.max(...clean.map(([name]) => stringWidth(name)))
  const room = width - first - 2
  return clean.flatMap(([name, text]) => {
    // Where there is no room beside the name it stands below.
    if (room < minText) return [name, ...textLines(text, width - 2).map((line) => `  ${line}`)]
    const [line = "", ...more] = textLines(text, room)
    const start = `${name}${" ".repeat(first - stringWidth(name))}  ${line}`.trimEnd()
    return [start, ...more.map((it) => " ".repeat(first + 2) + it)]
  })
}
