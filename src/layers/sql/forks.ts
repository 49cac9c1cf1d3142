/**
 * Sessions that share entries: how they begin, what they share, and how they go.
 *
 * An entry is stored once, for the session that wrote it. `baton_forks` says of a session whose entries it shares, and up
 * to which place. A session that is removed while forks share its entries stays as a row of `baton_remains`, without a
 * name and with those entries alone; it goes with the last of the forks. The key of a fork is higher than that of what it
 * shares, so that no later session is given the key of what remains.
 */
import type { Connection } from "@effect/sql/SqlConnection"
import * as Effect from "effect/Effect"
import type { Entry } from "../../services/Entry.js"
import { SessionAlreadyExists, SessionNotFound, SessionOwned, SessionStoreError } from "../../services/Errors.js"
import type { Begun, Removed, SessionKey } from "../../services/SessionStore.js"
import { pause } from "../tools/pace.js"
import type { Database, Failure } from "./Database.js"
import { type Range, sessionParameters } from "./Dialect.js"
import { codeOf, isDuplicate } from "./errors.js"
import * as records from "./records.js"
import { type Integer, integer, isPlain, type Row, sessionRow } from "./rows.js"
import { sessionProblem, unkept } from "./texts.js"

/** Whose entries a session shares, and which, in the order of their places; none for a session that is not there. */
export const chainOf = (
  { dialect, rows, using }: Database,
  id: string,
  incarnation: string
): Effect.Effect<ReadonlyArray<Range>, SessionStoreError> =>
  Effect.map(
    using("read", (connection) =>
      rows<{ readonly key: Integer; readonly upto: Integer }>(connection, dialect.statements.chain, id, incarnation)
    ),
    (links) =>
      links
        .map(({ key, upto }, i) => {
          const next = links[i + 1]
          return { key, from: next === undefined ? 1 : integer(next.upto) + 1, to: integer(upto) }
        })
        .filter(({ from, to }) => from <= to)
        .toReversed()
  )

/** A session of this incarnation, kept from others until the transaction ends. */
export const held = ({ dialect, rows }: Database, connection: Connection, { id, incarnation }: SessionKey) =>
  Effect.map(rows(connection, dialect.statements.hold, id), ([row]) =>
    row?.incarnation === incarnation ? row : undefined
  )

export const begin = (
  database: Database,
  all: ReadonlyArray<Begun>
): Effect.Effect<void, SessionAlreadyExists | SessionNotFound | SessionStoreError> =>
  Effect.gen(function* () {
    if (all.length === 0) return
    const encoded = yield* encode(all)
    const { atOnce, dialect, rows } = database
    const { statements } = dialect
    yield* atOnce("create", (connection) =>
      Effect.gen(function* () {
        if (dialect.apart !== undefined) yield* rows(connection, dialect.apart)
        const ids = new Set<string>()
        const bases: Array<Base | undefined> = []
        for (const { base, entries, session } of all) {
          if (ids.has(session.id) || (yield* rows(connection, statements.get, session.id)).length > 0) {
            return yield* new SessionAlreadyExists({ session: session.id })
          }
          ids.add(session.id)
          const shared = base?.seq ?? 0
          if (base !== null) {
            const row = isPlain(base.id) ? (yield* rows(connection, statements.get, base.id))[0] : undefined
            const isThere = row?.incarnation === base.incarnation && base.seq < integer(row.next_seq)
            if (row === undefined || !isThere || !Number.isSafeInteger(shared) || shared < 0) {
              return yield* new SessionNotFound({ session: base.id })
            }
            bases.push(shared === 0 ? undefined : yield* writerOf(database, connection, row.key, shared))
          } else bases.push(undefined)
          if (entries.some(({ id }, i) => id !== shared + i + 1)) {
            return yield* new SessionStoreError({ operation: "create", reason: "its entries are not in order" })
          }
        }
        for (const [i, { session, entries }] of all.entries()) {
          const base = bases[i]
          const shared = base?.upto ?? 0
          const [row] = yield* Effect.catchIf(
            rows(
              connection,
              statements.begin,
              ...sessionParameters(session),
              shared + entries.length + 1,
              shared,
              shared
            ),
            (error) => isDuplicate(codeOf(error)),
            () => new SessionAlreadyExists({ session: session.id })
          )
          if (base !== undefined) yield* rows(connection, statements.share, row!.key, base.key, base.upto)
          for (let from = 0; from < entries.length; from += dialect.entriesAtOnce) {
            const [text, parameters] = dialect.insertEntries(
              row!.key,
              encoded[i]!.slice(from, from + dialect.entriesAtOnce)
            )
            yield* rows(connection, text, ...parameters)
            yield* pause
          }
        }
      })
    )
  })

interface Base {
  readonly key: Integer
  readonly upto: number
}

/** The session that wrote the entry in a place: what a fork shares with a fork is often what that one shares itself. */
const writerOf = (
  database: Database,
  connection: Connection,
  key: Integer,
  upto: number
): Effect.Effect<Base, Failure> =>
  Effect.flatMap(
    database.rows<{ readonly base: Integer; readonly upto: Integer }>(
      connection,
      database.dialect.statements.base,
      key
    ),
    ([link]): Effect.Effect<Base, Failure> =>
      link !== undefined && upto <= integer(link.upto)
        ? writerOf(database, connection, link.base, upto)
        : Effect.succeed({ key, upto })
  )

/** How many entries, or characters of them, are made text without a pause: it takes about 10 ms. */
const encodedAtOnce = { entries: 256, characters: 4_000_000 } as const

const encode = (
  all: ReadonlyArray<Begun>
): Effect.Effect<ReadonlyArray<ReadonlyArray<records.Stored>>, SessionStoreError> =>
  Effect.gen(function* () {
    for (const { session } of all) {
      const problem = sessionProblem(session)
      if (problem !== undefined) return yield* problem
    }
    const encoded: Array<ReadonlyArray<records.Stored>> = []
    for (const { entries } of all) {
      const texts: Array<records.Stored> = []
      for (let characters = 0; texts.length < entries.length;) {
        const text = stored(entries[texts.length]!)
        if (text instanceof SessionStoreError) return yield* text
        characters += text.body.length
        if (texts.push(text) % encodedAtOnce.entries > 0 && characters < encodedAtOnce.characters) continue
        characters = 0
        yield* pause
      }
      encoded.push(texts)
    }
    return encoded
  })

const stored = (entry: Entry): records.Stored | SessionStoreError => {
  try {
    const text = records.store(entry, entry.id)
    return text.operation === null || isPlain(text.operation) ? text : unkept("create", "a name")
  } catch (cause) {
    return new SessionStoreError({ operation: "create", reason: "an entry is no JSON", cause })
  }
}

export const remove = (
  database: Database,
  sessions: ReadonlyArray<SessionKey>,
  owner: string
): Effect.Effect<Removed, SessionOwned | SessionStoreError> => {
  const { atOnce, dialect, rows } = database
  const { statements } = dialect
  return atOnce("remove", (connection) =>
    Effect.gen(function* () {
      if (dialect.apart !== undefined) yield* rows(connection, dialect.apart)
      // Each process in the same order: none waits for another that waits for it.
      const inOrder = sessions
        .filter(({ id }) => isPlain(id))
        .toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
      const there = new Map<number, Row>()
      for (const key of inOrder) {
        const row = yield* held(database, connection, key)
        if (row === undefined) continue
        const { leased, owner: by, running } = sessionRow(row)
        if (by !== null && by !== owner && leased)
          return yield* new SessionOwned({ session: row.id, owner: by, running })
        there.set(integer(row.key), row)
      }
      for (const { key } of there.values()) {
        yield* rows(connection, statements.removeInbox, key)
        yield* rows(connection, statements.leave, key)
        yield* rows(connection, statements.removeSession, key)
      }
      const went = { entries: 0, bytes: 0 }
      // Forks before what they share.
      const left = new Set(there.keys())
      while (left.size > 0) {
        const key = Math.max(...left)
        left.delete(key)
        const base = yield* cut(database, connection, key, went)
        if (base !== undefined) left.add(base)
      }
      const removed = Array.from(there.values(), ({ id, incarnation }) => ({ id, incarnation }))
      return { sessions: removed, ...went }
    })
  )
}

interface Size {
  readonly entries: Integer
  readonly bytes: Integer
  readonly last: Integer
}

/** The next entries that a session wrote; `undefined` where there are none. The event loop is free before. */
const pageOf = (
  { dialect, rows }: Database,
  connection: Connection,
  key: Integer,
  after: number
): Effect.Effect<Size | undefined, Failure> =>
  Effect.map(Effect.zipRight(pause, rows<Size>(connection, dialect.statements.size, key, after)), ([page]) =>
    page === undefined || integer(page.entries) === 0 ? undefined : page
  )

/**
 * Removes what no fork needs of a session that was removed, and counts it. Gives its base, of which less may be needed
 * then.
 */
const cut = (
  database: Database,
  connection: Connection,
  key: number,
  went: { entries: number; bytes: number }
): Effect.Effect<number | undefined, Failure> =>
  Effect.gen(function* () {
    const { dialect, rows } = database
    const { statements } = dialect
    const [remains] = yield* rows<Pick<Row, "next_seq">>(connection, statements.left, key)
    // It is somebody's still.
    if (remains === undefined) return undefined
    const [shared] = yield* rows<{ readonly upto: Integer | null }>(connection, statements.sharedUpTo, key)
    const needed = shared === undefined || shared.upto === null ? 0 : integer(shared.upto)
    if (needed === integer(remains.next_seq) - 1 && needed > 0) return undefined
    for (let page = yield* pageOf(database, connection, key, needed); page !== undefined;) {
      for (const text of statements.removeTexts) yield* rows(connection, text, key, needed, page.last)
      yield* rows(connection, statements.removeEntries, key, needed, page.last)
      went.entries += integer(page.entries)
      went.bytes += integer(page.bytes)
      page = yield* pageOf(database, connection, key, needed)
    }
    type Freed = { readonly base: Integer }
    const [freed] =
      needed === 0
        ? yield* rows<Freed>(connection, statements.unshare, key)
        : yield* rows<Freed>(connection, statements.shareLess, needed, key, needed)
    if (needed === 0) yield* rows(connection, statements.removeLeft, key)
    else yield* rows(connection, statements.leaveLess, needed, needed, needed, key)
    return freed === undefined ? undefined : integer(freed.base)
  })
