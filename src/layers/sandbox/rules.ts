/**
 * What every sandbox holds paths and files to, and the words that it refuses them with.
 *
 * The thread of the virtual sandbox goes by it as well, and loads nothing of Effect.
 */

/** Why something is not done, in words for the one who asked, where the system itself would have done it. */
export class Refusal extends Error {}

export const outside = () => new Refusal("it leads out of the sandbox")

/** Whether `inner` is `outer` or below it. Both are absolute and normal. */
export const isWithin = (outer: string, inner: string): boolean =>
  inner === outer || inner.startsWith(outer.endsWith("/") ? outer : `${outer}/`)

/** A path as it was given, and the folder that it starts from. */
export interface Place {
  readonly path: string
  readonly cwd?: string | undefined
}

/** Throws for what no system takes for a path. */
export const refuseNoPath = ({ cwd, path }: Place): void => {
  if (path === "") throw new Refusal("the path is empty")
  if (path.includes("\0") || cwd?.includes("\0") === true) throw new Refusal("the path has a NUL character")
}

/** Folders whose content is a repository's own, or Baton's. */
const kept: ReadonlySet<string> = new Set([".git", ".baton"])

/**
 * Throws for what tools do not write: anything of such a name, by its real path from the root. Of names that a file
 * system takes for the same `fold` makes one.
 */
export const refuseKept = (place: string, fold = (name: string): string => name.toLowerCase()): void => {
  const name = place.split("/").find((part) => kept.has(fold(part)))
  if (name !== undefined) throw new Refusal(`what is in ${name} is not written by tools`)
}

/** The most that is read in one piece where no limit is given, in bytes. */
export const maxRead = 64 * 1024 * 1024

/** Which bytes of a file are read, as they are asked for, in whatever numbers that is. */
export interface Range {
  readonly offset?: number | undefined
  readonly limit?: number | undefined
}

/** The range as counts of bytes. Throws where a file of this size has more from there on than is read in one piece. */
export const rangeOf = (
  { limit, offset }: Range,
  size: number
): { readonly offset: number; readonly limit: number } => {
  const range = { offset: natural(offset, 0), limit: natural(limit, Number.POSITIVE_INFINITY) }
  const rest = size - range.offset
  if (limit === undefined && rest > maxRead) {
    throw new Refusal(`it has ${rest} bytes, which is too much for one piece`)
  }
  return range
}

const natural = (value: number | undefined, whenAbsent: number): number => {
  if (value === undefined) return whenAbsent
  return Number.isNaN(value) ? 0 : Math.max(0, Math.trunc(value))
}

/** The most entries of one folder that are listed: sorting them takes about 50 ms. */
export const maxEntries = 50_000

export const tooMany = () => new Refusal(`it holds more than ${maxEntries} entries`)

export const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code

/** What a file system said, in words, where these are the same for each. */
export const reasons = {
  EACCES: "permission denied",
  EISDIR: "it is a folder",
  ENOENT: "no such file or folder",
  ENOTDIR: "not a folder"
}
