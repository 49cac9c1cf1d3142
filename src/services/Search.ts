/**
 * What is looked for in the histories of sessions, and what is found.
 */
import type { Entry } from "./Entry.js"

export interface SearchOptions {
  /** In one session only, and not in those of its tasks; default: in all there are. */
  readonly session?: string | undefined
  /** How many at most, 1 to 1,000; default 20. */
  readonly limit?: number | undefined
  /** Goes on where another page ended: its `next`. */
  readonly after?: string | undefined
}

/** What was found, the newest first. */
export interface Found {
  readonly hits: ReadonlyArray<Hit>
  /** Where the next page begins; `undefined` where there is none. */
  readonly next: string | undefined
}

/** An entry that has all the words. */
export interface Hit {
  readonly session: string
  /** Its place in the session's history. */
  readonly entry: number
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly kind: Entry["_tag"]
  readonly operationId: string
  /** What it says around the first of the words that is found in it: one clean line of at most 160 characters, and "…" where it is cut. */
  readonly snippet: string
  /** Where words that were looked for stand in the snippet: from, and to before, in UTF-16 code units. */
  readonly ranges: ReadonlyArray<readonly [from: number, to: number]>
}
