/**
 * The format of a database, and its tables.
 *
 * `@effect/sql`'s Migrator makes its own table outside the transaction: of two processes that start at the same time on
 * a new Postgres database one fails.
 */
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { formatVersion } from "../../services/Entry.js"
import { UnsupportedFormat } from "../../services/Errors.js"
import type { Dialect } from "./Dialect.js"
import { type CommitFailed, transaction } from "./transaction.js"

/**
 * Makes the tables where they are not there. A database of another format is left as it is: it is only read before.
 * There was no database before format 2; one of format 2 or 3 is taken over: its entries are those of this one as well,
 * and its tables have what they lack added. An older version that has it open then can still write entries, and removes
 * no session any more.
 */
export const prepare = (
  connection: Connection,
  dialect: Dialect
): Effect.Effect<void, UnsupportedFormat | SqlError | CommitFailed> =>
  Effect.gen(function* () {
    if ((yield* stateOf(connection, dialect)) === "present") return
    yield* transaction(
      connection,
      dialect.begin,
      Effect.gen(function* () {
        if (dialect.alone !== undefined) yield* connection.executeUnprepared(dialect.alone, [], undefined)
        // Another process may have been here in the meantime.
        const state = yield* stateOf(connection, dialect)
        if (state === "present") return
        if (state === "earlier") {
          for (const change of dialect.changes) yield* connection.executeUnprepared(change, [], undefined)
          // From now on an older version of Baton refuses it, which could not read what is written.
          yield* connection.executeUnprepared(`UPDATE baton_format SET format = ${formatVersion}`, [], undefined)
          return
        }
        for (const table of dialect.tables) yield* connection.executeUnprepared(table, [], undefined)
        yield* connection.executeUnprepared("CREATE TABLE baton_format (format INTEGER NOT NULL)", [], undefined)
        yield* connection.executeUnprepared(
          `INSERT INTO baton_format (format) VALUES (${formatVersion})`,
          [],
          undefined
        )
      })
    )
  })

/** The formats that are taken over: the tables of both were the same. */
const earlier: ReadonlySet<number> = new Set([2, 3])

/** Whether the tables are there, and of which format. */
const stateOf = (
  connection: Connection,
  dialect: Dialect
): Effect.Effect<"absent" | "earlier" | "present", UnsupportedFormat | SqlError> =>
  Effect.gen(function* () {
    const there = yield* connection.executeUnprepared(dialect.isThere, [], undefined)
    if (there.length === 0) return "absent"
    const rows: ReadonlyArray<{ readonly format: unknown }> = yield* connection.executeUnprepared(
      "SELECT format FROM baton_format",
      [],
      undefined
    )
    const format = rows.length === 1 ? Number(rows[0]?.format) : Number.NaN
    if (format === formatVersion) return "present"
    if (earlier.has(format)) return "earlier"
    const found = Number.isSafeInteger(format) ? format : undefined
    const reason =
      found === undefined
        ? "it does not say which format it has"
        : `it has format ${found}, and this version of Baton knows format ${formatVersion}`
    return yield* new UnsupportedFormat({ found, supported: formatVersion, reason })
  })
