/**
 * Sessions in SQLite or Postgres: the store over any `SqlClient` of `@effect/sql`.
 *
 * Writes that come at the same time share a transaction; each is made or refused by itself. A lease is counted by the
 * database's clock. What a store answers is on disk as far as the database keeps its word: with `SqliteClient`, and with
 * Postgres as it comes, it survives the end of the machine.
 *
 * A store has nothing to do with a transaction that its caller has open: what it writes is written, whatever becomes of
 * that. On the one connection of an SQLite client it would wait for the end of such a transaction, and fails instead.
 */
import type { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SessionStoreError, UnsupportedFormat } from "../services/Errors.js"
import type { SessionStore } from "../services/SessionStore.js"
import { load } from "./sql/load.js"

/**
 * Makes the tables `baton_*` where they are not there, in the schema that comes first. Several processes may do so at
 * once. A database of another format is left as it is.
 */
export const layer: Layer.Layer<SessionStore, UnsupportedFormat | SessionStoreError, SqlClient> = Layer.unwrapEffect(
  Effect.map(
    load(() => import("./sql/store.js"), "@effect/sql", "@effect/experimental", "@effect/platform"),
    (store) => store.layer
  )
)
