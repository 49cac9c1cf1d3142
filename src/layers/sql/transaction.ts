/**
 * A transaction of our own. That of `@effect/sql` turns a failing COMMIT into a defect, leaks its connection into
 * forks, and runs what stands inside another one as a part of it.
 */
import type { SqlClient } from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** The commit failed: whether it was made is not known in every case. */
export class CommitFailed extends Data.TaggedError("CommitFailed")<{ readonly cause: SqlError }> {}

/** Statements of one transaction, one after another; each is given the rows of the one before. */
export type Script<A> = Generator<readonly [sql: string, parameters: ReadonlyArray<unknown>], A, ReadonlyArray<unknown>>

/** A connection whose statements need no waiting: it runs a whole transaction in one step of a fiber. */
export interface Synchronous extends Connection {
  /** Whether nobody has it. */
  readonly isFree: boolean
  /** Waits until nobody else has the connection, and runs all of a script or nothing of it. */
  readonly script: <A>(script: () => Script<A>) => Effect.Effect<A, SqlError | CommitFailed>
}

export const isSynchronous = (connection: Connection): connection is Synchronous => "script" in connection

/** Runs a script one statement at a time. */
export const stepwise = <A>(connection: Connection, script: () => Script<A>): Effect.Effect<A, SqlError> =>
  Effect.gen(function* () {
    const steps = script()
    let step = steps.next()
    while (step.done !== true) {
      const [sql, parameters] = step.value
      step = steps.next(yield* connection.execute(sql, parameters, undefined))
    }
    return step.value
  })

/** Uses a connection that belongs to no transaction, whatever the caller stands in. */
export const withConnection = <A, E>(
  sql: SqlClient,
  use: (connection: Connection) => Effect.Effect<A, E>
): Effect.Effect<A, E | SqlError> => Effect.scoped(Effect.flatMap(sql.reserve, use))

/**
 * Runs all of `use` or nothing of it. Interruption waits until it is over. After a failure, one of the commit too, the
 * connection is as it was before.
 */
export const transaction = <A, E>(
  connection: Connection,
  begin: string,
  use: Effect.Effect<A, E>
): Effect.Effect<A, E | SqlError | CommitFailed> =>
  Effect.uninterruptible(
    Effect.zipRight(
      connection.executeUnprepared(begin, [], undefined),
      Effect.flatMap(
        Effect.exit(
          Effect.zipLeft(
            use,
            Effect.mapError(
              connection.executeUnprepared("COMMIT", [], undefined),
              (cause) => new CommitFailed({ cause })
            )
          )
        ),
        (exit) =>
          Exit.isSuccess(exit)
            ? exit
            : // Why it failed is told; that there was nothing left to roll back would hide it.
              Effect.zipRight(Effect.ignore(connection.executeUnprepared("ROLLBACK", [], undefined)), exit)
      )
    )
  )
