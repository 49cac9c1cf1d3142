/** Temporary folders, and waiting for what other processes do. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Clock, Effect, Schedule } from "effect"

/** A new folder, removed with the scope. */
export const tempFolder = Effect.acquireRelease(
  Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "baton-")))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** Files by path and content, made below a folder; a path that ends in a slash is a folder. */
export type Tree = Readonly<Record<string, string | Uint8Array>>

export const plant = (folder: string, tree: Tree): void => {
  for (const [name, content] of Object.entries(tree)) {
    const at = path.join(folder, name)
    fs.mkdirSync(name.endsWith("/") ? at : path.dirname(at), { recursive: true })
    if (!name.endsWith("/")) fs.writeFileSync(at, content)
  }
}

/** Looks every 5 ms, for 20 s at most, until `look` gives something. */
export const eventually = <A>(look: () => A | undefined): Effect.Effect<A> =>
  Effect.suspend(() => {
    const found = look()
    return found === undefined ? Effect.fail("not yet") : Effect.succeed(found)
  }).pipe(
    Effect.retry(Schedule.spaced(5).pipe(Schedule.upTo("20 seconds"))),
    Effect.orDie,
    Effect.withClock(Clock.make())
  )

/** The process id that a file tells, once it is there. */
export const pidIn = (file: string): Effect.Effect<number> =>
  eventually(() => {
    const text = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : ""
    return text.endsWith("\n") ? Number(text) : undefined
  })

/** Whether a process runs; one that has ended and was not collected yet does not. */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  try {
    return !/\) [ZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, "latin1"))
  } catch {
    return !fs.existsSync("/proc/self")
  }
}
