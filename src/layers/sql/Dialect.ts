/**
 * What SQLite and Postgres say differently, and the statements that they share.
 */
import type { SqlClient } from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import type * as Effect from "effect/Effect"
import type { Append, Appended, NewSession, SessionKey } from "../../services/SessionStore.js"
import type { Stored } from "./records.js"
import type { CommitFailed } from "./transaction.js"

/** A write, with its entries and what goes with them as text. */
export interface Write extends Omit<Append, "entries" | "partial"> {
  readonly entries: ReadonlyArray<Stored>
  readonly partial: string | null
}

export type Lease = SessionKey & { readonly epoch: number }

export interface Dialect {
  readonly begin: string
  /** Asks whether the tables are there, whatever their format. */
  readonly isThere: string
  /** What is run first where tables are to be made: until the commit no other process makes any. */
  readonly alone: string | undefined
  /** Makes the tables of the present format. */
  readonly tables: ReadonlyArray<string>
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
  /** From a place to a place, by id and incarnation: the session's next place beside each entry, or by itself. */
  readonly read: string
  /** By id, incarnation and operation: where the operation was started and settled, the last first. */
  readonly operation: string
  readonly removeEntries: string
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
  dialect: { readonly now: string; readonly forUpdate: string; readonly flavour: (text: string) => string } & Pick<
    Statements,
    "operation" | "read" | "removeEntries"
  >
): Statements => {
  const { flavour, forUpdate, now } = dialect
  const rows = `SELECT key, id, incarnation, agent, cwd, parent, depth, created_at, owner,
    (owner IS NOT NULL AND lease_until > ${now}) AS leased, epoch, next_seq,
    running_id, running_kind, running_since, partial, inbox FROM baton_sessions`
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
    read: flavour(dialect.read),
    operation: flavour(dialect.operation),
    removeEntries: flavour(dialect.removeEntries),
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
  (id, incarnation, agent, cwd, parent, depth, created_at, epoch, lease_until, next_seq, inbox)
  VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 1, 0)`

export const sessionParameters = (session: NewSession): ReadonlyArray<unknown> => [
  session.id,
  session.incarnation,
  session.agent,
  session.cwd,
  session.parent,
  session.depth,
  session.createdAt
]
