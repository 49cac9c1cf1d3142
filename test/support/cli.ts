/**
 * Runs of the built executable, each a process of its own.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { temporary } from "./repositories.js"

/** A file by its path from a folder of tests. */
export const fromHere = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const bin = fromHere("../../dist/bin.js")

/** The same program with a script that hangs. */
export const slowCli = fromHere("../support/slowCli.mjs")
export const hidePackages = fromHere("../support/hidePackages.mjs")

export interface Run {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface Options {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly program?: string
  readonly node?: ReadonlyArray<string>
  /** The user and group to run as. */
  readonly as?: number
  /** What it is given to read; default: nothing. */
  readonly input?: string
  /** Called with what was printed so far. */
  readonly onOut?: (out: string) => void
  /** Sent once a condition holds. */
  readonly interrupt?: {
    readonly when: () => boolean
    /** Sent at once, in no order that the process could tell. */
    readonly signals: ReadonlyArray<NodeJS.Signals>
    /** Sent after those, again and again, until it says how it ended. */
    readonly again?: ReadonlyArray<NodeJS.Signals>
  }
}

/** Runs the executable as a process of its own, with its outputs piped. */
export const run = (args: ReadonlyArray<string>, options: Options = {}): Promise<Run> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...(options.node ?? []), options.program ?? bin, ...args], {
      cwd: options.cwd ?? temporary(),
      env: { PATH: process.env.PATH, HOME: "/nowhere", GIT_CONFIG_NOSYSTEM: "1", ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
      ...(options.as === undefined ? undefined : { uid: options.as, gid: options.as })
    })
    // It may end without having read it.
    child.stdin.on("error", () => {})
    child.stdin.end(options.input ?? "")
    let out = ""
    let err = ""
    const { interrupt } = options
    let sent = false
    const watch = setInterval(() => {
      if (interrupt === undefined || (sent ? err !== "" : !interrupt.when())) return
      for (const signal of sent ? (interrupt.again ?? []) : interrupt.signals) child.kill(signal)
      sent = true
    }, 20)
    child.stdout.on("data", (data: Buffer) => {
      out += data.toString()
      options.onOut?.(out)
    })
    child.stderr.on("data", (data: Buffer) => (err += data.toString()))
    child.on("error", reject)
    child.on("close", (code) => {
      clearInterval(watch)
      resolve({ code, out, err })
    })
  })
