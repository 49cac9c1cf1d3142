/**
 * What tools do not write.
 */
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { codeOf, isWithin, Refusal, refuseKept } from "./rules.js"

/**
 * What is kept from tools below `root`: anything of such a name, and the `listed` paths with what is below them. Names
 * that some file system takes as the same count as the same. All paths are real ones.
 */
export class Kept {
  readonly #root: string
  readonly #listed: ReadonlyArray<string>

  constructor(root: string, listed: ReadonlyArray<string>) {
    this.#root = root
    this.#listed = listed
  }

  /** Throws for a place that is kept, by its real path. What is listed is looked up anew, since it may be a link. */
  async refuse(place: string): Promise<void> {
    refuseKept(path.relative(this.#root, place), fold)
    const folded = fold(place)
    for (const listed of this.#listed) {
      for (const one of [listed, await realOf(listed)]) {
        if (isWithin(fold(one), folded)) throw new Refusal("it is protected from being written by tools")
      }
    }
  }
}

/** The real path of what exists of a path, followed by the rest. */
const realOf = async (listed: string): Promise<string> => {
  const rest: Array<string> = []
  for (let at = listed; ; at = path.dirname(at)) {
    try {
      return path.join(await fs.realpath(at), ...rest)
    } catch (error) {
      // What cannot be followed is no way to anything that is written.
      if (path.dirname(at) === at || !["ENOENT", "ENOTDIR", "ELOOP", "EACCES"].includes(codeOf(error) ?? ""))
        throw error
      rest.unshift(path.basename(at))
    }
  }
}

/**
 * A name as macOS compares it: by Unicode's normal form, without regard to case, and on older volumes without characters
 * that are not seen.
 */
const fold = (name: string): string => name.replace(unseen, "").normalize("NFC").toLowerCase()

const unseen = /[\u200C-\u200F\u202A-\u202E\u206A-\u206F\uFEFF]/g
