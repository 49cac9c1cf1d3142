/**
 * What SQLite and Postgres say differently, and the statements that they share.
 */
import type { SqlClient } from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import type * as Effect from "effect/Effect"
import type { Append, Appended, NewSession, SessionKey } from "../../services/SessionStore.js"
import type { Stored } from "./records.js"
import type { Integer } from "./rows.js"
import type { CommitFailed } from "./transaction.js"

/** A write, with its entries and what goes with them as text. */
export interface Write extends Omit<Append, "entries" | "partial"> {
  readonly entries: ReadonlyArray<Stored>
  readonly partial: string | null
}

export type Lease = SessionKey & { readonly epoch: number }

/** Entries of the session with this key, from a place to a place. */
export interface Range {
  readonly key: Integer
  readonly from: number
  readonly to: number
}

/** What is indexed of a session at once. */
export interface Indexed {
  readonly key: Integer
  readonly incarnation: string
  /** Whether it was removed, and only forks have its entries. */
  readonly isGone: boolean
  /** Up to which place it was indexed, and is then. */
  readonly was: number
  readonly upTo: number
  readonly texts: ReadonlyArray<{ readonly seq: number; readonly at: number; readonly words: ReadonlyArray<string> }>
}

/** An entry that was found. */
export interface FoundRow {
  /** Where it stands among all that are found. */
  readonly cursor: string
  readonly key: Integer
  readonly seq: Integer
  readonly body: string
  /** The session that wrote it; `null` where that was removed. */
  readonly id: string | null
}

export type Sql = readonly [text: string, parameters: ReadonlyArray<unknown>]

export interface Dialect {
  readonly begin: string
  /** Asks whether the tables are there, whatever their format. */
  readonly isThere: string
  /** What is run first where tables are to be made: until the commit no other process makes any. */
  readonly alone: string | undefined
  /** What is run first where sessions are removed or begin to share entries: until the commit no other process does. */
  readonly apart: string | undefined
  /** Makes the tables of the present format. */
  readonly tables: ReadonlyArray<string>
  /** Makes them of those of formats 2 and 3. */
  readonly changes: ReadonlyArray<string>
  readonly statements: Statements
  /**
   * Makes writes to different sessions, all in one transaction. Answers for each what it told, or `undefined` where it
   * was refused and left nothing.
   */
  readonly append: (
    sql: SqlClient,
    /** The one that the client gave first. */
    own: Connection,
    writes: ReadonlyArray<Write>
  ) => Effect.Effect<ReadonlyArray<Appended | undefined>, SqlError | CommitFailed>
  /** Puts entries behind those of the session with this key; at most `entriesAtOnce`. */
  readonly insertEntries: (key: Integer, entries: ReadonlyArray<Stored>) => Sql
  readonly entriesAtOnce: number
  /** The parameters of statements that take ranges. */
  readonly ranges: (ranges: ReadonlyArray<Range>) => ReadonlyArray<unknown>
  /**
   * Puts texts into the index, all in one transaction. Those of a session whose mark is not where it was, or that has not
   * so many entries any more, are left out. Gives the keys of the others.
   */
  readonly index: (
    sql: SqlClient,
    own: Connection,
    texts: ReadonlyArray<Indexed>
  ) => Effect.Effect<ReadonlyArray<Integer>, SqlError | CommitFailed>
  /** Finds the next rows, `FoundRow`s, with all of these words, in the entries of some sessions or of all. */
  readonly find: (
    words: ReadonlyArray<string>,
    keys: ReadonlyArray<Integer> | undefined,
    after: string | undefined,
    limit: number
  ) => Sql
  /** Whether a text can be the cursor of a row. */
  readonly isCursor: (text: string) => boolean
  /** The ids of the sessions whose leases were prolonged. */
  readonly renew: (
    connection: Connection,
    owner: string,
    leases: ReadonlyArray<Lease>,
    leaseFor: number
  ) => Effect.Effect<ReadonlyArray<string>, SqlError>
}

/** Statements that both take, each in its own writing. */
export interface Statements {
  /** By id. */
  readonly get: string
  /** By id, kept from others until the end of the transaction. */
  readonly hold: string
  /** After a key; the next page of sessions that no other one delegated to. */
  readonly roots: string
  /** By parent, after a key. */
  readonly children: string
  /** After a key. */
  readonly unsettled: string
  readonly create: string
  /**
   * By a place, another one, id and incarnation. The session's next place, and the last one that it shares,
   * beside each of its own entries from the one to the other, or by themselves; where the first is shared, by themselves.
   */
  readonly read: string
  /** By key, two places, id and incarnation: the same beside each entry of the session with that key. */
  readonly readShared: string
  /** By id and incarnation: the sessions whose entries it shares and up to where, those that it shares last first. */
  readonly chain: string
  /** By id, incarnation and operation: what it shares, beside where the operation was started and settled, the last first. */
  readonly operation: string
  /** By operation, key and two places: the same in the entries of the session with that key. */
  readonly operationShared: string
  /** As a session is created, and its next place, the last one that it shares, and the same; gives its key. */
  readonly begin: string
  /** By key, key of the base, and place. */
  readonly share: string
  /** By key: the session whose entries it shares, and up to where. */
  readonly base: string
  /** By key: the last place that forks share. */
  readonly sharedUpTo: string
  /** By place, key and the place again: less of the base is shared than was; gives its key. */
  readonly shareLess: string
  readonly unshare: string
  /** By key and place: how many entries the page behind it has, how many bytes, and where it ends. */
  readonly size: string
  /** By key and two places: those behind the one, to the other. */
  readonly removeEntries: string
  readonly removeTexts: ReadonlyArray<string>
  /** By key: what is left of a session for its forks. */
  readonly leave: string
  readonly left: string
  /** By its last place, the same twice, and key. */
  readonly leaveLess: string
  readonly removeLeft: string
  /** After a key, all with their bases. */
  readonly measured: string
  /** After a key: what is left of removed sessions, and where it ends. */
  readonly remains: string
  /** By ranges: how many entries and bytes are in each. */
  readonly sizes: string
  /** By ranges: the length of each entry. */
  readonly lengths: string
  readonly bodies: string
  /** By two keys, twice: what is not indexed of the sessions between. */
  readonly unindexed: string
  readonly lastKey: string
  /** By key: the sessions that share its entries, and up to where, oldest first. */
  readonly forks: string
  readonly removeInbox: string
  readonly removeSession: string
  /** By key, id and body; gives a row where it was not there yet. */
  readonly put: string
  readonly countPut: string
  readonly waiting: string
  readonly withdraw: string
}

/** How many rows are read at once: the event loop is free between two pages. */
export const pageSize = 1000

/** The statements, given what time it is, how to see and remove entries, and how parameters are written. */
export const statements = (
  dialect: {
    readonly now: string
    readonly forUpdate: string
    readonly flavour: (text: string) => string
    /** Ranges `r` by their number `n` from 0, and their entries `e`, each with its place. */
    readonly ranged: { readonly n: string; readonly seq: string; readonly from: string }
  } & Pick<
    Statements,
    "operation" | "operationShared" | "read" | "readShared" | "removeEntries" | "removeTexts" | "size"
  >
): Statements => {
  const { flavour, forUpdate, now, ranged } = dialect
  const columns = `key, id, incarnation, agent, cwd, parent, depth, created_at, origin, origin_entry, owner,
    (owner IS NOT NULL AND lease_until > ${now}) AS leased, epoch, next_seq,
    running_id, running_kind, running_since, partial, inbox`
  const rows = `SELECT ${columns} FROM baton_sessions`
  const page = `ORDER BY key LIMIT ${pageSize}`
  const session = "(SELECT key FROM baton_sessions WHERE id = ? AND incarnation = ?)"
  return {
    get: flavour(`${rows} WHERE id = ?`),
    hold: flavour(`${rows} WHERE id = ? ${forUpdate}`),
    roots: flavour(`${rows} WHERE parent IS NULL AND key > ? ${page}`),
    children: flavour(`${rows} WHERE parent = ? AND key > ? ${page}`),
    unsettled: flavour(`${rows} WHERE key IN (
      SELECT key FROM baton_sessions WHERE running_id IS NOT NULL UNION SELECT session FROM baton_inbox
    ) AND key > ? ${page}`),
    create: flavour(insertSession),
    read: dialect.read,
    readShared: dialect.readShared,
    // A statement that begins with another word than SELECT may write, and waits for those that do.
    chain: flavour(`SELECT key, upto FROM (
      WITH RECURSIVE chain (key, upto, n) AS (
        SELECT base, upto, 1 FROM baton_forks WHERE key = ${session}
        UNION ALL
        SELECT f.base, ${least("f.upto", "chain.upto")}, chain.n + 1 FROM chain JOIN baton_forks f ON f.key = chain.key
      ) SELECT key, upto, n FROM chain) AS c ORDER BY n`),
    operation: flavour(dialect.operation),
    operationShared: dialect.operationShared,
    begin: flavour(`INSERT INTO baton_sessions
      (id, incarnation, agent, cwd, parent, depth, created_at, origin, origin_entry, epoch, lease_until, inbox,
        next_seq, shared, indexed)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?, ?) RETURNING key`),
    share: flavour("INSERT INTO baton_forks (key, base, upto) VALUES (?, ?, ?)"),
    base: flavour("SELECT base, upto FROM baton_forks WHERE key = ?"),
    sharedUpTo: flavour("SELECT max(upto) AS upto FROM baton_forks WHERE base = ?"),
    shareLess: flavour("UPDATE baton_forks SET upto = ? WHERE key = ? AND upto > ? RETURNING base"),
    unshare: flavour("DELETE FROM baton_forks WHERE key = ? RETURNING base"),
    size: dialect.size,
    removeEntries: dialect.removeEntries,
    removeTexts: dialect.removeTexts,
    leave: flavour(`INSERT INTO baton_remains (key, incarnation, next_seq, indexed)
      SELECT key, incarnation, next_seq, indexed FROM baton_sessions WHERE key = ?`),
    left: flavour(`SELECT next_seq FROM baton_remains WHERE key = ? ${forUpdate}`),
    leaveLess: flavour(`UPDATE baton_remains SET next_seq = ? + 1,
      indexed = CASE WHEN indexed > ? THEN ? ELSE indexed END WHERE key = ?`),
    removeLeft: flavour("DELETE FROM baton_remains WHERE key = ?"),
    measured:
      flavour(`SELECT ${columns}, shared, (SELECT f.base FROM baton_forks f WHERE f.key = baton_sessions.key) AS base
      FROM baton_sessions WHERE key > ? ${page}`),
    remains: flavour(`SELECT key, next_seq FROM baton_remains WHERE key > ? ${page}`),
    sizes: flavour(
      `SELECT ${ranged.n} AS n, count(*) AS entries, sum(octet_length(e.body)) AS bytes FROM ${ranged.from} GROUP BY 1`
    ),
    lengths: flavour(`SELECT ${ranged.n} AS n, ${ranged.seq} AS seq, octet_length(e.body) AS bytes
      FROM ${ranged.from} ORDER BY 1, 2`),
    bodies: flavour(`SELECT ${ranged.n} AS n, ${ranged.seq} AS seq, e.body FROM ${ranged.from} ORDER BY 1, 2`),
    unindexed: flavour(`SELECT key, incarnation, indexed, next_seq, 0 AS gone FROM baton_sessions
      WHERE key > ? AND key <= ? AND indexed < next_seq - 1
      UNION ALL SELECT key, incarnation, indexed, next_seq, 1 AS gone FROM baton_remains
      WHERE key > ? AND key <= ? AND indexed < next_seq - 1 ORDER BY key`),
    // What is left of a removed session is older than the forks that it is left for.
    lastKey: "SELECT max(key) AS key FROM baton_sessions",
    forks: flavour(`SELECT s.key, s.id, d.upto FROM (
      WITH RECURSIVE d (key, upto) AS (
        SELECT key, upto FROM baton_forks WHERE base = ?
        UNION ALL
        SELECT f.key, ${least("f.upto", "d.upto")} FROM d JOIN baton_forks f ON f.base = d.key
      ) SELECT key, upto FROM d) AS d JOIN baton_sessions s ON s.key = d.key ORDER BY s.key`),
    removeInbox: flavour("DELETE FROM baton_inbox WHERE session = ?"),
    removeSession: flavour("DELETE FROM baton_sessions WHERE key = ?"),
    put: flavour(`INSERT INTO baton_inbox (session, id, body) VALUES (?, ?, ?)
      ON CONFLICT (session, id) DO NOTHING RETURNING session`),
    countPut: flavour("UPDATE baton_sessions SET inbox = inbox + 1 WHERE key = ?"),
    waiting: flavour(`SELECT body FROM baton_inbox WHERE session = ${session} ORDER BY key`),
    withdraw: flavour(`DELETE FROM baton_inbox WHERE session = ${session} AND id = ? RETURNING id`)
  }
}

export const insertSession = `INSERT INTO baton_sessions
  (id, incarnation, agent, cwd, parent, depth, created_at, origin, origin_entry, epoch, lease_until, next_seq, inbox)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 1, 0)`

const least = (a: string, b: string): string => `CASE WHEN ${a} < ${b} THEN ${a} ELSE ${b} END`

export const sessionParameters = (session: NewSession): ReadonlyArray<unknown> => [
  session.id,
  session.incarnation,
  session.agent,
  session.cwd,
  session.parent,
  session.depth,
  session.createdAt,
  session.origin?.session,
  session.origin?.entry
]
