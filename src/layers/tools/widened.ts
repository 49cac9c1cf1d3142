/**
 * A regular expression for a text of several lines that matches wherever another one matches a line of it.
 *
 * Asked of several lines at once an expression means something else: `$` is not before a CRLF, `\A` is not where a line
 * begins, a set may take the newline. To tell which texts may hold a match it is enough to ask for more.
 */

/**
 * An expression that matches a part of every line that `pattern` matches, and of some text that it does not match, where
 * `^` matches after every newline; `undefined` where none is known. Other assertions are left out, classes are spelled.
 */
export const widened = (pattern: string): string | undefined => {
  if (!pattern.isWellFormed()) return undefined
  let out = ""
  for (let at = 0; at < pattern.length;) {
    const piece = pieceAt(pattern, at)
    if (piece === undefined) return undefined
    at += piece.length
    // What is left out cannot be repeated, nor what may stand before flags.
    if (/^(?:\(\?[is-]+\))?$/.test(piece.out) && /^(?:[*+?]|\{\d)/.test(pattern.slice(at, at + 2))) return undefined
    out += piece.out
  }
  return out
}

/** A piece of an expression: how much of it, and what stands for it. */
interface Piece {
  readonly length: number
  readonly out: string
}

const pieceAt = (pattern: string, at: number): Piece | undefined => {
  const character = pattern[at]!
  switch (character) {
    case "\\":
      return escapeAt(pattern, at, false)
    case "[":
      return setAt(pattern, at)
    case "$":
      return { length: 1, out: "" }
    case "(": {
      const special = /^\(\?(?:[is]*(?:-[is]+)?[:)]|P?<[A-Za-z_]\w*>)/.exec(pattern.slice(at, at + 64))
      if (special !== null) return { length: special[0].length, out: special[0] }
      return pattern[at + 1] === "?" ? undefined : { length: 1, out: "(" }
    }
    case "{": {
      const repeats = /^\{\d+(?:,\d*)?\}/.exec(pattern.slice(at, at + 16))
      return repeats === null ? { length: 1, out: "\\{" } : { length: repeats[0].length, out: repeats[0] }
    }
    case "}":
    case "]":
      return { length: 1, out: `\\${character}` }
    default:
      return { length: 1, out: character }
  }
}

/** Spelled without the newline, which no line holds. */
const sets: { readonly [name: string]: string } = { d: "0-9", w: "0-9A-Za-z_", s: "\\t\\f\\r " }

const escapeAt = (pattern: string, at: number, inSet: boolean): Piece | undefined => {
  const rest = pattern.slice(at + 1, at + 40)
  const name = rest[0]
  if (name === undefined) return undefined
  const set = sets[name.toLowerCase()]
  if (set !== undefined) {
    if (inSet) return name === name.toLowerCase() ? { length: 2, out: set } : undefined
    // Where case is ignored, what is not of a set would lose the letters outside ASCII that fold into it.
    return { length: 2, out: name === name.toLowerCase() ? `[${set}]` : `(?-i:[^${set}])` }
  }
  if (!inSet && "bBAz".includes(name)) return { length: 2, out: "" }
  if ("aftnrv".includes(name)) return { length: 2, out: `\\${name}` }
  if (name === "<" || name === ">") return { length: 2, out: name }
  const longer = /^(?:x[0-9A-Fa-f]{2}|x\{[0-9A-Fa-f]{1,6}\}|[pP](?:[A-Z]|\{\^?\w+\}))/.exec(rest)
  if (longer !== null) return { length: 1 + longer[0].length, out: `\\${longer[0]}` }
  return /^[!-/:-@[-`{-~]/.test(name) ? { length: 2, out: `\\${name}` } : undefined
}

const setAt = (pattern: string, open: number): Piece | undefined => {
  let at = open + 1
  let out = "["
  if (pattern[at] === "^") {
    out += "^"
    at++
  }
  for (const first = at; at < pattern.length;) {
    const character = pattern[at]!
    if (character === "]" && at > first) return { length: at + 1 - open, out: `${out}]` }
    if (character === "\\") {
      const piece = escapeAt(pattern, at, true)
      if (piece === undefined) return undefined
      at += piece.length
      out += piece.out
      continue
    }
    const named = /^\[:\^?[a-z]+:\]/.exec(pattern.slice(at, at + 16))
    if (named !== null) {
      at += named[0].length
      out += named[0]
      continue
    }
    if (character === "-" && pattern[at + 1] === "-") return undefined
    out += "[]&~".includes(character) ? `\\${character}` : character
    at++
  }
  return undefined
}
