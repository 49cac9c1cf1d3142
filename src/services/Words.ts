/**
 * The words by which entries are found: the same for every store, whatever its database takes for a word.
 */
import type { Entry } from "./Entry.js"

/** The most code points of a word that count. */
const longest = 64

/**
 * The most of one text that counts. `units` of UTF-16: to find the words of so many takes 60 ms at worst (Chinese), and
 * the event loop stands still for it. `words`: different ones, about as many as a long book has. `bytes` of UTF-8, of all
 * words together: a `tsvector` of Postgres takes 1,048,575.
 */
const most = { units: 500_000, words: 50_000, bytes: 1_000_000 } as const

/** Letters, their marks, and digits; those of scripts that put no space between words each by itself. */
const word =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]\p{M}*|(?:(?![\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}])[\p{L}\p{N}\p{M}])+/gu

/**
 * The different words of a text, as they come; upper and lower case are one, and so are a letter's ways to be written.
 * Of a text that has more than 500,000 UTF-16 code units, or becomes as long by being folded, the words of what comes
 * before are given, the last one as far as it goes; and of many words the first 50,000, or those with 1,000,000 bytes of
 * UTF-8 together.
 */
export const of = (text: string): ReadonlyArray<string> => [...setOf(beginning(text))]

/** Whether all of these, which are folded, are among the words of a text. */
export const hasAll = (text: string, words: ReadonlyArray<string>): boolean => {
  const folded = beginning(text)
  // Each word of a text is a part of it: those that have it so are few, and only they are taken apart.
  if (!words.every((word) => folded.includes(word))) return false
  const has = setOf(folded)
  return words.every((word) => has.has(word))
}

const beginning = (text: string): string => fold(text.slice(0, most.units))

const setOf = (folded: string): ReadonlySet<string> => {
  const words = new Set<string>()
  let bytes = 0
  for (const { word } of places(folded)) {
    if (words.has(word)) continue
    bytes += Buffer.byteLength(word)
    if (words.size === most.words || bytes > most.bytes) break
    words.add(word)
  }
  return words
}

/** A word of a text that is folded, and where it stands in it. */
export interface Place {
  readonly word: string
  readonly from: number
  readonly to: number
}

/** The words of a text that is folded, in order, no further than its first 500,000 UTF-16 code units. */
export function* places(folded: string): Generator<Place> {
  // A word of ten million letters is more than a regular expression has the stack for.
  for (const { 0: found, index } of folded.slice(0, most.units).matchAll(word)) {
    const cut = found.length <= longest ? found : Array.from(found).slice(0, longest).join("")
    yield { word: cut, from: index, to: index + found.length }
  }
}

/** A text as its words are compared. Lower case has a sigma that only ends words: what is one word may be a part of another. */
export const fold = (text: string): string =>
  text.normalize("NFKC").toLowerCase().normalize("NFKC").replaceAll("\u03c2", "\u03c3")

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
