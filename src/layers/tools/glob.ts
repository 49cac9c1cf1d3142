/**
 * The tool `glob`: finds files by their paths.
 */
import { posix } from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Sandbox } from "../../services/Sandbox.js"
import * as Tool from "../../services/Tool.js"
import { compile, isMagic, splitParts } from "./Pattern.js"
import { maxResult } from "./text.js"
import { notesOf, walk } from "./walk.js"

/** The most paths that one call tells. */
export const maxPaths = 1_000

export const glob: Tool.Tool<Sandbox> = Tool.make("glob", {
  description: `Finds files by a pattern: * and ? within a name, ** for any folders, {a,b}, [a-z]. "*.ts" finds files of one folder, "**/*.ts" also those below; a pattern that ends in / finds folders. Hidden files count; .git, node_modules and what .gitignore names do not, unless the path or the pattern begins there. Gives at most ${maxPaths} paths, in a fixed order.`,
  effects: "pure",
  parameters: Schema.Struct({
    pattern: Schema.String.annotations({ description: "The pattern, relative to path." }),
    path: Schema.optional(
      Schema.String.annotations({ description: "The folder to look in. Default: the working folder." })
    )
  }),
  run: ({ path, pattern }, call) =>
    Effect.gen(function* () {
      const sandbox = yield* Sandbox
      const { base, rest } = split(path ?? ".", pattern)
      const compiled = compile(rest)
      if (typeof compiled === "string") return yield* Effect.fail(`Cannot glob: ${compiled}.`)
      const wantsFolders = pattern.endsWith("/")
      const found: Array<string> = []
      let room = maxResult - 500
      let more = false
      const search = {
        path: base,
        cwd: call.cwd,
        type: wantsFolders ? "directory" : "file",
        pattern: compiled,
        nameOnly: false
      } as const
      const walked = yield* walk(sandbox, search, (folder, names) =>
        Effect.sync(() => {
          for (const name of names) {
            const shown = posix.join(folder, name) + (wantsFolders ? "/" : "")
            room -= Buffer.byteLength(shown) + 1
            more = found.length === maxPaths || room < 0
            if (more) return false
            found.push(shown)
          }
          return true
        })
      )
      const notes = [
        ...(found.length === 0 && !more ? [`No ${wantsFolders ? "folder" : "file"} matches.`] : []),
        ...(more ? [`The first ${found.length} are shown; there are more. Narrow the pattern or the path.`] : []),
        ...notesOf(walked)
      ]
      return [...found, ...(notes.length > 0 ? [`[${notes.join(" ")}]`] : [])].join("\n")
    })
})

/** The folder in which a pattern begins to choose, and the pattern from there on. */
const split = (path: string, pattern: string): { readonly base: string; readonly rest: string } => {
  const parts = pattern.split("/").filter((part) => part !== "" && part !== ".")
  const magic = parts.findIndex(isMagic)
  const fixed = parts.slice(0, magic < 0 ? -1 : magic)
  const start = pattern.startsWith("/") ? "/" : path
  return { base: posix.join(start, ...fixed), rest: splitParts(parts.slice(fixed.length).join("/")).join("/") }
}
