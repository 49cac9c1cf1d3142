/**
 * Reading below one folder and nowhere else.
 *
 * A path is checked twice: its real path before anything is opened, and the opened descriptor afterwards, since a
 * folder or a file may be swapped for a link in between. Everything is read from the descriptor that was checked.
 */
import { constants } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { setImmediate } from "node:timers/promises"
import * as Effect from "effect/Effect"
import { SandboxError } from "../../services/Errors.js"
import type { DirectoryEntry, FileStat } from "../../services/Sandbox.js"

/** The files below one folder. */
export interface Confined {
  readonly read: (
    at: Place,
    range?: { readonly offset?: number | undefined; readonly limit?: number | undefined }
  ) => Effect.Effect<Uint8Array, SandboxError>
  readonly stat: (at: Place) => Effect.Effect<FileStat, SandboxError>
  readonly list: (at: Place) => Effect.Effect<ReadonlyArray<DirectoryEntry>, SandboxError>
  /** The real path of a folder to run a command in. */
  readonly folder: (at: Place) => Effect.Effect<string, SandboxError>
}

/** A path as it was given, and the folder that it starts from. */
export interface Place {
  readonly path: string
  readonly cwd?: string | undefined
}

/** The most that is read in one piece where no limit is given, in bytes. */
export const maxRead = 64 * 1024 * 1024

/** The most entries of one folder that are listed: sorting them takes about 50 ms. */
export const maxEntries = 50_000

/**
 * Confines to `root`. `descriptors` is the folder in which the system shows where an open descriptor leads. Where there
 * is none (macOS), a descriptor is compared with what stands at its path, again and again; and since a folder cannot be
 * listed by its descriptor there, one who swaps folders for links all the while may get names of another listed.
 */
export const confine = (root: string, descriptors = "/proc/self/fd"): Effect.Effect<Confined, SandboxError> => {
  const named = path.resolve(root)
  return attempt("stat", root, async () => {
    const real = await fs.realpath(named)
    if (!(await fs.lstat(real)).isDirectory()) throw new Refusal("it is not a folder")
    return new Folder(named, real, descriptors)
  }).pipe(
    Effect.map((folder) => ({
      read: (at, range = {}) => attempt("read", at.path, (signal) => folder.read(at, range, signal)),
      stat: (at) => attempt("stat", at.path, () => folder.stat(at)),
      list: (at) => attempt("list", at.path, (signal) => folder.list(at, signal)),
      folder: (at) => attempt("exec", at.cwd ?? at.path, () => folder.directory(at))
    }))
  )
}

class Folder {
  readonly #named: string
  readonly #real: string
  readonly #descriptors: string

  constructor(named: string, real: string, descriptors: string) {
    this.#named = named
    this.#real = real
    this.#descriptors = descriptors
  }

  async read(
    at: Place,
    range: { readonly offset?: number | undefined; readonly limit?: number | undefined },
    signal: AbortSignal
  ): Promise<Uint8Array> {
    const place = await this.#locate(at)
    // Opening a device can have effects, so what stands there is looked at first.
    refuseSpecial(await fs.lstat(place))
    return this.#open(place, 0, async (handle) => {
      const stat = await handle.stat()
      refuseSpecial(stat)
      const offset = natural(range.offset, 0)
      const rest = Math.max(0, stat.size - offset)
      if (range.limit === undefined && rest > maxRead) {
        throw new Refusal(`it has ${rest} bytes, which is too much for one piece`)
      }
      const bytes = new Uint8Array(Math.min(natural(range.limit, 0, rest), rest))
      let filled = 0
      while (filled < bytes.length && !signal.aborted) {
        const step = Math.min(bytes.length - filled, 1024 * 1024)
        const { bytesRead } = await handle.read(bytes, filled, step, offset + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return bytes.subarray(0, filled)
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
        if (types.size === maxEntries) throw new Refusal(`it holds more than ${maxEntries} entries`)
        types.set(entry.name, entry.isFile() ? "file" : entry.isDirectory() ? "directory" : "other")
      }
      const names = [...types.keys()].toSorted()
      await setImmediate()
      return names.map((name) => ({ name, type: types.get(name)! }))
    })
  }

  async directory(at: Place): Promise<string> {
    const place = await this.#locate(at)
    if (!(await fs.lstat(place)).isDirectory()) throw new Refusal("it is not a folder")
    return place
  }

  /** The real path of a place, which lies inside. */
  async #locate({ cwd, path: asked }: Place): Promise<string> {
    if (asked === "") throw new Refusal("the path is empty")
    if (asked.includes("\0") || cwd?.includes("\0") === true) throw new Refusal("the path has a NUL character")
    let start = this.#real
    if (cwd !== undefined && cwd !== "" && cwd !== ".") start = await this.#follow(path.resolve(start, cwd))
    return this.#follow(path.resolve(start, asked))
  }

  async #follow(absolute: string): Promise<string> {
    const base = isWithin(this.#real, absolute) ? this.#real : this.#named
    if (!isWithin(base, absolute)) throw outside()
    const place = await fs.realpath(path.join(this.#real, path.relative(base, absolute)))
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
      const door = path.join(this.#descriptors, String(handle.fd))
      const shown = await fs.readlink(door).catch(() => undefined)
      if (shown !== undefined) {
        if (!isWithin(this.#real, shown)) throw outside()
        return await use(handle, door)
      }
      await refuseSwapped(handle, place)
      const value = await use(handle, place)
      await refuseSwapped(handle, place)
      return value
    } finally {
      await handle.close()
    }
  }
}

/** Why a path is not taken, where the operating system would have taken it. */
class Refusal extends Error {}

const outside = () => new Refusal("it leads out of the sandbox")

const refuseSpecial = (stat: { readonly isFile: () => boolean; readonly isDirectory: () => boolean }): void => {
  if (stat.isDirectory()) throw new Refusal("it is a folder")
  if (!stat.isFile()) throw new Refusal("it is not a regular file")
}

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

/** Whether `inner` is `outer` or below it. Both are absolute and normal. */
const isWithin = (outer: string, inner: string): boolean =>
  inner === outer || inner.startsWith(outer.endsWith(path.sep) ? outer : outer + path.sep)

/** A count of bytes from whatever number it was given as. */
const natural = (value: number | undefined, whenNaN: number, whenAbsent = whenNaN): number => {
  if (value === undefined) return whenAbsent
  return Number.isNaN(value) ? whenNaN : Math.max(0, Math.trunc(value))
}

/**
 * Runs a step over the file system. The step closes what it opened by itself, so an interrupted caller need not wait
 * for it; it ends at its next look at the signal.
 */
const attempt = <A>(
  operation: SandboxError["operation"],
  asked: string,
  step: (signal: AbortSignal) => Promise<A>
): Effect.Effect<A, SandboxError> =>
  Effect.tryPromise({
    try: step,
    catch: (cause) =>
      cause instanceof Refusal
        ? new SandboxError({ operation, path: asked, reason: cause.message })
        : new SandboxError({ operation, path: asked, reason: reasonOf(cause), cause })
  })

/** What the operating system said, in words. */
export const reasonOf = (error: unknown): string => {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return (code === undefined ? undefined : reasons[code]) ?? code ?? "an unexpected failure"
}

const reasons: { readonly [code: string]: string } = {
  E2BIG: "the command or its environment is too long",
  EACCES: "permission denied",
  EAGAIN: "the machine has no room for another process",
  EISDIR: "it is a folder",
  ELOOP: "it goes round in links, or became one while it was opened",
  EMFILE: "too many files are open",
  ENAMETOOLONG: "the path is too long",
  ENFILE: "too many files are open",
  ENOENT: "no such file or folder",
  ENOTDIR: "not a folder",
  ENXIO: "it is not a regular file",
  EPERM: "permission denied"
}
