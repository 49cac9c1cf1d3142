import { assert, describe, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import { type Context, Effect, Layer } from "effect"
import { Conversation, SessionStore } from "effect-baton"
import { SqlSessionStore } from "effect-baton/sql"
import { SqliteSessionStore } from "effect-baton/sqlite"
import { Messages } from "effect-baton/testing"
import Libsql from "libsql"
import * as fs from "node:fs"
import { tempFolder } from "../../support/folder.js"
import * as postgres from "../../support/postgres.js"
import { append, row, user } from "../../support/storeWrites.js"

const file = Effect.map(tempFolder, (folder) => `${folder}/sessions.db`)

const sqliteFresh = Layer.unwrapScoped(Effect.map(file, (filename) => SqliteSessionStore.layer({ filename })))

describe("the format of a database", () => {
  const reopened = (change: (sql: SqlClient.SqlClient) => Effect.Effect<unknown, unknown>) =>
    Effect.gen(function* () {
      const filename = yield* file
      yield* Effect.flatMap(SqlClient.SqlClient, change).pipe(Effect.provide(SqliteSessionStore.layer({ filename })))
      const before = fs.readFileSync(filename)
      const error = yield* Effect.flip(Effect.void.pipe(Effect.provide(SqliteSessionStore.layer({ filename }))))
      assert.isTrue(fs.readFileSync(filename).equals(before))
      return error
    })

  it.scoped("a newer one is refused, and the file stays as it is", () =>
    Effect.gen(function* () {
      const error = yield* reopened((sql) => sql`UPDATE baton_format SET format = 5`)
      assert.strictEqual(error._tag, "UnsupportedFormat")
      assert.strictEqual(
        error.message,
        "The session store cannot be opened: it has format 5, and this version of Baton knows format 4."
      )
    })
  )

  it.scoped("an earlier one that nobody has written is refused", () =>
    Effect.gen(function* () {
      const error = yield* reopened((sql) => sql`UPDATE baton_format SET format = 1`)
      assert.include(error.message, "it has format 1")
    })
  )

  it.scoped("one that says nothing of its format is refused", () =>
    Effect.gen(function* () {
      const error = yield* reopened((sql) => sql`DELETE FROM baton_format`)
      assert.strictEqual(error._tag === "UnsupportedFormat" ? error.found : 0, undefined)
      assert.include(error.message, "does not say which format")
    })
  )

  const fixture = (name: string) => fs.readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), "utf8")

  const opens = (number: number, kinds: number) =>
    Effect.gen(function* () {
      const filename = yield* file
      const db = new Libsql(filename)
      db.exec(fixture(`format-${number}.sqlite.sql`))
      db.close()
      yield* Effect.gen(function* () {
        const store = yield* SessionStore.SessionStore
        assert.deepStrictEqual(
          (yield* store.list()).map(({ id }) => id),
          ["every kind", "cut off 😀"]
        )
        assert.deepStrictEqual(yield* store.list("every kind"), [
          { ...row("task:every kind:1", { agent: "agent", cwd: "/work", parent: "every kind", depth: 1 }), ...unowned }
        ])
        const cut = { ...row("cut off 😀", { agent: "agent", cwd: "/work" }), ...unowned }
        assert.deepStrictEqual(yield* store.unsettled, [
          {
            ...cut,
            owner: "engine-1",
            epoch: 1,
            nextSeq: 3,
            running: { operationId: "o", kind: "prompt", since: 1_700_000_000_001 },
            partial: "so far\n",
            inbox: 1
          }
        ])
        assert.lengthOf(yield* store.waiting({ id: cut.id, incarnation: cut.incarnation }), 1)
        const all = yield* store.read("every kind", "every kind-1", 1)
        assert.deepStrictEqual(new Set(all.map(({ _tag }) => _tag)).size, kinds)
        yield* store.append(append("cut off 😀", 3, { epoch: 1, lease: "claim", delivered: ["i"] }))
        const after = new Libsql(filename)
        assert.deepStrictEqual(after.prepare("SELECT format FROM baton_format").all(), [{ format: 4 }])
        after.close()
        yield* forksAndFinds(store)
      }).pipe(Effect.provide(SqliteSessionStore.layer({ filename })))
      yield* Effect.gen(function* () {
        const store = yield* SessionStore.SessionStore
        assert.strictEqual((yield* store.get("fork"))?.nextSeq, 3)
      }).pipe(Effect.provide(SqliteSessionStore.layer({ filename })))
    })

  /** What a database of an earlier format could not. */
  const forksAndFinds = (store: Context.Tag.Service<SessionStore.SessionStore>) =>
    Effect.gen(function* () {
      const base = { id: "cut off 😀", incarnation: "cut off 😀-1", seq: 2 }
      yield* store.begin([{ session: row("fork", { origin: { session: base.id, entry: 2 } }), base, entries: [] }])
      yield* store.remove([base], "me")
      assert.deepStrictEqual(
        (yield* store.read("fork", "fork-1", 1)).map(({ _tag }) => _tag),
        ["OperationStarted", "User"]
      )
      const { hits } = yield* store.search({ words: ["diff"], limit: 5 })
      assert.deepStrictEqual(
        hits.map(({ entry, session }) => [session, entry.id]),
        [["fork", 2]]
      )
      assert.deepStrictEqual(
        (yield* store.measure).map(({ activeAt, row }) => [row.id, activeAt > 0]),
        [
          ["every kind", true],
          ["task:every kind:1", true],
          ["fork", true]
        ]
      )
    })

  it.scoped("a database of format 2 opens, and has what was written", () => opens(2, 10))
  it.scoped("a database of format 3 opens, and has what was written", () => opens(3, 11))

  it.scoped("an older version that has the database open takes no entries away that forks share", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const older = new Libsql(filename)
      older.exec(fixture("format-3.sqlite.sql"))
      yield* Effect.addFinalizer(() => Effect.sync(() => older.close()))
      yield* Effect.gen(function* () {
        const store = yield* SessionStore.SessionStore
        const base = { id: "every kind", incarnation: "every kind-1" }
        const before = yield* store.read(base.id, base.incarnation, 1)
        yield* store.begin([{ session: row("fork"), base: { ...base, seq: before.length }, entries: [] }])
        // As it removes a session.
        const remove = older.transaction(() => {
          older.prepare("DELETE FROM baton_entries").run()
          older.prepare("DELETE FROM baton_sessions WHERE id = 'every kind'").run()
        })
        assert.throws(() => remove(), /a newer version of Baton has taken this database over/)
        assert.deepStrictEqual(yield* store.read(base.id, base.incarnation, 1), before)
        yield* store.remove([base], "me")
        assert.deepStrictEqual(yield* store.read("fork", "fork-1", 1), before)
      }).pipe(Effect.provide(SqliteSessionStore.layer({ filename })))
    })
  )

  postgres.describePostgres("on Postgres", () =>
    it.scoped("a database of format 3 opens, of several processes too, and has what was written", () =>
      Effect.gen(function* () {
        const name = yield* postgres.database
        const opened = Layer.provideMerge(SqlSessionStore.layer, postgres.client(name))
        yield* Effect.gen(function* () {
          const store = yield* SessionStore.SessionStore
          const sql = yield* SqlClient.SqlClient
          yield* store.create(row("cut off 😀"))
          const started = { ...user(1), _tag: "OperationStarted", kind: "prompt" } as const
          yield* store.append(append("cut off 😀", 1, { entries: [started, user(2, "the diff")], lease: "once" }))
          // As the tables of format 3 were.
          yield* sql`DROP TABLE baton_forks, baton_remains, baton_texts`
          yield* sql`ALTER TABLE baton_sessions
            DROP COLUMN origin, DROP COLUMN origin_entry, DROP COLUMN shared, DROP COLUMN indexed`
          yield* sql`UPDATE baton_format SET format = 3`
        }).pipe(Effect.provide(opened))
        yield* Effect.all(
          Array.from({ length: 4 }, () => Effect.scoped(Layer.build(Layer.fresh(opened)))),
          { concurrency: "unbounded", discard: true }
        )
        yield* Effect.gen(function* () {
          const store = yield* SessionStore.SessionStore
          const sql = yield* SqlClient.SqlClient
          assert.deepStrictEqual(yield* sql`SELECT format FROM baton_format`, [{ format: 4 }])
          const base = { id: "cut off 😀", incarnation: "cut off 😀-1", seq: 2 }
          yield* store.begin([{ session: row("fork", { origin: { session: base.id, entry: 2 } }), base, entries: [] }])
          // As an older version removes a session.
          const refused = yield* Effect.flip(sql`DELETE FROM baton_sessions WHERE id = ${base.id}`)
          assert.match(String(refused.cause), /a newer version of Baton has taken this database over/)
          yield* store.remove([base], "me")
          const { hits } = yield* store.search({ words: ["diff"], limit: 5 })
          assert.deepStrictEqual(
            hits.map(({ entry, session }) => [session, entry.id]),
            [["fork", 2]]
          )
        }).pipe(Effect.provide(opened))
      })
    )
  )

  const unowned = { owner: null, leased: false, epoch: 0, nextSeq: 1, running: null, partial: null, inbox: 0 }

  it.scoped("entries of format 1 are read and folded", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const store = yield* SessionStore.SessionStore
      const lines = fixture("format-1.ndjson").trimEnd().split("\n")
      yield* store.create(row("s"))
      yield* store.append(append("s", 1, { entries: lines.map((_, i) => user(i + 1)) }))
      const [first] = yield* sql<{ readonly place: number }>`SELECT min(place) AS place FROM baton_entries`
      for (let i = 0; i < lines.length; i++) {
        yield* sql`UPDATE baton_entries SET body = ${lines[i]} WHERE place = ${first!.place + i}`
      }
      const entries = yield* store.read("s", "s-1", 1)
      assert.deepStrictEqual(
        entries.map((entry) => JSON.stringify(entry)),
        lines
      )
      const messages = Conversation.fold(entries)
      assert.deepStrictEqual(Messages.problems(messages), [])
      assert.isAbove(messages.length, 3)
    }).pipe(Effect.provide(sqliteFresh))
  )
})
