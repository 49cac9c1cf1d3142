/**
 * The sandbox of this machine: one folder of its file system, and its shell.
 *
 * Files are confined to the folder. The shell is not: a command runs as the user that runs this program, starts in the
 * folder, and can read whatever that user can. Linux and macOS.
 */
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SandboxError } from "../services/Errors.js"
import { type ExecRequest, Sandbox, type SearchRequest } from "../services/Sandbox.js"
import { confine } from "./sandbox/confine.js"
import { clamp, faultOf, maxOutputOf, timeoutOf } from "./sandbox/request.js"
import { mark } from "./sandbox/processes.js"
import { candidates, findRipgrep, isRipgrep } from "./sandbox/ripgrep.js"
import { findShell, run, type Within } from "./sandbox/shell.js"

/** How the sandbox of this machine is set up. */
export interface Options {
  /** The folder, absolute or relative to the process's own. It must exist. */
  readonly root: string
  /**
   * Which variables of this process's environment a command gets; a name that ends in `*` stands for all that begin
   * so. Default: `defaultEnv`.
   */
  readonly env?: ReadonlyArray<string> | undefined
  /**
   * Files and folders that tools do not write, absolute or relative to the root: an application's own configuration and
   * store. Commands can write them all the same. Default: none; what is below a `.git` or a `.baton` is never written.
   */
  readonly protect?: ReadonlyArray<string> | undefined
  /**
   * The path of ripgrep, or `false` for none. Searches are quicker with it and find the same. Less is told of what is
   * too large to be searched: of a file nothing, of a line or a folder not always. Default: the first `rg` on this
   * process's PATH, looked up at the first search.
   */
  readonly ripgrep?: string | false | undefined
  /** From SIGTERM to SIGKILL, in milliseconds. Default: 1,000. */
  readonly killGrace?: number | undefined
}

/** The variables that commands get unless other ones are named. */
export const defaultEnv: ReadonlyArray<string> = [
  "PATH",
  "HOME",
  "LANG",
  "LC_*",
  "TERM",
  "TMPDIR",
  "USER",
  "SHELL",
  "TZ"
]

export { outputLimits } from "./sandbox/request.js"

/**
 * Roots the sandbox at a folder. Fails where there is none. The environment is read once, when the layer is built.
 *
 * A file is read whole up to 64 MiB and in parts beyond; a folder is listed up to 50,000 entries. A failed or interrupted
 * read leaves nothing open.
 *
 * A file is written by a draft beside it that is renamed over it: whole or not at all, with the permissions that it had,
 * but for the bits by which a program runs with somebody else's rights. An interrupted write has ended when the Effect
 * does. It is not forced onto the disk: the folder is a place to work in, not a store. Where the process is killed
 * meanwhile, a hidden `.baton-*.draft` can stay.
 *
 * Commands run in `bash`, or in `sh` where there is no bash, with an empty standard input. Whatever a command leaves
 * running in the background ends with it, daemons too. On Linux that is its process group, its session, all that have
 * its mark in the environment (`BATON_EXEC`), their living children, and all that hold its outputs open; so a program
 * gets away only if it begins a session of its own, without that environment, without those outputs, and its parent has
 * ended. Elsewhere it is the process group alone. A timeout below 1 millisecond counts as 1, one over 2^31 - 1 as that,
 * and one that is not a number as none.
 */
export const layer = (options: Options): Layer.Layer<Sandbox, SandboxError> =>
  Layer.effect(
    Sandbox,
    Effect.gen(function* () {
      const root = path.resolve(options.root)
      const files = yield* confine(root, { protect: options.protect })
      const shell = findShell()
      // oxlint-disable-next-line node/no-process-env -- The one place at which the environment of commands is made.
      const environment = process.env
      const allowed = pick(environment, options.env ?? defaultEnv)
      // A sandbox that this process is itself a command of finds what is started here as well.
      const outer = environment[mark] ?? ""
      const grace = clamp(options.killGrace ?? 1_000, 0, 60_000, 1_000)

      const exec = Effect.fnUntraced(function* (request: ExecRequest) {
        const fault = faultOf(request)
        if (fault !== undefined) return yield* new SandboxError({ operation: "exec", path: "a command", reason: fault })
        const token = nextToken()
        const command = {
          program: shell,
          args: ["-c", "--", request.command],
          env: { ...allowed, ...request.env, [mark]: outer + token },
          token,
          timeout: timeoutOf(request),
          maxOutput: maxOutputOf(request),
          grace
        }
        return yield* run(command, (use) => files.within({ path: request.cwd ?? "." }, use))
      })

      let program = options.ripgrep
      let isKnown = false
      const candidatesOf = (request: SearchRequest) =>
        Effect.gen(function* () {
          program ??= findRipgrep(environment["PATH"]) ?? false
          if (program === false) return undefined
          const token = nextToken()
          const command = { env: { [mark]: outer + token }, token, grace }
          if (!isKnown && !(yield* isRipgrep(program, command))) {
            program = false
            return undefined
          }
          isKnown = true
          const within: Within = (use) => files.within({ path: request.path, cwd: request.cwd }, use)
          return yield* candidates({ program, sandbox, within, command }, request)
        })

      const sandbox = Sandbox.of({
        root,
        read: (at, { cwd, ...range } = {}) => files.read({ path: at, cwd }, range),
        stat: (at, cwd) => files.stat({ path: at, cwd }),
        list: (at, cwd) => files.list({ path: at, cwd }),
        place: (at, cwd) => files.place({ path: at, cwd }),
        write: (at, bytes, cwd) => files.write({ path: at, cwd }, bytes),
        candidates: candidatesOf,
        exec
      })
      return sandbox
    })
  )

/** Numbers the commands of this process, which on its machine is told by its id and by when it came to this line. */
let commands = 0
const born = process.hrtime.bigint()

/** A text that no other command has, and that is part of no other one. */
const nextToken = () => `<${process.pid}.${born}.${commands++}>`

/** The variables of an environment that are named. */
const pick = (
  env: Readonly<Record<string, string | undefined>>,
  names: ReadonlyArray<string>
): Readonly<Record<string, string>> => {
  const exact = new Set(names.filter((name) => !name.endsWith("*")))
  const prefixes = names.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1))
  const picked: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue
    if (exact.has(name) || prefixes.some((prefix) => name.startsWith(prefix))) picked[name] = value
  }
  return picked
}
