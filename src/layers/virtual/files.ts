/**
 * The files below the sandbox's root, by the rules of its port.
 */
import * as path from "node:path/posix"
import type { DirectoryEntry, FileStat } from "../../services/Sandbox.js"
import { maxRead } from "./below.js"
import type { At } from "./messages.js"
import { Refusal } from "./Refusal.js"
import { type Found, type Node, sizeOf, type Tree } from "./Tree.js"

/** The most entries of one folder that are listed. */
export const maxEntries = 50_000

export const read = async (
  tree: Tree,
  root: string,
  at: At & { readonly offset: number | undefined; readonly limit: number | undefined }
): Promise<Uint8Array> => {
  const { node } = existing(await locate(tree, root, at))
  if (node.kind !== "file") throw new Refusal("it is a folder")
  const offset = natural(at.offset, 0)
  const size = sizeOf(node)
  if (at.limit === undefined && size - offset > maxRead) {
    throw new Refusal(`it has ${size - offset} bytes, which is too much for one piece`)
  }
  return tree.partOf(node, offset, natural(at.limit, Number.POSITIVE_INFINITY))
}

export const stat = async (tree: Tree, root: string, at: At): Promise<FileStat> => {
  const { node } = existing(await locate(tree, root, at))
  return { type: typeOf(node), size: sizeOf(node) }
}

export const list = async (tree: Tree, root: string, at: At): Promise<ReadonlyArray<DirectoryEntry>> => {
  const { node } = existing(await locate(tree, root, at))
  if (node.kind !== "folder") throw new Refusal("not a folder")
  const entries = await tree.entries(node)
  if (entries.size > maxEntries) throw new Refusal(`it holds more than ${maxEntries} entries`)
  return [...entries.keys()].toSorted().map((name) => ({ name, type: typeOf(entries.get(name)!) }))
}

export const place = async (tree: Tree, root: string, at: At): Promise<string> =>
  path.relative(root, pathOf(await locate(tree, root, at))) || "."

export const write = async (tree: Tree, root: string, at: At & { readonly bytes: Uint8Array }): Promise<void> => {
  const found = await locate(tree, root, at)
  const target = pathOf(found)
  const kept = path.relative(root, target).split("/").find(isKept)
  if (kept !== undefined) throw new Refusal(`what is in ${kept} is not written by tools`)
  const { node } = found
  if (node?.kind === "folder") throw new Refusal("it is a folder")
  if (node?.kind === "file" && node.names > 1) throw new Refusal("it has another name besides (a hard link)")
  if (at.path.endsWith("/")) throw new Refusal("it is named as a folder")
  tree.put(target, at.bytes)
}

/** The real path of a folder to run a command in. */
export const folder = async (tree: Tree, root: string, at: At): Promise<string> => {
  const found = existing(await locate(tree, root, at))
  if (found.node.kind !== "folder") throw new Refusal("it is not a folder")
  return pathOf(found)
}

/** Where a path leads, which lies inside. */
const locate = async (tree: Tree, root: string, { cwd, path: asked }: At): Promise<Found> => {
  if (asked === "") throw new Refusal("the path is empty")
  if (asked.includes("\0") || cwd?.includes("\0") === true) throw new Refusal("the path has a NUL character")
  let start = root
  if (cwd !== undefined && cwd !== "" && cwd !== ".") {
    start = pathOf(existing(await follow(tree, root, path.resolve(root, cwd))))
  }
  return follow(tree, root, path.resolve(start, asked))
}

const follow = async (tree: Tree, root: string, absolute: string): Promise<Found> => {
  if (!isWithin(root, absolute)) throw outside()
  const found = await tree.find(absolute)
  // A command may have put a link in the root's own place: what is below that is not below the root.
  if (!isWithin(root, pathOf(found))) throw outside()
  return found
}

const existing = (found: Found): Found & { readonly node: Node } => {
  if (found.node === undefined) throw new Refusal("no such file or folder")
  return found as Found & { readonly node: Node }
}

/** The path without links, also of what does not exist. */
export const pathOf = ({ missing, real }: Found): string => `/${[...real, ...missing].join("/")}`

const typeOf = (node: Node): DirectoryEntry["type"] =>
  node.kind === "file" ? "file" : node.kind === "folder" ? "directory" : "other"

/** Folders whose content no tool writes: a repository's own, and Baton's. */
const isKept = (name: string): boolean => name.toLowerCase() === ".git" || name.toLowerCase() === ".baton"

const outside = () => new Refusal("it leads out of the sandbox")

/** Whether `inner` is `outer` or below it. Both are absolute and normal. */
const isWithin = (outer: string, inner: string): boolean =>
  inner === outer || inner.startsWith(outer === "/" ? outer : `${outer}/`)

/** A count of bytes from whatever number it was given as. */
const natural = (value: number | undefined, whenAbsent: number): number => {
  if (value === undefined) return whenAbsent
  return Number.isNaN(value) ? 0 : Math.max(0, Math.trunc(value))
}
