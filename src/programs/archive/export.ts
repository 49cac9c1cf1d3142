/**
 * A session and its children as lines.
 */
import * as Chunk from "effect/Chunk"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Entry } from "../../services/Entry.js"
import { type CorruptRecord, SessionNotFound, type SessionStoreError } from "../../services/Errors.js"
import * as SessionId from "../../services/SessionId.js"
import { type SessionRow, SessionStore } from "../../services/SessionStore.js"
import { pause } from "../pause.js"
import { endLine, headerLine } from "./header.js"
import { printer } from "./print.js"

type Store = Context.Tag.Service<SessionStore>
type Failure = SessionNotFound | CorruptRecord | SessionStoreError

/** How many entries are read at a time. */
const pageSize = 256

const print = printer(Entry)

/**
 * The lines of a session, without their ends: what is told of it, then its entries; then in the same way the sessions of
 * its tasks, each followed by its own, oldest first; then an end, without which it is not whole. The same history is the
 * same lines, whatever store it is in.
 *
 * Each session is told as far as it had come when its line was reached, also where an operation runs in it, here or
 * elsewhere; what had arrived of a reply that is streaming is not an entry, and what waits in an inbox is not history.
 * Entries that a fork shares are told with it. Fails with `SessionNotFound` where a session is removed meanwhile, and
 * with `CorruptRecord` at a record that cannot be read. Reads as it is pulled; interruption leaves nothing behind.
 */
export const exportSession = (id: string): Stream.Stream<string, Failure, SessionStore> =>
  Stream.unwrap(
    Effect.flatMap(SessionStore, (store) =>
      Effect.flatMap(
        SessionId.isId(id) ? store.get(id) : Effect.succeed(undefined),
        (row): Effect.Effect<Stream.Stream<string, Failure>, SessionNotFound> =>
          row === undefined ? gone(SessionId.told(id)) : Effect.succeed(whole(store, row))
      )
    )
  )

const gone = (session: string) => new SessionNotFound({ session })

const whole = (store: Store, row: SessionRow): Stream.Stream<string, Failure> => {
  let sessions = 0
  const tree = (row: SessionRow): Stream.Stream<string, Failure> =>
    Stream.sync(() => {
      sessions++
      return headerLine(row)
    }).pipe(Stream.concat(entriesOf(store, row)), Stream.concat(Stream.flatMap(childrenOf(store, row), tree)))
  return Stream.concat(
    tree(row),
    Stream.sync(() => endLine(sessions))
  )
}

const entriesOf = (store: Store, { id, incarnation, nextSeq }: SessionRow): Stream.Stream<string, Failure> =>
  Stream.paginateChunkEffect(1, (from) => {
    const to = Math.min(from + pageSize, nextSeq)
    if (from === to) return Effect.succeed([Chunk.empty<string>(), Option.none<number>()] as const)
    return Effect.flatMap(Effect.zipRight(pause, store.read(id, incarnation, from, to - 1)), (entries) =>
      // Entries never change: fewer are there only where the session is not any more.
      entries.length < to - from
        ? gone(id)
        : Effect.succeed([
            Chunk.unsafeFromArray(entries.map(print)),
            to < nextSeq ? Option.some(to) : Option.none()
          ] as const)
    )
  })

const childrenOf = (store: Store, { id, incarnation }: SessionRow): Stream.Stream<SessionRow, Failure> =>
  Stream.unwrap(
    Effect.flatMap(store.list(id), (children) =>
      // They are found by its name, which may be another's by now.
      Effect.flatMap(store.get(id), (now) =>
        now?.incarnation === incarnation ? Effect.succeed(Stream.fromIterable(children)) : gone(id)
      )
    )
  )
