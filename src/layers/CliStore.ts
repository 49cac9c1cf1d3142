/**
 * Where the executable keeps its sessions: in a file of the folder that it works in, or one that was named.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Place } from "../programs/cli.js"
import { SessionStoreError, type UnsupportedFormat } from "../services/Errors.js"
import type { SessionStore } from "../services/SessionStore.js"
import * as MemorySessionStore from "./MemorySessionStore.js"
import * as SqliteSessionStore from "./SqliteSessionStore.js"

/** The folder that is made in the folder to work in. */
const folder = ".baton"

/** Makes the file where it is not there. */
export const layer = (place: Place): Layer.Layer<SessionStore, UnsupportedFormat | SessionStoreError> => {
  if (place.store === "memory") return MemorySessionStore.layer
  const file = fileOf(place)
  const made = place.store === undefined ? makeFolder(path.dirname(file)) : Effect.void
  return Layer.unwrapEffect(Effect.as(made, SqliteSessionStore.layer({ filename: file })))
}

/** Whether anything can be in it. */
export const exists = (place: Place): Effect.Effect<boolean> =>
  Effect.sync(() => place.store !== "memory" && fs.existsSync(fileOf(place)))

/** The file of a store that was named, and those beside it. One in the folder of its own is kept from tools by that. */
export const filesOf = (place: Place): ReadonlyArray<string> =>
  place.store === undefined || place.store === "memory"
    ? []
    : ["", "-wal", "-shm", "-lock"].map((end) => fileOf(place) + end)

const fileOf = ({ cwd, store }: Place): string => path.resolve(store ?? path.join(cwd, folder, "sessions.db"))

/** The folder, with word to git that nothing in it is anybody's source. One that is there stays as it is. */
const makeFolder = (name: string): Effect.Effect<void, SessionStoreError> =>
  Effect.try({
    try: () => {
      if (fs.existsSync(name)) return
      // Whole or not at all: two processes may be at it, and either may be killed.
      const draft = fs.mkdtempSync(`${name}-`)
      try {
        fs.writeFileSync(path.join(draft, ".gitignore"), "*\n")
        fs.renameSync(draft, name)
      } catch (error) {
        fs.rmSync(draft, { recursive: true, force: true })
        if (!fs.existsSync(name)) throw error
      }
    },
    catch: (cause) => {
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)
      const why = problems[code] ?? `cannot be made (${code})`
      return new SessionStoreError({ operation: "open", reason: `${name} ${why}`, cause })
    }
  })

const problems: Readonly<Record<string, string>> = {
  EACCES: "cannot be made: this user may not write there",
  EPERM: "cannot be made: this user may not write there",
  ENOSPC: "cannot be made: the disk is full",
  EROFS: "cannot be made: the file system is read-only"
}
