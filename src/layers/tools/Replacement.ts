/**
 * Replacing text in a file's bytes: literally, in a time that is linear in their length whatever they hold.
 *
 * It works on bytes, since one text of UTF-8 stands in another exactly where its bytes do, and a file of some megabytes
 * is then never spread out into many small strings.
 */

/**
 * Calls `visit` with every place at which `sought` stands in `text`, also where two of them overlap, until it gives
 * `false`. The way of Knuth, Morris and Pratt: the search of the runtime takes the product of the lengths at worst.
 */
const eachMatch = (text: Uint8Array, sought: Uint8Array, visit: (at: number) => boolean | void): void => {
  if (sought.length === 0 || sought.length > text.length) return
  // borders[n]: how much of the beginning of `sought` its first n bytes end with.
  const borders = new Uint32Array(sought.length + 1)
  for (let end = 1, border = 0; end < sought.length; end++) {
    while (border > 0 && sought[end] !== sought[border]) border = borders[border]!
    if (sought[end] === sought[border]) border++
    borders[end + 1] = border
  }
  let matched = 0
  let misses = 0
  for (let at = 0; at < text.length; at++) {
    if (matched === 0 && text[at] !== sought[0]) {
      // The runtime's own search is quick over a long way, and a call of it dear over a short one.
      if (++misses < 32) continue
      at = text.indexOf(sought[0]!, at)
      if (at < 0) return
    }
    misses = 0
    while (matched > 0 && text[at] !== sought[matched]) matched = borders[matched]!
    if (text[at] === sought[matched]) matched++
    if (matched < sought.length) continue
    if (visit(at + 1 - matched) === false) return
    matched = borders[matched]!
  }
}

/** Where a text stands first in another, or -1. */
export const firstMatch = (text: Uint8Array, sought: Uint8Array): number => {
  let first = -1
  eachMatch(text, sought, (at) => {
    first = at
    return false
  })
  return first
}

/** How often a text stands in another, and on which lines the first of them begin. */
export interface Matches {
  /** Those that overlap included. */
  readonly count: number
  /** From the left, none overlapping another. */
  readonly separate: number
  /** As many as were asked for at most, each once. */
  readonly lines: ReadonlyArray<number>
  /** There are further lines. */
  readonly others: boolean
}

/** Counts the matches. */
export const countMatches = (text: Uint8Array, sought: Uint8Array, mostLines: number): Matches => {
  let count = 0
  let separate = 0
  let free = 0
  let others = false
  let line = 1
  let counted = 0
  const lines: Array<number> = []
  eachMatch(text, sought, (at) => {
    count++
    if (at >= free) {
      separate++
      free = at + sought.length
    }
    if (others) return
    line += newlines(text, counted, at)
    counted = at
    if (lines.at(-1) === line) return
    if (lines.length === mostLines) others = true
    else lines.push(line)
  })
  return { count, separate, lines, others }
}

/**
 * Writes `text` into `into` with its matches replaced, from the left and none overlapping another. Gives where the first
 * replaced ones begin in `into`, as many as asked for at most.
 */
export const replaceAll = (
  text: Uint8Array,
  sought: Uint8Array,
  by: Uint8Array,
  into: Uint8Array,
  most: number
): ReadonlyArray<number> => {
  const places: Array<number> = []
  let from = 0
  let to = 0
  const copy = (end: number) => {
    // Where there are very many short pieces, copying by hand is quicker than a call for each.
    if (end - from < 32) for (let at = from; at < end; at++) into[to++] = text[at]!
    else {
      into.set(text.subarray(from, end), to)
      to += end - from
    }
  }
  eachMatch(text, sought, (at) => {
    if (at < from) return
    copy(at)
    if (places.length < most) places.push(to)
    if (by.length < 32) for (let index = 0; index < by.length; index++) into[to++] = by[index]!
    else {
      into.set(by, to)
      to += by.length
    }
    from = at + sought.length
  })
  copy(text.length)
  return places
}

// -------------------------------------------------------------------------------------------------- lines

const newline = 10
const carriageReturn = 13

/** How many newlines there are in a part of a text. */
export const newlines = (text: Uint8Array, start: number, end: number): number => {
  let count = 0
  for (let at = start; at < end; at++) if (text[at] === newline) count++
  return count
}

/** How the lines of a text end; `none` where it has one line. */
export const lineEnds = (text: Uint8Array): "none" | "lf" | "crlf" | "mixed" => {
  let crlf = false
  let lf = false
  for (let at = 0; at < text.length && !(crlf && lf); at++) {
    if (text[at] !== newline) continue
    if (text[at - 1] === carriageReturn) crlf = true
    else lf = true
  }
  return crlf ? (lf ? "mixed" : "crlf") : lf ? "lf" : "none"
}

/** A text whose lines end in CRLF. */
export const toCrlf = (text: string): string => text.replaceAll(/\r?\n/g, "\r\n")

/** A text without the bytes of which `drops` holds, and the line on which each place of it stood. */
export const without = (text: Uint8Array, drops: (byte: number, next: number | undefined) => boolean) => {
  const kept = new Uint8Array(text.length)
  let length = 0
  for (let at = 0; at < text.length; at++) if (!drops(text[at]!, text[at + 1])) kept[length++] = text[at]!
  return {
    kept: kept.subarray(0, length),
    lineAt: (place: number) => {
      let line = 1
      let passed = 0
      for (let at = 0; at < text.length; at++) {
        if (!drops(text[at]!, text[at + 1]) && passed++ === place) break
        if (text[at] === newline) line++
      }
      return line
    }
  }
}

/** The carriage return of a CRLF. */
export const isEndOfLine = (byte: number, next: number | undefined): boolean =>
  byte === carriageReturn && next === newline

/** Space, tab, and what ends lines. */
export const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13)
