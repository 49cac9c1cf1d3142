/**
 * The tables and the write path on SQLite.
 *
 * An entry's row id is its session's key and its place: a session's entries lie together, and a write touches one page
 * of them. Measured against a table with an index of its own it writes a quarter less to the log.
 */
import * as Effect from "effect/Effect"
import type { Appended, LeaseStep } from "../../services/SessionStore.js"
import {
  type Dialect,
  type Indexed,
  insertSession,
  sessionParameters,
  statements,
  pageSize,
  type Sql,
  type Write
} from "./Dialect.js"
import type { Stored } from "./records.js"
import { type Integer, integer, type Row } from "./rows.js"
import { isSynchronous, type Script, stepwise, transaction, withConnection } from "./transaction.js"

/** Milliseconds since the epoch, by the clock of the database. */
const now = "CAST(unixepoch('subsec') * 1000 AS INTEGER)"

/** Below this lie the places of one session's entries. */
const placeBits = 32
const placeMask = 2 ** placeBits - 1

/** What format 4 added. */
const added = [
  "CREATE TABLE baton_forks (key INTEGER PRIMARY KEY, base INTEGER NOT NULL, upto INTEGER NOT NULL)",
  "CREATE INDEX baton_forks_base ON baton_forks (base)",
  `CREATE TABLE baton_remains (
    key INTEGER PRIMARY KEY,
    incarnation TEXT NOT NULL,
    next_seq INTEGER NOT NULL,
    indexed INTEGER NOT NULL
  )`,
  "CREATE TABLE baton_texts (number INTEGER PRIMARY KEY, place INTEGER NOT NULL UNIQUE)",
  // Words hold no ASCII but small letters and digits: to this tokenizer each of them is one token, as it is. No text is
  // kept, and of a word no more than which entries have it.
  `CREATE VIRTUAL TABLE baton_words USING fts5(
    words, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
  )`,
  // The index joins eight of its parts, not four: measured, writing it takes a tenth less time.
  "INSERT INTO baton_words (baton_words, rank) VALUES ('automerge', 8)"
]

const changes = [
  "ALTER TABLE baton_sessions ADD COLUMN origin TEXT",
  "ALTER TABLE baton_sessions ADD COLUMN origin_entry INTEGER",
  "ALTER TABLE baton_sessions ADD COLUMN shared INTEGER NOT NULL DEFAULT 0",
  "ALTER TABLE baton_sessions ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0",
  ...added,
  // An older version may have the database open, and would remove what forks share.
  `CREATE TRIGGER baton_sessions_left BEFORE DELETE ON baton_sessions
    WHEN NOT EXISTS (SELECT 1 FROM baton_remains WHERE key = OLD.key)
    BEGIN SELECT RAISE(ABORT, 'a newer version of Baton has taken this database over'); END`
]

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
    origin TEXT,
    origin_entry INTEGER,
    owner TEXT,
    epoch INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    next_seq INTEGER NOT NULL,
    running_id TEXT,
    running_kind TEXT,
    running_since NUMERIC,
    inbox INTEGER NOT NULL,
    shared INTEGER NOT NULL DEFAULT 0,
    indexed INTEGER NOT NULL DEFAULT 0,
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
  )`,
  ...added
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
const insertEntries = (key: Integer, some: ReadonlyArray<Stored>): Sql => [
  (inserts[some.length] ??= `INSERT INTO baton_entries (place, operation, body) VALUES ${Array(some.length)
    .fill(`((? << ${placeBits}) | ?, ?, ?)`)
    .join()}`),
  some.flatMap(({ body, operation, seq }) => [key, seq, operation, body])
]

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
    yield insertEntries(row.key, some)
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

/**
 * A text's number in the index: when its entry was made, in milliseconds since the epoch, and how many were indexed of
 * that millisecond before. What was made last has the highest one, so that the index gives the last ones first, and no
 * more than are asked for. In 63 bits there is room for the years to 2109, and 2,097,152 texts a millisecond; more are not
 * found.
 */
const numberBits = 21
const latest = 2 ** (63 - numberBits) - 1

/** Of texts as `[at, nth of its millisecond here, key, place]`. */
const numbers = `INSERT OR IGNORE INTO baton_texts (number, place) SELECT
  coalesce((SELECT max(number) + 1 FROM baton_texts WHERE number >= (t.value ->> 0) << ${numberBits}
      AND number < ((t.value ->> 0) << ${numberBits}) + ${2 ** numberBits}),
    (t.value ->> 0) << ${numberBits}) + (t.value ->> 1),
  ((t.value ->> 2) << ${placeBits}) | (t.value ->> 3)
  FROM json_each(?) t
  RETURNING CAST(number AS TEXT) AS number, place >> ${placeBits} AS key, place & ${placeMask} AS seq`

const insertWords = "INSERT INTO baton_words (rowid, words) VALUES (CAST(? AS INTEGER), ?)"

/** A word that no text has: which session the entry is in. */
const sessionWord = (key: Integer): string => `\u00a7${key}`

const mark = (table: string): string => `UPDATE ${table} SET indexed = ?
  WHERE key = ? AND incarnation = ? AND indexed = ? AND next_seq > ? RETURNING key`
const markSession = mark("baton_sessions")
const markRemains = mark("baton_remains")

function* index(all: ReadonlyArray<Indexed>): Script<ReadonlyArray<Integer>> {
  const done: Array<Integer> = []
  const made: Array<readonly [at: number, nth: number, key: number, seq: number]> = []
  const counts = new Map<number, number>()
  const words = new Map<string, string>()
  for (const { incarnation, isGone, key, texts, upTo, was } of all) {
    const marked = yield [isGone ? markRemains : markSession, [upTo, key, incarnation, was, upTo]]
    if (marked.length === 0) continue
    for (const it of texts) {
      const at = Math.min(Math.max(0, Math.floor(it.at)), latest)
      const nth = counts.get(at) ?? 0
      counts.set(at, nth + 1)
      made.push([at, nth, integer(key), it.seq])
      words.set(`${key}/${it.seq}`, `${it.words.join(" ")} ${sessionWord(key)}`)
    }
    done.push(key)
  }
  if (made.length === 0) return done
  const rows = (yield [numbers, [JSON.stringify(made)]]) as ReadonlyArray<
    Pick<Row, "key"> & { readonly number: string; readonly seq: Integer }
  >
  // Each by itself, and nothing else between: before a statement that can be undone by itself, as an INSERT of several
  // rows, the index writes out what it has.
  for (const { key, number, seq } of rows) yield [insertWords, [number, words.get(`${key}/${seq}`)]]
  return done
}

const begin = "BEGIN IMMEDIATE"

/** The texts of a session's entries behind a place, to another one. */
const textsBehind = `FROM baton_texts WHERE place > (?1 << ${placeBits}) | ?2 AND place <= (?1 << ${placeBits}) | ?3`

/** Behind all numbers. */
const highest = 2n ** 63n - 1n

export const dialect: Dialect = {
  begin,
  isThere: "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'baton_format'",
  alone: undefined,
  apart: undefined,
  tables,
  changes,
  statements: statements({
    now,
    forUpdate: "",
    flavour: (text) => text,
    ranged: {
      n: "r.key",
      seq: `e.place & ${placeMask}`,
      from: `json_each(?) r CROSS JOIN baton_entries e ON e.place BETWEEN
        ((r.value ->> 0) << ${placeBits}) | (r.value ->> 1) AND ((r.value ->> 0) << ${placeBits}) | (r.value ->> 2)`
    },
    read: `SELECT s.next_seq, s.shared, e.place & ${placeMask} AS seq, e.body FROM baton_sessions s
      LEFT JOIN baton_entries e ON s.shared < ?1
        AND e.place BETWEEN (s.key << ${placeBits}) | ?1 AND (s.key << ${placeBits}) | min(?2, ${placeMask})
      WHERE s.id = ?3 AND s.incarnation = ?4 ORDER BY e.place LIMIT ${pageSize}`,
    readShared: `SELECT s.next_seq, s.shared, e.place & ${placeMask} AS seq, e.body FROM baton_sessions s
      LEFT JOIN baton_entries e ON e.place BETWEEN (?1 << ${placeBits}) | ?2 AND (?1 << ${placeBits}) | ?3
      WHERE s.id = ?4 AND s.incarnation = ?5 ORDER BY e.place LIMIT ${pageSize}`,
    operation: `SELECT s.shared, e.place & ${placeMask} AS seq, e.body FROM baton_sessions s
      LEFT JOIN baton_entries e
        ON e.operation = ? AND e.place BETWEEN (s.key << ${placeBits}) AND (s.key << ${placeBits}) | ${placeMask}
      WHERE s.id = ? AND s.incarnation = ? ORDER BY e.place DESC`,
    operationShared: `SELECT place & ${placeMask} AS seq, body FROM baton_entries
      WHERE operation = ?1 AND place BETWEEN (?2 << ${placeBits}) | ?3 AND (?2 << ${placeBits}) | ?4 ORDER BY place DESC`,
    size: `SELECT count(*) AS entries, sum(bytes) AS bytes, max(place) & ${placeMask} AS last FROM (
      SELECT place, octet_length(body) AS bytes FROM baton_entries
      WHERE place > (?1 << ${placeBits}) | ?2 AND place <= (?1 << ${placeBits}) | ${placeMask}
      ORDER BY place LIMIT ${pageSize})`,
    removeEntries: `DELETE FROM baton_entries
      WHERE place > (?1 << ${placeBits}) | ?2 AND place <= (?1 << ${placeBits}) | ?3`,
    removeTexts: [`DELETE FROM baton_words WHERE rowid IN (SELECT number ${textsBehind})`, `DELETE ${textsBehind}`]
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
  insertEntries,
  entriesAtOnce,
  ranges: (ranges) => [JSON.stringify(ranges.map(({ from, key, to }) => [Number(key), from, to]))],
  index: (sql, own, texts) =>
    isSynchronous(own)
      ? own.script(() => index(texts))
      : withConnection(sql, (connection) =>
          transaction(
            connection,
            begin,
            stepwise(connection, () => index(texts))
          )
        ),
  find: (words, keys, after, limit) => [
    `SELECT CAST(w.rowid AS TEXT) AS cursor, t.place >> ${placeBits} AS key, t.place & ${placeMask} AS seq, e.body, s.id
      FROM baton_words w CROSS JOIN baton_texts t ON t.number = w.rowid CROSS JOIN baton_entries e ON e.place = t.place
      LEFT JOIN baton_sessions s ON s.key = t.place >> ${placeBits}
      WHERE w.baton_words MATCH ? AND w.rowid < CAST(? AS INTEGER) ORDER BY w.rowid DESC LIMIT ?`,
    [
      words
        .map((word) => `"${word}"`)
        .concat(keys === undefined ? [] : `(${keys.map((key) => `"${sessionWord(key)}"`).join(" OR ")})`)
        .join(" AND "),
      after ?? `${highest}`,
      limit
    ]
  ],
  isCursor: (text) => /^[1-9]\d{0,18}$/.test(text) && BigInt(text) < highest,
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
