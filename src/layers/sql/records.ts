/**
 * Entries and inbox items as text, and back through the gate.
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { Entry } from "../../services/Entry.js"
import { maxDepth } from "../../services/Json.js"
import type { InboxItem } from "../../services/SessionStore.js"

/** An entry as it is stored. */
export interface Stored {
  readonly seq: number
  /** The operation, where it is looked for by its id. */
  readonly operation: string | null
  readonly body: string
}

/** JSON escapes what a database would alter: half a surrogate pair, NUL. */
export const store = (entry: Entry, seq: number): Stored => ({
  seq,
  operation: nameOf(entry),
  body: JSON.stringify(entry)
})

/** The id that its caller gave an operation, or an input that joined one. */
const nameOf = (entry: Entry): string | null => {
  if (entry._tag === "User") return entry.asked?.operationId ?? null
  const isNamed = (entry._tag === "OperationStarted" || entry._tag === "OperationSettled") && entry.key !== undefined
  return isNamed ? entry.operationId : null
}

const isEntry = Schema.is(Entry)
const validate = ParseResult.validateEither(Entry)

/** The entry that a text is, or why it is none. */
export const entryOf = (body: string, seq: number): Either.Either<Entry, string> => {
  const value = parse(body)
  if (Either.isLeft(value)) return Either.left(value.left)
  if (!isEntry(value.right)) return Either.left(shapeProblem(value.right))
  if (value.right.id !== seq) return Either.left(`it says that it is entry ${value.right.id}`)
  return Either.right(value.right)
}

/** The value that a text is, gone through the gate: what is too deep for a schema, or sets a prototype, stops here. */
const parse = (text: string): Either.Either<unknown, string> => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return Either.left("it is no JSON")
  }
  const problem = gate(value, 0)
  return problem === undefined ? Either.right(value) : Either.left(problem)
}

const gate = (value: unknown, depth: number): string | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  if (depth >= maxDepth) return `it is nested deeper than ${maxDepth} levels`
  if (Array.isArray(value)) {
    for (const item of value) {
      const problem = gate(item, depth + 1)
      if (problem !== undefined) return problem
    }
    return undefined
  }
  // Own keys only: what was parsed has no others.
  for (const key in value) {
    if (key === "__proto__" || key === "constructor" || key === "prototype") return `it has the key "${key}"`
    const problem = gate((value as Record<string, unknown>)[key], depth + 1)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** Where an entry is not of the format. What stands there is not told: it may be anything. */
const shapeProblem = (value: unknown): string => {
  if (typeof value !== "object" || value === null || !("_tag" in value)) return "it is no entry"
  const tag = value._tag
  const found = validate(value)
  if (Either.isRight(found)) return "it is not of the format"
  const paths = ParseResult.ArrayFormatter.formatIssueSync(found.left).map(({ path }) => path.join("."))
  const deepest = paths.reduce((a, b) => (b.length > a.length ? b : a), "")
  return typeof tag === "string" && deepest !== "" && deepest !== "_tag"
    ? `its "${deepest.slice(0, 100)}" is not of the format`
    : "it is of no kind that is known"
}

/** An item that was stored; `undefined` where the text is none. */
export const itemOf = (body: string): InboxItem | undefined => {
  const value = parse(body)
  return Either.isRight(value) && isItem(value.right) ? value.right : undefined
}

const isItem = (value: unknown): value is InboxItem => {
  if (typeof value !== "object" || value === null) return false
  const { at, content, id, key, operationId, request, when } = value as Partial<Record<keyof InboxItem, unknown>>
  return (
    typeof id === "string" &&
    typeof operationId === "string" &&
    (when === "steer" || when === "followUp" || when === "wait") &&
    Array.isArray(content) &&
    (key === undefined || typeof key === "string") &&
    (request === undefined || (typeof request === "object" && request !== null)) &&
    typeof at === "number"
  )
}
