/**
 * Sessions by the names that are given to a command.
 */
import * as Effect from "effect/Effect"
import { SessionNotFound, type SessionStoreError } from "../../services/Errors.js"
import * as SessionId from "../../services/SessionId.js"
import { type SessionRow, SessionStore } from "../../services/SessionStore.js"
import { oneLine } from "../tree.js"

/** There is no session of a name that was given. */
export const notThere = (id: string): SessionNotFound => new SessionNotFound({ session: oneLine(SessionId.told(id)) })

/** A session as it is stored. */
export const rowOf = (id: string): Effect.Effect<SessionRow, SessionNotFound | SessionStoreError, SessionStore> =>
  Effect.flatMap(SessionStore, (store) =>
    Effect.flatMap(
      SessionId.isId(id) ? store.get(id) : Effect.succeed(undefined),
      (row): Effect.Effect<SessionRow, SessionNotFound> => (row === undefined ? notThere(id) : Effect.succeed(row))
    )
  )
