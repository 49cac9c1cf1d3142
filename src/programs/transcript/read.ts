/**
 * The page of a session that is stored.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { type CorruptRecord, SessionNotFound, type SessionStoreError } from "../../services/Errors.js"
import * as SessionId from "../../services/SessionId.js"
import { type SessionRow, SessionStore } from "../../services/SessionStore.js"
import type { TranscriptOptions } from "../../services/Transcript.js"
import { render, type Told } from "./render.js"

type Store = Context.Tag.Service<SessionStore>

/**
 * A session as Markdown, as far as it is stored when it is read: what it is, and the conversation that its head stands at
 * the end of. Words of users and models are Markdown in quotations, in which HTML and images are text; arguments and
 * results are blocks of code; names are code. So nothing of it can pass for another part of the page, or take effect. A
 * session of another incarnation than the one that is given is not found. Interruption leaves nothing behind.
 */
export const transcript = (
  id: string,
  options: TranscriptOptions = {},
  incarnation?: string
): Effect.Effect<string, SessionNotFound | CorruptRecord | SessionStoreError, SessionStore> =>
  Effect.flatMap(SessionStore, (store) =>
    Effect.flatMap(
      SessionId.isId(id) ? store.get(id) : Effect.succeed(undefined),
      (row): Effect.Effect<string, SessionNotFound | CorruptRecord | SessionStoreError> =>
        row === undefined || (incarnation !== undefined && row.incarnation !== incarnation)
          ? new SessionNotFound({ session: SessionId.told(id) })
          : Effect.map(read(store, row, options.tasks !== "off"), (told) => render(told, options))
    )
  )

const read = (
  store: Store,
  session: SessionRow,
  withChildren: boolean
): Effect.Effect<Told, CorruptRecord | SessionStoreError> =>
  Effect.gen(function* () {
    const entries = yield* store.read(session.id, session.incarnation, 1)
    const rows = withChildren ? yield* store.list(session.id) : []
    const children = yield* Effect.forEach(rows, (row) => read(store, row, true))
    return { session, entries, children }
  })
