/** A process of its own that writes to a database: `sqlChild.ts <what> <where> <name> <count>`. */
import { SqlClient } from "@effect/sql"
import { Effect, Layer } from "effect"
import { SessionStore } from "effect-baton"
import { SqlSessionStore } from "effect-baton/sql"
import { SqliteClient } from "effect-baton/sqlite"
import { PgClient } from "@effect/sql-pg"
import { append, row, user } from "./storeWrites.js"

const [what = "", where = "", name = "", count = "1"] = process.argv.slice(2)

/** Each row follows the last one that its transaction sees. */
const rows = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE IF NOT EXISTS numbers (n INTEGER PRIMARY KEY, writer TEXT)`
  for (let i = 0; i < Number(count); i++) {
    yield* sql.withTransaction(
      Effect.gen(function* () {
        const [last] = yield* sql<{ readonly n: number }>`SELECT coalesce(max(n), 0) AS n FROM numbers`
        yield* sql`INSERT INTO numbers (n, writer) VALUES (${(last?.n ?? 0) + 1}, ${name})`
      })
    )
  }
})

const session = Effect.gen(function* () {
  const store = yield* SessionStore.SessionStore
  yield* store.create(row(name))
  for (let i = 1; i <= Number(count); i++) {
    yield* store.append(append(name, i, { entries: [user(i)] }))
  }
})

const sqlite = SqliteClient.layer({ filename: where })
const pg = Layer.suspend(() => {
  const [host = "", database = ""] = where.split(" ")
  return PgClient.layer({ host, database, username: "baton" })
})

const programs: Record<string, () => Effect.Effect<void, unknown>> = {
  rows: () => Effect.provide(rows, sqlite),
  sqlite: () => Effect.provide(session, Layer.provide(SqlSessionStore.layer, sqlite)),
  pg: () => Effect.provide(session, Layer.provide(SqlSessionStore.layer, pg))
}

Effect.runPromise(programs[what]!()).then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error)
    process.exit(1)
  }
)
