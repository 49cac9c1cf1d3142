/**
 * The client over one connection, with everything that it needs already loaded.
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import { makeCompilerSqlite } from "@effect/sql/Statement"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { SessionStoreError } from "../../services/Errors.js"
import { SqliteConnection } from "./Connection.js"
import { isBusy, type Open } from "./Database.js"
import * as FileLock from "./FileLock.js"
import { openDatabase, openReason, prepareFile, refuse } from "./open.js"

export const layer = (
  filename: string,
  open: Open,
  waitFor: number
): Layer.Layer<SqlClient.SqlClient, SessionStoreError> =>
  Layer.scoped(SqlClient.SqlClient, Effect.flatMap(connect(filename, open, waitFor), make)).pipe(
    Layer.provide(Reactivity.layer)
  )

const connect = (
  filename: string,
  open: Open,
  waitFor: number
): Effect.Effect<SqliteConnection, SessionStoreError, Scope.Scope> =>
  Effect.acquireRelease(opened(filename, open, waitFor), (connection) => connection.close)

const opened = (filename: string, open: Open, waitFor: number): Effect.Effect<SqliteConnection, SessionStoreError> => {
  const clock = Clock.make()
  return Effect.suspend(() => {
    const lock = lockOf(filename, open)
    const until = clock.unsafeCurrentTimeMillis() + waitFor
    const again: Effect.Effect<SqliteConnection, SessionStoreError> = Effect.suspend(() => {
      try {
        if (lock.take()) {
          try {
            return Effect.succeed(new SqliteConnection(openDatabase(open, filename), lock, filename, waitFor))
          } finally {
            lock.give()
          }
        }
      } catch (error) {
        if (!isBusy(error)) {
          lock.close()
          return toStoreError(filename, error)
        }
      }
      if (clock.unsafeCurrentTimeMillis() < until) return Effect.zipRight(clock.sleep(Duration.millis(2)), again)
      lock.close()
      return refuse(`${filename} is held by another process`)
    })
    return again
  }).pipe(Effect.catchAllDefect((error) => toStoreError(filename, error)))
}

const lockOf = (filename: string, open: Open): FileLock.FileLock => {
  if (filename === ":memory:") return FileLock.none
  prepareFile(filename)
  prepareFile(`${filename}-lock`)
  return FileLock.make(open, `${filename}-lock`)
}

const toStoreError = (filename: string, error: unknown): SessionStoreError =>
  error instanceof SessionStoreError ? error : refuse(openReason(filename, error), error)

const make = (connection: SqliteConnection): Effect.Effect<SqlClient.SqlClient, never, Reactivity.Reactivity> => {
  const { turns } = connection
  const reserve: Effect.Effect<Connection, SqlError, Scope.Scope> = Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.scope, (scope) =>
      Effect.zipRight(
        turns.take(restore),
        Effect.as(
          Scope.addFinalizer(
            scope,
            Effect.sync(() => {
              try {
                connection.reset()
              } finally {
                turns.give()
              }
            })
          ),
          connection
        )
      )
    )
  )
  return SqlClient.make({
    acquirer: Effect.succeed(inTurn(connection)),
    transactionAcquirer: reserve,
    compiler: makeCompilerSqlite(),
    beginTransaction: "BEGIN IMMEDIATE",
    spanAttributes: [["db.system.name", "sqlite"]]
  })
}

/** The connection for statements by themselves: each waits until no transaction is open. */
const inTurn = (connection: SqliteConnection): Connection => {
  const { turns } = connection
  return {
    execute: (...args) => turns.during(connection.execute(...args)),
    executeUnprepared: (...args) => turns.during(connection.executeUnprepared(...args)),
    executeRaw: (...args) => turns.during(connection.executeRaw(...args)),
    executeValues: (...args) => turns.during(connection.executeValues(...args)),
    executeStream: (...args) =>
      Stream.unwrap(Effect.map(turns.during(connection.execute(...args)), (rows) => Stream.fromIterable(rows)))
  }
}
