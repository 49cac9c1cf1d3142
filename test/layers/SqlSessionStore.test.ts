import { assert, describe, it } from "@effect/vitest"
import { SqlClient } from "@effect/sql"
import { Context, Deferred, Effect, Exit, Fiber, FastCheck as fc, Layer, Scope } from "effect"
import { type Errors, SessionStore } from "effect-baton"
import { SqlSessionStore } from "effect-baton/sql"
import { SqliteClient, SqliteSessionStore } from "effect-baton/sqlite"
import { contract } from "../contracts/SessionStore.js"
import { child } from "../support/child.js"
import { tempFolder } from "../support/folder.js"
import { setImmediate } from "node:timers/promises"
import * as postgres from "../support/postgres.js"
import { append, row, user } from "../support/storeWrites.js"

type Services = SessionStore.SessionStore | SqlClient.SqlClient

const file = Effect.map(tempFolder, (folder) => `${folder}/sessions.db`)

const sqliteFresh = Layer.unwrapScoped(Effect.map(file, (filename) => SqliteSessionStore.layer({ filename })))
const postgresFresh = Layer.provideMerge(SqlSessionStore.layer, postgres.fresh)

contract("the SQLite store", () => sqliteFresh, "real")

postgres.describePostgres("Postgres", () => contract("the Postgres store", () => postgresFresh, "real"))

/** What both databases do, besides the contract. */
const both = (name: string, layer: Layer.Layer<Services, unknown>): void =>
  void describe(`the ${name} store`, () => {
    const test = <E>(
      what: string,
      body: (
        store: Context.Tag.Service<SessionStore.SessionStore>,
        sql: SqlClient.SqlClient
      ) => Effect.Effect<void, E, Scope.Scope>
    ) =>
      it.scoped(what, () =>
        Effect.flatMap(Effect.all([SessionStore.SessionStore, SqlClient.SqlClient]), ([store, sql]) =>
          body(store, sql)
        ).pipe(Effect.provide(layer))
      )

    test("writes that come together are each made or refused by themselves", (store) =>
      Effect.gen(function* () {
        const ids = Array.from({ length: 30 }, (_, i) => `s${i}`)
        for (const id of [...ids, "taken"]) yield* store.create(row(id))
        const exits = yield* Effect.all(
          ids.map((id, i) =>
            Effect.either(
              store.append(
                append(id, i % 5 === 1 ? 2 : 1, {
                  epoch: 0,
                  lease: "claim",
                  children:
                    i % 5 === 2
                      ? [row(`new ${id}`), row("taken")]
                      : i % 5 === 3
                        ? [row(`task:${id}`, { parent: id })]
                        : []
                })
              )
            )
          ),
          { concurrency: "unbounded" }
        )
        for (let i = 0; i < ids.length; i++) {
          const tag =
            exits[i]!._tag === "Left" ? (exits[i] as { readonly left: { readonly _tag: string } }).left._tag : ""
          assert.strictEqual(tag, ["", "StaleLease", "SessionStoreError", "", ""][i % 5])
          const it = yield* store.get(ids[i]!)
          assert.strictEqual(it?.nextSeq, tag === "" ? 2 : 1)
          assert.strictEqual((yield* store.read(ids[i]!, `${ids[i]}-1`, 1)).length, tag === "" ? 1 : 0)
          assert.isUndefined(yield* store.get(`new ${ids[i]}`))
          assert.lengthOf(yield* store.list(ids[i]), i % 5 === 3 ? 1 : 0)
        }
      }))

    test("two writes for one child at the same instant: one is made", (store) =>
      Effect.gen(function* () {
        for (const id of ["a", "b"]) yield* store.create(row(id))
        const exits = yield* Effect.all(
          ["a", "b"].map((id) =>
            Effect.either(store.append(append(id, 1, { children: [row("child", { parent: id })] })))
          ),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(exits.map((it) => it._tag).toSorted(), ["Left", "Right"])
        const counts = yield* Effect.all(["a", "b"].map((id) => Effect.map(store.list(id), (it) => it.length)))
        assert.deepStrictEqual(counts.toSorted(), [0, 1])
      }))

    test("a write that fails in the middle leaves nothing, is an error with a reason, and the next one is made", (store, sql) =>
      Effect.gen(function* () {
        for (const id of ["a", "b"]) yield* store.create(row(id))
        yield* sql`CREATE UNIQUE INDEX no_twice ON baton_entries (body)`
        yield* store.append(append("a", 1, { entries: [user(1, "same")] }))
        const exits = yield* Effect.all(
          [
            Effect.either(store.append(append("b", 1, { entries: [user(1, "same")] }))),
            Effect.either(store.append(append("a", 2, { entries: [user(2, "other")] })))
          ],
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          exits.map((it) => (it._tag === "Left" ? it.left._tag : "")),
          ["SessionStoreError", ""]
        )
        assert.strictEqual((yield* store.get("b"))?.epoch, 0)
        yield* store.append(append("b", 1))
      }))

    test("names that a database would alter are refused, and texts are kept as they are", (store) =>
      Effect.gen(function* () {
        for (const bad of ["a\0", "\0", "\ud800", "x\udfff"]) {
          for (const session of [
            row(bad),
            row("s", { parent: bad }),
            row("s", { agent: bad }),
            row("s", { cwd: bad })
          ]) {
            assert.strictEqual((yield* Effect.flip(store.create(session)))._tag, "SessionStoreError")
          }
          assert.isUndefined(yield* store.get(bad))
          assert.deepStrictEqual(yield* store.list(bad), [])
          assert.deepStrictEqual(yield* store.read(bad, "i", 1), [])
        }
        yield* store.create(row("s"))
        yield* store.create(row("\ufffd"))
        const odd = "a\0b \ud800 \udfff c"
        yield* store.append(append("s", 1, { entries: [user(1, odd)], partial: odd }))
        assert.deepStrictEqual(yield* store.read("s", "s-1", 1), [user(1, odd)])
        assert.strictEqual((yield* store.get("s"))?.partial, odd)
        assert.strictEqual(
          (yield* Effect.flip(store.append(append("s", 2, { owner: "a\0" }))))._tag,
          "SessionStoreError"
        )
      }))

    test("a record that cannot be read is told with its place and what comes before it, and harms no other", (store, sql) =>
      Effect.gen(function* () {
        const bodies: ReadonlyArray<readonly [body: string, reason: RegExp]> = [
          [JSON.stringify(user(3)).slice(0, -5), /no JSON/],
          ["", /no JSON/],
          ["null", /no entry/],
          ["[]", /no entry/],
          [JSON.stringify({ ...user(3), _tag: "Nothing" }), /of no kind/],
          [JSON.stringify({ ...user(3), at: "now" }), /its "at" is not of the format/],
          [JSON.stringify({ ...user(3), content: [{ type: "text" }] }), /its "content/],
          [JSON.stringify({ ...user(3), content: undefined }), /its "content/],
          [JSON.stringify({ ...user(3), id: 9 }), /entry 9/],
          [`{"__proto__":{"x":1},${JSON.stringify(user(3)).slice(1)}`, /__proto__/],
          [`{"a":{"\\u005f_proto__":1},${JSON.stringify(user(3)).slice(1)}`, /__proto__/],
          [`{"x":${"[".repeat(100_000)}${"]".repeat(100_000)},${JSON.stringify(user(3)).slice(1)}`, /deeper than 128/]
        ]
        yield* store.create(row("s"))
        yield* store.create(row("t"))
        yield* store.append(append("s", 1, { entries: [1, 2, 3, 4, 5].map((n) => user(n)) }))
        yield* store.append(append("t", 1))
        const broken = (reason: RegExp, from = 1) =>
          Effect.gen(function* () {
            const error = yield* Effect.flip(store.read("s", "s-1", from))
            assert.strictEqual(error._tag, "CorruptRecord")
            const { readable, reason: said, seq } = error as Errors.CorruptRecord
            assert.strictEqual(seq, 3)
            assert.match(said, reason)
            assert.deepStrictEqual(
              readable,
              [1, 2].map((n) => user(n)).filter(({ id }) => id >= from)
            )
            assert.deepStrictEqual(yield* store.read("t", "t-1", 1), [user(1)])
          })
        for (const [body, reason] of bodies) {
          yield* sql`UPDATE baton_entries SET body = ${body} WHERE body LIKE '%entry 3%' OR body = ${previous}`
          previous = body
          yield* broken(reason)
        }
        yield* broken(/deeper/, 2)
        assert.deepStrictEqual(yield* store.read("s", "s-1", 4), [user(4), user(5)])
        yield* sql`DELETE FROM baton_entries WHERE body = ${previous}`
        yield* broken(/missing/)
        yield* sql`DELETE FROM baton_entries WHERE body LIKE '%entry 4%' OR body LIKE '%entry 5%'`
        yield* broken(/missing/)
      }))
    let previous = "-"

    test("what had arrived of a reply and cannot be read is none, and harms no other session", (store, sql) =>
      Effect.gen(function* () {
        yield* store.create(row("s"))
        yield* store.create(row("t"))
        yield* store.append(append("s", 1, { partial: "so far" }))
        for (const partial of ['"so f', "", "7", '{"__proto__":1}']) {
          yield* sql`UPDATE baton_sessions SET partial = ${partial} WHERE id = 's'`
          assert.deepStrictEqual(
            (yield* store.list()).map(({ id, partial }) => [id, partial]),
            [
              ["s", null],
              ["t", null]
            ]
          )
        }
      }))

    test("histories of any length and any texts come back as they were, from any place", (store) =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.uuid(),
            fc.array(fc.array(fc.string({ unit: "binary" }), { maxLength: 4 }), { maxLength: 6 }),
            fc.nat(12),
            (id, groups, from) =>
              Effect.runPromise(
                Effect.gen(function* () {
                  yield* store.create(row(id))
                  const all: Array<ReturnType<typeof user>> = []
                  for (let i = 0; i < groups.length; i++) {
                    const entries = groups[i]!.map((text, k) => user(all.length + k + 1, text))
                    yield* store.append({
                      ...append(id, all.length + 1, { entries }),
                      epoch: i === 0 ? 0 : 1,
                      lease: i === 0 ? "claim" : "keep"
                    })
                    all.push(...entries)
                  }
                  assert.deepStrictEqual(yield* store.read(id, `${id}-1`, from + 1), all.slice(from))
                })
              )
          ),
          { numRuns: 50 }
        )
      ))

    test("interrupting callers tears nothing: each write is made or not, and the store goes on", (store) =>
      Effect.gen(function* () {
        const ids = Array.from({ length: 20 }, (_, i) => `s${i}`)
        for (const id of ids) yield* store.create(row(id))
        const fibers = yield* Effect.forEach(ids, (id) =>
          Effect.fork(
            store.append(append(id, 1, { entries: [user(1), user(2)], children: [row(`task:${id}`, { parent: id })] }))
          )
        )
        yield* Effect.yieldNow()
        yield* Fiber.interruptAll(fibers.filter((_, i) => i % 2 === 0))
        for (let i = 0; i < ids.length; i++) {
          const made = (yield* store.get(ids[i]!))?.nextSeq === 3
          if (i % 2 === 1) yield* Fiber.join(fibers[i]!)
          const after = (yield* store.get(ids[i]!))?.nextSeq === 3
          assert.isTrue(i % 2 === 0 ? made === after : after)
          assert.lengthOf(yield* store.read(ids[i]!, `${ids[i]}-1`, 1), after ? 2 : 0)
          assert.lengthOf(yield* store.list(ids[i]), after ? 1 : 0)
        }
      }))
  })

/** Forks, removals and the search, as far as it shows in the tables. */
const tables = (name: string, layer: Layer.Layer<Services, unknown>): void =>
  void describe(`the tables of the ${name} store`, () => {
    const test = <E>(
      what: string,
      body: (
        store: Context.Tag.Service<SessionStore.SessionStore>,
        sql: SqlClient.SqlClient
      ) => Effect.Effect<void, E, Scope.Scope>
    ) =>
      it.scoped(what, () =>
        Effect.flatMap(Effect.all([SessionStore.SessionStore, SqlClient.SqlClient]), ([store, sql]) =>
          body(store, sql)
        ).pipe(Effect.provide(layer))
      )

    const keyOf = (id: string) => ({ id, incarnation: `${id}-1` })
    const fork = (base: string, seq: number, id: string, count: number): SessionStore.Begun => ({
      session: row(id, { origin: { session: base, entry: seq } }),
      base: { ...keyOf(base), seq },
      entries: Array.from({ length: count }, (_, i) => user(seq + i + 1, `${id} ${seq + i + 1}`))
    })
    const root = (id: string, count: number): SessionStore.Begun => ({
      session: row(id),
      base: null,
      entries: Array.from({ length: count }, (_, i) => user(i + 1, `${id} ${i + 1}`))
    })
    const names = ["baton_sessions", "baton_entries", "baton_inbox", "baton_forks", "baton_remains", "baton_texts"]
    const counts = (sql: SqlClient.SqlClient) =>
      Effect.map(
        Effect.forEach(names, (table) => sql.unsafe<{ readonly n: number }>(`SELECT count(*) AS n FROM ${table}`)),
        (all) => all.map(([row]) => Number(row?.n))
      )
    const nothing = names.map(() => 0)
    const search = (store: Context.Tag.Service<SessionStore.SessionStore>, word: string) =>
      Effect.map(store.search({ words: [word], limit: 1000 }), ({ hits }) =>
        hits.map(({ entry, session }) => `${session}/${entry.id}`)
      )

    test("hold what forks share once, and nothing when all are removed, one by one or in one call", (store, sql) =>
      Effect.gen(function* () {
        for (const searched of [false, true]) {
          for (const groups of [
            ["a b c"],
            ["a", "b", "c"],
            ["c", "b", "a"],
            ["b", "a", "c"],
            ["a b", "c"],
            ["a c", "b"]
          ]) {
            yield* store.begin([root("a", 6)])
            yield* store.put(keyOf("a"), {
              id: "i",
              operationId: "o",
              key: undefined,
              when: "wait",
              content: [],
              request: undefined,
              at: 1
            })
            yield* store.begin([fork("a", 4, "b", 3)])
            yield* store.begin([fork("b", 6, "c", 1)])
            assert.deepStrictEqual(yield* counts(sql), [3, 10, 1, 2, 0, 0])
            if (searched) assert.lengthOf(yield* search(store, "b"), 3)
            for (const group of groups) {
              yield* store.remove(group.split(" ").map(keyOf), "me")
              if (group === "a" && groups[0] === "a") {
                // Entries 5 and 6 of it go at once, and so does its name; the others are shared.
                assert.deepStrictEqual((yield* counts(sql)).slice(0, 5), [2, 8, 0, 2, 1])
              }
              if (group === "b" && groups[0] === "a") {
                assert.deepStrictEqual((yield* counts(sql)).slice(0, 5), [1, 7, 0, 2, 2])
              }
            }
            assert.deepStrictEqual(yield* counts(sql), nothing)
            assert.deepStrictEqual(yield* search(store, "b"), [])
          }
        }
      }))

    test("hold no more than what is needed, where a fork of a removed fork shares less", (store, sql) =>
      Effect.gen(function* () {
        yield* store.begin([root("a", 10)])
        yield* store.begin([fork("a", 8, "b", 2)])
        yield* store.begin([fork("b", 9, "c", 1)])
        yield* store.begin([fork("b", 3, "d", 1)])
        yield* search(store, "a")
        yield* store.remove([keyOf("a"), keyOf("b")], "me")
        assert.deepStrictEqual((yield* counts(sql)).slice(0, 5), [2, 8 + 1 + 2, 0, 3, 2])
        yield* store.remove([keyOf("c")], "me")
        // Of b nothing is needed, and of a what d shares of it.
        assert.deepStrictEqual(yield* counts(sql), [1, 4, 0, 1, 1, 4])
        assert.lengthOf(yield* store.read("d", "d-1", 1), 4)
        assert.deepStrictEqual(yield* search(store, "a"), ["d/3", "d/2", "d/1"])
        yield* store.remove([keyOf("d")], "me")
        assert.deepStrictEqual(yield* counts(sql), nothing)
      }))

    test("are left with nothing by many that begin and are removed at the same time", (store, sql) =>
      Effect.gen(function* () {
        yield* store.begin([root("a", 5)])
        const ids = Array.from({ length: 20 }, (_, i) => `f${i}`)
        yield* Effect.all(
          ids.map((id, i) => store.begin([fork("a", (i % 5) + 1, id, 2)])),
          { concurrency: "unbounded" }
        )
        yield* Effect.all(
          ["a", ...ids].map((id, i) =>
            i % 4 === 3
              ? Effect.zipRight(search(store, "a"), store.remove([keyOf(id)], "me"))
              : store.remove([keyOf(id)], "me")
          ),
          { concurrency: "unbounded" }
        )
        yield* search(store, "a")
        assert.deepStrictEqual(yield* counts(sql), nothing)
      }))

    test("give no later session the entries of what remains", (store) =>
      Effect.gen(function* () {
        yield* store.begin([root("a", 3)])
        yield* store.begin([fork("a", 3, "b", 0)])
        yield* store.begin([fork("b", 3, "c", 0)])
        yield* store.remove([keyOf("a"), keyOf("b")], "me")
        yield* store.begin([root("d", 2)])
        yield* store.remove([keyOf("d")], "me")
        yield* store.create(row("e"))
        yield* store.append(append("e", 1))
        assert.deepStrictEqual(yield* store.read("e", "e-1", 1), [user(1)])
        assert.lengthOf(yield* store.read("c", "c-1", 1), 3)
      }))

    test("a session whose last record cannot be read is as old as what can be read before it", (store, sql) =>
      Effect.gen(function* () {
        yield* store.begin([root("a", 150)])
        yield* store.begin([{ ...fork("a", 5, "b", 0), entries: [] }])
        const ages = Effect.map(store.measure, (all) => all.map(({ activeAt }) => activeAt))
        const created = row("a").createdAt
        assert.deepStrictEqual(yield* ages, [150, 5])
        yield* sql`UPDATE baton_entries SET body = 'x' WHERE body LIKE '%a 150"%' OR body LIKE '%a 5"%'`
        assert.deepStrictEqual(yield* ages, [149, 4])
        yield* sql`UPDATE baton_entries SET body = 'x'`
        assert.deepStrictEqual(yield* ages, [created, created])
      }))

    test("a shared record that cannot be read is told by each that shares it, and by no other", (store, sql) =>
      Effect.gen(function* () {
        yield* store.begin([root("a", 4)])
        yield* store.begin([fork("a", 3, "b", 2)])
        yield* store.begin([fork("a", 1, "c", 2)])
        yield* store.begin([fork("b", 4, "d", 1)])
        yield* sql`UPDATE baton_entries SET body = 'x' WHERE body LIKE '%a 2%'`
        const told = (id: string, from = 1) =>
          Effect.map(Effect.flip(store.read(id, `${id}-1`, from)), (error) => {
            const { readable, seq } = error as Errors.CorruptRecord
            return [seq, readable.map((it) => it.id)]
          })
        for (const id of ["a", "b", "d"]) assert.deepStrictEqual(yield* told(id), [2, [1]])
        assert.deepStrictEqual(yield* told("d", 2), [2, []])
        assert.lengthOf(yield* store.read("d", "d-1", 3), 3)
        assert.lengthOf(yield* store.read("c", "c-1", 1), 3)
        yield* sql`DELETE FROM baton_entries WHERE body = 'x'`
        for (const id of ["a", "b", "d"]) assert.deepStrictEqual(yield* told(id), [2, [1]])
        yield* sql`DELETE FROM baton_entries WHERE body LIKE '%a 3%'`
        assert.deepStrictEqual(yield* told("d", 3), [3, []])
        yield* sql`DELETE FROM baton_forks`
        assert.deepStrictEqual(yield* told("b"), [1, []])
      }))

    test("records that cannot be read are passed over by the search, before it has seen them and after", (store, sql) =>
      Effect.gen(function* () {
        yield* store.begin([root("a", 6)])
        yield* sql`UPDATE baton_entries SET body = 'x' WHERE body LIKE '%a 2%'`
        yield* sql`DELETE FROM baton_entries WHERE body LIKE '%a 6%'`
        assert.deepStrictEqual(yield* search(store, "a"), ["a/5", "a/4", "a/3", "a/1"])
        yield* sql`UPDATE baton_entries SET body = 'x' WHERE body LIKE '%a 4%' OR body LIKE '%a 5%'`
        assert.deepStrictEqual(yield* search(store, "a"), ["a/3", "a/1"])
        const page = yield* store.search({ words: ["a"], limit: 2 })
        assert.deepStrictEqual([page.hits.length, page.next], [2, undefined])
        assert.strictEqual((yield* store.measure)[0]?.entries, 5)
      }))

    test("each entry is indexed once, in batches between which others go on", (store, sql) =>
      Effect.gen(function* () {
        const wide = "x".repeat(100_000)
        const entries = Array.from({ length: 700 }, (_, i) => user(i + 1, i % 70 === 0 ? `word ${wide}` : `word ${i}`))
        yield* store.begin([{ session: row("a"), base: null, entries }, root("b", 30)])
        let turns = 0
        const others = yield* Effect.fork(
          Effect.forever(Effect.promise(async () => void (turns++, await setImmediate())))
        )
        const all = yield* Effect.all(
          Array.from({ length: 5 }, () => search(store, "word")),
          { concurrency: "unbounded" }
        )
        yield* Fiber.interrupt(others)
        for (const hits of all) {
          assert.deepStrictEqual(
            hits,
            entries.map((_, i) => `a/${700 - i}`)
          )
        }
        // Ten texts of 100,000 characters, of which no batch has more than two.
        assert.isAtLeast(turns, 5)
        assert.deepStrictEqual(yield* counts(sql), [2, 730, 0, 0, 0, 730])
        assert.lengthOf(yield* search(store, "b"), 30)
      }))

    test("a long session comes and goes while the event loop is free", (store, sql) =>
      Effect.gen(function* () {
        const long = Array.from({ length: 6_400 }, (_, i) => user(i + 1))
        const a = { session: row("a"), base: null, entries: long }
        const key = { id: "a", incarnation: "a-1" }
        // 100 inserts, and 25 pieces that are made text before.
        assert.isAtLeast(yield* turnsIn(store.begin([a])), 120)
        yield* search(store, "entry")
        yield* store.begin([{ session: row("b"), base: { ...key, seq: 1_500 }, entries: [] }])
        let removed: SessionStore.Removed | undefined
        const removal = Effect.map(store.remove([key], "me"), (them) => void (removed = them))
        // Five pages.
        assert.isAtLeast(yield* turnsIn(removal), 5)
        const bytes = long.slice(1_500).reduce((sum, it) => sum + JSON.stringify(it).length, 0)
        assert.deepStrictEqual(removed, { sessions: [key], entries: 4_900, bytes })
        assert.deepStrictEqual(yield* counts(sql), [1, 1_500, 0, 1, 1, 1_500])
        assert.lengthOf(yield* store.read("b", "b-1", 1), 1_500)
      }))
  })

/** How often the event loop came around while an effect ran. */
const turnsIn = (effect: Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    let turns = 0
    const others = yield* Effect.fork(Effect.forever(Effect.promise(async () => void (turns++, await setImmediate()))))
    yield* effect
    yield* Fiber.interrupt(others)
    return turns
  })

tables("SQLite", sqliteFresh)
postgres.describePostgres("on Postgres", () => tables("Postgres", postgresFresh))

both("SQLite", sqliteFresh)
postgres.describePostgres("on Postgres", () => both("Postgres", postgresFresh))

describe("the SQLite store and transactions", () => {
  it.scoped("writes to its own file, whatever transaction on another file its caller is in", () =>
    Effect.gen(function* () {
      const folder = yield* tempFolder
      yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE t (a)`
        const failed = yield* Effect.exit(
          sql.withTransaction(
            Effect.gen(function* () {
              yield* sql`INSERT INTO t VALUES (1)`
              const store = yield* SessionStore.SessionStore
              yield* store.create(row("s"))
              yield* store.append(append("s", 1))
              assert.lengthOf(yield* store.list(), 1)
              return yield* Effect.fail("no")
            }).pipe(Effect.provide(Layer.fresh(SqliteSessionStore.layer({ filename: `${folder}/sessions.db` }))))
          )
        )
        assert.isTrue(Exit.isFailure(failed))
        assert.deepStrictEqual(yield* sql`SELECT * FROM t`, [])
      }).pipe(Effect.provide(SqliteClient.layer({ filename: `${folder}/app.db` })))
      yield* Effect.gen(function* () {
        const store = yield* SessionStore.SessionStore
        assert.deepStrictEqual(yield* store.read("s", "s-1", 1), [user(1)])
      }).pipe(Effect.provide(SqliteSessionStore.layer({ filename: `${folder}/sessions.db` })))
    })
  )

  it.scoped(
    "fails inside a transaction on its own file, which it would wait for, and works for a fork of it afterwards",
    () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const store = yield* SessionStore.SessionStore
        yield* store.create(row("s"))
        const go = yield* Deferred.make<void>()
        const fork = yield* sql.withTransaction(
          Effect.gen(function* () {
            for (const asked of [store.append(append("s", 1)), store.get("s"), store.create(row("t"))]) {
              const error = yield* Effect.flip(asked as Effect.Effect<unknown, Error>)
              assert.include(error.message, "inside a transaction of the same database")
            }
            return yield* Effect.forkDaemon(Effect.zipRight(Deferred.await(go), store.append(append("s", 1))))
          })
        )
        yield* Deferred.succeed(go, undefined)
        assert.strictEqual((yield* Fiber.join(fork)).epoch, 1)
      }).pipe(Effect.provide(sqliteFresh))
  )

  it.scoped(
    "a full disk is told as that, in a statement and in a commit; nothing is left of the write, and the next one is made",
    () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const store = yield* SessionStore.SessionStore
        yield* store.create(row("s"))
        const big = [user(1, "x".repeat(500_000))]
        yield* sql`PRAGMA max_page_count = 30`
        const error = yield* Effect.flip(store.append(append("s", 1, { entries: big })))
        assert.strictEqual(error.message, "The session store failed to write: the disk is full (SQLITE_FULL).")
        assert.strictEqual((yield* store.get("s"))?.epoch, 0)
        yield* sql`PRAGMA max_page_count = 100000`
        yield* store.append(append("s", 1, { entries: big }))

        yield* sql`CREATE TABLE parents (id INTEGER PRIMARY KEY)`
        yield* sql`CREATE TABLE late (id INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)`
        yield* sql.unsafe(
          "CREATE TRIGGER too_late AFTER INSERT ON baton_entries WHEN new.body LIKE '%late%' BEGIN INSERT INTO late VALUES (7); END"
        )
        const late = yield* Effect.flip(store.append(append("s", 2, { entries: [user(2, "late")] })))
        assert.match(late.message, /failed to write: FOREIGN KEY constraint failed/)
        assert.strictEqual((yield* store.get("s"))?.nextSeq, 2)
        yield* store.append(append("s", 2))
      }).pipe(Effect.provide(sqliteFresh))
  )

  it.scoped("what is asked of a store that was closed, and what waits in it, is answered", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(sqliteFresh, scope)
      const store = Context.get(context, SessionStore.SessionStore)
      yield* store.create(row("s"))
      const waits = yield* Effect.fork(Effect.either(store.append(append("s", 1))))
      yield* Scope.close(scope, Exit.void)
      const late = yield* Effect.flip(store.append(append("s", 1)))
      assert.strictEqual(late.message, "The session store failed to write: it is closed.")
      assert.include(["Left", "Right"], (yield* Fiber.join(waits))._tag)
      assert.strictEqual((yield* Effect.flip(store.get("s")))._tag, "SessionStoreError")
    })
  )
})

describe("several processes", () => {
  const hammer = (what: string, where: string) =>
    Effect.map(
      Effect.all(
        ["a", "b", "c", "d", "e"].map((name) => child("sqlChild.ts", what, where, name, "40")),
        { concurrency: "unbounded" }
      ),
      (said) => assert.deepStrictEqual(said, ["", "", "", "", ""])
    )
  const kept = Effect.gen(function* () {
    const store = yield* SessionStore.SessionStore
    for (const id of ["a", "b", "c", "d", "e"]) {
      const entries = yield* store.read(id, `${id}-1`, 1)
      assert.deepStrictEqual(
        entries,
        Array.from({ length: 40 }, (_, i) => user(i + 1))
      )
    }
  })

  it.scoped("make the tables of one new SQLite file at the same time, and lose nothing", () =>
    Effect.gen(function* () {
      const filename = yield* file
      yield* hammer("sqlite", filename)
      yield* Effect.provide(kept, SqliteSessionStore.layer({ filename }))
    })
  )

  /** Two connections that write and search at the same time, and what both find in the end. */
  const searching = (opened: Layer.Layer<SessionStore.SessionStore, unknown>) =>
    Effect.gen(function* () {
      const [a, b] = yield* Effect.all([Layer.build(Layer.fresh(opened)), Layer.build(Layer.fresh(opened))])
      const stores = [a, b].map((it) => Context.get(it, SessionStore.SessionStore))
      const ids = Array.from({ length: 8 }, (_, i) => `s${i}`)
      const words = (store: Context.Tag.Service<SessionStore.SessionStore>) =>
        Effect.map(store.search({ words: ["word"], limit: 5000 }), ({ hits }) =>
          hits.map(({ entry, session }) => `${session}/${entry.id}`)
        )
      yield* Effect.all(
        ids.map((id, i) =>
          Effect.gen(function* () {
            const store = stores[i % 2]!
            yield* store.begin([
              { session: row(id), base: null, entries: Array.from({ length: 150 }, (_, k) => user(k + 1, `word ${k}`)) }
            ])
            const before = yield* words(stores[(i + 1) % 2]!)
            assert.lengthOf(
              before.filter((hit) => hit.startsWith(`${id}/`)),
              150
            )
            yield* store.append(append(id, 151, { epoch: 0, lease: "claim", entries: [user(151, "a word")] }))
            assert.include(yield* words(stores[(i + 1) % 2]!), `${id}/151`)
          })
        ),
        { concurrency: "unbounded" }
      )
      for (const store of stores) {
        const found = yield* words(store)
        assert.strictEqual(found.length, new Set(found).size)
        assert.lengthOf(found, ids.length * 151)
      }
    })

  it.scoped("index one SQLite file at the same time, each entry once", () =>
    Effect.flatMap(file, (filename) => searching(SqliteSessionStore.layer({ filename })))
  )

  postgres.describePostgres("on Postgres", () =>
    it.scoped("index one database at the same time, each entry once", () =>
      Effect.flatMap(postgres.database, (name) =>
        searching(Layer.provide(SqlSessionStore.layer, postgres.client(name)))
      )
    )
  )

  postgres.describePostgres("on Postgres", () =>
    it.scoped("make the tables of one new database at the same time, and lose nothing", () =>
      Effect.gen(function* () {
        const name = yield* postgres.database
        yield* hammer("pg", `${postgres.host} ${name}`)
        yield* Effect.provide(kept, Layer.provide(SqlSessionStore.layer, postgres.client(name)))
      })
    )
  )
})
