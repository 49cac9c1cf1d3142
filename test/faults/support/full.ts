/**
 * A disk that is full.
 */
import { spawn } from "node:child_process"
import { SqlClient } from "@effect/sql"
import { Context, Effect, Layer } from "effect"
import { Engine, Sessions, SessionStore } from "effect-baton"
import { SqliteSessionStore } from "effect-baton/sqlite"
import { Failpoints } from "effect-baton/testing"
import type { Job } from "./job.js"
import { problems } from "../../support/recoveries.js"
import { snapshot } from "./checks.js"
import { crowd, doOne, judge } from "./crowd.js"
import { sqliteFile } from "./engine.js"
import { linesOf, openLedgers } from "./ledger.js"
import { type Ended, folder, program, sqlite } from "./matrix.js"

/** Runs a worker that may write no file larger than this, in KiB. What goes beyond fails with EFBIG. */
const limited = (job: Job, kib: number): Effect.Effect<Ended> =>
  Effect.async((resume) => {
    const command = `trap "" XFSZ; ulimit -f ${kib}; exec "$@"`
    const args = [process.execPath, program("boot.cjs"), program("worker.cjs"), JSON.stringify(job)]
    const child = spawn("bash", ["-c", command, "bash", ...args], { stdio: ["ignore", "pipe", "pipe"] })
    let out = ""
    let err = ""
    child.stdout.on("data", (text: Buffer) => (out += text.toString()))
    child.stderr.on("data", (text: Buffer) => (err += text.toString()))
    child.on("close", (code, signal) => resume(Effect.succeed({ code, signal, out, err })))
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** Prompts until the file may not grow: a typed error, nothing acknowledged is lost, and the next process goes on. */
export const fileLimit = Effect.scoped(
  Effect.gen(function* () {
    const it = yield* folder
    const ended = yield* limited({ mode: "fill", folder: it }, 400)
    if (ended.code !== 0) return [`the process ended with ${ended.code ?? ended.signal}: ${ended.err}`]
    const { failed } = JSON.parse(ended.out) as { readonly failed: string }
    const wrong = failed === "SessionStoreError" ? [] : [`it failed with ${failed}`]
    if (linesOf(it, "acks").length < 3) wrong.push("the limit is too small to show anything")
    const verdict = yield* judge({ folder: it, store: sqlite.layer(it) }, ["full"])
    return [...wrong, ...verdict.lost, ...verdict.doubled, ...verdict.stuck, ...sqlite.problems(it)]
  })
)

/** Prompts a session until that fails, and tells by what. */
export const fill = (session: Sessions.Session, ack: (line: object) => void): Effect.Effect<string> =>
  Effect.gen(function* () {
    for (let n = 0; n < 10_000; n++) {
      const exit = yield* Effect.either(doOne(session, "tools", `fill-${n} ${"x".repeat(2_000)}`, ack))
      if (exit._tag === "Left") return exit.left._tag
    }
    return "nothing"
  })

/** The same in one process, which goes on by itself when there is room again. */
export const pageLimit = Effect.scoped(
  Effect.gen(function* () {
    const it = yield* folder
    const ledgers = openLedgers(it)
    const wrong: Array<string> = []
    const used = Effect.gen(function* () {
      const { agent, layer } = yield* crowd({ folder: it, ledgers, isFirst: true, points: Failpoints.make() })
      const below = Layer.merge(SqliteSessionStore.layer({ filename: sqliteFile(it) }), layer)
      const context = yield* Layer.build(Layer.provideMerge(Engine.layer, below))
      const sql = Context.get(context, SqlClient.SqlClient)
      const session = yield* Context.get(context, Sessions.Sessions).open({ id: "full", agent })
      const store = Context.get(context, SessionStore.SessionStore)
      for (let n = 0; n < 4; n++) {
        const [row] = yield* sql.unsafe<{ readonly page_count: number }>("PRAGMA page_count")
        yield* sql.unsafe(`PRAGMA max_page_count = ${row!.page_count + 3 + n}`)
        const failed = yield* fill(session, ledgers.acks)
        if (failed !== "SessionStoreError") wrong.push(`it failed with ${failed}`)
        yield* sql.unsafe("PRAGMA max_page_count = 1000000")
        const { text } = yield* session.prompt("canary")
        if (text !== "ok") wrong.push(`the prompt after that brought ${JSON.stringify(text)}`)
        const kept = yield* snapshot(store)
        wrong.push(...problems(kept))
        const entries = kept.get("full")?.entries ?? []
        for (const { from, text, to } of linesOf<{ from: number; to: number; text: string }>(it, "acks")) {
          const isThere = JSON.stringify(entries[from]).includes(text) && entries[to - 1]?._tag === "OperationSettled"
          if (!isThere) wrong.push(`${text.slice(0, 20)} is lost`)
        }
      }
    })
    yield* Effect.scoped(used)
    return [...wrong, ...sqlite.problems(it)]
  })
)
