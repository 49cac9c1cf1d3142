/**
 * What stands in a tree.
 */

export type Node = File | Folder | Link

export interface File {
  readonly kind: "file"
  readonly id: number
  /** What it holds; `undefined` while that stands in the real folder. */
  bytes: Uint8Array | undefined
  /** Where it stands in the real folder, and how many bytes it had there when its folder was listed. */
  readonly below: string
  readonly size: number
  mode: number
  mtime: number
  /** How many names it has. */
  names: number
}

export interface Folder {
  readonly kind: "folder"
  readonly id: number
  /** `undefined` while the real folder was not listed yet. */
  entries: Map<string, Node> | undefined
  readonly below: string
  mode: number
  mtime: number
}

export interface Link {
  readonly kind: "link"
  readonly id: number
  readonly target: string
  mode: number
  mtime: number
}
