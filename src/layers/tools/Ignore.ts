/**
 * What a `.gitignore` says, by the rules of gitignore(5).
 */
import { compile, type Pattern, splitParts } from "./Pattern.js"

/** The rules of one file. */
export interface Rules {
  readonly inOrder: ReadonlyArray<Rule>
  /** What it costs to ask them all, in steps for each character of a path. */
  readonly weight: number
}

export const noRules: Rules = { inOrder: [], weight: 0 }

interface Rule {
  readonly pattern: Pattern
  /** It takes back what an earlier rule ignores. */
  readonly negated: boolean
  readonly foldersOnly: boolean
  /** It is compared with a name alone, wherever that stands. */
  readonly anywhere: boolean
}

/** How much of a file is read, in bytes, and how much its rules may come to. */
export const maxIgnoreFile = 100_000
const maxWeight = 20_000

/** Reads a file. Lines that are no patterns, or too long for one, say nothing. */
export const parse = (text: string): Rules => {
  const inOrder: Array<Rule> = []
  let weight = 0
  for (const line of text.split("\n")) {
    let body = withoutTrailingSpaces(line.endsWith("\r") ? line.slice(0, -1) : line)
    if (body === "" || body.startsWith("#")) continue
    const negated = body.startsWith("!")
    if (negated) body = body.slice(1)
    const foldersOnly = body.endsWith("/")
    if (foldersOnly) body = body.slice(0, -1)
    const anywhere = !body.includes("/")
    // A pattern ending in two stars matches what is inside, not the folder itself.
    const parts = splitParts(body)
    const pattern = compile(parts.at(-1) === "**" ? `${parts.join("/")}/*` : parts.join("/"), { braces: false })
    if (parts.length === 0 || typeof pattern === "string") continue
    weight += pattern.weight
    if (weight > maxWeight) break
    inOrder.push({ pattern, negated, foldersOnly, anywhere })
  }
  return { inOrder, weight }
}

/** The rules that hold in a folder: those of each folder from the top down to it. */
export type Layers = ReadonlyArray<Rules>

/**
 * Whether a path is ignored. `layers[i]` are the rules of the folder that the path's first `i` parts name; the lowest
 * folder has the first word, and in it the last rule that matches.
 */
export const isIgnored = (layers: Layers, parts: ReadonlyArray<string>, isFolder: boolean): boolean => {
  for (let depth = Math.min(layers.length, parts.length) - 1; depth >= 0; depth--) {
    const rules = layers[depth]!.inOrder
    for (let index = rules.length - 1; index >= 0; index--) {
      const { anywhere, foldersOnly, negated, pattern } = rules[index]!
      if (foldersOnly && !isFolder) continue
      if (pattern.matches(anywhere ? parts.slice(-1) : parts.slice(depth))) return !negated
    }
  }
  return false
}

/** A trailing space counts only behind a backslash. */
const withoutTrailingSpaces = (line: string): string => {
  let end = line.length
  while (end > 0 && line[end - 1] === " " && line[end - 2] !== "\\") end--
  return line.slice(0, end)
}
