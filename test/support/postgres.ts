/** Databases on the server of this run of the tests. */
import { PgClient } from "@effect/sql-pg"
import type { SqlClient } from "@effect/sql"
import { Effect, Layer } from "effect"
import * as net from "node:net"
import { Client } from "pg"
import { describe, inject } from "vitest"
import type { Told } from "./postgresSetup.js"

const told = await new Promise<Told>((resolve, reject) => {
  let text = ""
  net
    .connect(inject("postgres"))
    .setEncoding("utf8")
    .on("data", (chunk: string) => (text += chunk))
    .on("error", reject)
    .on("end", () => resolve(JSON.parse(text) as Told))
})

/** Tests that need the server; skipped where none starts, which the run says loudly. */
export const describePostgres = (name: string, tests: () => void): void => {
  describe.skipIf(!("host" in told))(name, tests)
}

export const host = "host" in told ? told.host : ""
let databases = 0

const administer = (sql: string) =>
  Effect.promise(async () => {
    const client = new Client({ host, user: "baton", database: "postgres" })
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  })

/** A database of its own, dropped with the scope. */
export const database = Effect.acquireRelease(
  Effect.suspend(() => {
    const name = `baton_${process.pid}_${++databases}`
    return Effect.as(administer(`CREATE DATABASE ${name}`), name)
  }),
  (name) => Effect.ignore(administer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))
)

export const connection = (name: string) => ({ host, username: "baton", database: name, maxConnections: 5 })

/** A client for a database. */
export const client = (name: string) => PgClient.layer(connection(name))

/** A client for a database of its own. */
export const fresh: Layer.Layer<PgClient.PgClient | SqlClient.SqlClient, unknown> = Layer.unwrapScoped(
  Effect.map(database, client)
)
