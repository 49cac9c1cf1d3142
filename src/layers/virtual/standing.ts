/**
 * What stands at a path of a tree, as a value: who keeps it keeps no node of the tree, and no copy of its bytes.
 */
import { Buffer } from "node:buffer"
import type { Node } from "./Node.js"

/** `undefined` where nothing does. A folder stands for itself alone: what it holds has paths of its own. */
export type Standing =
  | {
      readonly kind: "file"
      /** `undefined` while they stand in the real folder. The tree never changes them, and never frees them. */
      readonly bytes: Uint8Array | undefined
      readonly below: string
      readonly size: number
      readonly mode: number
    }
  | { readonly kind: "folder"; readonly mode: number }
  | { readonly kind: "link"; readonly target: string; readonly mode: number }
  | undefined

export const standingOf = (node: Node | undefined): Standing => {
  if (node === undefined) return undefined
  const { mode } = node
  if (node.kind === "folder") return { kind: "folder", mode }
  if (node.kind === "link") return { kind: "link", target: node.target, mode }
  return { kind: "file", bytes: node.bytes, below: node.below, size: node.size, mode }
}

/** Times are not compared. A file of the real folder that was not read is the same as itself alone. */
export const isSame = (a: Standing, b: Standing): boolean => {
  if (a === undefined || b === undefined) return a === b
  if (a.mode !== b.mode) return false
  if (a.kind === "link") return b.kind === "link" && a.target === b.target
  if (a.kind === "folder") return b.kind === "folder"
  if (b.kind !== "file") return false
  if (a.bytes === undefined || b.bytes === undefined) return a.bytes === b.bytes && a.below === b.below
  return a.bytes === b.bytes || Buffer.compare(a.bytes, b.bytes) === 0
}
