/**
 * What it costs to keep sessions: prompts beside the same rows in bare SQL, many sessions at once beside one, opening
 * one of 100,000, and prompts on Postgres where a server starts.
 *
 *     npm run bench:durable
 */
import { Agent, Engine, Model, Sessions, SessionStore } from "effect-baton"
import { SqlSessionStore } from "effect-baton/sql"
import { SqliteSessionStore } from "effect-baton/sqlite"
import { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import Database from "libsql"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { start } from "../support/postgresServer.js"

const text = (i: number) => `${i} `.padEnd(1024, "x")
const usage = { input: 1, output: 1, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
const model = Layer.succeed(Model.Model, {
  defaultModel: "instant",
  stream: (_, emit) =>
    Effect.sync(() => {
      emit({ _tag: "TextDelta", text: text(2) })
      return { reason: "stop" as const, usage }
    })
})
const agent = Agent.make("main", { delegate: "off" })

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!
const ms = (value: number): string => `${value.toFixed(2)} ms`

const engineOver = <E>(store: Layer.Layer<SessionStore.SessionStore, E>) =>
  ManagedRuntime.make(Layer.provideMerge(Engine.layer, Layer.merge(store, model)))

type Runtime = ReturnType<typeof engineOver<unknown>>

const open = (runtime: Runtime, id: string) =>
  runtime.runPromise(Effect.flatMap(Sessions.Sessions, (sessions) => sessions.open({ id, agent })))

/** Milliseconds of each of so many prompts on one session. */
const alone = async (runtime: Runtime, id: string, count: number): Promise<ReadonlyArray<number>> => {
  const session = await open(runtime, id)
  const took: Array<number> = []
  for (let i = 0; i < count; i++) {
    const from = performance.now()
    await runtime.runPromise(session.prompt(text(i)))
    took.push(performance.now() - from)
  }
  return took
}

/** Milliseconds a prompt, where so many sessions prompt at the same time. */
const together = async (runtime: Runtime, sessions: number, count: number): Promise<number> => {
  const all = await Promise.all(Array.from({ length: sessions }, (_, i) => open(runtime, `together-${i}`)))
  const from = performance.now()
  await Promise.all(
    all.map(async (session) => {
      for (let i = 0; i < count; i++) await runtime.runPromise(session.prompt(text(i)))
    })
  )
  return (performance.now() - from) / (sessions * count)
}

/** Milliseconds of each pair of commits with the rows of a prompt, in bare SQL with an fsync each. */
const bare = (folder: string, count: number): ReadonlyArray<number> => {
  const db = new Database(join(folder, "bare.db"))
  db.pragma("journal_mode = WAL")
  db.pragma("synchronous = FULL")
  db.exec("CREATE TABLE m (session TEXT, seq INTEGER, body TEXT, PRIMARY KEY (session, seq)) WITHOUT ROWID")
  const insert = db.prepare("INSERT INTO m VALUES (?, ?, ?)")
  const took: Array<number> = []
  for (let i = 0; i < count; i++) {
    const from = performance.now()
    for (const role of ["user", "assistant"]) {
      db.exec("BEGIN IMMEDIATE")
      insert.run("one", i * 2 + (role === "user" ? 0 : 1), JSON.stringify({ role, content: text(i) }))
      db.exec("COMMIT")
    }
    took.push(performance.now() - from)
  }
  db.close()
  return took
}

const rows: Array<Record<string, string>> = []

const sqlite = async (folder: string): Promise<void> => {
  const [ratios, shares, alones]: [Array<number>, Array<number>, Array<number>] = [[], [], []]
  for (let round = 0; round < 5; round++) {
    const at = mkdtempSync(join(folder, "round-"))
    const runtime = engineOver(SqliteSessionStore.layer({ filename: join(at, "sessions.db") }))
    const floor = median(bare(at, 200))
    const own = await alone(runtime, "alone", 200)
    const one = median(own.slice(50))
    ratios.push(one / floor)
    alones.push(one)
    shares.push(one / (await together(runtime, 64, 10)))
    await runtime.dispose()
  }
  rows.push({
    what: "SQLite: a prompt, beside its rows in bare SQL",
    cost: ms(median(alones)),
    ratio: `${median(ratios).toFixed(2)}x`,
    aim: "at most 2x"
  })
  rows.push({
    what: "SQLite: 64 sessions at once, beside one",
    cost: ms(median(alones) / median(shares)),
    ratio: `${median(shares).toFixed(1)}x the rate`,
    aim: "at least 3x"
  })
}

/** Sessions that somebody had made, a thousand in a write. */
const many = async (folder: string): Promise<void> => {
  const runtime = engineOver(SqliteSessionStore.layer({ filename: join(folder, "many.db") }))
  const nowhere = { cwd: ".", parent: null, depth: 0, origin: null }
  const row = (id: string) => ({ id, incarnation: id, agent: "main", createdAt: 0, ...nowhere })
  const nothing = { entries: [], running: null, partial: null, delivered: [] }
  await runtime.runPromise(
    Effect.gen(function* () {
      const store = yield* SessionStore.SessionStore
      yield* store.create(row("root"))
      const write = {
        session: "root",
        incarnation: "root",
        owner: "bench",
        leaseFor: 60_000,
        expectedSeq: 1,
        ...nothing
      }
      for (let i = 0; i < 100; i++) {
        const children = Array.from({ length: 1_000 }, (_, k) => row(`session-${i}-${k}`))
        yield* store.append({ ...write, epoch: i === 0 ? 0 : 1, lease: i === 0 ? "claim" : "keep", children })
      }
    })
  )
  await runtime.dispose()
  const took: Array<number> = []
  for (let i = 0; i < 20; i++) {
    const next = engineOver(SqliteSessionStore.layer({ filename: join(folder, "many.db") }))
    await next.runPromise(SessionStore.SessionStore)
    const from = performance.now()
    await open(next, `session-${i}-${i}`)
    took.push(performance.now() - from)
    await next.dispose()
  }
  const size = statSync(join(folder, "many.db")).size / 1e6
  rows.push({
    what: `SQLite: open one of 100,000 sessions (${size.toFixed(0)} MB)`,
    cost: ms(median(took)),
    aim: "under 50 ms"
  })
}

const postgres = async (): Promise<void> => {
  const server = await start()
  if (!("host" in server)) {
    rows.push({ what: `Postgres: none starts (${server.reasons.join("; ")})` })
    return
  }
  try {
    const store = SqlSessionStore.layer.pipe(
      Layer.provide(PgClient.layer({ host: server.host, username: "baton", database: "postgres", maxConnections: 10 }))
    )
    const runtime = engineOver(store)
    const one = median((await alone(runtime, "alone", 300)).slice(100))
    const each = await together(runtime, 64, 20)
    await runtime.dispose()
    rows.push({
      what: "Postgres: a prompt (two commits)",
      cost: ms(one),
      ratio: `${(1000 / one).toFixed(0)} prompts/s`
    })
    rows.push({
      what: "Postgres: 64 sessions at once, beside one",
      cost: ms(each),
      ratio: `${(one / each).toFixed(1)}x the rate`,
      aim: "at least 3x"
    })
  } finally {
    await server.stop()
  }
}

const folder = mkdtempSync(join(tmpdir(), "baton-bench-"))
try {
  await sqlite(folder)
  await many(folder)
  await postgres()
  console.table(rows)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
