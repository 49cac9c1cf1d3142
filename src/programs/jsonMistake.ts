/**
 * Where a text stops being JSON: what the platform says of that names no line, or nothing at all.
 */

/** The line, from 1, and what stands there. */
export interface Mistake {
  readonly line: number
  /** Empty where the text ends too early. */
  readonly found: string
}

/** The place of the first mistake in a text that `JSON.parse` does not take. */
export const jsonMistake = (text: string): Mistake => {
  // What may come next: a value, the end of a list or a value, a key, the end of an object or a key, a colon, what follows a value.
  let wanted: "value" | "item" | "key" | "member" | "colon" | "next" = "value"
  const open: Array<"{" | "["> = []
  let place = 0
  for (;;) {
    place = skipSpace(text, place)
    token.lastIndex = place
    const [found] = token.exec(text) ?? []
    if (found === undefined) return at(text, place)
    if (found === ":" ? wanted !== "colon" : wanted === "colon") return at(text, place)
    if (found === ":") wanted = "value"
    else if (found === ",") {
      if (wanted !== "next" || open.length === 0) return at(text, place)
      wanted = open.at(-1) === "{" ? "key" : "value"
    } else if (found === "}" || found === "]") {
      const isEmpty = wanted === (found === "}" ? "member" : "item")
      if ((wanted !== "next" && !isEmpty) || open.pop() !== (found === "}" ? "{" : "[")) return at(text, place)
      wanted = "next"
    } else if (wanted === "key" || wanted === "member") {
      if (!found.startsWith('"')) return at(text, place)
      wanted = "colon"
    } else if (wanted === "next") return at(text, place)
    else if (found === "{" || found === "[") {
      open.push(found)
      wanted = found === "{" ? "member" : "item"
    } else wanted = "next"
    place += found.length
  }
}

const token =
  // oxlint-disable-next-line no-control-regex -- JSON has none in a text.
  /[{}[\]:,]|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

const skipSpace = (text: string, from: number): number => {
  let place = from
  while (place < text.length && " \t\n\r".includes(text[place]!)) place++
  return place
}

/** How much of what was found is shown, in UTF-16 code units. */
const maxFound = 20

const at = (text: string, place: number): Mistake => ({
  line: text.slice(0, place).split("\n").length,
  found: text
    .slice(place, place + maxFound)
    .split("\n", 1)[0]!
    .trim()
    .toWellFormed()
})
