/**
 * Processes that are killed at any instant, one after the other, on one database.
 */
import { spawn } from "node:child_process"
import { Effect } from "effect"
import type { Job } from "./job.js"
import { judge, type Verdict } from "./crowd.js"
import type { Backend } from "./matrix.js"
import { folder, program } from "./matrix.js"

export const sessionIds = ["c0", "c1", "c2", "c3"]

/** Leases that a next process need not wait for long. */
export const chaosLeases = { duration: 300, renewal: 100, poll: 20, attempts: 10 }

/** The same numbers from the same seed (mulberry32). */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Starts a process and kills it `after` milliseconds from when it is ready, or from its start. */
const lifeOf = (job: Job, after: number, fromReady: boolean): Effect.Effect<string | undefined> =>
  Effect.async((resume) => {
    const child = spawn(process.execPath, [program("boot.cjs"), program("worker.cjs"), JSON.stringify(job)], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let err = ""
    let timer: NodeJS.Timeout | undefined
    const arm = (millis: number) => void (timer ??= setTimeout(() => child.kill("SIGKILL"), millis))
    // One that never gets ready is killed all the same, and told.
    let late = false
    const patience = setTimeout(() => {
      late = true
      child.kill("SIGKILL")
    }, 20_000)
    if (!fromReady) arm(after)
    child.stdout.on("data", () => arm(after))
    child.stderr.on("data", (text: Buffer) => (err += text.toString()))
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      clearTimeout(patience)
      const fault = late ? "it did not get ready" : signal === "SIGKILL" ? undefined : `it ended with ${code}: ${err}`
      resume(Effect.succeed(fault))
    })
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** Kills processes on one database, then looks at what they left. */
export const round = (
  backend: Backend,
  seed: number,
  kills: number,
  tell: () => void
): Effect.Effect<Verdict, unknown> =>
  Effect.scoped(
    Effect.gen(function* () {
      const it = yield* folder
      yield* backend.prepare(it)
      const random = randomOf(seed)
      const faults: Array<string> = []
      for (let i = 0; i < kills; i++) {
        // One of five dies while it starts and recovers.
        const fromReady = random() > 0.2
        const job: Job = { mode: "chaos", folder: it, seed: seed * 1_000 + i, server: backend.server }
        const fault = yield* lifeOf(job, random() * 250, fromReady)
        if (fault !== undefined) faults.push(fault)
        tell()
      }
      const verdict = yield* judge({ folder: it, store: backend.layer(it), leases: chaosLeases }, sessionIds)
      return { ...verdict, stuck: [...faults, ...verdict.stuck, ...backend.problems(it)] }
    })
  )
