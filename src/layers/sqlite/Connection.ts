/**
 * One connection to one file.
 *
 * A statement runs synchronously. One that may write takes the file's lock, and gives it back when no transaction is
 * open any more; where another process has it, the statement is tried again after short pauses, in which the event loop
 * is free. Reading takes no lock.
 */
import { SafeIntegers } from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { CommitFailed, type Script, type Synchronous } from "../sql/transaction.js"
import { type Database, isBusy, type Statement, type Value } from "./Database.js"
import type { FileLock } from "./FileLock.js"
import { Turns } from "./Turns.js"

type Rows = ReadonlyArray<unknown>

/** How a statement is run. */
type Mode = "objects" | "arrays" | "raw"

type Transform = (<A extends object>(row: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

const busy = Symbol("busy")

/** How many prepared statements are kept; the oldest goes first. */
const keptStatements = 200

/** Between two tries for the lock, in milliseconds. A write takes less than one; some chance keeps processes apart. */
const pause = { from: 1, to: 5 } as const

/** The time that other processes see: a lock is waited for in it, whatever clock a program runs by. */
const clock = Clock.make()

export class SqliteConnection implements Synchronous {
  /** Who has the connection. Statements of a transaction run in the turn of whoever began it. */
  readonly turns = new Turns()
  private locked = false
  private closed = false

  /**
   * Out of reach for whatever looks through objects, such as the printer of an error whose span knows this connection:
   * the binding ends the process over a question to a closed database.
   */
  readonly #db: Database
  readonly #lock: FileLock
  readonly #kept = new Map<string, Statement>()

  constructor(
    db: Database,
    lock: FileLock,
    private readonly filename: string,
    /** How long the lock is waited for, in milliseconds. */
    private readonly waitFor: number
  ) {
    this.#db = db
    this.#lock = lock
  }

  get isFree(): boolean {
    return !this.turns.isTaken
  }

  execute(sql: string, parameters: ReadonlyArray<unknown>, transform: Transform) {
    return transformed(this.run(sql, parameters, "objects", true), transform)
  }

  executeUnprepared(sql: string, parameters: ReadonlyArray<unknown>, transform: Transform) {
    return transformed(this.run(sql, parameters, "objects", false), transform)
  }

  executeRaw(sql: string, parameters: ReadonlyArray<unknown>) {
    return this.run(sql, parameters, "raw", true)
  }

  executeValues(sql: string, parameters: ReadonlyArray<unknown>) {
    return this.run(sql, parameters, "arrays", true) as Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError>
  }

  executeStream(sql: string, parameters: ReadonlyArray<unknown>, transform: Transform) {
    return Stream.unwrap(Effect.map(this.execute(sql, parameters, transform), Stream.fromIterable))
  }

  script<A>(script: () => Script<A>): Effect.Effect<A, SqlError | CommitFailed> {
    return Effect.suspend(() => {
      if (this.turns.tryTake()) {
        try {
          const exit = this.together(script)
          if (exit !== busy) return exit
        } catch (cause) {
          return Effect.fail(failed(cause))
        } finally {
          this.turns.give()
        }
      }
      return this.turns.during(Effect.flatten(this.patiently(() => this.together(script))))
    })
  }

  /** Ends what was begun, and gives back what is held. */
  reset(): void {
    if (this.closed) return
    this.rollback()
    this.unlock()
  }

  /**
   * Waits for the lock and closes. Where the lock does not come, the connection is left as it is: a log is better left
   * than emptied while somebody writes it.
   */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.reset()
    this.closed = true
    this.#kept.clear()
    return this.patiently(() => {
      if (!this.#lock.take()) return busy
      try {
        // By itself SQLite does it only when the last statement is gone, which for `libsql` is some time after this.
        this.#db.exec("PRAGMA wal_checkpoint(TRUNCATE)")
      } finally {
        try {
          this.#db.close()
        } finally {
          this.#lock.give()
          this.#lock.close()
        }
      }
      return undefined
    })
  }).pipe(Effect.catchAll((error) => Effect.logWarning(`${this.filename} was not closed cleanly`, error)))

  private run(
    sql: string,
    parameters: ReadonlyArray<unknown>,
    mode: Mode,
    keep: boolean
  ): Effect.Effect<Rows, SqlError> {
    return Effect.withFiberRuntime((fiber) => {
      const big = Context.get(fiber.currentContext, SafeIntegers)
      try {
        const rows = this.attempt(sql, parameters, mode, keep, big)
        if (rows !== busy) return Effect.succeed(rows)
      } catch (cause) {
        return Effect.fail(failed(cause))
      }
      return this.patiently(() => this.attempt(sql, parameters, mode, keep, big))
    })
  }

  /** Tries again and again, until something else than `busy` comes of it. */
  private patiently<A>(attempt: () => A | typeof busy): Effect.Effect<A, SqlError> {
    return Effect.suspend(() => {
      const until = clock.unsafeCurrentTimeMillis() + this.waitFor
      const again: Effect.Effect<A, SqlError> = Effect.suspend(() => {
        try {
          const done = attempt()
          if (done !== busy) return Effect.succeed(done)
        } catch (cause) {
          return Effect.fail(failed(cause))
        }
        if (clock.unsafeCurrentTimeMillis() >= until) return Effect.fail(failed(new FileBusy(this.filename)))
        return Effect.flatMap(Random.nextRange(pause.from, pause.to), (millis) =>
          Effect.zipRight(clock.sleep(Duration.millis(millis)), again)
        )
      })
      return again
    })
  }

  private attempt(
    sql: string,
    parameters: ReadonlyArray<unknown>,
    mode: Mode,
    keep: boolean,
    big: boolean
  ): Rows | typeof busy {
    if (this.closed) throw new Error(`${this.filename} is closed`)
    const held = this.locked
    if (reads.test(sql)) {
      try {
        return query(this.prepare(sql, keep), parameters, mode, big)
      } catch (error) {
        if (isBusy(error)) return busy
        throw error
      }
    }
    if (!held && !this.#lock.take()) return busy
    this.locked = true
    try {
      if (!ends.test(sql)) return query(this.prepare(sql, keep), parameters, mode, big)
      // SQLite ends a transaction by itself where the disk is full.
      if (this.#db.inTransaction || !rollback.test(sql)) this.#db.exec(sql)
      return []
    } catch (error) {
      if (!held && isBusy(error)) return busy
      throw error
    } finally {
      if (!this.#db.inTransaction) this.unlock()
    }
  }

  private together<A>(script: () => Script<A>): Exit.Exit<A, SqlError | CommitFailed> | typeof busy {
    if (this.closed) throw new Error(`${this.filename} is closed`)
    if (!this.#lock.take()) return busy
    try {
      try {
        this.#db.exec("BEGIN IMMEDIATE")
      } catch (error) {
        if (isBusy(error)) return busy
        throw error
      }
      let value: A
      try {
        const steps = script()
        let step = steps.next()
        while (step.done !== true) {
          const [sql, parameters] = step.value
          step = steps.next(query(this.prepare(sql, true), parameters, "objects", false))
        }
        value = step.value
      } catch (cause) {
        this.rollback()
        return Exit.fail(failed(cause))
      }
      try {
        this.#db.exec("COMMIT")
      } catch (cause) {
        this.rollback()
        return Exit.fail(new CommitFailed({ cause: failed(cause) }))
      }
      return Exit.succeed(value)
    } finally {
      this.#lock.give()
    }
  }

  /** SQLite ends a transaction by itself where the disk is full. */
  private rollback(): void {
    if (this.#db.inTransaction) this.#db.exec("ROLLBACK")
  }

  private unlock(): void {
    if (!this.locked) return
    this.locked = false
    this.#lock.give()
  }

  private prepare(sql: string, keep: boolean): Statement {
    const known = this.#kept.get(sql)
    if (known !== undefined) return known
    const statement = this.#db.prepare(sql)
    statement.safeIntegers(true)
    if (keep) {
      if (this.#kept.size >= keptStatements) this.#kept.delete(this.#kept.keys().next().value!)
      this.#kept.set(sql, statement)
    }
    return statement
  }
}

/** What never writes. Anything else may: a `WITH`, a `PRAGMA`. */
const reads = /^\s*(?:select|explain|values)\b/i

/** What begins and ends transactions. */
const ends = /^\s*(?:begin|commit|end|rollback|savepoint|release)\b/i

const rollback = /^\s*rollback(?:\s+transaction)?\s*;?\s*$/i

class FileBusy extends Error {
  readonly code = "SQLITE_BUSY"
  constructor(filename: string) {
    super(`${filename} is held by another process`)
  }
}

const failed = (cause: unknown): SqlError =>
  new SqlError({ cause, message: cause instanceof Error ? cause.message : "the statement failed" })

const transformed = (rows: Effect.Effect<Rows, SqlError>, transform: Transform) =>
  transform === undefined ? rows : Effect.map(rows, (all) => transform(all as ReadonlyArray<object>))

const query = (statement: Statement, parameters: ReadonlyArray<unknown>, mode: Mode, big: boolean): Rows => {
  const values = parameters.map(valueOf)
  if (!statement.reader) {
    const info = statement.run(values)
    return mode === "raw" ? [info] : []
  }
  if (mode === "arrays") statement.raw(true)
  try {
    const rows = statement.all(values)
    for (const row of rows) plain(row as Record<string, unknown>, big)
    return rows
  } finally {
    if (mode === "arrays") statement.raw(false)
  }
}

/** Integers as numbers, where a number can say them; bytes as bytes. */
const plain = (row: Record<string, unknown>, big: boolean): void => {
  for (const column in row) {
    const value = row[column]
    if (typeof value === "bigint") {
      if (big) continue
      if (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER) {
        throw new RangeError(`the integer ${value} in "${column}" is beyond what a number can say`)
      }
      row[column] = Number(value)
    } else if (value instanceof ArrayBuffer) row[column] = new Uint8Array(value)
  }
}

/** A parameter as SQLite takes it. Text that SQLite would cut at its first NUL, or alter, is refused. */
const valueOf = (value: unknown): Value => {
  switch (typeof value) {
    case "string":
      if (value.includes("\0") || !value.isWellFormed()) throw new TypeError("a text with NUL or half a character")
      return value
    case "number":
    case "bigint":
      return value
    case "boolean":
      return value ? 1 : 0
    case "undefined":
      return null
    default:
      if (value === null || value instanceof Uint8Array) return value
      if (value instanceof Date) return value.toISOString()
      throw new TypeError(`a ${typeof value} is no value of SQLite`)
  }
}
