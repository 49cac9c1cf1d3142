/**
 * The tool `edit`: replaces a text in a file.
 */
import { isUtf8 } from "node:buffer"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Sandbox } from "../../services/Sandbox.js"
import * as Tool from "../../services/Tool.js"
import { excerpt, maxShownChanges } from "./excerpt.js"
import { pause } from "./pace.js"
import { alone } from "./PathLock.js"
import {
  countMatches,
  firstMatch,
  isEndOfLine,
  isSpace,
  lineEnds,
  newlines,
  replaceAll as replaceIn,
  toCrlf,
  without
} from "./Replacement.js"
import { isBinary } from "./text.js"
import { calledBy, halfOf } from "./writing.js"

/** The largest file that is edited, and the largest that an edit makes, in bytes: a pass over it takes about 20 ms. */
export const maxFile = 5_000_000
const maxEdited = 20_000_000

/** How many lines are named where a text stands several times. */
const maxNamedLines = 10

/** Files larger than this, in bytes, are worked on in several pieces. */
const inOnePiece = 250_000

const byteOrderMark = "\uFEFF"

/** A second run would find its own text, or another; so a call that was cut is not run again. */
export const edit: Tool.Tool<Sandbox> = Tool.make("edit", {
  description:
    "Replaces a text in a file. oldText must stand there exactly once, white space included (as read shows it, without its line numbers), unless replaceAll is set. Nothing in either text has a special meaning. A byte order mark and CRLF line ends are kept; give line ends as plain newlines.",
  parameters: Schema.Struct({
    path: Schema.String.annotations({ description: "The file, relative to the working folder or absolute." }),
    oldText: Schema.String.annotations({ description: "The text to replace, as it stands in the file." }),
    newText: Schema.String.annotations({ description: "What to put in its place." }),
    replaceAll: Schema.optional(
      Schema.Boolean.annotations({ description: "Replace every match and not only one. Default: false." })
    )
  }),
  run: ({ newText, oldText, path, replaceAll = false }, call) =>
    Effect.gen(function* () {
      const no = (reason: string) => Effect.fail(`Cannot edit ${path}: ${reason}`)
      const fault =
        oldText === ""
          ? "oldText is empty. Use write to make a file or to replace all of it"
          : oldText === newText
            ? "oldText and newText are the same"
            : (halfOf("oldText", oldText) ?? halfOf("newText", newText))
      if (fault !== undefined) return yield* no(`${fault}.`)
      const sandbox = yield* Sandbox
      // What is locked by this name is read and written by it too, so that no link is followed twice.
      const place = yield* sandbox.place(path, call.cwd)
      const change = Effect.gen(function* () {
        const file = yield* sandbox.read(place, { limit: maxFile + 1 })
        if (file.length > maxFile) return yield* no("it is over 5 MB. Use bash.")
        if (isBinary(file) || !isUtf8(file)) return yield* no("it is not UTF-8 text. Use bash.")
        const others = file.length > inOnePiece ? pause : Effect.void
        yield* others
        const lead = file[0] === 0xef && file[1] === 0xbb && file[2] === 0xbf ? 3 : 0
        const text = file.subarray(lead)
        const marked = lead > 0 && oldText.startsWith(byteOrderMark)
        const asked = {
          sought: marked ? oldText.slice(1) : oldText,
          by: marked && newText.startsWith(byteOrderMark) ? newText.slice(1) : newText
        }
        const ends = lineEnds(text)
        let chosen = ends === "crlf" ? withCrlf(asked) : bytesOf(asked)
        yield* others
        let matches = countMatches(text, chosen.sought, maxNamedLines)
        if (matches.count === 0 && ends === "mixed") {
          yield* others
          chosen = withCrlf(asked)
          matches = countMatches(text, chosen.sought, maxNamedLines)
        }
        yield* others
        const { by, sought } = chosen
        if (sought.equals(by)) return yield* no("oldText and newText differ in line ends alone, and those are kept.")
        if (matches.count === 0) {
          const hint = yield* hintOf(text, sought, by, others)
          return yield* no(`oldText is not there. ${hint}`)
        }
        if (matches.count > 1 && !replaceAll) {
          return yield* no(
            `oldText is there ${matches.count} times, at ${named(matches)}. Give more of the text around the one that you mean, or set replaceAll.`
          )
        }
        const count = matches.separate
        const size = text.length + count * (by.length - sought.length)
        if (size > maxEdited) return yield* no("it would become larger than 20 MB.")
        yield* others
        const edited = Buffer.allocUnsafe(lead + size)
        edited.set(file.subarray(0, lead))
        const body = edited.subarray(lead)
        const places = replaceIn(text, sought, by, body, maxShownChanges)
        yield* others
        yield* sandbox.write(place, edited)
        yield* others
        const notes = [
          `Replaced ${count === 1 ? "1 match" : `${count} matches`} in ${path}.`,
          ...(ends === "crlf" ? ["Its line ends are CRLF and stay so."] : []),
          ...(size === 0 ? ["The file is empty now."] : [])
        ]
        return [
          `[${notes.join(" ")}]`,
          ...excerpt(body, places, by.length, ends === "crlf"),
          ...(count > places.length ? [`[${count - places.length} more matches were replaced.]`] : [])
        ].join("\n")
      })
      return yield* calledBy(path, alone(sandbox, place, change))
    })
})

const bytesOf = ({ by, sought }: { readonly sought: string; readonly by: string }) => ({
  sought: Buffer.from(sought),
  by: Buffer.from(by)
})

const withCrlf = ({ by, sought }: { readonly sought: string; readonly by: string }) =>
  bytesOf({ sought: toCrlf(sought), by: toCrlf(by) })

const named = ({ lines, others }: { readonly lines: ReadonlyArray<number>; readonly others: boolean }): string =>
  `line${lines.length > 1 ? "s" : ""} ${lines.join(", ")}${others ? " and others" : ""}`

/** What is true of a text that is not there and helps to find the right one. Nothing is replaced by it. */
const hintOf = (text: Uint8Array, sought: Buffer, by: Buffer, others: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const ends = without(text, isEndOfLine)
    yield* others
    const soughtEnds = without(sought, isEndOfLine).kept
    yield* others
    const line = firstMatch(ends.kept, soughtEnds)
    if (line >= 0) return `It is there with other line ends, at line ${ends.lineAt(line)}.`
    yield* others
    const dense = without(text, isSpace)
    yield* others
    const wanted = without(sought, isSpace).kept
    yield* others
    const spaced = firstMatch(dense.kept, wanted)
    if (spaced >= 0) {
      const from = dense.lineAt(spaced)
      return `Text that differs from it in white space alone begins at line ${from}: give it as it stands in the file.`
    }
    yield* others
    const first = sought.subarray(0, sought.indexOf(10)).toString("utf8").trim()
    if (sought.includes(10) && first.length >= 3) {
      const places = countMatches(text, Buffer.from(first), maxNamedLines)
      if (places.count > 0) return `Its first line is at ${named(places)}; what follows there is not the same.`
      yield* others
    }
    if (without(by, isSpace).kept.length >= 3) {
      const already = firstMatch(text, by)
      if (already >= 0) return `newText is already there, at line ${1 + newlines(text, 0, already)}.`
    }
    return "Read the file again."
  })
