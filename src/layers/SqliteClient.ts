/**
 * A client for one SQLite file: `@effect/sql`'s `SqlClient` over the binding `libsql`, or another of that shape.
 *
 * A commit is on disk when it returns: the file has a write-ahead log and `synchronous` is FULL, set and read back each
 * time that the file is opened. Transactions begin with `BEGIN IMMEDIATE`. There is one connection, which a transaction
 * has for itself; other statements wait for its end, first come, first served. Statements run synchronously.
 *
 * Several processes may use one file at once, and several clients of one process. SQLite before 3.51.3, which bindings
 * still bring along (`libsql` 0.5.29 has 3.45.1), can damage a log that two connections write or empty at the same
 * instant. That instant does not come: whatever may write, by a statement alone or in a transaction, and whatever opens
 * or closes the file, runs under the exclusive lock of `<file>-lock` from before its first step until after its last,
 * and SQLite empties the log in no other place. The kernel gives that lock back when a process dies. Readers take no
 * lock; a log can be read while it is written. Programs that know nothing of the lock should only read.
 *
 * While another process has the lock, the event loop is free: the lock is tried for again after 1 to 5 ms, for 30 s by
 * default. Then the statement fails with an error that names the file.
 *
 * An integer beyond 2^53 in a result is an error, never rounded; with `SafeIntegers` integers come as `bigint`. A text
 * with NUL or half a surrogate pair, which SQLite would alter, is refused.
 *
 * When the layer is closed the log is emptied, unless somebody is reading it, and the locks are given back. `libsql` lets go of the file's descriptors
 * when its prepared statements are collected as garbage, which may be later.
 */
import type { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as path from "node:path"
import type { SessionStoreError } from "../services/Errors.js"
import { load } from "./sql/load.js"
import { loadOpen, type Open } from "./sqlite/Database.js"

export type { Database, Open, Statement, Value } from "./sqlite/Database.js"

export interface Options {
  /** The database file. It is made where it is not there, and its folder too, for this user alone. */
  readonly filename: string
  /** Opens a database by another binding than `libsql`. */
  readonly open?: Open | undefined
  /** How long another process is waited for, in milliseconds; 30,000 where nothing is said. */
  readonly waitFor?: number | undefined
}

/**
 * Opens the file, once for each time the layer is built. Fails where the file is none that can be written, and leaves
 * it as it is; where a package is not installed, the error says how it is.
 */
export const layer = ({ filename, open, waitFor = 30_000 }: Options): Layer.Layer<SqlClient, SessionStoreError> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const client = yield* load(
        () => import("./sqlite/client.js"),
        "@effect/sql",
        "@effect/experimental",
        "@effect/platform"
      )
      const file = filename === ":memory:" ? filename : path.resolve(filename)
      return client.layer(file, open ?? (yield* loadOpen), waitFor)
    })
  )
