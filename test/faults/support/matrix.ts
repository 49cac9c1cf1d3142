/**
 * The kill matrix: a process is killed at a point, another one goes on, and what must hold is looked at.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, Schedule, type Scope } from "effect"
import type { Failpoints } from "effect-baton/testing"
import type { Job } from "./job.js"
import { checked } from "./checks.js"
import { isFileFree, layerSqlite, type Life, problemsOfFile } from "./engine.js"

export const program = (name: string) => fileURLToPath(new URL(name, import.meta.url))

/** How a process ended, and what it said. */
export interface Ended {
  readonly signal: NodeJS.Signals | null
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs a worker to its end. It is killed where the effect is interrupted. */
export const work = (job: Job): Effect.Effect<Ended> =>
  Effect.async((resume) => {
    const child = spawn(process.execPath, [program("boot.cjs"), program("worker.cjs"), JSON.stringify(job)], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let out = ""
    let err = ""
    child.stdout.on("data", (text: Buffer) => (out += text.toString()))
    child.stderr.on("data", (text: Buffer) => (err += text.toString()))
    child.on("close", (code, signal) => resume(Effect.succeed({ code, signal, out, err })))
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** A store in a folder, and how a worker is told to use the same. */
export interface Backend {
  readonly name: string
  readonly layer: (folder: string) => Life["store"]
  /** Where the server is, if there is one. */
  readonly server?: string | undefined
  /** Makes the database; it goes with the scope. */
  readonly prepare: (folder: string) => Effect.Effect<void, never, Scope.Scope>
  /** Whether nobody is within a commit. */
  readonly isFree: (folder: string) => Effect.Effect<boolean>
  /** What the database itself says against what it holds, when nobody has it open. */
  readonly problems: (folder: string) => ReadonlyArray<string>
}

export const sqlite: Backend = {
  name: "SQLite",
  layer: layerSqlite,
  prepare: () => Effect.void,
  isFree: isFileFree,
  problems: problemsOfFile
}

/** What a process wrote outlives it in memory too; only the end of the machine asks for a disk. */
const root = fs.existsSync("/dev/shm") ? "/dev/shm" : os.tmpdir()

/** A folder that is removed with the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(root, "baton-fault-")))),
  (it) => Effect.sync(() => fs.rmSync(it, { recursive: true, force: true }))
)

/** Every point that the scenario comes by. */
export const recorded = ({ prepare, server }: Backend) =>
  Effect.scoped(
    Effect.gen(function* () {
      const it = yield* folder
      yield* prepare(it)
      const ended = yield* work({ mode: "scenario", folder: it, server })
      if (ended.code !== 0) return yield* Effect.die(new Error(`the scenario failed: ${ended.err}`))
      return JSON.parse(ended.out) as ReadonlyArray<Failpoints.Hit>
    })
  )

export interface Result {
  readonly at: string
  /** Whether the point was come by, and the process killed there. */
  readonly reached: boolean
  readonly wrong: ReadonlyArray<string>
}

/** The living processes whose folder is one of the tests'. */
const orphans = (): ReadonlyArray<string> =>
  fs.readdirSync("/proc").flatMap((pid) => {
    try {
      return fs.readlinkSync(`/proc/${pid}/cwd`).startsWith(path.join(root, "baton-fault-")) ? [pid] : []
    } catch {
      return []
    }
  })

/** Commands of processes that were killed are not ended by anybody; those of the scenario end within a second. */
export const noOrphans: Effect.Effect<ReadonlyArray<string>> = Effect.suspend(() =>
  fs.existsSync("/proc/self") ? Effect.succeed(orphans()) : Effect.succeed([])
).pipe(
  Effect.repeat({ while: (left) => left.length > 0, schedule: Schedule.spaced(100).pipe(Schedule.upTo("5 seconds")) }),
  Effect.map(() => orphans().map((pid) => `process ${pid} is left`))
)

/** How long a recovery may take, the wait for the lease included. */
const patience = "20 seconds"

/** Kills processes one after the other, each within what it does first, and looks at what is left. */
export const killedAt = (
  plans: ReadonlyArray<Failpoints.Hit>,
  backend: Backend,
  alive: Effect.Semaphore
): Effect.Effect<Result> =>
  Effect.scoped(
    Effect.gen(function* () {
      const at = plans.map(({ hit, point }) => `${point}#${hit}`).join(", then ")
      const it = yield* folder
      yield* backend.prepare(it)
      let reached = true
      for (const [i, plan] of plans.entries()) {
        const mode = i === 0 ? "scenario" : "recover"
        const job: Job = { mode, folder: it, server: backend.server, plan: { ...plan, action: "kill" } }
        const ended = yield* alive.withPermits(1)(work(job))
        if (ended.signal === "SIGKILL") continue
        // A recovery may come to its end before it is killed.
        if (i === 0) reached = false
        if (ended.code !== 0) return { at, reached, wrong: [`the process failed: ${ended.err}`] }
      }
      const wrong = yield* Effect.match(
        Effect.timeout(Effect.sandbox(checked({ folder: it, store: backend.layer(it) })), patience),
        {
          onFailure: (error) => [`recovery failed: ${String(error)}`],
          onSuccess: (found) => found
        }
      )
      return { at, reached, wrong: [...wrong, ...backend.problems(it)] }
    })
  )

/** Kills at each of some points. Three processes run at a time; those whose leases are waited for do not count. */
export const matrix = (
  points: ReadonlyArray<ReadonlyArray<Failpoints.Hit>>,
  backend: Backend,
  tell: (result: Result) => void
): Effect.Effect<ReadonlyArray<Result>> =>
  Effect.gen(function* () {
    const alive = yield* Effect.makeSemaphore(3)
    return yield* Effect.forEach(
      points,
      (plans) => Effect.tap(killedAt(plans, backend, alive), (result) => Effect.sync(() => tell(result))),
      { concurrency: 16 }
    )
  })
