/**
 * Glob patterns, matched in a time that is bounded by the length of the pattern times that of the path.
 *
 * Neither a model nor a repository is trusted with a pattern here, so none becomes a regular expression: translated
 * ones, such as those of `*a*a*a*a*b`, take exponential time.
 */

/** A pattern made ready. */
export interface Pattern {
  /** Whether it matches a path, given as its parts. */
  readonly matches: (parts: ReadonlyArray<string>) => boolean
  /** What it costs to match, in steps for each character of the path. */
  readonly weight: number
}

/** Matches every path. */
export const everything: Pattern = { matches: () => true, weight: 0 }

/** The longest pattern that is taken, in UTF-16 code units. */
export const maxPattern = 500

/** How much text the alternatives of a pattern may come to, in UTF-16 code units. */
const maxExpanded = 5_000

/**
 * Makes a pattern ready, or says why it cannot be. `*` and `?` stand for characters of one part, `[a-z]` and `[!a-z]`
 * for one character, a part that is two stars for any number of parts, `{a,b}` for either; a backslash takes the next
 * character as it is. Hidden files are files like others. `braces: false` takes braces as they are.
 */
export const compile = (text: string, options: { readonly braces: boolean } = { braces: true }): Pattern | string => {
  if (text.length > maxPattern) return `the pattern is longer than ${maxPattern} characters`
  const expanded = options.braces ? expand(text) : [text]
  if (expanded === undefined) return "the pattern has too many alternatives"
  const alternatives = expanded.map((one) => splitParts(one).map(compilePart))
  return {
    matches: (parts) => alternatives.some((alternative) => matchAll(alternative, parts, anyParts, matchPart)),
    weight: expanded.reduce((sum, one) => sum + one.length, 0)
  }
}

/** The parts of a path or a pattern. A slash in brackets divides too, as in the shell. */
export const splitParts = (text: string): ReadonlyArray<string> =>
  text.split("/").filter((part) => part !== "" && part !== ".")

/** Whether a part of a pattern stands for anything but itself. */
export const isMagic = (part: string): boolean => /[*?[\]{}\\]/.test(part)

// -------------------------------------------------------------------------------------------------- matching

const anyParts = Symbol("any number of parts")
const anyText = Symbol("any text")

/** One part of a pattern: plain text, a text behind a star, or its tokens. */
type Part =
  | typeof anyParts
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "Suffix"; readonly text: string }
  | { readonly _tag: "Tokens"; readonly tokens: ReadonlyArray<Token> }

type Test = (character: string) => boolean
type Token = typeof anyText | Test

/**
 * Matches a sequence of tokens against a sequence of items. Where several readings are possible it is enough to try
 * again from the latest star, which keeps the time to the product of the lengths.
 */
const matchAll = <Star extends symbol, T, I>(
  tokens: ReadonlyArray<Star | T>,
  items: ReadonlyArray<I>,
  star: Star,
  fits: (token: T, item: I) => boolean
): boolean => {
  let token = 0
  let item = 0
  let latest = -1
  let since = 0
  while (item < items.length) {
    if (token < tokens.length && tokens[token] === star) {
      latest = token++
      since = item
    } else if (token < tokens.length && fits(tokens[token] as T, items[item]!)) {
      token++
      item++
    } else if (latest >= 0) {
      token = latest + 1
      item = ++since
    } else {
      return false
    }
  }
  while (token < tokens.length && tokens[token] === star) token++
  return token === tokens.length
}

const matchPart = (part: Exclude<Part, typeof anyParts>, name: string): boolean => {
  switch (part._tag) {
    case "Text":
      return name === part.text
    case "Suffix":
      return name.endsWith(part.text)
    case "Tokens":
      return matchAll<typeof anyText, Test, string>(part.tokens, [...name], anyText, (token, character) =>
        token(character)
      )
  }
}

// -------------------------------------------------------------------------------------------------- reading

const compilePart = (text: string): Part => {
  if (text === "**") return anyParts
  if (!isMagic(text)) return { _tag: "Text", text }
  if (text.startsWith("*") && !isMagic(text.slice(1))) return { _tag: "Suffix", text: text.slice(1) }
  const characters = [...text]
  const tokens: Array<Token> = []
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!
    if (character === "*") {
      if (tokens.at(-1) !== anyText) tokens.push(anyText)
    } else if (character === "?") {
      tokens.push(() => true)
    } else if (character === "[") {
      const set = readSet(characters, at)
      tokens.push(set?.token ?? is("["))
      at = set?.last ?? at
    } else if (character === "\\" && at + 1 < characters.length) {
      tokens.push(is(characters[++at]!))
    } else {
      tokens.push(is(character))
    }
  }
  return { _tag: "Tokens", tokens }
}

const is = (wanted: string) => (character: string) => character === wanted

/** A set such as `[a-z_]`, and where its bracket closes; nothing where it does not. */
const readSet = (
  characters: ReadonlyArray<string>,
  open: number
): { readonly token: Test; readonly last: number } | undefined => {
  let at = open + 1
  const negated = characters[at] === "!" || characters[at] === "^"
  if (negated) at++
  const ranges: Array<readonly [from: string, to: string]> = []
  for (const first = at; at < characters.length; at++) {
    if (characters[at] === "]" && at > first) {
      const token = (character: string) => ranges.some(([from, to]) => isBetween(from, character, to)) !== negated
      return { token, last: at }
    }
    const from = characters[characters[at] === "\\" && at + 1 < characters.length ? ++at : at]!
    if (characters[at + 1] !== "-" || at + 2 >= characters.length || characters[at + 2] === "]") {
      ranges.push([from, from])
      continue
    }
    at += 2
    ranges.push([from, characters[characters[at] === "\\" && at + 1 < characters.length ? ++at : at]!])
  }
  return undefined
}

const isBetween = (from: string, character: string, to: string) => {
  const point = character.codePointAt(0)!
  return from.codePointAt(0)! <= point && point <= to.codePointAt(0)!
}

// -------------------------------------------------------------------------------------------------- alternatives

/** All readings of a pattern's braces; nothing where they come to too much. Braces without a comma stand as they are. */
const expand = (text: string): ReadonlyArray<string> | undefined => {
  const done: Array<string> = []
  const open: Array<string> = [text]
  let length = text.length
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const group = firstGroup(next)
    if (group === undefined) {
      done.push(next)
      continue
    }
    const { alternatives, end, start } = group
    const readings = alternatives.map((one) => next!.slice(0, start) + one + next!.slice(end))
    length += readings.reduce((sum, one) => sum + one.length, 0)
    if (length > maxExpanded) return undefined
    open.push(...readings.toReversed())
  }
  return done
}

/** The first group of braces that closes and has a comma of its own. */
const firstGroup = (
  text: string
): { readonly start: number; readonly end: number; readonly alternatives: ReadonlyArray<string> } | undefined => {
  const stack: Array<{ readonly start: number; readonly commas: Array<number> }> = []
  let found: { readonly start: number; readonly commas: ReadonlyArray<number>; readonly close: number } | undefined
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === "\\") at++
    else if (character === "{") stack.push({ start: at, commas: [] })
    else if (character === ",") stack.at(-1)?.commas.push(at)
    else if (character === "}") {
      const group = stack.pop()
      if (group === undefined || group.commas.length === 0) continue
      if (found === undefined || group.start < found.start) found = { ...group, close: at }
      if (stack.length === 0) break
    }
  }
  if (found === undefined) return undefined
  const cuts = [found.start, ...found.commas, found.close]
  const alternatives = cuts.slice(1).map((cut, index) => text.slice(cuts[index]! + 1, cut))
  return { start: found.start, end: found.close + 1, alternatives }
}
