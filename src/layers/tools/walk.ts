/**
 * Walking a sandbox's folders: in a fixed order, without following links, and not for ever.
 */
import { posix } from "node:path"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { SandboxError } from "../../services/Errors.js"
import type { Sandbox } from "../../services/Sandbox.js"
import { isIgnored, type Layers, maxIgnoreFile, parse } from "./Ignore.js"
import { splitParts } from "./Pattern.js"

/** Folders that are passed over wherever they stand. */
const skipped: ReadonlySet<string> = new Set([".git", "node_modules"])

/** The most entries that one walk looks at. */
export const maxVisited = 200_000

/** The longest that one walk takes, in milliseconds: half of a tool call's own deadline. */
export const maxWalk = 60_000

/** What a folder holds, less what is passed over. */
export interface Visit {
  /** From where the walk began, each part a name; empty there. */
  readonly parts: ReadonlyArray<string>
  readonly files: ReadonlyArray<string>
  readonly folders: ReadonlyArray<string>
}

/** How a walk went. */
export interface Walked {
  /** Why it ended early, where it did so by itself. */
  readonly stopped: "entries" | "time" | undefined
  /** Folders that could not be listed. */
  readonly unreadable: number
}

/**
 * Visits a folder and what is below it: each folder's files before its subfolders, both by name. Passes over `.git`,
 * `node_modules` and what a `.gitignore` names, from the sandbox's root down; the folder that it begins at is visited
 * whatever they say. Ends when `visit` says `false`. Fails only where the first folder cannot be listed.
 */
export const walk = (
  sandbox: Context.Tag.Service<Sandbox>,
  from: { readonly path: string; readonly cwd: string },
  visit: (folder: Visit) => Effect.Effect<boolean>
): Effect.Effect<Walked, SandboxError> =>
  Effect.gen(function* () {
    const deadline = (yield* Clock.currentTimeMillis) + maxWalk
    const above = belowRoot(sandbox.root, from)
    const open: Array<{ readonly parts: ReadonlyArray<string>; readonly layers: Layers }> = [
      { parts: [], layers: yield* rulesAbove(sandbox, above) }
    ]
    let visited = 0
    let unreadable = 0
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const { parts } = next
      const path = posix.join(from.path, ...parts)
      const listed = yield* Effect.either(sandbox.list(path, from.cwd))
      if (listed._tag === "Left") {
        if (parts.length === 0) return yield* listed.left
        unreadable++
        continue
      }
      const entries = listed.right
      const own = entries.some(({ name, type }) => name === ".gitignore" && type === "file")
      const layers = [...next.layers, own ? yield* rulesOf(sandbox, path, from.cwd) : []]
      const place = [...above, ...parts]
      const kept = entries.filter(
        ({ name, type }) =>
          type !== "other" && !skipped.has(name) && !isIgnored(layers, [...place, name], type === "directory")
      )
      const folders = kept.filter(({ type }) => type === "directory").map(({ name }) => name)
      const files = kept.filter(({ type }) => type === "file").map(({ name }) => name)
      if (!(yield* visit({ parts, files, folders }))) break
      visited += entries.length
      if (visited > maxVisited) return { stopped: "entries", unreadable }
      if ((yield* Clock.currentTimeMillis) > deadline) return { stopped: "time", unreadable }
      for (const name of folders.toReversed()) open.push({ parts: [...parts, name], layers })
    }
    return { stopped: undefined, unreadable }
  })

/** The folders from the root down to where a walk begins, by name. */
const belowRoot = (root: string, { cwd, path }: { readonly path: string; readonly cwd: string }) => {
  const asked = posix.isAbsolute(path) ? path : posix.join(cwd, path)
  const parts = splitParts(posix.isAbsolute(asked) ? posix.relative(root, asked) : posix.normalize(asked))
  return parts.includes("..") ? [] : parts
}

/** The rules of the folders from the root down to, and without, the one that `parts` name. */
const rulesAbove = (sandbox: Context.Tag.Service<Sandbox>, parts: ReadonlyArray<string>) =>
  Effect.forEach(parts, (_, depth) => rulesOf(sandbox, posix.join(...parts.slice(0, depth)), undefined))

const rulesOf = (sandbox: Context.Tag.Service<Sandbox>, folder: string, cwd: string | undefined) =>
  sandbox.read(posix.join(folder, ".gitignore"), { cwd, limit: maxIgnoreFile }).pipe(
    Effect.map((bytes) => parse(Buffer.from(bytes).toString("utf8"))),
    Effect.orElseSucceed(() => [])
  )

/** What a person should know of a walk that did not see everything, as sentences. */
export const notesOf = ({ stopped, unreadable }: Walked): ReadonlyArray<string> => [
  ...(stopped === "entries" ? [`Stopped after ${maxVisited} entries: name a narrower path.`] : []),
  ...(stopped === "time" ? [`Stopped after ${maxWalk / 1000} seconds: name a narrower path.`] : []),
  ...(unreadable > 0 ? [`${unreadable} folders could not be read.`] : [])
]
