/**
 * Walking a sandbox's folders: in a fixed order, without following links, and not for ever.
 */
import { posix } from "node:path"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { SandboxError } from "../../services/Errors.js"
import type { Sandbox } from "../../services/Sandbox.js"
import { isIgnored, type Layers, maxIgnoreFile, noRules, parse } from "./Ignore.js"
import { Pace, pause } from "./pace.js"
import { type Pattern, splitParts } from "./Pattern.js"

/** Folders that are passed over wherever they stand. */
export const skipped: ReadonlySet<string> = new Set([".git", "node_modules"])

/** The most entries that one walk looks at: it takes about 5 s to, and memory for those of one folder at a time. */
const maxVisited = 2_000_000

/** The longest that one walk takes, in milliseconds: half of a tool call's own deadline. */
export const maxWalk = 60_000

/** How many steps of matching are made in one piece. A step takes about 3 ns. */
const stepsInOnePiece = 5_000_000

/** Where to begin, and what to look for. */
export interface Search {
  readonly path: string
  readonly cwd: string
  readonly type: "file" | "directory"
  /** Matched against the path from where the walk begins, or against the last name alone. */
  readonly pattern: Pattern
  readonly nameOnly: boolean
}

/** Takes the names that were found in a folder, given by its path as `path` would be. `false` ends the walk. */
export type Visit = (folder: string, names: ReadonlyArray<string>) => Effect.Effect<boolean>

/** How a walk went. */
export interface Walked {
  /** Why it ended early, where it did so by itself. */
  readonly stopped: "entries" | "time" | undefined
  /** Folders that could not be listed. */
  readonly unreadable: number
}

/**
 * Looks through a folder and what is below it: each folder's own entries before its subfolders, both by name. Passes over
 * `.git`, `node_modules` and what a `.gitignore` names, from the sandbox's root down; the folder that it begins at is
 * looked through whatever they say. Fails only where that folder cannot be listed.
 */
export const walk = (
  sandbox: Context.Tag.Service<Sandbox>,
  { cwd, nameOnly, path, pattern, type }: Search,
  visit: Visit
): Effect.Effect<Walked, SandboxError> =>
  Effect.gen(function* () {
    const deadline = (yield* Clock.currentTimeMillis) + maxWalk
    const pace = new Pace(stepsInOnePiece)
    const above = belowRoot(sandbox.root, path, cwd)
    const open: Array<{ readonly parts: ReadonlyArray<string>; readonly layers: Layers }> = [
      { parts: [], layers: yield* rulesAbove(sandbox, above) }
    ]
    let visited = 0
    let unreadable = 0
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const { parts } = next
      const folder = posix.join(path, ...parts)
      const listed = yield* Effect.either(sandbox.list(folder, cwd))
      if (listed._tag === "Left") {
        if (parts.length === 0) return yield* withAdvice(sandbox, path, cwd, listed.left)
        unreadable++
        continue
      }
      const entries = listed.right
      const own = entries.some((entry) => entry.name === ".gitignore" && entry.type === "file")
      const layers = [...next.layers, own ? yield* rulesOf(sandbox, folder, cwd) : noRules]
      const weight = layers.reduce((sum, rules) => sum + rules.weight, pattern.weight + 10)
      const place = [...above, ...parts]
      const length = place.reduce((sum, part) => sum + part.length + 1, 0)
      const found: Array<string> = []
      const folders: Array<string> = []
      for (const entry of entries) {
        if (pace.spend(weight * (length + entry.name.length))) yield* pause
        const isFolder = entry.type === "directory"
        if (entry.type === "other" || skipped.has(entry.name)) continue
        if (isIgnored(layers, [...place, entry.name], isFolder)) continue
        if (isFolder) folders.push(entry.name)
        if (entry.type !== type) continue
        if (pattern.matches(nameOnly ? [entry.name] : [...parts, entry.name])) found.push(entry.name)
      }
      if (found.length > 0 && !(yield* visit(folder, found))) break
      visited += entries.length
      if (visited > maxVisited) return { stopped: "entries", unreadable }
      if ((yield* Clock.currentTimeMillis) > deadline) return { stopped: "time", unreadable }
      for (const name of folders.toReversed()) open.push({ parts: [...parts, name], layers })
    }
    return { stopped: undefined, unreadable }
  })

/** A folder that is there and cannot be listed, for holding too much for instance, can still be looked into. */
const withAdvice = (sandbox: Context.Tag.Service<Sandbox>, path: string, cwd: string, error: SandboxError) =>
  Effect.matchEffect(sandbox.stat(path, cwd), {
    onFailure: () => error,
    onSuccess: ({ type }) =>
      type !== "directory"
        ? error
        : new SandboxError({
            operation: error.operation,
            path: error.path,
            reason: `${error.reason}; name a folder in it, or look with bash`,
            cause: error.cause
          })
  })

/** Paths in the order in which a walk would find them. */
export const walkOrder = (files: ReadonlyArray<string>): ReadonlyArray<string> =>
  files
    .map((file) => ({ file, parts: splitParts(file) }))
    .toSorted((a, b) => inOrder(a.parts, b.parts))
    .map(({ file }) => file)

const inOrder = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): number => {
  for (let depth = 0; ; depth++) {
    // A folder's own files stand before what is further down.
    const own = Number(b.length === depth + 1) - Number(a.length === depth + 1)
    if (own !== 0) return own
    if (a[depth] !== b[depth]) return a[depth]! < b[depth]! ? -1 : 1
    if (depth + 1 >= a.length) return 0
  }
}

/** The folders from the root down to where a walk begins, by name. */
export const belowRoot = (root: string, path: string, cwd: string): ReadonlyArray<string> => {
  const asked = posix.isAbsolute(path) ? path : posix.join(cwd, path)
  const parts = splitParts(posix.isAbsolute(asked) ? posix.relative(root, asked) : posix.normalize(asked))
  return parts.includes("..") ? [] : parts
}

/** The rules of the folders from the root down to, and without, the one that `parts` name. */
export const rulesAbove = (sandbox: Context.Tag.Service<Sandbox>, parts: ReadonlyArray<string>) =>
  Effect.forEach(parts, (_, depth) => rulesOf(sandbox, posix.join(...parts.slice(0, depth)), undefined))

export const rulesOf = (sandbox: Context.Tag.Service<Sandbox>, folder: string, cwd: string | undefined) =>
  sandbox.read(posix.join(folder, ".gitignore"), { cwd, limit: maxIgnoreFile }).pipe(
    Effect.map((bytes) => parse(Buffer.from(bytes).toString("utf8"))),
    Effect.orElseSucceed(() => noRules)
  )

/** What a person should know of a walk that did not see everything, as sentences. */
export const notesOf = ({ stopped, unreadable }: Walked): ReadonlyArray<string> => [
  ...(stopped === "entries" ? [`Stopped after ${maxVisited} entries: name a narrower path.`] : []),
  ...(stopped === "time" ? [`Stopped after ${maxWalk / 1000} seconds: name a narrower path.`] : []),
  ...(unreadable > 0 ? [`${unreadable} folders could not be read.`] : [])
]
