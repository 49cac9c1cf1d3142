/**
 * What may name a session.
 */
import { InvalidSessionId } from "./Errors.js"
import { cleanText } from "./Json.js"

/** The longest id that an application may give, in UTF-16 code units. Those of child sessions are longer. */
export const maxLength = 256

/** Begins the ids of child sessions, and no others. */
export const childPrefix = "task:"

/** The id of a task's session: below its parent's name, never chosen by the application. */
export const child = (parent: string, uuid: string): string => `${childPrefix}${parent}:${uuid}`

/** What is wrong with an id given by an application, if anything. Ids are compared as given, never normalised. */
export const check = (id: unknown): InvalidSessionId | undefined => {
  if (typeof id !== "string") return new InvalidSessionId({ id: nameOf(id), reason: "it is not a text" })
  const reason = reasonAgainst(id)
  return reason === undefined ? undefined : new InvalidSessionId({ id: shown(id), reason })
}

const reasonAgainst = (id: string): string | undefined =>
  problemOfName(id) ??
  (id.startsWith(childPrefix) ? `ids that begin with "${childPrefix}" belong to child sessions` : undefined)

/** What keeps a text from being a name, if anything. */
export const problemOfName = (id: string): string | undefined => {
  if (id.length === 0) return "it is empty"
  if (id.length > maxLength) return `it is longer than ${maxLength} characters`
  if (!id.isWellFormed()) return "it holds half of a surrogate pair"
  if (controls.test(id)) return "it holds a control character"
  return undefined
}

/** Control characters, line and paragraph separators, and the characters that turn the direction of text. */
const controls = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u

/** Whether a session of that name can be in a store: what an application may name one, or the id of a child. */
export const isId = (id: unknown): id is string =>
  typeof id === "string" &&
  (id.startsWith(childPrefix) ? id.isWellFormed() && !controls.test(id) : reasonAgainst(id) === undefined)

/** A name that was looked up in vain, as it may be told. */
export const told = (id: unknown): string => (typeof id === "string" ? shown(id) : nameOf(id))

/** What is looked at of an id that is none, in UTF-16 code units: no secret is so long that it would be cut where it is told. */
const maxShown = 100_000

/** What is told of an id that is none: no more than fits on a line, and no secret. */
const shown = (id: string): string => {
  const clean = cleanText(id.slice(0, maxShown))
  return clean.length > maxLength ? `${clean.slice(0, 64).toWellFormed()}…` : clean
}

/** What is no text is told by its kind where it would have to be asked for one. */
const nameOf = (id: unknown): string =>
  (typeof id === "object" && id !== null) || typeof id === "function" || typeof id === "symbol"
    ? `a value of type ${typeof id}`
    : String(id)
