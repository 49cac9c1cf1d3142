/**
 * Entries and inbox items as text, and back through the gate.
 */
import * as Either from "effect/Either"
import type { Entry } from "../../services/Entry.js"
import { parse } from "../../services/Json.js"
import type { InboxItem } from "../../services/SessionStore.js"

export { entryOf } from "../../services/Record.js"

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
