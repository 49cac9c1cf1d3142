/**
 * The fault matrix on Postgres: a database for each folder, on a server that is there or is started.
 */
import { Client } from "pg"
import { Effect } from "effect"
import { start } from "../../support/postgresServer.js"
import { databaseOf, layerStore } from "./engine.js"
import type { Backend } from "./matrix.js"

const administer = (host: string, sql: string): Effect.Effect<void> =>
  Effect.promise(async () => {
    const client = new Client({ host, user: "baton", database: "postgres" })
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  })

/** A server for as long as the scope; fails with the reasons where none starts. */
export const server = Effect.map(
  Effect.acquireRelease(
    Effect.promise(() => start()),
    (it) => ("stop" in it ? Effect.promise(() => it.stop()) : Effect.void)
  ),
  (it) => it
).pipe(Effect.flatMap((it) => ("host" in it ? Effect.succeed(it.host) : Effect.fail(it.reasons.join("; ")))))

export const postgres = (host: string): Backend => ({
  name: "Postgres",
  server: host,
  layer: (folder) => layerStore(folder, host),
  prepare: (folder) =>
    Effect.asVoid(
      Effect.acquireRelease(administer(host, `CREATE DATABASE "${databaseOf(folder)}"`), () =>
        administer(host, `DROP DATABASE IF EXISTS "${databaseOf(folder)}" WITH (FORCE)`)
      )
    ),
  // A write is one statement, which the server makes whether its client is frozen or not.
  isFree: () => Effect.delay(Effect.succeed(true), "5 millis"),
  problems: () => []
})
