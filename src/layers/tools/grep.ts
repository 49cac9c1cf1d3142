/**
 * The tool `grep`: finds lines by a regular expression, in a time that is linear in what is searched.
 */
import { posix } from "node:path"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { SandboxError } from "../../services/Errors.js"
import { Sandbox } from "../../services/Sandbox.js"
import * as Tool from "../../services/Tool.js"
import type { Pace } from "./pace.js"
import { compile, everything, type Pattern, splitParts } from "./Pattern.js"
import { Lines, type Match, maxLine, maxMatches, type Search, searchOf } from "./search.js"
import { isBinary, maxResult } from "./text.js"
import { maxWalk, notesOf, type Walked, walk, walkOrder } from "./walk.js"

export { maxLine, maxMatches, maxRegex } from "./search.js"

/** Larger files are not searched, in bytes. */
export const maxFile = 10 * 1024 * 1024

/** How many files are read at a time, and how many are found before they are. */
const width = 16
const batch = 256

/** How much of a file is read in one piece, in bytes. */
const pieceBytes = 64 * 1024

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
      const pace = Lines.pace()
      const searchFiles = (files: ReadonlyArray<string>) =>
        Effect.map(
          Effect.forEach(files, (file) => outcomeOf(sandbox, file, call.cwd, search, pace), { concurrency: width }),
          (outcomes) => outcomes.every((outcome, index) => report.add(files[index]!, outcome))
        )

      const { type } = yield* sandbox.stat(path, call.cwd)
      if (type !== "directory") {
        // A single file that cannot be read is a failure, not a file to pass over.
        yield* sandbox.read(path, { cwd: call.cwd, limit: 0 })
        yield* searchFiles([path])
        return report.print(complete)
      }
      const nameOnly = glob?.includes("/") !== true
      const asked = { pattern, ignoreCase: ignoreCase === true, path, cwd: call.cwd }
      const candidates = yield* sandbox.candidates?.(asked) ?? Effect.succeed(undefined)
      if (candidates !== undefined) {
        const files = walkOrder([...new Set(candidates)].filter((file) => isWanted(wanted, nameOnly, file)))
        const deadline = (yield* Clock.currentTimeMillis) + maxWalk
        for (let at = 0; at < files.length; at += batch) {
          const some = files.slice(at, at + batch).map((file) => posix.join(path, file))
          if (!(yield* searchFiles(some))) break
          if ((yield* Clock.currentTimeMillis) > deadline) return report.print({ stopped: "time", unreadable: 0 })
        }
        return report.print(complete)
      }
      let found: Array<string> = []
      const looked = { path, cwd: call.cwd, type: "file", pattern: wanted, nameOnly } as const
      const walked = yield* walk(sandbox, looked, (folder, names) => {
        for (const name of names) found.push(posix.join(folder, name))
        if (found.length < batch) return more
        const files = found
        found = []
        return searchFiles(files)
      })
      yield* searchFiles(found)
      return report.print(walked)
    })
})

const more = Effect.succeed(true)

const complete: Walked = { stopped: undefined, unreadable: 0 }

const isWanted = (pattern: Pattern, nameOnly: boolean, file: string): boolean => {
  const parts = splitParts(file)
  return pattern.matches(nameOnly ? parts.slice(-1) : parts)
}

// -------------------------------------------------------------------------------------------------- one file

/** What searching a file brought: its matching lines, or why it was passed over. */
type Outcome = { readonly matches: ReadonlyArray<Match>; readonly partly: boolean } | "binary" | "large" | "unreadable"

const outcomeOf = (
  sandbox: Context.Tag.Service<Sandbox>,
  file: string,
  cwd: string,
  search: Search,
  pace: Pace
): Effect.Effect<Outcome> =>
  sandbox.read(file, { cwd, limit: pieceBytes }).pipe(
    Effect.flatMap((head): Effect.Effect<Outcome, SandboxError> => {
      if (isBinary(head)) return Effect.succeed("binary")
      const lines = new Lines(search, pace)
      if (head.length < pieceBytes) return Effect.as(lines.push(textOf([head])), lines)
      return larger(sandbox, file, cwd, head, lines)
    }),
    Effect.orElseSucceed(() => "unreadable" as const)
  )

/** Of a sandbox one large file is worked on at a time, since a line of it may be as long as it is. */
const largeOne = (sandbox: Context.Tag.Service<Sandbox>): Effect.Semaphore => {
  let turns = turnsOfLarge.get(sandbox)
  if (turns === undefined) turnsOfLarge.set(sandbox, (turns = Effect.unsafeMakeSemaphore(1)))
  return turns
}

const turnsOfLarge = new WeakMap<Context.Tag.Service<Sandbox>, Effect.Semaphore>()

const larger = (
  sandbox: Context.Tag.Service<Sandbox>,
  file: string,
  cwd: string,
  head: Uint8Array,
  lines: Lines
): Effect.Effect<Outcome, SandboxError> =>
  Effect.gen(function* () {
    const beyond = yield* sandbox.read(file, { cwd, offset: maxFile, limit: 1 })
    if (beyond.length > 0) return "large" as const
    let pieces: Array<Uint8Array> = []
    for (let piece = head, size = head.length; ; size += piece.length) {
      const end = piece.lastIndexOf(10) + 1
      if (end > 0) {
        pieces.push(piece.subarray(0, end))
        yield* lines.push(textOf(pieces))
        pieces = []
      }
      if (end < piece.length) pieces.push(piece.subarray(end))
      if (piece.length < pieceBytes || size > maxFile || lines.full) break
      piece = yield* sandbox.read(file, { cwd, offset: size, limit: pieceBytes })
    }
    yield* lines.push(textOf(pieces))
    return lines
  }).pipe(largeOne(sandbox).withPermits(1))

const textOf = (pieces: ReadonlyArray<Uint8Array>): string =>
  (pieces.length === 1 ? view(pieces[0]!) : Buffer.concat(pieces)).toString("utf8")

const view = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

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
