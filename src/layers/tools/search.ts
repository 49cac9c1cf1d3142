/**
 * Searching text line by line, in a time that is linear in its length, and in short pieces.
 */
import * as Effect from "effect/Effect"
import { RE2JS } from "re2js"
import { Pace, pause } from "./pace.js"
import { sliceWhole } from "./text.js"
import { widened } from "./widened.js"

/** The most lines that one call tells, and how much of each, in UTF-16 code units. */
export const maxMatches = 100
export const maxLine = 500

/** The longest regular expression, in UTF-16 code units: one of that length compiles in about 50 ms at worst. */
export const maxRegex = 500

/** The largest program that an expression may compile to, in instructions. */
const maxProgram = 2_000

/**
 * How many steps (instructions times characters) one line may take, and how many are made before other fibers and the
 * event loop get their turn. A step takes about 30 ns at worst, and a line that matches is gone through twice.
 */
const stepsOfLine = 1_000_000
const stepsInOnePiece = 500_000

/** How much of a line is searched for a plain text, in UTF-16 code units: it takes about 30 ms at worst. */
const longestPlain = 2_000_000

/** How lines are searched. */
export interface Search {
  /** Whether some line of a text may match. */
  readonly may: (text: string) => boolean
  /** Where the line matches first, or -1. */
  readonly find: (line: string) => number
  /** The same for the beginning of a longer line, given with the character after it: a match ends before that one. */
  readonly findBefore: (line: string) => number
  /** How much of a line is searched, in UTF-16 code units. */
  readonly longest: number
  /** What a character costs. */
  readonly cost: number
}

/** Makes an expression ready, or says why it cannot be. */
export const searchOf = (pattern: string, ignoreCase: boolean): Search | string => {
  if (pattern.length > maxRegex) return `the regular expression is longer than ${maxRegex} characters`
  if (!ignoreCase && !/[\\^$.*+?()[\]{}|]/.test(pattern)) {
    const find = (line: string) => line.indexOf(pattern)
    return {
      may: (text) => text.includes(pattern),
      find,
      findBefore: find,
      longest: longestPlain,
      cost: 0.5
    }
  }
  const flags = ignoreCase ? RE2JS.CASE_INSENSITIVE : 0
  let regex: RE2JS
  let several: RE2JS | undefined
  const wide = widened(pattern)
  try {
    regex = RE2JS.compile(pattern, flags)
    several = wide === undefined ? undefined : RE2JS.compile(wide, flags | RE2JS.MULTILINE)
  } catch (error) {
    return error instanceof Error ? error.message : "not a regular expression"
  }
  const cost = regex.programSize()
  if (cost > maxProgram) return "the regular expression is too large: lower its counts of repetition"
  let before: RE2JS | undefined
  return {
    may: (text) => several === undefined || several.test(text),
    find: (line) => startOf(regex, line),
    findBefore: (line) => startOf((before ??= oneMore(pattern, flags)), line),
    longest: Math.min(100_000, Math.floor(stepsOfLine / cost)),
    cost
  }
}

const startOf = (regex: RE2JS, line: string): number => {
  if (!regex.test(line)) return -1
  const matcher = regex.matcher(line)
  return matcher.find() ? matcher.start() : -1
}

/** What an expression matches, and one more character. It compiles wherever the expression does. */
const oneMore = (pattern: string, flags: number): RE2JS => {
  try {
    return RE2JS.compile(`(?:${pattern})(?s:.)`, flags)
  } catch {
    // It ends in a quotation that is left open.
    return RE2JS.compile(`(?:${pattern}\\E)(?s:.)`, flags)
  }
}

/** A line that matches. */
export interface Match {
  readonly line: number
  readonly text: string
}

/** Searches the text of a file, given in pieces that end with a line each. */
export class Lines {
  readonly matches: Array<Match> = []
  /** Some line was searched in its first part only. */
  partly = false
  readonly #search: Search
  readonly #pace: Pace
  #line = 1
  #begun = false

  /** Searches that are made one after the other share a pace. */
  constructor(search: Search, pace: Pace) {
    this.#search = search
    this.#pace = pace
  }

  static pace(): Pace {
    return new Pace(stepsInOnePiece)
  }

  /** There are as many matches as are told, and one more. */
  get full(): boolean {
    return this.matches.length > maxMatches
  }

  /** Takes the next lines. Lets others run between pieces of work. */
  push(piece: string): Effect.Effect<void> {
    // A byte order mark is no part of the first line.
    const text = !this.#begun && piece.startsWith("\uFEFF") ? piece.slice(1) : piece
    this.#begun = true
    const { cost, longest, may } = this.#search
    const most = Math.max(1, Math.min(longest, Math.floor(stepsInOnePiece / cost)))
    if (text.length <= most && !may(text)) {
      // Most files end here, so it is kept from being a fiber's business.
      this.#line += newlinesIn(text)
      return this.#pace.spend((text.length + 100) * cost) ? pause : Effect.void
    }
    return this.#pushAll(text, most)
  }

  #pushAll(text: string, most: number): Effect.Effect<void> {
    const { cost, may } = this.#search
    return Effect.gen(this, function* () {
      for (let from = 0; from < text.length && !this.full;) {
        // As many whole lines as may be looked at in one piece, or one line.
        const last = from + most >= text.length ? text.length : text.lastIndexOf("\n", from + most - 1) + 1
        const end = last > from ? last : endOf(text, from)
        const several = text.slice(from, end)
        if (end - from <= most) {
          if (this.#pace.spend((end - from + 10) * cost)) yield* pause
          if (!may(several)) {
            this.#line += newlinesIn(several)
            from = end
            continue
          }
        }
        for (let start = 0; start < several.length && !this.full;) {
          const next = endOf(several, start)
          const steps = this.#one(several.slice(start, next))
          start = next
          if (this.#pace.spend(steps)) yield* pause
        }
        from = end
      }
    })
  }

  /** Searches one line, its end included; gives what it cost. */
  #one(line: string): number {
    const { cost, find, findBefore, longest } = this.#search
    const whole = line.endsWith("\n")
      ? line.slice(0, line.endsWith("\r\n") ? -2 : -1)
      : line.endsWith("\r")
        ? line.slice(0, -1)
        : line
    const isCut = whole.length > longest
    const searched = isCut ? sliceWhole(whole, 0, longest) : whole
    this.partly ||= isCut
    const start = isCut
      ? findBefore(searched + String.fromCodePoint(whole.codePointAt(searched.length)!))
      : find(searched)
    if (start >= 0) this.matches.push({ line: this.#line, text: around(whole, start) })
    this.#line++
    return (searched.length + 10) * cost
  }
}

/** Where the line that begins at a place ends, its newline included. */
const endOf = (text: string, from: number): number => {
  const newline = text.indexOf("\n", from)
  return newline < 0 ? text.length : newline + 1
}

const newlinesIn = (text: string): number => {
  let count = 0
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++
  return count
}

/** A line, cut to the part around its first match where it is long. */
const around = (line: string, start: number): string => {
  if (line.length <= maxLine) return line
  const room = maxLine - 2
  const from = Math.max(0, Math.min(start - 100, line.length - room))
  const cut = sliceWhole(line, from, from + room)
  return `${from > 0 ? "\u2026" : ""}${cut}${from + room < line.length ? "\u2026" : ""}`
}
