/**
 * Entries from text, back through the gate. Loads `effect/Schema`, which the core does not: for stores that keep text, and
 * for exports.
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { Entry } from "./Entry.js"
import { parse } from "./Json.js"
import { placesProblem } from "./Sequence.js"

const isEntry = Schema.is(Entry)
const isExactly = Schema.is(Entry, { onExcessProperty: "error" })
const validate = ParseResult.validateEither(Entry)

/** The entry that a text is, or why it is none. */
export const entryOf = (body: string, seq: number): Either.Either<Entry, string> => {
  const value = parse(body)
  if (Either.isLeft(value)) return Either.left(value.left)
  if (!isEntry(value.right)) return Either.left(shapeProblem(value.right))
  return placed(value.right, seq)
}

/** The entry that a value is which went through the gate, or why it is none. It may have nothing beside. */
export const exactEntryOf = (value: unknown, seq: number): Either.Either<Entry, string> => {
  if (!isExactly(value)) return Either.left(isEntry(value) ? "it has a field that no entry has" : shapeProblem(value))
  return placed(value, seq)
}

const placed = (entry: Entry, seq: number): Either.Either<Entry, string> => {
  const problem = entry.id === seq ? placesProblem(entry) : `it says that it is entry ${entry.id}`
  return problem === undefined ? Either.right(entry) : Either.left(problem)
}

/** Where an entry is not of the format. What stands there is not told: it may be anything. */
const shapeProblem = (value: unknown): string => {
  if (typeof value !== "object" || value === null || !("_tag" in value)) return "it is no entry"
  const tag = value._tag
  const found = validate(value)
  if (Either.isRight(found)) return "it is not of the format"
  const paths = ParseResult.ArrayFormatter.formatIssueSync(found.left).map(({ path }) => told(path).join("."))
  const deepest = paths.reduce((a, b) => (b.length > a.length ? b : a), "")
  return typeof tag === "string" && deepest !== "" && deepest !== "_tag"
    ? `its "${deepest.slice(0, 100)}" is not of the format`
    : "it is of no kind that is known"
}

/** The names of limits are the writer's own, and no part of the format. */
const told = (path: ReadonlyArray<PropertyKey>): ReadonlyArray<string> => {
  const from = path.indexOf("limits")
  return (from < 0 ? path : path.slice(0, from + 1)).map(String)
}
