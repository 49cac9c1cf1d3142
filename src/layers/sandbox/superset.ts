/**
 * A regular expression for ripgrep that matches wherever the one of the tools does.
 *
 * The tools match each line as RE2 does, without its line ending, after bytes that are not UTF-8 have become U+FFFD.
 * ripgrep matches bytes, and its `.`, classes and boundaries know Unicode where those of RE2 do not. So whatever
 * the two could read differently is replaced by something wider, and what could not be is given up.
 */

/** Any one character of a line, or what stands for one that is not UTF-8. */
const any = "(?-u:[^\\n]{1,4})"

/**
 * What is asked of a place. A line begins before a byte order mark or behind it, and ends before a CR or behind it: the
 * tools leave both out.
 */
const assertions = { "^": "(?:^\\x{FEFF}?)", "\\b": "(?-u:\\b)", $: "(?:\\r?$)" }
const isAssertion = (piece: string): piece is keyof typeof assertions => Object.hasOwn(assertions, piece)

/** Escapes of one character or of a set of them, and what matches at least as much. */
const escapes: { readonly [escape: string]: string } = {
  d: "[0-9]",
  w: "[0-9A-Za-z_]",
  s: "[\\t\\x0C\\r ]",
  D: any,
  W: any,
  S: any,
  b: "\\b",
  B: "(?:)",
  A: "^",
  z: "$",
  t: "\\t",
  r: "\\r",
  f: "\\x0C",
  v: "\\x0B",
  a: "\\x07"
}

/** A pattern as wide as another or wider; `undefined` where there is no telling. */
export const superset = (pattern: string, ignoreCase: boolean): string | undefined => {
  // Where some part ignores case, no part is held to it in what follows.
  let folds = ignoreCase
  const branches: Array<string> = []
  let branch = new Branch()
  for (let at = 0; at < pattern.length;) {
    const rest = pattern.slice(at)
    const character = String.fromCodePoint(pattern.codePointAt(at)!)
    const repeat = /^\{\d+(?:,\d*)?\}/.exec(rest)?.[0]
    let length = character.length
    if (character === "\\") {
      const escaped = pattern[at + 1]
      if (escaped === undefined) return undefined
      const set = /^\\(?:[pP](?:\{[^}]*\}|[A-Z])|x(?:[\dA-Fa-f]{2}|\{[\dA-Fa-f]+\}))/.exec(rest)?.[0]
      const meant = set === undefined ? escapes[escaped] : any
      if (meant === undefined && !/[!-/:-@[-`{-~]/.test(escaped)) return undefined
      branch.add(meant ?? literal(escaped))
      length = set?.length ?? 2
    } else if (character === "[") {
      const end = endOfClass(pattern, at)
      if (end === undefined) return undefined
      const inner = pattern.slice(at + 1, end)
      // Letters and digits in ranges mean the same to both; anything else is taken for any character.
      branch.add(/^(?:[A-Za-z0-9_]|[A-Z]-[A-Z]|[a-z]-[a-z]|[0-9]-[0-9])+$/.test(inner) ? `[${inner}]` : any)
      length = end + 1 - at
    } else if (character === "(") {
      const flags = /^\(\?([is]*)(?:-[is]+)?([:)])/.exec(rest)
      const opening = /^\((?:\?:|\?P?<\w+>)?(?!\?)/.exec(rest)?.[0]
      if (flags !== null) {
        // What is repeated stands before the flags, and would be another thing without them.
        if (flags[2] === ")" && /^(?:[*+?]|\{\d)/.test(rest.slice(flags[0].length))) return undefined
        const ignores = flags[1]!.includes("i")
        folds ||= ignores
        if (flags[2] === ":") branch.open(ignores ? "(?i:" : "(?:")
        else if (ignores) branch.add("(?i)")
      } else if (opening !== undefined) branch.open("(?:")
      else return undefined
      length = flags?.[0].length ?? opening!.length
    } else if (repeat !== undefined) {
      branch.add(repeat)
      length = repeat.length
    } else if (character === ".") {
      branch.add(any)
    } else if (character === ")") {
      branch.close(/^\)(?:[*+]|\{\d)/.test(rest))
    } else if (character === "|" && branch.isWhole) {
      branches.push(branch.text)
      branch = new Branch()
    } else if (/[$^|*+?]/.test(character)) {
      branch.add(character)
    } else if (/[\n\0]|[\uD800-\uDFFF]/u.test(character)) {
      return undefined
    } else if (character === "\uFFFD" || (folds && character > "\u007F")) {
      branch.add(any)
    } else {
      branch.add(literal(character))
    }
    at += length
  }
  return [...branches, branch.text].join("|")
}

/** A part of an expression between two bars, or all of it. */
class Branch {
  readonly #pieces: Array<string> = []
  /** What is asked of places, as it stands there; and where that was at each open group. */
  #asked = ""
  readonly #groups: Array<number> = []
  #isRepeated = false

  get isWhole(): boolean {
    return this.#groups.length === 0
  }

  add(piece: string): void {
    if (isAssertion(piece)) this.#asked += piece
    this.#pieces.push(piece)
  }

  open(piece: string): void {
    this.#groups.push(this.#asked.length)
    this.add(piece)
  }

  close(isRepeated: boolean): void {
    const before = this.#groups.pop() ?? 0
    this.#isRepeated ||= isRepeated && this.#asked.length > before
    this.add(")")
  }

  /**
   * What asks for a beginning or an end may take a mark or a CR with it, and then something else is asked of the place
   * behind it than of the one before. So that is left out unless it is asked on the right side of it.
   */
  get text(): string {
    const inOrder = (this.#isRepeated ? /^(?:\^*|(?:\\b)*|\$*)$/ : /^\^*(?:\\b)*\$*$/).test(this.#asked)
    return this.#pieces
      .map((piece) => {
        if (!isAssertion(piece)) return piece
        return inOrder || piece === "$" ? assertions[piece] : "(?:)"
      })
      .join("")
  }
}

const literal = (character: string): string => (/[\\.+*?()|[\]{}^$]/.test(character) ? `\\${character}` : character)

/** Where the bracket of a class closes. The first one in it is a character, as are those of `[:alpha:]` and escaped ones. */
const endOfClass = (pattern: string, open: number): number | undefined => {
  let at = open + (pattern[open + 1] === "^" ? 2 : 1)
  for (const first = at; at < pattern.length; at++) {
    const name = /^\[:\^?\w+:\]/.exec(pattern.slice(at, at + 20))?.[0]
    if (pattern[at] === "]" && at > first) return at
    if (pattern[at] === "\\") at++
    else if (name !== undefined) at += name.length - 1
  }
  return undefined
}
