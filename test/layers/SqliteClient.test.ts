import { assert, describe, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import { Cause, Chunk, Deferred, Effect, Exit, Fiber } from "effect"
import { SqliteClient } from "effect-baton/sqlite"
import Libsql from "libsql"
import * as fs from "node:fs"
import { load } from "../../src/layers/sql/load.js"
import { child } from "../support/child.js"
import { tempFolder } from "../support/folder.js"

const file = Effect.map(tempFolder, (folder) => `${folder}/data/test.db`)

const using = <A, E>(
  filename: string,
  use: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>,
  more: Partial<SqliteClient.Options> = {}
) => Effect.flatMap(SqlClient.SqlClient, use).pipe(Effect.provide(SqliteClient.layer({ filename, ...more })))

const pragma = (sql: SqlClient.SqlClient, name: string) =>
  Effect.map(sql.unsafe<Record<string, unknown>>(`PRAGMA ${name}`), ([row]) => Object.values(row ?? {})[0])

/** Another program that holds the file's lock, or the file. */
const held = (filename: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const db = new Libsql(filename)
      db.exec("BEGIN EXCLUSIVE")
      return db
    }),
    (db) => Effect.sync(() => db.close())
  )

const reasonOf = (exit: Exit.Exit<unknown, { readonly message: string }>) =>
  Exit.isFailure(exit) ? Chunk.toArray(Cause.failures(exit.cause)).map((error) => error.message) : []

describe("SqliteClient", () => {
  it.scoped("keeps a log that is on disk before a commit returns, on a new file and on one that is opened again", () =>
    Effect.gen(function* () {
      const filename = yield* file
      for (let i = 0; i < 2; i++) {
        yield* using(filename, (sql) =>
          Effect.gen(function* () {
            assert.strictEqual(yield* pragma(sql, "journal_mode"), "wal")
            assert.strictEqual(yield* pragma(sql, "synchronous"), 2)
            assert.strictEqual(yield* pragma(sql, "foreign_keys"), 1)
            yield* sql`CREATE TABLE IF NOT EXISTS t (a)`
          })
        )
      }
    })
  )

  it.scoped("makes the folder and the files for this user alone", () =>
    Effect.gen(function* () {
      const filename = yield* file
      yield* using(filename, (sql) => sql`CREATE TABLE t (a)`)
      const mode = (name: string) => fs.statSync(name).mode & 0o777
      assert.strictEqual(mode(filename.replace("/test.db", "")), 0o700)
      assert.strictEqual(mode(filename), 0o600)
      assert.strictEqual(mode(`${filename}-lock`), 0o600)
    })
  )

  it.scoped("says why a file cannot be opened, and leaves it as it is", () =>
    Effect.gen(function* () {
      const folder = yield* tempFolder
      const write = (name: string, text: string) => {
        fs.writeFileSync(`${folder}/${name}`, text)
        return `${folder}/${name}`
      }
      const no = write("no.db", "this is no database at all. ".repeat(100))
      const readOnly = write("read-only.db", "")
      fs.chmodSync(readOnly, 0o400)
      const cases = [
        [folder, `${folder} is a folder`],
        [no, `${no} is no SQLite database`],
        [readOnly, `${readOnly} is read-only`],
        [`${no}/x.db`, `${no}/x.db lies in what is no folder`]
      ] as const
      for (const [filename, reason] of cases) {
        const exit = yield* Effect.exit(using(filename, () => Effect.void))
        assert.deepStrictEqual(reasonOf(exit), [`The session store failed to open: ${reason}.`])
      }
      assert.strictEqual(fs.readFileSync(no, "utf8"), "this is no database at all. ".repeat(100))
    })
  )

  it.scoped("gives integers as they are, or not at all", () =>
    Effect.gen(function* () {
      yield* using(yield* file, (sql) =>
        Effect.gen(function* () {
          yield* sql`CREATE TABLE t (a INTEGER, b REAL)`
          yield* sql.unsafe("INSERT INTO t VALUES (9007199254740991, 1e300), (-9007199254740991, 0.5)")
          const rows = yield* sql<{ readonly a: number; readonly b: number }>`SELECT * FROM t`
          assert.deepStrictEqual(rows, [
            { a: Number.MAX_SAFE_INTEGER, b: 1e300 },
            { a: -Number.MAX_SAFE_INTEGER, b: 0.5 }
          ])
          yield* sql.unsafe("UPDATE t SET a = 9007199254740993 WHERE a > 0")
          const error = yield* Effect.flip(sql`SELECT a FROM t`)
          assert.include(error.message, "9007199254740993")
          const big = yield* sql`SELECT a FROM t WHERE a > 0`.pipe(Effect.provideService(SqlClient.SafeIntegers, true))
          assert.deepStrictEqual(big, [{ a: 9007199254740993n }])
          yield* sql`UPDATE t SET a = ${9007199254740995n} WHERE a > 0`
          assert.deepStrictEqual(yield* sql`SELECT CAST(a AS TEXT) AS a FROM t WHERE a > 0`.values, [
            ["9007199254740995"]
          ])
        })
      )
    })
  )

  it.scoped("refuses what SQLite would alter, and what would end the process", () =>
    Effect.gen(function* () {
      yield* using(yield* file, (sql) =>
        Effect.gen(function* () {
          yield* sql`CREATE TABLE t (a)`
          for (const value of ["a\0b", "\ud800", {}, Symbol.iterator]) {
            const error = yield* Effect.flip(sql.unsafe("INSERT INTO t VALUES (?)", [value]))
            assert.strictEqual(error._tag, "SqlError")
          }
          const kept = [true, false, null, undefined, "", "\ufffd 😀", new Uint8Array([0, 255]), 0.1]
          for (const value of kept) yield* sql.unsafe("INSERT INTO t VALUES (?)", [value])
          const rows = yield* sql<{ readonly a: unknown }>`SELECT a FROM t`
          assert.deepStrictEqual(
            rows.map(({ a }) => (a instanceof Uint8Array ? [...a] : a)),
            [1, 0, null, null, "", "\ufffd 😀", [0, 255], 0.1]
          )
        })
      )
    })
  )

  it.scoped("a transaction has the connection for itself, and a fork that outlives it does no harm", () =>
    Effect.gen(function* () {
      yield* using(yield* file, (sql) =>
        Effect.gen(function* () {
          yield* sql`CREATE TABLE t (a)`
          const inside = yield* Deferred.make<void>()
          const go = yield* Deferred.make<void>()
          const transaction = yield* Effect.fork(
            sql.withTransaction(
              Effect.gen(function* () {
                yield* sql`INSERT INTO t VALUES (1)`
                yield* Deferred.succeed(inside, undefined)
                yield* Deferred.await(go)
                return yield* Effect.fail("no")
              })
            )
          )
          yield* Deferred.await(inside)
          const others = yield* Effect.fork(
            Effect.all([sql`SELECT * FROM t`, sql`INSERT INTO t VALUES (2)`, sql`SELECT * FROM t`], {
              concurrency: "unbounded"
            })
          )
          const given = yield* Effect.fork(sql`SELECT * FROM t`)
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(given)
          yield* Deferred.succeed(go, undefined)
          assert.strictEqual((yield* Effect.flip(Fiber.join(transaction))) as string, "no")
          assert.deepStrictEqual(yield* Fiber.join(others), [[], [], [{ a: 2 }]])
        })
      )
    })
  )

  it.scoped("a transaction that was cut off leaves nothing", () =>
    Effect.gen(function* () {
      yield* using(yield* file, (sql) =>
        Effect.gen(function* () {
          yield* sql`CREATE TABLE t (a)`
          const inside = yield* Deferred.make<void>()
          const fiber = yield* Effect.fork(
            Effect.scoped(
              Effect.gen(function* () {
                const connection = yield* sql.reserve
                yield* connection.execute("BEGIN IMMEDIATE", [], undefined)
                yield* connection.execute("INSERT INTO t VALUES (1)", [], undefined)
                yield* Deferred.succeed(inside, undefined)
                return yield* Effect.never
              })
            )
          )
          yield* Deferred.await(inside)
          yield* Fiber.interrupt(fiber)
          assert.deepStrictEqual(yield* sql`SELECT * FROM t`, [])
        })
      )
    })
  )

  it.scoped("two clients of one process exclude each other, and share what they wrote", () =>
    Effect.gen(function* () {
      const filename = yield* file
      yield* using(filename, (one) =>
        using(filename, (two) =>
          Effect.gen(function* () {
            yield* one`CREATE TABLE t (a INTEGER PRIMARY KEY)`
            const next = (sql: SqlClient.SqlClient) =>
              sql.withTransaction(
                Effect.zipRight(Effect.yieldNow(), sql`INSERT INTO t SELECT coalesce(max(a), 0) + 1 FROM t`)
              )
            yield* Effect.all(
              [one, two].map((sql) => Effect.repeatN(next(sql), 99)),
              { concurrency: "unbounded" }
            )
            assert.deepStrictEqual(yield* two`SELECT count(*) AS n, max(a) AS last FROM t`, [{ n: 200, last: 200 }])
          })
        )
      )
      yield* using(filename, (sql) =>
        Effect.map(sql`SELECT count(*) AS n FROM t`, (rows) => assert.deepStrictEqual(rows, [{ n: 200 }]))
      )
    })
  )

  it.scoped("waits for the lock while the event loop runs, and says in the end who has the file", () =>
    Effect.gen(function* () {
      const filename = yield* file
      yield* using(
        filename,
        (sql) =>
          Effect.gen(function* () {
            yield* sql`CREATE TABLE t (a)`
            yield* Effect.scoped(
              Effect.gen(function* () {
                yield* held(`${filename}-lock`)
                let turns = 0
                const beat = setInterval(() => turns++, 1)
                const error = yield* Effect.flip(sql`INSERT INTO t VALUES (1)`)
                clearInterval(beat)
                assert.isAbove(turns, 5)
                assert.include(error.message, `${filename} is held by another process`)
                assert.deepStrictEqual(yield* sql`SELECT * FROM t`, [])
              })
            )
            yield* sql`INSERT INTO t VALUES (2)`
            assert.deepStrictEqual(yield* sql`SELECT * FROM t`, [{ a: 2 }])
          }),
        { waitFor: 100 }
      )
    })
  )

  it.scoped("waits for a program that knows nothing of the lock", () =>
    Effect.gen(function* () {
      const filename = yield* file
      yield* using(filename, (sql) => sql`CREATE TABLE t (a)`)
      const other = yield* held(filename)
      const insert = yield* Effect.fork(using(filename, (sql) => sql`INSERT INTO t VALUES (1)`))
      yield* Effect.yieldNow()
      other.exec("ROLLBACK")
      yield* Fiber.join(insert)
    })
  )

  it.scoped("a full disk is an error of the statement or of the commit, and the connection goes on", () =>
    Effect.gen(function* () {
      yield* using(yield* file, (sql) =>
        Effect.gen(function* () {
          yield* sql`CREATE TABLE t (a)`
          yield* sql`PRAGMA max_page_count = 4`
          const error = yield* Effect.flip(sql.withTransaction(sql`INSERT INTO t VALUES (${"x".repeat(100_000)})`))
          assert.strictEqual((error.cause as { readonly code: string }).code, "SQLITE_FULL")
          yield* sql`PRAGMA max_page_count = 10000`
          yield* sql.withTransaction(sql`INSERT INTO t VALUES (${"x".repeat(100_000)})`)
          assert.deepStrictEqual(yield* sql`SELECT count(*) AS n FROM t`, [{ n: 1 }])
        })
      )
    })
  )

  it.scoped("empties the log when it is closed, whenever the binding's statements are collected", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const size = (name: string) => fs.statSync(name, { throwIfNoEntry: false })?.size ?? 0
      yield* using(filename, (sql) =>
        Effect.gen(function* () {
          yield* sql`CREATE TABLE t (a INTEGER)`
          yield* Effect.replicateEffect(sql`INSERT INTO t VALUES (1)`, 20, { discard: true })
          assert.isAbove(size(`${filename}-wal`), 0)
        })
      )
      assert.strictEqual(size(`${filename}-wal`), 0)
      const [before, written] = [fs.readFileSync(filename), fs.statSync(filename).mtimeMs]
      assert.deepStrictEqual(yield* using(filename, (sql) => sql`SELECT count(*) AS n FROM t`), [{ n: 20 }])
      assert.isTrue(before.equals(fs.readFileSync(filename)))
      assert.strictEqual(fs.statSync(filename).mtimeMs, written)
    })
  )

  it.scoped("statements after the end are errors", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const sql = yield* using(filename, Effect.succeed)
      assert.include((yield* Effect.flip(sql`SELECT 1`)).message, `${filename} is closed`)
    })
  )

  it.scoped("another binding can be given", () =>
    Effect.gen(function* () {
      const opened: Array<string> = []
      const filename = yield* file
      const open: SqliteClient.Open = (name) => {
        opened.push(name)
        return new Libsql(name) as unknown as SqliteClient.Database
      }
      yield* using(filename, (sql) => sql`SELECT 1`, { open })
      assert.deepStrictEqual(opened, [`${filename}-lock`, filename])
    })
  )

  it.effect("says how the packages are installed that it needs", () =>
    Effect.gen(function* () {
      const missing = Object.assign(new Error("Cannot find package 'libsql'"), { code: "ERR_MODULE_NOT_FOUND" })
      const error = yield* Effect.flip(load(() => Promise.reject(missing), "libsql", "@effect/sql"))
      assert.match(
        error.message,
        /^The session store failed to open: it needs packages that are not installed \(npm install "libsql@\S+" "@effect\/sql@\S+"\)\.$/
      )
      const other = yield* Effect.exit(load(() => Promise.reject(new Error("another mistake")), "libsql"))
      assert.isTrue(Exit.isFailure(other) && Cause.isDie(other.cause))
    })
  )

  it.scoped("two processes write 400 rows each, and each row follows the last", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const said = yield* Effect.all(
        ["one", "two"].map((name) => child("sqlChild.ts", "rows", filename, name, "400")),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(said, ["", ""])
      yield* using(filename, (sql) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* sql`SELECT count(*) AS n, max(n) AS last FROM numbers`, [{ n: 800, last: 800 }])
          assert.strictEqual(yield* pragma(sql, "integrity_check"), "ok")
        })
      )
    })
  )
})
