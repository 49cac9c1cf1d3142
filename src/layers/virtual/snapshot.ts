/**
 * Everything that a tree holds, as plain data.
 */
import { Buffer } from "node:buffer"
import * as path from "node:path/posix"
import { Refusal } from "../sandbox/rules.js"
import { type Node, Tree } from "./Tree.js"

/** All files, folders and links of a virtual sandbox. It is JSON: what `JSON.parse` gives back of it can be restored. */
export interface Snapshot {
  /** The form of what follows. */
  readonly version: 1
  /** Folders before what they hold; paths are absolute, sorted within a folder. */
  readonly entries: ReadonlyArray<SnapshotEntry>
}

export type SnapshotEntry =
  | (Meta & { readonly type: "folder" })
  /** `content` is base64. */
  | (Meta & { readonly type: "file"; readonly content: string })
  | (Meta & { readonly type: "link"; readonly target: string })
  /** Another name of a file that stands before it. */
  | { readonly type: "name"; readonly path: string; readonly of: string }

interface Meta {
  readonly path: string
  /** The permissions, as `chmod` takes them. */
  readonly mode: number
  /** When it was changed last, in milliseconds since 1970. */
  readonly mtime: number
}

/** What the shell makes anew each time. */
const shells: ReadonlySet<string> = new Set(["/bin", "/dev", "/proc", "/usr/bin"])

/** Each file is whole; what a command writes meanwhile is in it or not. */
export const take = async (tree: Tree): Promise<Snapshot> => {
  const entries: Array<SnapshotEntry> = []
  const seen = new Map<number, string>()
  const walk = async (at: string, node: Node & { readonly kind: "folder" }): Promise<void> => {
    const inner = [...(await tree.entries(node))].toSorted(([a], [b]) => (a < b ? -1 : 1))
    for (const [name, it] of inner) {
      const place = path.join(at, name)
      if (shells.has(place)) continue
      const meta = { path: place, mode: it.mode, mtime: it.mtime }
      if (it.kind === "folder") {
        entries.push({ type: "folder", ...meta })
        await walk(place, it)
      } else if (it.kind === "link") {
        entries.push({ type: "link", ...meta, target: it.target })
      } else if (seen.has(it.id)) {
        entries.push({ type: "name", path: place, of: seen.get(it.id)! })
      } else {
        if (it.names > 1) seen.set(it.id, place)
        entries.push({ type: "file", ...meta, content: Buffer.from(await tree.bytesOf(it)).toString("base64") })
      }
    }
  }
  const root = (await tree.find("/")).node
  if (root?.kind === "folder") await walk("/", root)
  return { version: 1, entries }
}

/** A tree that holds this and nothing else. */
export const plant = (snapshot: Snapshot, max: number): Tree => {
  if (snapshot.version !== 1 || !Array.isArray(snapshot.entries)) throw new Refusal("it is no snapshot of this version")
  const tree = new Tree(max)
  for (const entry of snapshot.entries) {
    if (!isEntry(entry)) throw new Refusal("the snapshot has an entry that is none")
    if (entry.type === "folder") tree.putFolder(entry.path)
    else if (entry.type === "link") tree.putLink(entry.path, entry.target, entry)
    else if (entry.type === "name") tree.putName(entry.path, entry.of)
    else tree.put(entry.path, Buffer.from(entry.content, "base64"), entry)
  }
  // What is put into a folder changes its time.
  for (const entry of snapshot.entries) if (entry.type === "folder") tree.putFolder(entry.path, entry)
  return tree
}

const isEntry = (entry: SnapshotEntry): boolean => {
  if (typeof entry !== "object" || entry === null || !isPlace(entry.path)) return false
  if (entry.type === "name") return isPlace(entry.of)
  if (!Number.isInteger(entry.mode) || !Number.isFinite(entry.mtime)) return false
  return (
    entry.type === "folder" ||
    (entry.type === "file" && typeof entry.content === "string") ||
    (entry.type === "link" && typeof entry.target === "string")
  )
}

const isPlace = (place: unknown): boolean =>
  typeof place === "string" && place !== "/" && path.isAbsolute(place) && path.normalize(place) === place
