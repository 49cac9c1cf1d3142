/**
 * Lines of no more columns than there are.
 */
import sliceAnsi from "slice-ansi"
import stringWidth from "string-width"

/** A line in no more columns than there are. */
export const cut = (line: string, width: number): string => {
  if (stringWidth(line) <= width) return line
  // A slice ends with a whole character, which may be two columns wide.
  for (let end = width - 1; end > 0; end--) {
    const shorter = `${sliceAnsi(line, 0, end)}…`
    if (stringWidth(shorter) <= width) return shorter
  }
  return width > 0 ? "…" : ""
}
