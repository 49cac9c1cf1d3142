/**
 * Putting a file into an opened folder, as a whole.
 */
import { constants, type Stats } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { refuseSpecial } from "./faults.js"
import { codeOf, Refusal } from "./rules.js"

/** An opened folder that was checked. */
export interface Door {
  readonly handle: fs.FileHandle
  /** The path by which the folder is reached, whatever becomes of its name. */
  readonly path: string
  /** Where it was when it was opened. */
  readonly real: string
  /** Throws where what was opened by a path below `path` does not stand in the folder. */
  readonly verify: (handle: fs.FileHandle, name: string) => Promise<void>
}

/** How much is written before the signal is looked at again, in bytes. */
const step = 1024 * 1024

/**
 * Writes a draft beside the file and renames it over. Fails for what is not a regular file with one name, and for a
 * file that may not be written. Ends with no draft left, unless the process itself is killed meanwhile.
 */
export const replace = async (door: Door, name: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> => {
  const target = path.join(door.path, name)
  const before = await look(target)
  if (before !== undefined) {
    refuseSpecial(before)
    if (before.nlink > 1) throw new Refusal("it has another name besides (a hard link)")
    await fs.access(target, constants.W_OK)
  }
  const { draft, handle } = await openDraft(door, before === undefined ? 0o666 : 0o600)
  try {
    try {
      await door.verify(handle, path.basename(draft))
      if (before !== undefined) await takeOver(handle, before)
      for (let written = 0; written < bytes.length && !signal.aborted;) {
        written += (await handle.write(bytes, written, Math.min(step, bytes.length - written))).bytesWritten
      }
    } finally {
      await handle.close()
    }
    if (signal.aborted) throw new Refusal("it was interrupted")
    await fs.rename(draft, target)
  } catch (error) {
    await fs.rm(draft, { force: true })
    throw error
  }
}

/** What stands at a path, itself; `undefined` where nothing does. */
export const look = (at: string): Promise<Stats | undefined> =>
  fs.lstat(at).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined
    throw error
  })

/** Numbers the drafts of this process. */
let drafts = 0

/** A new file of a name that no other one has; of the process's id too, since processes share folders. */
const openDraft = async (
  door: Door,
  mode: number
): Promise<{ readonly draft: string; readonly handle: fs.FileHandle }> => {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  for (;;) {
    const draft = path.join(door.path, `.baton-${process.pid}-${drafts++}.draft`)
    try {
      return { draft, handle: await fs.open(draft, flags, mode) }
    } catch (error) {
      // Left there by a process of the same id, in another container or before.
      if (codeOf(error) !== "EEXIST") throw error
    }
  }
}

/**
 * Gives a draft the owner and the permissions of the file before it, without the bits by which a program runs with
 * somebody else's rights. Where the group cannot be kept, it may do only what all may.
 */
const takeOver = async (handle: fs.FileHandle, before: Stats): Promise<void> => {
  let mode = before.mode & 0o777
  const own = await handle.stat()
  if (own.uid !== before.uid || own.gid !== before.gid) {
    try {
      await handle.chown(before.uid, before.gid)
    } catch (error) {
      if (codeOf(error) !== "EPERM") throw error
      if (own.gid !== before.gid) mode = (mode & 0o707) | ((mode & 0o007) << 3)
    }
  }
  await handle.chmod(mode)
}
