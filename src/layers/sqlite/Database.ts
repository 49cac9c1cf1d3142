/**
 * A binding of SQLite, as far as it is used: synchronous, in the shape of `better-sqlite3`.
 */
import * as Effect from "effect/Effect"
import type { SessionStoreError } from "../../services/Errors.js"
import { load } from "../sql/load.js"

/** What a statement is given and gives. Nothing else reaches the binding: some end the process over a boolean. */
export type Value = string | number | bigint | null | Uint8Array

export interface Statement {
  /** Whether it gives rows. */
  readonly reader: boolean
  readonly run: (parameters: ReadonlyArray<Value>) => unknown
  readonly all: (parameters: ReadonlyArray<Value>) => ReadonlyArray<unknown>
  /** Rows as arrays in place of objects, from now on. */
  readonly raw: (on: boolean) => unknown
  /** Integers as `bigint`, from now on. */
  readonly safeIntegers: (on: boolean) => unknown
}

export interface Database {
  readonly inTransaction: boolean
  readonly prepare: (sql: string) => Statement
  readonly exec: (sql: string) => unknown
  readonly close: () => unknown
}

/** Opens a file. Throws what the binding throws. */
export type Open = (filename: string) => Database

/** The binding `libsql`, which needs no install script. */
export const loadOpen: Effect.Effect<Open, SessionStoreError> = Effect.map(
  load(() => import("libsql"), "libsql"),
  ({ default: Binding }): Open =>
    (filename) =>
      new Binding(filename) as unknown as Database
)

/** The code of an error of SQLite's, such as `SQLITE_BUSY_SNAPSHOT`. */
export const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error && typeof error.code === "string" ? error.code : ""

/** Whether somebody else has the file, so that the same may be tried again. */
export const isBusy = (error: unknown): boolean => codeOf(error).startsWith("SQLITE_BUSY")
