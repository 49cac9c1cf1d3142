/**
 * A regular expression for ripgrep that matches wherever the one of the tools does.
 *
 * The tools match each line as RE2 does, without its line ending, after bytes that are not UTF-8 have become U+FFFD.
 * ripgrep matches bytes, and its `.`, classes and boundaries know Unicode where those of RE2 do not. So whatever
 * the two could read differently is replaced by something wider, and what could not be is given up.
 */

/** Any one character of a line, or what stands for one that is not UTF-8. */
const any = "(?-u:[^\\n]{1,4})"

/** Where a line begins: the first one behind a byte order mark, which the tools leave out. */
const beginning = "(?:^\\x{FEFF}?)"

/** Escapes of one character or of a set of them, and what matches at least as much. */
const escapes: { readonly [escape: string]: string } = {
  d: "[0-9]",
  w: "[0-9A-Za-z_]",
  s: "[\\t\\x0C\\r ]",
  D: any,
  W: any,
  S: any,
  b: "(?-u:\\b)",
  B: "(?:)",
  A: beginning,
  z: "(?:\\r?$)",
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
  let text = ""
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
      text += meant ?? literal(escaped)
      length = set?.length ?? 2
    } else if (character === "[") {
      const end = endOfClass(pattern, at)
      if (end === undefined) return undefined
      const inner = pattern.slice(at + 1, end)
      // Letters and digits in ranges mean the same to both; anything else is taken for any character.
      text += /^(?:[A-Za-z0-9_]|[A-Z]-[A-Z]|[a-z]-[a-z]|[0-9]-[0-9])+$/.test(inner) ? `[${inner}]` : any
      length = end + 1 - at
    } else if (character === "(") {
      const flags = /^\(\?([is]*)(?:-[is]+)?([:)])/.exec(rest)
      const opening = /^\((?:\?:|\?P?<\w+>)?(?!\?)/.exec(rest)?.[0]
      if (flags !== null) {
        const ignores = flags[1]!.includes("i")
        folds ||= ignores
        text += flags[2] === ":" ? (ignores ? "(?i:" : "(?:") : ignores ? "(?i)" : ""
      } else if (opening !== undefined) text += "(?:"
      else return undefined
      length = flags?.[0].length ?? opening!.length
    } else if (repeat !== undefined) {
      text += repeat
      length = repeat.length
    } else if (character === ".") {
      text += any
    } else if (character === "$") {
      text += escapes["z"]!
    } else if (character === "^") {
      text += beginning
    } else if (/[)|*+?]/.test(character)) {
      text += character
    } else if (/[\n\0]|[\uD800-\uDFFF]/u.test(character)) {
      return undefined
    } else if (character === "\uFFFD" || (folds && character > "\u007F")) {
      text += any
    } else {
      text += literal(character)
    }
    at += length
  }
  return text
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
