/**
 * Reading and writing below one folder and nowhere else.
 *
 * A path is checked twice: its real path before anything is opened, and the opened descriptor afterwards, since a
 * folder or a file may be swapped for a link in between. Everything is read from the descriptor that was checked, and
 * everything is written through that of the folder that it stands in.
 */
import { constants } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { setImmediate } from "node:timers/promises"
import * as Effect from "effect/Effect"
import type { SandboxError } from "../../services/Errors.js"
import type { DirectoryEntry, FileStat } from "../../services/Sandbox.js"
import { attempt, attemptToEnd, refuseSpecial } from "./faults.js"
import { Kept } from "./kept.js"
import { readPiece } from "./piece.js"
import { type Door, look, replace } from "./replace.js"
import {
  codeOf,
  isWithin,
  maxEntries,
  outside,
  type Place,
  type Range,
  rangeOf,
  Refusal,
  refuseNoPath,
  tooMany
} from "./rules.js"

/** The files below one folder. */
export interface Confined {
  readonly read: (at: Place, range?: Range) => Effect.Effect<Uint8Array, SandboxError>
  readonly stat: (at: Place) => Effect.Effect<FileStat, SandboxError>
  readonly list: (at: Place) => Effect.Effect<ReadonlyArray<DirectoryEntry>, SandboxError>
  /** A path's one name, relative to the root; of what does not exist as well. */
  readonly place: (at: Place) => Effect.Effect<string, SandboxError>
  /** Replaces a file as a whole, or makes it, with the folders on the way to it. */
  readonly write: (at: Place, bytes: Uint8Array) => Effect.Effect<void, SandboxError>
  /** Starts something in a folder: `use` gets a path that leads there until it returns. */
  readonly within: <A>(at: Place, use: (cwd: string) => A) => Effect.Effect<A, SandboxError>
}

/** The most folders that one write makes on the way. Each stays open until it has ended. */
export const maxMade = 64

/** How a folder is confined. */
export interface Confinement {
  /** Files and folders that are not written, absolute or relative to the root. */
  readonly protect?: ReadonlyArray<string> | undefined
  /** The folder in which the system shows where an open descriptor leads. */
  readonly descriptors?: string | undefined
}

/**
 * Confines to `root`. Where the system does not show where a descriptor leads (macOS), a descriptor is compared with
 * what stands at its path, again and again; and since nothing can be reached through a folder's descriptor there, one
 * who swaps folders for links all the while may get names of another listed, and, if he hits the instant between two
 * looks, an empty folder made or a finished file moved to another place that he can write to himself.
 */
export const confine = (root: string, confinement: Confinement = {}): Effect.Effect<Confined, SandboxError> => {
  const named = path.resolve(root)
  return attempt("stat", root, async () => {
    const real = await fs.realpath(named)
    if (!(await fs.lstat(real)).isDirectory()) throw new Refusal("it is not a folder")
    return new Folder(named, real, confinement)
  }).pipe(
    Effect.map((folder) => ({
      read: (at, range = {}) => attempt("read", at.path, (signal) => folder.read(at, range, signal)),
      stat: (at) => attempt("stat", at.path, () => folder.stat(at)),
      list: (at) => attempt("list", at.path, (signal) => folder.list(at, signal)),
      place: (at) => attempt("stat", at.path, () => folder.place(at)),
      write: (at, bytes) => attemptToEnd("write", at.path, (signal) => folder.write(at, bytes, signal)),
      within: (at, use) => attempt("exec", at.path, () => folder.within(at, use))
    }))
  )
}

class Folder {
  readonly #named: string
  readonly #real: string
  readonly #kept: Kept
  readonly #descriptors: string

  constructor(named: string, real: string, { descriptors = "/proc/self/fd", protect = [] }: Confinement) {
    this.#named = named
    this.#real = real
    this.#descriptors = descriptors
    const listed = protect.map((one) => path.resolve(real, one))
    this.#kept = new Kept(
      real,
      listed.map((one) => (isWithin(named, one) ? path.join(real, path.relative(named, one)) : one))
    )
  }

  async read(at: Place, range: Range, signal: AbortSignal): Promise<Uint8Array> {
    const place = await this.#locate(at)
    // Opening a device can have effects, so what stands there is looked at first.
    refuseSpecial(await fs.lstat(place))
    return this.#open(place, 0, async (handle) => {
      const stat = await handle.stat()
      refuseSpecial(stat)
      const { limit, offset } = rangeOf(range, stat.size)
      return readPiece(handle, offset, Math.min(limit, Math.max(0, stat.size - offset)), signal)
    })
  }

  async stat(at: Place): Promise<FileStat> {
    const place = await this.#locate(at)
    const stat = await fs.lstat(place)
    if ((await fs.realpath(place)) !== place) throw new Refusal("it was replaced while it was looked at")
    return { type: stat.isFile() ? "file" : stat.isDirectory() ? "directory" : "other", size: stat.size }
  }

  async list(at: Place, signal: AbortSignal): Promise<ReadonlyArray<DirectoryEntry>> {
    const place = await this.#locate(at)
    return this.#open(place, constants.O_DIRECTORY, async (_handle, door) => {
      const types = new Map<string, DirectoryEntry["type"]>()
      for await (const entry of await fs.opendir(door, { bufferSize: 512 })) {
        if (signal.aborted) break
        if (types.size === maxEntries) throw tooMany()
        types.set(entry.name, entry.isFile() ? "file" : entry.isDirectory() ? "directory" : "other")
      }
      const names = [...types.keys()].toSorted()
      await setImmediate()
      return names.map((name) => ({ name, type: types.get(name)! }))
    })
  }

  async within<A>(at: Place, use: (cwd: string) => A): Promise<A> {
    return this.#open(await this.#locate(at), constants.O_DIRECTORY, async (_handle, door) => use(door))
  }

  async place(at: Place): Promise<string> {
    const { missing, place } = await this.#aim(at)
    return path.relative(this.#real, path.join(place, ...missing)) || "."
  }

  async write(at: Place, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    if (/(?:^|\/)\.{0,2}$/.test(at.path)) throw new Refusal(at.path === "" ? "the path is empty" : "it names a folder")
    const { missing, place } = await this.#aim(at)
    if (place === this.#real && missing.length === 0) throw new Refusal("it is a folder")
    const base = missing.length === 0 ? path.dirname(place) : place
    const name = missing.at(-1) ?? path.basename(place)
    const folders = missing.slice(0, -1)
    if (folders.length > maxMade) throw new Refusal(`more than ${maxMade} folders would have to be made on the way`)
    await this.#kept.refuse(path.join(base, ...folders, name))
    const opened: Array<Door> = []
    const made: Array<string> = []
    try {
      let door = await this.#enter(base, base)
      opened.push(door)
      for (const folder of folders) {
        const inner = path.join(door.path, folder)
        if (await makeFolder(inner)) made.push(inner)
        door = await this.#enter(inner, path.join(door.real, folder))
        opened.push(door)
      }
      // The folder may have become another one since its path was looked at.
      await this.#kept.refuse(path.join(door.real, name))
      await replace(door, name, bytes, signal)
    } catch (error) {
      for (const folder of made.toReversed()) await removeFolder(folder)
      throw error
    } finally {
      for (const door of opened) await door.handle.close()
    }
  }

  /** The real path of what exists of a place, and the names that are missing below it. */
  async #aim(at: Place): Promise<{ readonly place: string; readonly missing: ReadonlyArray<string> }> {
    const missing: Array<string> = []
    for (let asked = await this.#absolute(at); ; asked = path.dirname(asked)) {
      try {
        const place = await this.#follow(asked)
        const first = missing.length === 0 ? undefined : await look(path.join(place, missing[0]!))
        if (first?.isSymbolicLink() === true) throw new Refusal("a link on the way leads nowhere")
        return { place, missing }
      } catch (error) {
        if (codeOf(error) !== "ENOENT" || asked === this.#real) throw error
        missing.unshift(path.basename(asked))
      }
    }
  }

  /** The real path of a place, which lies inside. */
  async #locate(at: Place): Promise<string> {
    return this.#follow(await this.#absolute(at))
  }

  /** Where a place is by name, below the root. */
  async #absolute(at: Place): Promise<string> {
    refuseNoPath(at)
    const { cwd, path: asked } = at
    let start = this.#real
    if (cwd !== undefined && cwd !== "" && cwd !== ".")
      start = await this.#follow(this.#inner(path.resolve(start, cwd)))
    return this.#inner(path.resolve(start, asked))
  }

  #inner(absolute: string): string {
    const base = isWithin(this.#real, absolute) ? this.#real : this.#named
    if (!isWithin(base, absolute)) throw outside()
    return path.join(this.#real, path.relative(base, absolute))
  }

  async #follow(inner: string): Promise<string> {
    const place = await fs.realpath(inner)
    if (!isWithin(this.#real, place)) throw outside()
    return place
  }

  /**
   * Opens a real path without following a link and without waiting, and makes sure that the descriptor is of something
   * inside. `use` gets the handle and a path by which the very same thing is reached.
   */
  async #open<A>(place: string, flags: number, use: (handle: fs.FileHandle, door: string) => Promise<A>): Promise<A> {
    const handle = await fs.open(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | flags)
    try {
      const { door, shown } = await this.#doorOf(handle)
      if (shown !== undefined) return await use(handle, door)
      await refuseSwapped(handle, place)
      const value = await use(handle, place)
      await refuseSwapped(handle, place)
      return value
    } finally {
      await handle.close()
    }
  }

  /** Opens a folder by a path, to write in it: its real one, or one through the descriptor of the folder above it. */
  async #enter(at: string, place: string): Promise<Door> {
    const handle = await fs.open(at, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_DIRECTORY)
    try {
      const { door, shown } = await this.#doorOf(handle)
      if (shown !== undefined) return { handle, path: door, real: shown, verify: async () => {} }
      await refuseSwapped(handle, place)
      return { handle, path: place, real: place, verify: (inner, name) => refuseSwapped(inner, path.join(place, name)) }
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Where the system shows a descriptor to lead, which is inside, and the path through it. */
  async #doorOf(handle: fs.FileHandle): Promise<{ readonly door: string; readonly shown: string | undefined }> {
    const door = path.join(this.#descriptors, String(handle.fd))
    const shown = await fs.readlink(door).catch(() => undefined)
    if (shown !== undefined && !isWithin(this.#real, shown)) throw outside()
    return { door, shown }
  }
}

/** Whether the folder was not there before. */
const makeFolder = (at: string): Promise<boolean> =>
  fs.mkdir(at).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === "EEXIST") return false
      throw error
    }
  )

/** Takes back a folder that was made. Where somebody has put something into it, it is theirs. */
const removeFolder = (at: string): Promise<void> =>
  fs.rmdir(at).catch((error: unknown) => {
    if (!["ENOTEMPTY", "EEXIST", "ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) throw error
  })

/**
 * Compares a descriptor with what stands at the path that it was opened by. Each look is true of one instant only, so
 * there are several: one who turns folders into links and back would have to hit every gap between them.
 */
const refuseSwapped = async (handle: fs.FileHandle, place: string): Promise<void> => {
  const held = await handle.stat({ bigint: true })
  for (let look = 0; look < 3; look++) {
    const there = await fs.lstat(place, { bigint: true })
    if (held.dev !== there.dev || held.ino !== there.ino || (await fs.realpath(place)) !== place) throw outside()
  }
}
