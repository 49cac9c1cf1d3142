/**
 * Texts that no database keeps as they are, and the errors that say so.
 */
import { SessionStoreError } from "../../services/Errors.js"
import type { NewSession } from "../../services/SessionStore.js"
import { isPlain } from "./rows.js"

export const unkept = (operation: string, what: string): SessionStoreError =>
  new SessionStoreError({ operation, reason: `${what} has NUL or half a surrogate pair in it` })

export const sessionProblem = (session: NewSession): SessionStoreError | undefined => {
  for (const field of ["id", "incarnation", "agent", "cwd", "parent"] as const) {
    const text = session[field]
    if (text !== null && !isPlain(text)) return unkept("create", `the ${field} of a session`)
  }
  if (!isPlain(session.origin?.session ?? "")) return unkept("create", "the origin of a session")
  return undefined
}
