/**
 * Which files below a folder a walk of the tools comes to, without walking it.
 */
import { posix } from "node:path"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { SandboxError } from "../../services/Errors.js"
import type { DirectoryEntry, Sandbox } from "../../services/Sandbox.js"
import { isIgnored, type Layers, noRules } from "../tools/Ignore.js"
import { belowRoot, rulesAbove, rulesOf, skipped } from "../tools/walk.js"

/** How many folders are looked into for what need not be searched: it takes about 20 ms. */
const maxLooks = 64

export interface Visited {
  /**
   * Folders that a walk passes over, by their paths from the start, besides those that it passes over by name. Only those
   * nearest to the start are found: to look for all were the walk itself.
   */
  readonly passedOver: Effect.Effect<ReadonlyArray<string>, SandboxError>
  /** Whether a walk comes to a file, given by its path from the start. */
  readonly comesTo: (file: string) => Effect.Effect<boolean, SandboxError>
}

/** A folder that a walk comes to: what it holds, and the rules of the folders down to it. */
interface Known {
  readonly entries: ReadonlyMap<string, DirectoryEntry["type"]>
  readonly layers: Layers
}

/** Below a folder. Each folder is listed once at most; both fail where one that a walk comes to cannot be. */
export const visited = (sandbox: Context.Tag.Service<Sandbox>, path: string, cwd: string): Visited => {
  const above = belowRoot(sandbox.root, path, cwd)
  const known = new Map<string, Known | undefined>()

  const takes = ({ entries, layers }: Known, at: string, type: DirectoryEntry["type"]): boolean => {
    const parts = at.split("/")
    const name = parts.at(-1)!
    if (entries.get(name) !== type || skipped.has(name)) return false
    return !isIgnored(layers, [...above, ...parts], type === "directory")
  }

  /** What is known of a folder; `undefined` where a walk does not come to it. */
  const folder = (at: string): Effect.Effect<Known | undefined, SandboxError> =>
    Effect.suspend(() => {
      if (known.has(at)) return Effect.succeed(known.get(at))
      return Effect.tap(lookInto(at), (found) => Effect.sync(() => known.set(at, found)))
    })

  const lookInto = Effect.fnUntraced(function* (at: string) {
    let layers: Layers
    if (at === ".") layers = yield* rulesAbove(sandbox, above)
    else {
      const outer = yield* folder(posix.dirname(at))
      if (outer === undefined || !takes(outer, at, "directory")) return undefined
      layers = outer.layers
    }
    const place = posix.join(path, at)
    const entries = new Map((yield* sandbox.list(place, cwd)).map(({ name, type }) => [name, type]))
    const own = entries.get(".gitignore") === "file" ? yield* rulesOf(sandbox, place, cwd) : noRules
    return { entries, layers: [...layers, own] }
  })

  return {
    passedOver: Effect.gen(function* () {
      const found: Array<string> = []
      const open = ["."]
      for (let looks = 0; looks < maxLooks && open.length > 0; looks++) {
        const at = open.shift()!
        const one = yield* folder(at)
        if (one === undefined) continue
        for (const [name, type] of one.entries) {
          if (type !== "directory" || skipped.has(name)) continue
          const inner = posix.join(at, name)
          if (takes(one, inner, "directory")) open.push(inner)
          else found.push(inner)
        }
      }
      return found
    }),
    comesTo: (file) => Effect.map(folder(posix.dirname(file)), (one) => one !== undefined && takes(one, file, "file"))
  }
}
