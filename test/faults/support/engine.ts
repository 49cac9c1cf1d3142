/**
 * The engine of the fault matrix over each of the stores.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { PgClient } from "@effect/sql-pg"
import Binding from "libsql"
import { Context, Effect, Layer } from "effect"
import { type Agent, Engine, Events, Leases, type Model, Sessions, SessionStore } from "effect-baton"
import { SqlSessionStore } from "effect-baton/sql"
import { type SqliteClient, SqliteSessionStore } from "effect-baton/sqlite"
import { Failpoints } from "effect-baton/testing"
import { type Ledgers, openLedgers } from "./ledger.js"
import { actors, perform, sessionNames, type Stage } from "./scenario.js"

type Points = Context.Tag.Service<Failpoints.Failpoint>

/** Leases short enough to be waited for, and long enough for a machine that is busy. */
export const leases: Context.Tag.Service<Leases.Leases> = { duration: 1_200, renewal: 400, poll: 50, attempts: 10 }

export const sqliteFile = (folder: string): string => path.join(folder, "s.db")

/** The binding, with a point inside each transaction: everything is written, and nothing is committed. */
const openWith =
  (points: Points): SqliteClient.Open =>
  (filename) => {
    const db = new Binding(filename) as unknown as SqliteClient.Database
    if (filename.endsWith("-lock")) return db
    return {
      get inTransaction() {
        return db.inTransaction
      },
      prepare: (sql) => db.prepare(sql),
      exec: (sql) => {
        if (/^\s*commit/i.test(sql)) points.unsafeHit(`${points.writing() || "open"} inside`)
        return db.exec(sql)
      },
      close: () => db.close()
    }
  }

export const layerSqlite = (folder: string): Layer.Layer<SessionStore.SessionStore, unknown, Failpoints.Failpoint> =>
  Layer.unwrapEffect(
    Effect.map(Failpoints.Failpoint, (points) =>
      SqliteSessionStore.layer({ filename: sqliteFile(folder), open: openWith(points) })
    )
  )

/** The database of a folder. */
export const databaseOf = (folder: string): string => path.basename(folder).replaceAll("-", "_")

/** The store in the folder's database on a server, or in its file where there is no server. */
export const layerStore = (folder: string, host: string | undefined): Life["store"] =>
  host === undefined
    ? layerSqlite(folder)
    : Layer.provide(
        SqlSessionStore.layer,
        PgClient.layer({ host, username: "baton", database: databaseOf(folder), maxConnections: 4 })
      )

/** Whether nobody writes to the file. What is asked stays open: closing it would drop the locks of this process. */
export const isFileFree = (folder: string): Effect.Effect<boolean> => {
  let lock: SqliteClient.Database | undefined
  return Effect.suspend(() => {
    lock ??= new Binding(`${sqliteFile(folder)}-lock`) as unknown as SqliteClient.Database
    try {
      lock.exec("PRAGMA busy_timeout = 0")
      lock.exec("BEGIN EXCLUSIVE")
      lock.exec("COMMIT")
      return Effect.succeed(true)
    } catch {
      if (lock.inTransaction) lock.exec("ROLLBACK")
      return Effect.succeed(false)
    }
  }).pipe(
    // A signal takes a moment to stop a process.
    Effect.delay("5 millis")
  )
}

/** What SQLite itself says against a file that nobody has open, and what else lies there that should not. */
export const problemsOfFile = (folder: string): ReadonlyArray<string> => {
  const db = new Binding(sqliteFile(folder)) as unknown as SqliteClient.Database
  try {
    const [row] = db.prepare("PRAGMA integrity_check").all([]) as ReadonlyArray<Record<string, unknown>>
    const verdict = Object.values(row ?? {})[0]
    const wrong = verdict === "ok" ? [] : [`the integrity check says ${String(verdict)}`]
    const known = ["s.db", "s.db-wal", "s.db-shm", "s.db-lock", "ledgers"]
    const left = fs.readdirSync(folder).filter((file) => !known.includes(file))
    return [...wrong, ...left.map((file) => `a file is left: ${file}`)]
  } finally {
    db.close()
  }
}

export interface Life {
  readonly folder: string
  readonly store: Layer.Layer<SessionStore.SessionStore, unknown, Failpoints.Failpoint>
  readonly isFirst: boolean
  readonly plan?: Failpoints.Plan | undefined
  readonly leases?: Context.Tag.Service<Leases.Leases> | undefined
}

/** Who plays: an agent, and the services that it stands on. */
export interface Cast {
  readonly agent: Agent.Agent
  readonly layer: Layer.Layer<Model.Model>
}

/** An engine with a cast, that of the scenario where none is named; it ends with the scope. */
export const start = (life: Life) => startWith(life, actors)

export const startWith = <It extends Cast, E, R>(
  { folder, isFirst, leases: held = leases, plan, store }: Life,
  cast: (stage: Stage) => Effect.Effect<It, E, R>
) =>
  Effect.gen(function* () {
    const points = Failpoints.make(plan)
    const ledgers = openLedgers(folder)
    const it = yield* cast({ folder, ledgers, points, isFirst })
    const wrapped = Layer.provideMerge(
      Layer.provide(Failpoints.layerStore, store),
      Layer.succeed(Failpoints.Failpoint, points)
    )
    const below = Layer.mergeAll(wrapped, it.layer, Layer.succeed(Leases.Leases, held))
    const context = yield* Layer.build(Layer.provideMerge(Engine.layer, below))
    yield* listen(Context.get(context, Events.Events), ledgers)
    return {
      actors: it,
      points,
      ledgers,
      sessions: Context.get(context, Sessions.Sessions),
      store: Context.get(context, SessionStore.SessionStore)
    }
  })

export type Started = Effect.Effect.Success<ReturnType<typeof start>>

/** Writes down what is heard of durable events, in the step in which it is told. */
const listen = (events: Context.Tag.Service<Events.Events>, ledgers: Ledgers) =>
  events.listen(undefined, (event) => {
    if ("seq" in event && event.seq !== undefined) ledgers.events(event)
  })

/** The life of the first process. */
export const firstLife = (life: Omit<Life, "isFirst">) =>
  Effect.gen(function* () {
    const started = yield* start({ ...life, isFirst: true })
    yield* perform(started.sessions, started.actors, started.ledgers)
    return started.points
  }).pipe(Effect.scoped)

/** Opens the scenario's sessions as far as they are there, and waits for what was left unfinished. */
export const recover = ({ actors: { agent }, sessions, store }: Started) =>
  Effect.gen(function* () {
    yield* atRest({ agent, sessions, store }, "s")
    for (const id of sessionNames) {
      if (id !== "s" && (yield* store.get(id)) !== undefined) yield* atRest({ agent, sessions, store }, id)
    }
    return yield* sessions.open({ id: "s", agent })
  })

/** Opens a session when whoever died in it has lost it, and waits for what is resumed. */
export const atRest = (
  {
    agent,
    sessions,
    store
  }: Pick<Started, "sessions" | "store"> & {
    readonly agent: Agent.Agent
  },
  id: string
) =>
  Effect.gen(function* () {
    for (;;) {
      const session = yield* sessions.open({ id, agent })
      yield* session.resumed?.ended ?? Effect.void
      const row = yield* store.get(id)
      if (row === undefined || row.running === null) return session
      yield* Effect.sleep(20)
    }
  })
