/**
 * What may name a session.
 */
import { InvalidSessionId } from "./Errors.js"

/** The longest id that an application may give, in UTF-16 code units. Those of child sessions are longer. */
export const maxLength = 256

/** Begins the ids of child sessions, and no others. */
export const childPrefix = "task:"

/** The id of a task's session: below its parent's name, never chosen by the application. */
export const child = (parent: string, uuid: string): string => `${childPrefix}${parent}:${uuid}`

/** What is wrong with an id given by an application, if anything. Ids are compared as given, never normalised. */
export const check = (id: unknown): InvalidSessionId | undefined => {
  if (typeof id !== "string") return new InvalidSessionId({ id: String(id), reason: "it is not a text" })
  const reason = reasonAgainst(id)
  return reason === undefined ? undefined : new InvalidSessionId({ id: shown(id), reason })
}

const reasonAgainst = (id: string): string | undefined => {
  if (id.length === 0) return "it is empty"
  if (id.length > maxLength) return `it is longer than ${maxLength} characters`
  if (!id.isWellFormed()) return "it holds half of a surrogate pair"
  if (controls.test(id)) return "it holds a control character"
  if (id.startsWith(childPrefix)) return `ids that begin with "${childPrefix}" belong to child sessions`
  return undefined
}

/** Control characters, line and paragraph separators, and the characters that turn the direction of text. */
const controls = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u

const shown = (id: string): string => (id.length > maxLength ? `${id.slice(0, 64).toWellFormed()}…` : id.toWellFormed())
