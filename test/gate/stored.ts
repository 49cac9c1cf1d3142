/**
 * Records that somebody or something has damaged, and files that are no stores.
 */
import { assert } from "@effect/vitest"
import Database from "libsql"
import { Cause, Chunk, Effect, Exit, Layer, Stream } from "effect"
import { Agent, Engine, Model, Script, Sessions } from "effect-baton"
import { SqliteSessionStore } from "effect-baton/sqlite"
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Sink } from "./sink.js"

const agent = Agent.make("a", { delegate: "off" })

const engine = (filename: string) =>
  Layer.provideMerge(
    Engine.layer,
    Layer.merge(SqliteSessionStore.layer({ filename }), Model.layerScripted([Script.always("ok")]))
  )

const open = (id: string) => Effect.flatMap(Sessions.Sessions, (sessions) => sessions.open({ id, agent }))

/** The place of the record that is damaged: the reply of the first of two prompts. */
const damaged = 3

type Body = Record<string, unknown>

/** What becomes of a record's text, or of its row. */
type Damage = { readonly text: (body: Body, text: string) => string } | { readonly sql: string }

const json = (change: (body: Body) => unknown): Damage => ({ text: (body) => JSON.stringify(change(body)) })

const compaction = (firstKept: number): Damage =>
  json(({ at, id, model, operationId, parentId, usage }) => ({
    ...{ _tag: "Compaction", at, id, model, operationId, parentId, usage },
    summary: "",
    firstKept,
    trigger: "manual",
    tokensBefore: 1,
    tokensAfter: 1,
    files: { read: [], changed: [] }
  }))

const records: ReadonlyArray<readonly [name: string, damage: Damage, seq?: number, why?: RegExp]> = [
  ["truncated JSON", { text: (_, text) => text.slice(0, -5) }],
  ["an empty text", { text: () => "" }],
  ["no JSON", { text: () => "hello" }],
  ["null", { text: () => "null" }],
  ["a list", { text: () => "[]" }],
  ["a number beyond every number", { text: (_, text) => text.replace('"at":', '"at":1e999,"was":') }],
  ["no tag", json(({ _tag: _was, ...rest }) => rest)],
  ["a tag that is none", json((body) => ({ ...body, _tag: "Nothing" }))],
  ["a tag of another kind", json((body) => ({ ...body, _tag: "OperationSettled" }))],
  ["a missing field", json(({ model: _model, ...rest }) => rest)],
  ["a field of another type", json((body) => ({ ...body, content: "ok" }))],
  ["a finish that is none", json((body) => ({ ...body, finish: "maybe" }))],
  ["usage below nothing", json((body) => ({ ...body, usage: { ...(body["usage"] as Body), input: -1 } }))],
  ["a place that is not its own", json((body) => ({ ...body, id: 7 }))],
  ["a place that is a text", json((body) => ({ ...body, id: "3" }))],
  ["a place that is no whole number", json((body) => ({ ...body, id: 3.5 }))],
  ["itself as its parent", json((body) => ({ ...body, parentId: 3 }))],
  ["a parent that comes later", json((body) => ({ ...body, parentId: 5 }))],
  ["a parent below the first", json((body) => ({ ...body, parentId: -1 }))],
  ["a forged __proto__", { text: (_, text) => text.replace("{", '{"__proto__":{"polluted":true},') }],
  [
    "a forged __proto__ in a call's arguments",
    {
      text: (_, text) =>
        text.replace('"content":[', '"content":[{"type":"tool-call","id":"c","name":"n","args":{"__proto__":{}}},')
    }
  ],
  [
    "a constructor in metadata",
    json((body) => ({ ...body, content: [{ type: "text", text: "x", metadata: { constructor: 1 } }] }))
  ],
  [
    "more depth than any value has",
    { text: (_, text) => text.replace('"content":[', `"content":[${"[".repeat(100_000)}${"]".repeat(100_000)},`) }
  ],
  [
    "a result with no call",
    json(({ at, id, operationId, parentId }) => ({
      _tag: "ToolSettled",
      at,
      id,
      operationId,
      parentId,
      callId: "c",
      name: "n",
      outcome: "success",
      result: ""
    }))
  ],
  ...(
    [
      ["no list", "x"],
      ["a part that is none", [{ type: "video" }]],
      ["a part that is null", [null]],
      ["a text that is none", [{ type: "text", text: 1 }]],
      ["an image without its bytes", [{ type: "image", mediaType: "image/png" }]],
      ["an image that is bytes", [{ type: "image", mediaType: "image/png", data: [1] }]]
    ] as const
  ).map(([name, content]): (typeof records)[number] => [
    `a result whose content has ${name}`,
    json(({ at, id, operationId, parentId }) => ({
      ...{ _tag: "ToolSettled", at, id, operationId, parentId, callId: "c", name: "n", outcome: "success", result: "" },
      content
    })),
    damaged,
    /its "content/
  ]),
  [
    "a forged __proto__ in the content of a result",
    {
      text: ({ at, id, operationId, parentId }) =>
        JSON.stringify({
          ...{ _tag: "ToolSettled", at, id, operationId, parentId, callId: "c", name: "n", outcome: "success" },
          result: "",
          content: [{ type: "json", value: 0 }]
        }).replace('"value":0', '"value":{"__proto__":{"polluted":true}}')
    },
    damaged,
    /it has the key "__proto__"/
  ],
  [
    "a start with no call",
    json(({ at, id, operationId, parentId }) => ({
      _tag: "ToolStarted",
      at,
      id,
      operationId,
      parentId,
      callId: "c",
      name: "n"
    }))
  ],
  [
    "a head that moves to nowhere",
    json(({ at, id, operationId }) => ({ _tag: "HeadMoved", at, id, operationId, parentId: 7 })),
    5,
    /its parent does not come before it/
  ],
  [
    "a head that moves while an operation runs",
    json(({ at, id, operationId }) => ({ _tag: "HeadMoved", at, id, operationId, parentId: 1 })),
    damaged,
    /the head moves while an operation runs/
  ],
  ["a parent that is not the one before it", json((body) => ({ ...body, parentId: 1 })), damaged, /does not follow/],
  ["a first entry with a parent", json((body) => ({ ...body, parentId: 1 })), 1, /does not follow/],
  ["an entry in the middle without a parent", json((body) => ({ ...body, parentId: null })), 5, /does not follow/],
  [
    "a name for what comes later",
    json(({ at, id, operationId, parentId }) => ({
      ...{ _tag: "Label", at, id, operationId, parentId },
      label: "later",
      entry: id
    })),
    damaged,
    /it names what does not come before it/
  ],
  [
    "a record that repeats a later one",
    json(({ at, id, operationId, parentId }) => ({
      ...{ _tag: "ToolSettled", at, id, operationId, parentId, callId: "c", name: "n", outcome: "success", result: "" },
      replayed: 3
    })),
    damaged,
    /it repeats what does not come before it/
  ],
  [
    "a start that replays what comes later",
    json((body) => ({ ...body, request: { replay: { from: 5, unrecorded: "run" } } })),
    5,
    /it replays what does not come before it/
  ],
  ["a summary that keeps what comes later", compaction(9), damaged, /it keeps what does not come before it/],
  ["a summary that keeps from the middle of nothing", compaction(1), damaged, /no message began with entry 1/],
  ["a record that is missing", { sql: "DELETE FROM baton_entries WHERE place = ?" }],
  [
    "a record at another one's place",
    { sql: "UPDATE baton_entries SET body = (SELECT body FROM baton_entries WHERE place = ?1 - 1) WHERE place = ?1" }
  ],
  ["the last record missing", { sql: "DELETE FROM baton_entries WHERE place = ?" }, 8],
  [
    "a record behind the end",
    { sql: "INSERT INTO baton_entries (place, body) SELECT ?1 + 1, body FROM baton_entries WHERE place = ?1" },
    8
  ]
]

const inFolder = <A, E>(use: (folder: string) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "baton-stored-"))),
    use,
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )

const inflict = (filename: string, damage: Damage, seq: number): void => {
  const db = new Database(filename)
  const { key } = db.prepare("SELECT key FROM baton_sessions WHERE id = 's'").get() as { readonly key: number }
  const place = BigInt(key) * 2n ** 32n + BigInt(seq)
  if ("sql" in damage) db.prepare(damage.sql).run(place)
  else {
    const row = db.prepare("SELECT body FROM baton_entries WHERE place = ?").get(place) as { readonly body: string }
    const body = damage.text(JSON.parse(row.body) as Body, row.body)
    db.prepare("UPDATE baton_entries SET body = ? WHERE place = ?").run(body, place)
  }
  db.close()
}

/** The session is closed for operations and can be read up to the record; the one beside it is as it was. */
const quarantined = (damage: Damage, seq: number, why = /^Entry \d+ of session "s" cannot be read: .+\.$/) =>
  inFolder((folder) =>
    Effect.gen(function* () {
      const filename = join(folder, "s.db")
      const before = yield* Effect.gen(function* () {
        const session = yield* open("s")
        yield* session.prompt("one")
        yield* session.prompt("two")
        yield* (yield* open("other")).prompt("one")
        return yield* session.history
      }).pipe(Effect.provide(engine(filename)))
      inflict(filename, damage, seq)
      yield* Effect.gen(function* () {
        const session = yield* open("s")
        const error = yield* Effect.flip(session.prompt("three"))
        assert.strictEqual(error._tag, "CorruptRecord", error.message)
        if (error._tag !== "CorruptRecord") return
        assert.deepStrictEqual(error.readable, before.slice(0, error.seq - 1))
        assert.isAtMost(error.seq, seq + 1)
        assert.match(error.message, why)
        assert.isUndefined(({} as { readonly polluted?: boolean }).polluted)
        // What can be read is read; nothing was written.
        const replayed = yield* Effect.exit(Stream.runCollect(Stream.take(session.replay(), 8)))
        const history = yield* Effect.exit(session.history)
        const readable = Exit.isSuccess(history) ? history.value : []
        if (Exit.isSuccess(history)) assert.isTrue(Exit.isSuccess(replayed) && Chunk.size(replayed.value) === 8)
        assert.deepStrictEqual(
          readable.slice(0, error.seq - 1),
          Exit.isSuccess(history) ? before.slice(0, error.seq - 1) : []
        )
        const other = yield* open("other")
        assert.strictEqual((yield* other.prompt("two")).text, "ok")
      }).pipe(Effect.provide(engine(filename)))
    }).pipe(Effect.orDie)
  )

/** What is damaged on a way that the head has left is found when somebody goes there, and the session goes on otherwise. */
const leftBehind = inFolder((folder) =>
  Effect.gen(function* () {
    const filename = join(folder, "s.db")
    yield* Effect.gen(function* () {
      const session = yield* open("s")
      for (const text of ["one", "two"]) yield* session.prompt(text)
      yield* session.prompt("three")
      yield* session.moveTo(4)
      yield* session.prompt("four")
      yield* session.moveTo(8)
    }).pipe(Effect.provide(engine(filename)))
    inflict(filename, compaction(1), 16)
    yield* Effect.gen(function* () {
      const session = yield* open("s")
      assert.strictEqual((yield* session.prompt("five")).text, "ok")
      const before = yield* session.history
      for (const error of [
        yield* Effect.flip(session.moveTo(17)),
        yield* Effect.flip(session.whatIf("other", { from: 17 }))
      ]) {
        assert.strictEqual(error._tag, "CorruptRecord", error.message)
        assert.match(error.message, /^Entry 16 of session "s" cannot be read: no message began with entry 1\.$/)
      }
      assert.deepStrictEqual(yield* session.history, before)
      assert.deepStrictEqual(
        (yield* (yield* Sessions.Sessions).list()).map(({ id }) => id),
        ["s"]
      )
      assert.strictEqual((yield* session.prompt("six")).text, "ok")
    }).pipe(Effect.provide(engine(filename)))
  }).pipe(Effect.orDie)
)

/** The file is refused with a sentence, and is as it was. */
const refused = (make: (filename: string) => void) =>
  inFolder((folder) =>
    Effect.gen(function* () {
      const filename = join(folder, "s.db")
      make(filename)
      const isFile = statSync(filename).isFile()
      const bytes = isFile ? readFileSync(filename) : undefined
      const exit = yield* Effect.exit(Effect.provide(open("s"), engine(filename)))
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.match(String((error as { readonly _tag?: string })?._tag), /^(SessionStoreError|UnsupportedFormat)$/)
      assert.match((error as Error).message, /\.$/)
      if (bytes !== undefined) assert.deepStrictEqual(readFileSync(filename), bytes)
    })
  )

const files: ReadonlyArray<readonly [name: string, make: (filename: string) => void]> = [
  ["a directory in place of the file", (filename) => mkdirSync(filename)],
  ["a file that is no database", (filename) => writeFileSync(filename, "hello ".repeat(1_000))],
  ["the beginning of a database", (filename) => writeFileSync(filename, `SQLite format 3\0${"x".repeat(5_000)}`)],
  [
    "a newer format",
    (filename) => {
      const db = new Database(filename)
      db.exec("CREATE TABLE baton_format (format INTEGER NOT NULL)")
      db.exec("INSERT INTO baton_format VALUES (999)")
      db.close()
      chmodSync(filename, 0o600)
    }
  ]
]

export const stored: Sink = {
  name: "stored records",
  rows: [
    ...records.map(([name, damage, seq = damaged, why]) => ({
      name,
      outcome: "Q" as const,
      check: () => quarantined(damage, seq, why)
    })),
    { name: "a summary on a way that was left", outcome: "Q", check: () => leftBehind },
    ...files.map(([name, make]) => ({ name, outcome: "R" as const, check: () => refused(make) }))
  ]
}
