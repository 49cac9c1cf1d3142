/**
 * The part of a text that has what was looked for.
 */
import { stripVTControlCharacters } from "node:util"
import * as Words from "../services/Words.js"
import { clean } from "./tree.js"

export interface Snippet {
  readonly snippet: string
  readonly ranges: ReadonlyArray<readonly [from: number, to: number]>
}

/** How many characters it has at most, and how many of them before the first word; an eye takes in about that much. */
const most = 160
const before = 50

/** How far around it a text is looked at to know where its characters end, in UTF-16 code units. */
const margin = 600

/** The longest run without white space in which words are found by their characters, in UTF-16 code units. */
const longestRun = 20_000

/**
 * A text as one clean line around the first of some words, which are folded as `Words.of` has them, and where such words
 * stand in it; its beginning where it has none of them. A character is what a reader sees as one.
 */
export const snippetOf = (text: string, words: ReadonlySet<string>): Snippet => {
  const plain = stripVTControlCharacters(text)
  const found = matches(plain, words, 0).next().value
  // A sequence for a terminal is a word too, if somebody looks for it.
  const of = found === undefined ? text : plain
  const start = (found ?? matches(text, words, 0).next().value)?.from ?? 0
  const near = characters(of, Math.max(0, start - margin), start + 20 * most)
  const at = near.findLastIndex((it) => it.from <= start)
  return lineOf(of, near.slice(Math.max(0, at - before)), words)
}

interface Piece {
  readonly from: number
  readonly to: number
}

const segmenter = new Intl.Segmenter("und", { granularity: "grapheme" })

/** The characters of a part of a text, without those that the part cuts. */
const characters = (text: string, from: number, to: number): ReadonlyArray<Piece> => {
  const pieces = Array.from(segmenter.segment(text.slice(from, to)), ({ index, segment }) => ({
    from: from + index,
    to: from + index + segment.length
  }))
  if (from > 0) pieces.shift()
  if (to < text.length) pieces.pop()
  return pieces
}

/** As much of some characters as fits, in one line. */
const lineOf = (text: string, pieces: ReadonlyArray<Piece>, words: ReadonlySet<string>): Snippet => {
  const ranges: Array<[number, number]> = []
  const start = pieces[0]?.from ?? 0
  const found = matches(text, words, runStart(text, start))
  let match = found.next().value
  let snippet = start > 0 ? "…" : ""
  let count = snippet.length
  let end = start
  for (const { from, to } of pieces) {
    if (count >= most - 1 && to < text.length) break
    end = to
    const cleaned = clean(text.slice(from, to)).replace(/\s+/g, " ")
    // White space is one, and none at the beginning, also where a mark makes it a character.
    const piece = snippet === "" || snippet.endsWith(" ") ? cleaned.trimStart() : cleaned
    if (piece === "") continue
    while (match !== undefined && match.to <= from) match = found.next().value
    if (match !== undefined && match.from < to) {
      const last = ranges.at(-1)
      if (last?.[1] === snippet.length) last[1] += piece.length
      else ranges.push([snippet.length, snippet.length + piece.length])
    }
    snippet += piece
    count++
  }
  return { snippet: end < text.length ? `${snippet.trimEnd()}…` : snippet.trimEnd(), ranges }
}

/** Where the run begins that a place is in: no word goes over white space. */
const runStart = (text: string, at: number): number => {
  let start = at
  while (start > 0 && at - start < margin && !/\s/.test(text[start - 1]!)) start--
  return start
}

/** Where the words stand in a text from the beginning of a run on. */
function* matches(text: string, words: ReadonlySet<string>, from: number): Generator<Piece, undefined> {
  const run = /\S+/gu
  const wanted = [...words]
  run.lastIndex = from
  for (let at = run.exec(text); at !== null; at = run.exec(text)) {
    const [found] = at
    const folded = Words.fold(found)
    // Most runs have none of them, which is seen sooner than which words they have.
    if (!wanted.some((word) => folded.includes(word))) continue
    let origin: ReadonlyArray<Piece> | undefined
    for (const { from: first, to, word } of Words.places(folded)) {
      if (!words.has(word)) continue
      origin ??= originOf(found, folded)
      yield { from: at.index + origin[first]!.from, to: at.index + origin[to - 1]!.to }
    }
  }
  return undefined
}

/** For each place in a folded run what became it: a character, or the run where that cannot be told. */
const originOf = (run: string, folded: string): ReadonlyArray<Piece> => {
  const whole = { from: 0, to: run.length }
  if (run.length > longestRun) return Array.from({ length: folded.length }, () => whole)
  const places: Array<Piece> = []
  for (const { index, segment } of segmenter.segment(run)) {
    const piece = { from: index, to: index + segment.length }
    for (let left = Words.fold(segment).length; left > 0; left--) places.push(piece)
  }
  return places.length === folded.length ? places : Array.from({ length: folded.length }, () => whole)
}
