/**
 * The real folder that is read through: never written, and never left.
 *
 * What it lists says of each entry whether it is a link; a link is never followed here, neither the last name of a path
 * nor one on the way. A path is checked before it is opened and the descriptor after, since a folder may be swapped for a
 * link in between.
 */
import { constants, type Stats } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { readPiece } from "../sandbox/piece.js"
import { maxRead } from "../sandbox/rules.js"
import type { Below, BelowEntry } from "./Tree.js"

/** `mount` is where it stands in the tree: links of it that name it absolutely lead there. Fails where there is none. */
export const below = async (root: string, mount: string): Promise<Below> => {
  const real = await fs.realpath(root)
  if (!(await fs.lstat(real)).isDirectory()) throw Object.assign(new Error("it is not a folder"), { code: "ENOTDIR" })

  /** Where a path of the tree stands, if no link has come in its way since it was listed. */
  const straight = async (asked: string) => {
    const place = path.join(real, asked)
    if ((await fs.realpath(place)) !== place) throw replaced(asked)
    return place
  }

  const entryOf = async (place: string): Promise<BelowEntry | undefined> => {
    const stat = await fs.lstat(place).catch(() => undefined)
    if (stat === undefined) return undefined
    const meta = { mode: stat.mode & 0o7777, mtime: Math.round(stat.mtimeMs) }
    if (stat.isFile()) return { ...meta, kind: "file", size: stat.size }
    if (stat.isDirectory()) return { ...meta, kind: "folder" }
    // Devices, sockets and pipes are not shown: to open one can have effects.
    return stat.isSymbolicLink() ? { ...meta, kind: "link", target: await targetOf(place) } : undefined
  }

  /** A link's target; one that names the real folder names the tree's. */
  const targetOf = async (place: string): Promise<string> => {
    const target = await fs.readlink(place)
    if (!path.isAbsolute(target)) return target
    const inside = path.relative(real, target)
    return inside === ".." || inside.startsWith(`..${path.sep}`) ? target : path.posix.join(mount, inside)
  }

  return {
    list: async (asked) => {
      const place = await straight(asked)
      const entries: Array<readonly [string, BelowEntry]> = []
      for (const name of await fs.readdir(place)) {
        const entry = await entryOf(path.join(place, name))
        if (entry !== undefined) entries.push([name, entry])
      }
      // What was listed is told only if it is still this folder that it was listed of.
      await straight(asked)
      return entries
    },
    read: async (asked, offset = 0, limit = Number.POSITIVE_INFINITY) => {
      const place = await straight(asked)
      const handle = await fs.open(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
      try {
        const stat = await handle.stat()
        if (!stat.isFile() || !sameFile(stat, await fs.lstat(await straight(asked)))) throw replaced(asked)
        const length = Math.min(limit, Math.max(0, stat.size - offset))
        if (length > maxRead) {
          throw Object.assign(new Error(`EFBIG: file too large, open '${asked}'`), { code: "EFBIG" })
        }
        return await readPiece(handle, offset, length)
      } finally {
        await handle.close()
      }
    }
  }
}

const sameFile = (a: Stats, b: Stats) => a.dev === b.dev && a.ino === b.ino

const replaced = (asked: string) =>
  Object.assign(new Error(`EACCES: permission denied, it was replaced, open '${asked}'`), { code: "EACCES" })
