/**
 * A database as the parts of the store use it.
 */
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import type * as Effect from "effect/Effect"
import type { SessionStoreError } from "../../services/Errors.js"
import type { Dialect, Indexed } from "./Dialect.js"
import type { Integer, Row } from "./rows.js"
import type { CommitFailed } from "./transaction.js"

export type Failure = SqlError | CommitFailed

/** Runs what it is given on a connection; `operation` says what that is, as in "failed to write". */
export type Use = <A, E>(
  operation: string,
  use: (connection: Connection) => Effect.Effect<A, E | Failure>
) => Effect.Effect<A, Exclude<E, Failure> | SessionStoreError>

export interface Database {
  readonly dialect: Dialect
  readonly rows: <A = Row>(
    connection: Connection,
    text: string,
    ...parameters: ReadonlyArray<unknown>
  ) => Effect.Effect<ReadonlyArray<A>, SqlError>
  /** Outside of any transaction. */
  readonly using: Use
  /** All in one transaction, or nothing of it. */
  readonly atOnce: Use
  readonly index: (texts: ReadonlyArray<Indexed>) => Effect.Effect<ReadonlyArray<Integer>, SessionStoreError>
}
