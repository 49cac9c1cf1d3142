/**
 * How an entry is told on a command line.
 */

/** Stands for the place before the first entry. */
export const start = "start"

/** Its place where a text is a number, else its name. */
export const entryOf = (text: string): number | string => (/^\d+$/.test(text) ? Number(text) : text)

/** Where a conversation goes on from, in words that follow those. */
export const placeOf = (entry: number | null): string =>
  entry === null ? "from before its first entry" : `from entry ${entry}`
