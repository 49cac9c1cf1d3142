/**
 * Sessions in one SQLite file, and the client for that file.
 */
import type { SqlClient } from "@effect/sql/SqlClient"
import * as Layer from "effect/Layer"
import type { SessionStoreError, UnsupportedFormat } from "../services/Errors.js"
import type { SessionStore } from "../services/SessionStore.js"
import * as SqliteClient from "./SqliteClient.js"
import * as SqlSessionStore from "./SqlSessionStore.js"

/** Opens the file, or makes it, with the tables in it. See `SqliteClient` for what can be set. */
export const layer = (
  options: SqliteClient.Options
): Layer.Layer<SessionStore | SqlClient, UnsupportedFormat | SessionStoreError> =>
  Layer.provideMerge(SqlSessionStore.layer, SqliteClient.layer(options))
