/**
 * The tool `grep`: finds lines by a regular expression, in a time that is linear in what is searched.
 */
import { posix } from "node:path"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { RE2JS } from "re2js"
import { Sandbox } from "../../services/Sandbox.js"
import * as Tool from "../../services/Tool.js"
import { Pace, pause } from "./pace.js"
import { compile, everything, splitParts } from "./Pattern.js"
import { isBinary, maxResult, sliceWhole } from "./text.js"
import { notesOf, type Walked, walk } from "./walk.js"

/** The most lines that one call tells, and how much of each, in UTF-16 code units. */
export const maxMatches = 100
export const maxLine = 500

/** Larger files are not searched, in bytes. */
export const maxFile = 10 * 1024 * 1024

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

/** How many files are read at a time. */
const width = 4

const headBytes = 64 * 1024

export const grep: Tool.Tool<Sandbox> = Tool.make("grep", {
  description: `Finds lines of text files by a regular expression (RE2 syntax: no backreferences, no lookaround; each line alone). Gives path:line:text, at most ${maxMatches} lines, each cut to ${maxLine} characters. Passes over binary files, files over 10 MB, .git, node_modules and what .gitignore names.`,
  effects: "pure",
  parameters: Schema.Struct({
    pattern: Schema.String.annotations({ description: "The regular expression." }),
    path: Schema.optional(
      Schema.String.annotations({ description: "The file or folder to search. Default: the working folder." })
    ),
    glob: Schema.optional(
      Schema.String.annotations({
        description: `Only files of such paths, for instance "*.ts" (of any folder) or "src/**/*.{ts,tsx}" (relative to path).`
      })
    ),
    ignoreCase: Schema.optional(Schema.Boolean.annotations({ description: "Take upper and lower case as the same." }))
  }),
  run: ({ glob, ignoreCase, path = ".", pattern }, call) =>
    Effect.gen(function* () {
      const sandbox = yield* Sandbox
      const search = searchOf(pattern, ignoreCase === true)
      if (typeof search === "string") return yield* Effect.fail(`Cannot grep: ${search}.`)
      const wanted = glob === undefined || glob === "" ? everything : compile(splitParts(glob).join("/"))
      if (typeof wanted === "string") return yield* Effect.fail(`Cannot grep: ${wanted}.`)

      const report = new Report()
      const searchFiles = (files: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          for (let at = 0; at < files.length; at += width) {
            const batch = files.slice(at, at + width)
            const outcomes = yield* Effect.forEach(batch, (file) => outcomeOf(sandbox, file, call.cwd, search), {
              concurrency: width
            })
            for (const [index, outcome] of outcomes.entries()) if (!report.add(batch[index]!, outcome)) return false
          }
          return true
        })

      const { type } = yield* sandbox.stat(path, call.cwd)
      if (type === "directory") {
        const files = {
          path,
          cwd: call.cwd,
          type: "file",
          pattern: wanted,
          nameOnly: glob?.includes("/") !== true
        } as const
        const walked = yield* walk(sandbox, files, (folder, names) =>
          searchFiles(names.map((name) => posix.join(folder, name)))
        )
        return report.print(walked)
      }
      // A single file that cannot be read is a failure, not a file to pass over.
      yield* sandbox.read(path, { cwd: call.cwd, limit: 0 })
      yield* searchFiles([path])
      return report.print({ stopped: undefined, unreadable: 0 })
    })
})

// -------------------------------------------------------------------------------------------------- one file

/** What searching a file brought: its matching lines, or why it was passed over. */
type Outcome = Lines | "binary" | "large" | "unreadable"

const outcomeOf = (
  sandbox: Context.Tag.Service<Sandbox>,
  file: string,
  cwd: string,
  search: Search
): Effect.Effect<Outcome> =>
  Effect.gen(function* () {
    const head = yield* sandbox.read(file, { cwd, limit: headBytes })
    if (isBinary(head)) return "binary"
    if (head.length < headBytes) return yield* linesOf(Buffer.from(head).toString("utf8"), search)
    const rest = yield* sandbox.read(file, { cwd, offset: headBytes, limit: maxFile + 1 - headBytes })
    if (head.length + rest.length > maxFile) return "large"
    return yield* linesOf(Buffer.concat([head, rest]).toString("utf8"), search)
  }).pipe(Effect.orElseSucceed(() => "unreadable" as const))

interface Match {
  readonly line: number
  readonly text: string
}

interface Lines {
  readonly matches: ReadonlyArray<Match>
  /** Some line was searched in its first part only. */
  readonly partly: boolean
}

/** How lines are searched. */
interface Search {
  /** Where the line matches first, or -1. */
  readonly find: (line: string) => number
  /** How much of a line is searched, in UTF-16 code units. */
  readonly longest: number
  /** What a character costs. */
  readonly cost: number
}

const searchOf = (pattern: string, ignoreCase: boolean): Search | string => {
  if (pattern.length > maxRegex) return `the regular expression is longer than ${maxRegex} characters`
  if (!ignoreCase && !/[\\^$.*+?()[\]{}|]/.test(pattern)) {
    return { find: (line) => line.indexOf(pattern), longest: Number.MAX_SAFE_INTEGER, cost: 0.1 }
  }
  let regex: RE2JS
  try {
    regex = RE2JS.compile(pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0)
  } catch (error) {
    return error instanceof Error ? error.message : "not a regular expression"
  }
  const cost = regex.programSize()
  if (cost > maxProgram) return "the regular expression is too large: lower its counts of repetition"
  const find = (line: string) => {
    if (!regex.test(line)) return -1
    const matcher = regex.matcher(line)
    return matcher.find() ? matcher.start() : -1
  }
  return { find, longest: Math.min(100_000, Math.floor(stepsOfLine / cost)), cost }
}

/** The lines that match, one more than are told at most. Lets others run between pieces. */
const linesOf = (text: string, search: Search): Effect.Effect<Lines> =>
  Effect.gen(function* () {
    const matches: Array<Match> = []
    let partly = false
    const pace = new Pace(stepsInOnePiece)
    for (let from = 0, line = 1; from < text.length && matches.length <= maxMatches; line++) {
      const newline = text.indexOf("\n", from)
      const end = newline < 0 ? text.length : newline
      const whole = text.slice(from, text[end - 1] === "\r" && end > from ? end - 1 : end)
      const searched = whole.length > search.longest ? sliceWhole(whole, 0, search.longest) : whole
      partly ||= searched.length < whole.length
      const start = search.find(searched)
      if (start >= 0) matches.push({ line, text: around(whole, start) })
      from = end + 1
      if (pace.spend((searched.length + 10) * search.cost)) yield* pause
    }
    return { matches, partly }
  })

/** A line, cut to the part around its first match where it is long. */
const around = (line: string, start: number): string => {
  if (line.length <= maxLine) return line
  const room = maxLine - 2
  const from = Math.max(0, Math.min(start - 100, line.length - room))
  const cut = sliceWhole(line, from, from + room)
  return `${from > 0 ? "\u2026" : ""}${cut}${from + room < line.length ? "\u2026" : ""}`
}

// -------------------------------------------------------------------------------------------------- the result

/** What was found, as long as there is room for it. */
class Report {
  readonly #lines: Array<string> = []
  #room = maxResult - 1_000
  #more = false
  #large = 0
  #unreadable = 0
  #partly = 0

  /** `false` when there is no room for more. */
  add(file: string, outcome: Outcome): boolean {
    if (outcome === "large") this.#large++
    else if (outcome === "unreadable") this.#unreadable++
    else if (outcome !== "binary") {
      if (outcome.partly) this.#partly++
      for (const { line, text } of outcome.matches) {
        const shown = `${file}:${line}:${text}`
        const size = Buffer.byteLength(shown) + 1
        this.#more = this.#lines.length === maxMatches || size > this.#room
        if (this.#more) return false
        this.#room -= size
        this.#lines.push(shown)
      }
    }
    return true
  }

  print(walked: Walked): string {
    const notes = [
      ...(this.#lines.length === 0 && !this.#more ? ["No line matches."] : []),
      ...(this.#more
        ? [
            `The first ${this.#lines.length} matching lines are shown; there are more. Narrow the pattern, path or glob.`
          ]
        : []),
      ...(this.#large > 0 ? [`Not searched for being over 10 MB: ${this.#large}.`] : []),
      ...(this.#unreadable > 0 ? [`Files that could not be read: ${this.#unreadable}.`] : []),
      ...(this.#partly > 0
        ? [`Files with lines so long that only their beginning was searched: ${this.#partly}.`]
        : []),
      ...notesOf(walked)
    ]
    return [...this.#lines, ...(notes.length > 0 ? [`[${notes.join(" ")}]`] : [])].join("\n")
  }
}
