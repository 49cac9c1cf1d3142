/**
 * The tables and the write path on SQLite.
 *
 * An entry's row id is its session's key and its place: a session's entries lie together, and a write touches one page
 * of them. Measured against a table with an index of its own it writes a quarter less to the log.
 */
import * as Effect from "effect/Effect"
import type { Appended, LeaseStep } from "../../services/SessionStore.js"
import { type Dialect, insertSession, sessionParameters, statements, pageSize, type Write } from "./Dialect.js"
import { integer, type Row } from "./rows.js"
import { isSynchronous, type Script, stepwise, transaction, withConnection } from "./transaction.js"

/** Milliseconds since the epoch, by the clock of the database. */
const now = "CAST(unixepoch('subsec') * 1000 AS INTEGER)"

/** Below this lie the places of one session's entries. */
const placeBits = 32
const placeMask = 2 ** placeBits - 1

const tables = [
  `CREATE TABLE baton_sessions (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    incarnation TEXT NOT NULL,
    agent TEXT NOT NULL,
    cwd TEXT NOT NULL,
    parent TEXT,
    depth INTEGER NOT NULL,
    created_at NUMERIC NOT NULL,
    owner TEXT,
    epoch INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    next_seq INTEGER NOT NULL,
    running_id TEXT,
    running_kind TEXT,
    running_since NUMERIC,
    inbox INTEGER NOT NULL,
    partial TEXT
  )`,
  "CREATE INDEX baton_sessions_parent ON baton_sessions (parent)",
  "CREATE INDEX baton_sessions_running ON baton_sessions (key) WHERE running_id IS NOT NULL",
  "CREATE TABLE baton_entries (place INTEGER PRIMARY KEY, operation TEXT, body TEXT NOT NULL)",
  "CREATE INDEX baton_entries_operation ON baton_entries (operation) WHERE operation IS NOT NULL",
  `CREATE TABLE baton_inbox (
    key INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (session, id)
  )`
]

const update = (set: string, where: string) => `UPDATE baton_sessions SET
  next_seq = next_seq + ?, running_id = ?, running_kind = ?, running_since = ?, partial = ?, ${set}
  WHERE id = ? AND incarnation = ? AND epoch = ? AND next_seq = ? AND ${where}
  RETURNING key, epoch, inbox`

const leased = `owner = ?, lease_until = ${now} + CAST(? AS INTEGER)`

const updates: Record<LeaseStep, string> = {
  once: update(
    "epoch = epoch + 1, owner = NULL, lease_until = 0",
    `(owner = ? OR owner IS NULL OR lease_until <= ${now})`
  ),
  claim: update(`epoch = epoch + 1, ${leased}`, `(owner = ? OR owner IS NULL OR lease_until <= ${now})`),
  keep: update(leased, "owner = ?"),
  release: update("owner = NULL, lease_until = 0", "owner = ?")
}

/** How many entries one INSERT takes; SQLite takes 32,766 parameters. */
const entriesAtOnce = 64

const inserts: Array<string> = []
const insertEntries = (count: number): string =>
  (inserts[count] ??= `INSERT INTO baton_entries (place, operation, body) VALUES ${Array(count)
    .fill(`((? << ${placeBits}) | ?, ?, ?)`)
    .join()}`)

function* write(it: Write): Script<Appended | undefined> {
  if (it.children.length > 0) {
    const ids = JSON.stringify(it.children.map(({ id }) => id))
    const taken = yield ["SELECT id FROM baton_sessions WHERE id IN (SELECT value FROM json_each(?)) LIMIT 1", [ids]]
    if (taken.length > 0) return undefined
  }
  if (it.delivered.length > 0) {
    const [found] = (yield [
      `SELECT count(*) AS n FROM baton_inbox WHERE id IN (SELECT value FROM json_each(?))
        AND session = (SELECT key FROM baton_sessions WHERE id = ? AND incarnation = ?)`,
      [JSON.stringify(it.delivered), it.session, it.incarnation]
    ]) as ReadonlyArray<{ readonly n: Row["key"] }>
    if (integer(found!.n) < it.delivered.length) return undefined
  }
  const { running } = it
  const lease = it.lease === "release" || it.lease === "once" ? [] : [it.owner, it.leaseFor]
  const [row] = (yield [
    updates[it.lease],
    [
      it.entries.length,
      running?.operationId,
      running?.kind,
      running?.since,
      it.partial,
      ...lease,
      it.session,
      it.incarnation,
      it.epoch,
      it.expectedSeq,
      it.owner
    ]
  ]) as ReadonlyArray<Pick<Row, "key" | "epoch" | "inbox">>
  if (row === undefined) return undefined
  for (let from = 0; from < it.entries.length; from += entriesAtOnce) {
    const some = it.entries.slice(from, from + entriesAtOnce)
    yield [insertEntries(some.length), some.flatMap(({ body, operation, seq }) => [row.key, seq, operation, body])]
  }
  for (const child of it.children) yield [insertSession, sessionParameters(child)]
  if (it.delivered.length > 0) {
    yield [
      "DELETE FROM baton_inbox WHERE session = ? AND id IN (SELECT value FROM json_each(?))",
      [row.key, JSON.stringify(it.delivered)]
    ]
  }
  return { epoch: integer(row.epoch), inbox: integer(row.inbox) }
}

function* all(writes: ReadonlyArray<Write>): Script<ReadonlyArray<Appended | undefined>> {
  const told: Array<Appended | undefined> = []
  for (const it of writes) told.push(yield* write(it))
  return told
}

const begin = "BEGIN IMMEDIATE"

export const dialect: Dialect = {
  begin,
  isThere: "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'baton_format'",
  alone: undefined,
  tables,
  statements: statements({
    now,
    forUpdate: "",
    flavour: (text) => text,
    read: `SELECT s.next_seq, e.place & ${placeMask} AS seq, e.body FROM baton_sessions s
      LEFT JOIN baton_entries e
        ON e.place BETWEEN (s.key << ${placeBits}) | ? AND (s.key << ${placeBits}) | min(?, ${placeMask})
      WHERE s.id = ? AND s.incarnation = ? ORDER BY e.place LIMIT ${pageSize}`,
    operation: `SELECT e.place & ${placeMask} AS seq, e.body FROM baton_sessions s
      JOIN baton_entries e
        ON e.operation = ? AND e.place BETWEEN (s.key << ${placeBits}) AND (s.key << ${placeBits}) | ${placeMask}
      WHERE s.id = ? AND s.incarnation = ? ORDER BY e.place DESC`,
    removeEntries: `DELETE FROM baton_entries
      WHERE place BETWEEN (?1 << ${placeBits}) AND (?1 << ${placeBits}) | ${placeMask}`
  }),
  append: (sql, own, writes) =>
    isSynchronous(own)
      ? own.script(() => all(writes))
      : withConnection(sql, (connection) =>
          transaction(
            connection,
            begin,
            stepwise(connection, () => all(writes))
          )
        ),
  renew: (connection, owner, leases, leaseFor) =>
    Effect.map(
      connection.execute(
        `UPDATE baton_sessions SET lease_until = ${now} + CAST(? AS INTEGER)
          WHERE owner = ? AND key IN (
            SELECT s.key FROM json_each(?) l CROSS JOIN baton_sessions s
              ON s.id = l.value ->> 0 AND s.incarnation = l.value ->> 1 AND s.epoch = l.value ->> 2
          ) RETURNING id`,
        [leaseFor, owner, JSON.stringify(leases.map(({ epoch, id, incarnation }) => [id, incarnation, epoch]))],
        undefined
      ),
      (rows) => (rows as ReadonlyArray<Pick<Row, "id">>).map(({ id }) => id)
    )
}
