/**
 * The words by which entries are found: the same for every store, whatever its database takes for a word.
 */
import type { Entry } from "./Entry.js"

/** The most code points of a word that count. */
const longest = 64

/** The most different words of one text that count: about as many as a long book has. */
const most = 50_000

/** Letters, their marks, and digits; those of scripts that put no space between words each by itself. */
const word =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]\p{M}*|(?:(?![\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}])[\p{L}\p{N}\p{M}])+/gu

/** The different words of a text, as they come; upper and lower case are one, and so are a letter's ways to be written. */
export const of = (text: string): ReadonlyArray<string> => {
  const words = new Set<string>()
  for (const { word } of places(fold(text))) {
    words.add(word)
    if (words.size === most) break
  }
  return [...words]
}

/** A word of a text that is folded, and where it stands in it. */
export interface Place {
  readonly word: string
  readonly from: number
  readonly to: number
}

/** The words of a text that is folded, in order. */
export function* places(folded: string): Generator<Place> {
  for (const { 0: found, index } of folded.matchAll(word)) {
    const cut = found.length <= longest ? found : Array.from(found).slice(0, longest).join("")
    yield { word: cut, from: index, to: index + found.length }
  }
}

/** A text as its words are compared. */
export const fold = (text: string): string => text.normalize("NFKC").toLowerCase().normalize("NFKC")

/** What an entry says that somebody may look for; empty where that is nothing. */
export const textOf = (entry: Entry): string => {
  switch (entry._tag) {
    case "User":
      return entry.content.flatMap((part) => (part.type === "text" && part.note !== true ? [part.text] : [])).join("\n")
    case "Assistant":
      return entry.content
        .flatMap((part) => {
          if (part.type === "text") return [part.text]
          return part.type === "tool-call" ? [part.name, ...strings(part.args)] : []
        })
        .join("\n")
    case "ToolSettled":
      return entry.result
    case "TaskLink":
      return entry.description
    case "Compaction":
      return entry.summary
    case "Label":
      return entry.label
    default:
      return ""
  }
}

/** The texts in a JSON value, without its keys. */
const strings = (value: unknown): ReadonlyArray<string> => {
  if (typeof value === "string") return [value]
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(strings) : []
}
