/**
 * The tables and the write path on Postgres: one statement for all writes of a group, so that a group costs one round
 * trip and one commit.
 */
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { LeaseStep } from "../../services/SessionStore.js"
import { type Dialect, pageSize, statements } from "./Dialect.js"
import { integer, type Row } from "./rows.js"
import { transaction, withConnection } from "./transaction.js"

/** Milliseconds since the epoch, by the clock of the database. */
const now = "floor(extract(epoch from clock_timestamp()) * 1000)::bigint"

const text = `text COLLATE "C"`

/** What format 4 added. A `tsvector` takes less than a megabyte of words, which `Words.of` knows. */
const added = [
  "CREATE TABLE baton_forks (key bigint PRIMARY KEY, base bigint NOT NULL, upto bigint NOT NULL)",
  "CREATE INDEX baton_forks_base ON baton_forks (base)",
  `CREATE TABLE baton_remains (
    key bigint PRIMARY KEY,
    incarnation ${text} NOT NULL,
    next_seq bigint NOT NULL,
    indexed bigint NOT NULL
  )`,
  `CREATE TABLE baton_texts (
    session bigint NOT NULL,
    seq bigint NOT NULL,
    at double precision NOT NULL,
    words tsvector NOT NULL,
    PRIMARY KEY (session, seq)
  )`,
  "CREATE INDEX baton_texts_words ON baton_texts USING gin (words)",
  "CREATE INDEX baton_texts_at ON baton_texts (at, session, seq)"
]

const changes = [
  `ALTER TABLE baton_sessions ADD COLUMN origin ${text}, ADD COLUMN origin_entry bigint,
    ADD COLUMN shared bigint NOT NULL DEFAULT 0, ADD COLUMN indexed bigint NOT NULL DEFAULT 0`,
  ...added,
  // An older version may have the database open, and would remove what forks share.
  `CREATE FUNCTION baton_sessions_left() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NOT EXISTS (SELECT 1 FROM baton_remains WHERE key = OLD.key) THEN
        RAISE EXCEPTION 'a newer version of Baton has taken this database over';
      END IF;
      RETURN OLD;
    END $$`,
  `CREATE TRIGGER baton_sessions_left BEFORE DELETE ON baton_sessions
    FOR EACH ROW EXECUTE FUNCTION baton_sessions_left()`
]

const tables = [
  `CREATE TABLE baton_sessions (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id ${text} NOT NULL UNIQUE,
    incarnation ${text} NOT NULL,
    agent text NOT NULL,
    cwd text NOT NULL,
    parent ${text},
    depth integer NOT NULL,
    created_at double precision NOT NULL,
    origin ${text},
    origin_entry bigint,
    owner ${text},
    epoch bigint NOT NULL,
    lease_until bigint NOT NULL,
    next_seq bigint NOT NULL,
    running_id text,
    running_kind text,
    running_since double precision,
    inbox bigint NOT NULL,
    shared bigint NOT NULL DEFAULT 0,
    indexed bigint NOT NULL DEFAULT 0,
    partial text
  )`,
  "CREATE INDEX baton_sessions_parent ON baton_sessions (parent, key)",
  "CREATE INDEX baton_sessions_running ON baton_sessions (key) WHERE running_id IS NOT NULL",
  `CREATE TABLE baton_entries (
    session bigint NOT NULL,
    seq bigint NOT NULL,
    operation ${text},
    body text NOT NULL,
    PRIMARY KEY (session, seq)
  )`,
  "CREATE INDEX baton_entries_operation ON baton_entries (session, operation) WHERE operation IS NOT NULL",
  `CREATE TABLE baton_inbox (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session bigint NOT NULL,
    id ${text} NOT NULL,
    body text NOT NULL,
    UNIQUE (session, id)
  )`,
  ...added
]

/** One write by itself, which the server plans in less time. All take the same parameters. */
const single: Record<LeaseStep, string> = (() => {
  const text = (set: string, where: string) => `WITH written AS (
    UPDATE baton_sessions SET next_seq = next_seq + $8, running_id = $9, running_kind = $10,
      running_since = $11, partial = $12, ${set}
    WHERE id = $1 AND incarnation = $2 AND epoch = $6 AND next_seq = $7 AND ${where}
    RETURNING key, epoch, inbox
  ), entries AS (
    INSERT INTO baton_entries (session, seq, operation, body)
    SELECT written.key, e.seq, e.operation, e.body
    FROM written, unnest($13::bigint[], $14::text[], $15::text[]) AS e (seq, operation, body)
  ) SELECT 1 AS n, epoch, inbox FROM written`
  const leased = `owner = $3, lease_until = ${now} + $5::bigint`
  const released = "owner = NULL, lease_until = 0"
  return {
    once: text(
      `epoch = epoch + 1, ${released}`,
      `$4 = 'once' AND (owner = $3 OR owner IS NULL OR lease_until <= ${now}) AND $5::bigint IS NOT NULL`
    ),
    claim: text(
      `epoch = epoch + 1, ${leased}`,
      `$4 = 'claim' AND (owner = $3 OR owner IS NULL OR lease_until <= ${now})`
    ),
    keep: text(leased, "$4 = 'keep' AND owner = $3"),
    release: text(released, "$4 = 'release' AND owner = $3 AND $5::bigint IS NOT NULL")
  }
})()

/** The writes as a table `w`, by their number `n`; rows are locked in one order by every process. */
const group = `WITH w AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
      $8::bigint[], $9::text[], $10::text[], $11::double precision[], $12::text[]) WITH ORDINALITY
      AS w (id, incarnation, owner, lease, lease_for, epoch, seq, count, running_id, running_kind, running_since, partial, n)
  ), locked AS MATERIALIZED (
    SELECT s.key, w.n FROM baton_sessions s JOIN w ON s.id = w.id ORDER BY s.key FOR UPDATE OF s
  ), written AS (
    UPDATE baton_sessions s SET
      next_seq = s.next_seq + w.count, running_id = w.running_id, running_kind = w.running_kind,
      running_since = w.running_since, partial = w.partial,
      epoch = s.epoch + CASE WHEN w.lease IN ('claim', 'once') THEN 1 ELSE 0 END,
      owner = CASE WHEN w.lease IN ('release', 'once') THEN NULL ELSE w.owner END,
      lease_until = CASE WHEN w.lease IN ('release', 'once') THEN 0 ELSE ${now} + w.lease_for END
    FROM locked JOIN w USING (n)
    WHERE s.key = locked.key AND s.incarnation = w.incarnation AND s.epoch = w.epoch AND s.next_seq = w.seq
      AND (s.owner = w.owner OR w.lease IN ('claim', 'once') AND (s.owner IS NULL OR s.lease_until <= ${now}))
    RETURNING w.n, s.key, s.epoch, s.inbox
  ), entries AS (
    INSERT INTO baton_entries (session, seq, operation, body)
    SELECT written.key, e.seq, e.operation, e.body
    FROM unnest($13::bigint[], $14::bigint[], $15::text[], $16::text[]) AS e (n, seq, operation, body) JOIN written USING (n)
  )`

const children = `, children AS (
    INSERT INTO baton_sessions
      (id, incarnation, agent, cwd, parent, depth, created_at, origin, origin_entry, epoch, lease_until, next_seq, inbox)
    SELECT c.id, c.incarnation, c.agent, c.cwd, c.parent, c.depth, c.created_at, c.origin, c.origin_entry, 0, 0, 1, 0
    FROM unnest($17::bigint[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::integer[],
      $24::double precision[], $25::text[], $26::bigint[]) WITH ORDINALITY
      AS c (n, id, incarnation, agent, cwd, parent, depth, created_at, origin, origin_entry, place)
      JOIN written USING (n)
    ORDER BY c.place
  ), delivered AS (
    DELETE FROM baton_inbox i USING unnest($27::bigint[], $28::text[]) AS d (n, id) JOIN written USING (n)
    WHERE i.session = written.key AND i.id = d.id
  )`

/** Which writes are to deliver what is not in the inbox any more. Nothing is taken out of it until the transaction ends. */
const missing = (
  connection: Connection,
  sessions: unknown,
  taken: ReadonlyArray<{ readonly id: string; readonly n: number }>
): Effect.Effect<ReadonlySet<number>, SqlError> =>
  Effect.zipRight(
    execute(connection, "SELECT key FROM baton_sessions WHERE id = ANY($1::text[]) ORDER BY key FOR UPDATE", [
      sessions
    ]),
    Effect.map(
      execute(
        connection,
        `SELECT d.n FROM unnest($1::bigint[], $2::text[]) AS d (n, id) JOIN baton_sessions s ON s.id = ($3::text[])[d.n]
          WHERE NOT EXISTS (SELECT 1 FROM baton_inbox i WHERE i.session = s.key AND i.id = d.id)`,
        [taken.map(({ n }) => n), taken.map(({ id }) => id), sessions]
      ),
      (rows) => new Set(rows.map((row) => integer(row.n)))
    )
  )

const told = " SELECT n, epoch, inbox FROM written"

/**
 * All of these words, as they are: a cast to `tsquery` looks into no dictionary. In quotes nothing means anything but the
 * quote and the backslash. Halves of halves, since the server takes what stands in a row apart one inside the other, as
 * deep as its stack is.
 */
const queryOf = (words: ReadonlyArray<string>): string => {
  if (words.length === 1) return `'${words[0]!.replace(/['\\]/g, "$&$&")}'`
  const half = words.length >> 1
  return `(${queryOf(words.slice(0, half))} & ${queryOf(words.slice(half))})`
}

const index = `WITH m AS (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::boolean[], $4::bigint[], $5::bigint[])
      AS m (key, incarnation, gone, was, upto)
  ), marked AS (
    UPDATE baton_sessions s SET indexed = m.upto FROM m
    WHERE NOT m.gone AND s.key = m.key AND s.incarnation = m.incarnation AND s.indexed = m.was AND s.next_seq > m.upto
    RETURNING s.key
  ), left_marked AS (
    UPDATE baton_remains s SET indexed = m.upto FROM m
    WHERE m.gone AND s.key = m.key AND s.incarnation = m.incarnation AND s.indexed = m.was AND s.next_seq > m.upto
    RETURNING s.key
  ), done AS (
    SELECT key FROM marked UNION ALL SELECT key FROM left_marked
  ), texts AS (
    INSERT INTO baton_texts (session, seq, at, words)
    SELECT t.key, t.seq, t.at, array_to_tsvector(string_to_array(t.words, ' '))
    FROM unnest($6::bigint[], $7::bigint[], $8::double precision[], $9::text[]) AS t (key, seq, at, words)
      JOIN done USING (key)
  ) SELECT key FROM done`

export const dialect: Dialect = {
  begin: "BEGIN",
  // Not by `to_regclass`, which does not see in a transaction what another has made since it was asked last.
  isThere: "SELECT 1 FROM pg_class WHERE relname = 'baton_format' AND relkind = 'r' AND pg_table_is_visible(oid)",
  // Any number that nobody else takes: the bytes of "baton".
  alone: `SELECT pg_advisory_xact_lock(${0x6261746f6e})`,
  apart: `SELECT pg_advisory_xact_lock(${0x6261746f6e + 1})`,
  tables,
  changes,
  statements: statements({
    now,
    forUpdate: "FOR UPDATE",
    flavour: (text) => {
      let n = 0
      return text.replaceAll("?", () => `$${++n}`)
    },
    ranged: {
      n: "r.n - 1",
      seq: "e.seq",
      from: `unnest(?::bigint[], ?::bigint[], ?::bigint[]) WITH ORDINALITY AS r (key, low, high, n)
        JOIN baton_entries e ON e.session = r.key AND e.seq BETWEEN r.low AND r.high`
    },
    read: `SELECT s.next_seq, s.shared, e.seq, e.body FROM baton_sessions s
      LEFT JOIN baton_entries e ON s.shared < $1 AND e.session = s.key AND e.seq BETWEEN $1 AND $2
      WHERE s.id = $3 AND s.incarnation = $4 ORDER BY e.seq LIMIT ${pageSize}`,
    readShared: `SELECT s.next_seq, s.shared, e.seq, e.body FROM baton_sessions s
      LEFT JOIN baton_entries e ON e.session = $1 AND e.seq BETWEEN $2 AND $3
      WHERE s.id = $4 AND s.incarnation = $5 ORDER BY e.seq LIMIT ${pageSize}`,
    operation: `SELECT s.shared, e.seq, e.body FROM baton_sessions s
      LEFT JOIN baton_entries e ON e.session = s.key AND e.operation = ?
      WHERE s.id = ? AND s.incarnation = ? ORDER BY e.seq DESC`,
    operationShared: `SELECT seq, body FROM baton_entries
      WHERE operation = $1 AND session = $2 AND seq BETWEEN $3 AND $4 ORDER BY seq DESC`,
    size: `SELECT count(*) AS entries, sum(bytes) AS bytes, max(seq) AS last FROM (
      SELECT seq, octet_length(body) AS bytes FROM baton_entries
      WHERE session = $1 AND seq > $2 ORDER BY seq LIMIT ${pageSize}) AS e`,
    removeEntries: "DELETE FROM baton_entries WHERE session = $1 AND seq > $2 AND seq <= $3",
    removeTexts: ["DELETE FROM baton_texts WHERE session = $1 AND seq > $2 AND seq <= $3"]
  }),
  append: (sql, _own, writes) => {
    const [first] = writes
    if (first !== undefined && writes.length === 1 && first.children.length + first.delivered.length === 0) {
      const { entries, running } = first
      const parameters = [
        first.session,
        first.incarnation,
        first.owner,
        first.lease,
        Math.trunc(first.leaseFor),
        first.epoch,
        first.expectedSeq,
        entries.length,
        running?.operationId,
        running?.kind,
        running?.since,
        first.partial,
        entries.map(({ seq }) => seq),
        entries.map(({ operation }) => operation),
        entries.map(({ body }) => body)
      ]
      return Effect.map(
        withConnection(sql, (connection) => execute(connection, single[first.lease], parameters)),
        ([row]) => [row === undefined ? undefined : { epoch: integer(row.epoch), inbox: integer(row.inbox) }]
      )
    }
    const entries = writes.flatMap(({ entries }, i) => entries.map((it) => ({ ...it, n: i + 1 })))
    const born = writes.flatMap(({ children }, i) => children.map((it) => ({ ...it, n: i + 1 })))
    const taken = writes.flatMap(({ delivered }, i) => delivered.map((id) => ({ id, n: i + 1 })))
    const more = born.length > 0 || taken.length > 0
    const parameters = [
      writes.map(({ session }) => session),
      writes.map(({ incarnation }) => incarnation),
      writes.map(({ owner }) => owner),
      writes.map(({ lease }) => lease),
      writes.map(({ leaseFor }) => Math.trunc(leaseFor)),
      writes.map(({ epoch }) => epoch),
      writes.map(({ expectedSeq }) => expectedSeq),
      writes.map(({ entries }) => entries.length),
      writes.map(({ running }) => running?.operationId),
      writes.map(({ running }) => running?.kind),
      writes.map(({ running }) => running?.since),
      writes.map(({ partial }) => partial),
      entries.map(({ n }) => n),
      entries.map(({ seq }) => seq),
      entries.map(({ operation }) => operation),
      entries.map(({ body }) => body)
    ]
    if (more) {
      parameters.push(
        born.map(({ n }) => n),
        born.map(({ id }) => id),
        born.map(({ incarnation }) => incarnation),
        born.map(({ agent }) => agent),
        born.map(({ cwd }) => cwd),
        born.map(({ parent }) => parent),
        born.map(({ depth }) => depth),
        born.map(({ createdAt }) => createdAt),
        born.map(({ origin }) => origin?.session),
        born.map(({ origin }) => origin?.entry),
        taken.map(({ n }) => n),
        taken.map(({ id }) => id)
      )
    }
    const statement = more ? group + children + told : group + told
    const write = (connection: Connection) =>
      Effect.map(execute(connection, statement, parameters), (rows) => {
        const answers = new Map(rows.map((row) => [integer(row.n), row]))
        return writes.map((_, i) => {
          const row = answers.get(i + 1)
          return row === undefined ? undefined : { epoch: integer(row.epoch), inbox: integer(row.inbox) }
        })
      })
    return withConnection(sql, (connection) =>
      taken.length === 0
        ? write(connection)
        : transaction(
            connection,
            "BEGIN",
            Effect.flatMap(missing(connection, parameters[0]!, taken), (without) =>
              without.size === 0 ? write(connection) : Effect.succeed(writes.map(() => undefined))
            )
          )
    )
  },
  insertEntries: (key, entries) => [
    `INSERT INTO baton_entries (session, seq, operation, body)
      SELECT $1, e.seq, e.operation, e.body FROM unnest($2::bigint[], $3::text[], $4::text[]) AS e (seq, operation, body)`,
    [key, entries.map(({ seq }) => seq), entries.map(({ operation }) => operation), entries.map(({ body }) => body)]
  ],
  entriesAtOnce: pageSize,
  ranges: (ranges) => [ranges.map(({ key }) => key), ranges.map(({ from }) => from), ranges.map(({ to }) => to)],
  index: (sql, _own, all) =>
    withConnection(sql, (connection) => {
      const texts = all.flatMap(({ key, texts }) => texts.map((it) => ({ ...it, key })))
      return transaction(
        connection,
        "BEGIN",
        Effect.zipRight(
          // In one order by every process.
          execute(connection, "SELECT key FROM baton_sessions WHERE key = ANY($1::bigint[]) ORDER BY key FOR UPDATE", [
            all.map(({ key }) => key)
          ]),
          Effect.map(
            execute(connection, index, [
              all.map(({ key }) => key),
              all.map(({ incarnation }) => incarnation),
              all.map(({ isGone }) => isGone),
              all.map(({ was }) => was),
              all.map(({ upTo }) => upTo),
              texts.map(({ key }) => key),
              texts.map(({ seq }) => seq),
              texts.map(({ at }) => at),
              texts.map(({ words }) => words.join(" "))
            ]),
            (rows) => rows.map(({ key }) => key)
          )
        )
      )
    }),
  find: (words, keys, after, limit) => {
    const cursor = after?.split("/") ?? [null, null, null]
    return [
      `SELECT t.at || '/' || t.session || '/' || t.seq AS cursor, t.session AS key, t.seq, e.body, s.id
        FROM baton_texts t JOIN baton_entries e ON e.session = t.session AND e.seq = t.seq
        LEFT JOIN baton_sessions s ON s.key = t.session
        WHERE t.words @@ $1::tsquery ${keys === undefined ? "AND $2::bigint[] IS NULL" : "AND t.session = ANY($2::bigint[])"}
        ${after === undefined ? "AND $3::float8 IS NULL AND $4::bigint IS NULL AND $5::bigint IS NULL" : "AND (t.at, t.session, t.seq) < ($3::float8, $4::bigint, $5::bigint)"}
        ORDER BY t.at DESC, t.session DESC, t.seq DESC LIMIT $6`,
      [queryOf(words), keys ?? null, ...cursor, limit]
    ]
  },
  isCursor: (text) => /^-?\d{1,300}(?:\.\d{1,300})?(?:e[-+]\d{1,3})?\/\d{1,18}\/\d{1,18}$/.test(text),
  renew: (connection, owner, leases, leaseFor) =>
    Effect.map(
      execute(
        connection,
        `UPDATE baton_sessions s SET lease_until = ${now} + $5::bigint
          FROM unnest($1::text[], $2::text[], $3::bigint[]) AS l (id, incarnation, epoch)
          WHERE s.owner = $4 AND s.id = l.id AND s.incarnation = l.incarnation AND s.epoch = l.epoch RETURNING s.id`,
        [
          leases.map(({ id }) => id),
          leases.map(({ incarnation }) => incarnation),
          leases.map(({ epoch }) => epoch),
          owner,
          Math.trunc(leaseFor)
        ]
      ),
      (rows) => rows.map(({ id }) => id)
    )
}

const execute = (
  connection: Connection,
  sql: string,
  parameters: ReadonlyArray<unknown>
): Effect.Effect<ReadonlyArray<Row & { readonly n: Row["key"] }>, SqlError> =>
  connection.execute(sql, parameters, undefined)
