/**
 * The files below the sandbox's root, by the rules of its port.
 */
import * as path from "node:path/posix"
import type { DirectoryEntry, FileStat } from "../../services/Sandbox.js"
import {
  isWithin,
  maxEntries,
  outside,
  type Place,
  type Range,
  rangeOf,
  Refusal,
  refuseKept,
  refuseNoPath,
  tooMany
} from "../sandbox/rules.js"
import { type By, type Found, type Node, sizeOf, type Tree } from "./Tree.js"

export const read = async (tree: Tree, root: string, at: Place & Range): Promise<Uint8Array> => {
  const { node } = existing(await locate(tree, root, at))
  if (node.kind !== "file") throw new Refusal("it is a folder")
  const { limit, offset } = rangeOf(at, sizeOf(node))
  return tree.partOf(node, offset, limit)
}

export const stat = async (tree: Tree, root: string, at: Place): Promise<FileStat> => {
  const { node } = existing(await locate(tree, root, at))
  return { type: typeOf(node), size: sizeOf(node) }
}

export const list = async (tree: Tree, root: string, at: Place): Promise<ReadonlyArray<DirectoryEntry>> => {
  const { node } = existing(await locate(tree, root, at))
  if (node.kind !== "folder") throw new Refusal("not a folder")
  const entries = await tree.entries(node)
  if (entries.size > maxEntries) throw tooMany()
  return [...entries.keys()].toSorted().map((name) => ({ name, type: typeOf(entries.get(name)!) }))
}

export const place = async (tree: Tree, root: string, at: Place): Promise<string> =>
  path.relative(root, pathOf(await locate(tree, root, at))) || "."

export const write = async (
  tree: Tree,
  root: string,
  at: Place & { readonly bytes: Uint8Array; readonly by?: By | undefined }
): Promise<void> => {
  const found = await locate(tree, root, at)
  const target = pathOf(found)
  refuseKept(path.relative(root, target))
  const { node } = found
  if (node?.kind === "folder") throw new Refusal("it is a folder")
  if (node?.kind === "file" && node.names > 1) throw new Refusal("it has another name besides (a hard link)")
  if (at.path.endsWith("/")) throw new Refusal("it is named as a folder")
  tree.put(target, at.bytes, {}, at.by)
}

/** The real path of a folder to run a command in. */
export const folder = async (tree: Tree, root: string, at: Place): Promise<string> => {
  const found = existing(await locate(tree, root, at))
  if (found.node.kind !== "folder") throw new Refusal("it is not a folder")
  return pathOf(found)
}

/** Where a path leads, which lies inside. */
const locate = async (tree: Tree, root: string, at: Place): Promise<Found> => {
  refuseNoPath(at)
  const { cwd, path: asked } = at
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
