/**
 * A sandbox of a few files that a test may change while it runs, without a shell.
 */
import { posix } from "node:path"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Errors from "../../src/services/Errors.js"
import type { DirectoryEntry, FileStat, Sandbox } from "../../src/services/Sandbox.js"
import { emptySandbox } from "./emptySandbox.js"

export const filesSandbox = (files: Map<string, string>): Context.Tag.Service<typeof Sandbox> => {
  const refuse = (operation: Errors.SandboxError["operation"], path: string, reason = "no such file or folder") =>
    new Errors.SandboxError({ operation, path, reason })
  const place = (path: string, cwd = "."): string => posix.join("/", cwd, path).slice(1) || "."
  const isFolder = (at: string) => at === "." || [...files.keys()].some((file) => file.startsWith(`${at}/`))
  return {
    ...emptySandbox(() => Effect.void),
    place: (path, cwd) => Effect.succeed(place(path, cwd)),
    read: (path, { cwd, limit, offset = 0 } = {}) =>
      Effect.suspend(() => {
        const text = files.get(place(path, cwd))
        if (text === undefined) return refuse("read", path)
        const bytes = new TextEncoder().encode(text)
        return Effect.succeed(bytes.slice(offset, limit === undefined ? undefined : offset + limit))
      }),
    stat: (path, cwd) =>
      Effect.suspend((): Effect.Effect<FileStat, Errors.SandboxError> => {
        const at = place(path, cwd)
        const text = files.get(at)
        if (text !== undefined) return Effect.succeed({ type: "file", size: Buffer.byteLength(text) })
        return isFolder(at) ? Effect.succeed({ type: "directory", size: 0 }) : refuse("stat", path)
      }),
    list: (path, cwd) =>
      Effect.suspend(() => {
        const at = place(path, cwd)
        if (!isFolder(at)) return refuse("list", path)
        const found = new Map<string, DirectoryEntry>()
        const prefix = at === "." ? "" : `${at}/`
        for (const file of files.keys()) {
          if (!file.startsWith(prefix)) continue
          const [name, ...below] = file.slice(prefix.length).split("/")
          found.set(name!, { name: name!, type: below.length > 0 ? "directory" : "file" })
        }
        return Effect.succeed([...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)))
      })
  }
}
