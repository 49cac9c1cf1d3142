/**
 * A sandbox that is no place of this machine: files in memory, and a shell that is a program of JavaScript (`just-bash`,
 * to be installed besides).
 *
 * Its commands are the shell's own: about 80, among them cat, grep, sed, awk, jq, find, sort, tar. They start no process
 * and have no network; there is no git, no compiler, no Python and no Node. What a command can see is the files of the
 * sandbox and the variables that it was given; nothing of this process's environment is among them.
 *
 * **What it protects from.** A command changes nothing of this machine and reads nothing but what was put in: `files`, a
 * snapshot, and the folder that is laid below. That holds against what a model does by mistake or because a text told it
 * to. It is no jail for those who attack the shell itself: the shell is JavaScript of this process, in a thread of its
 * own but with the rights of the process, and a mistake in it could be a way out. Its own README calls it beta software
 * without isolation by a virtual machine. Where commands come from an enemy, put a container or a machine around it.
 *
 * **What bounds it.** The thread keeps this program's event loop free whatever a command computes. One command line runs
 * at most so many commands, and holds its output in memory until it ends: at most `limits.output` bytes, beyond which it
 * ends with exit code 126. Files take at most `limits.files` bytes. What one command builds in memory is bounded by the
 * thread's heap of `limits.heap` MiB: where that does not suffice the thread ends, its files are lost, and every later
 * call fails with a `SandboxError` that says so. Between its steps a command can be ended at any time; a single step that
 * computes for long (`awk` over many lines) is waited for by the calls beside it, and by a timeout or an interruption for
 * `limits.grace` milliseconds; after that the thread is ended, and its files are lost as well.
 *
 * **What it remembers.** Of each path that is changed for a session it keeps how it stood before and after: content, kind,
 * permissions and a link's target, not times. `restore` of its port brings that back. What is done outside of any
 * operation is nobody's, and what a snapshot brings as well. A command counts where it was begun; what a command or a
 * handler changes that was given up counts where its operation has written last, and is not waited for: where it comes
 * after a restoring, the next one finds it. A second name of a file comes back as a file of its own. To move or remove a
 * folder of the folder below for a session all of it is listed. At most `limits.changes` bytes are kept.
 *
 * Links of both kinds behave as on Linux; permissions are kept, but not enforced. Output is text: bytes that are no UTF-8
 * come as the characters of Latin-1 (and `printf '\377'` prints such a character). A command in the background (`&`) is
 * run to its end at once. What a loop printed before its timeout may be lost.
 * `sleep` and timeouts go by Effect's Clock, as it was when the layer was built; `date` and the times of files by the
 * machine's.
 */
import * as path from "node:path/posix"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SandboxError } from "../services/Errors.js"
import { type ExecRequest, type Restored, Sandbox } from "../services/Sandbox.js"
import { faultOf, maxOutputOf, timeoutOf } from "./sandbox/request.js"
import { authorsOf } from "./virtual/authors.js"
import type { Snapshot } from "./virtual/snapshot.js"
import type { By } from "./virtual/Tree.js"
import { start } from "./virtual/Thread.js"

export type { Snapshot, SnapshotEntry } from "./virtual/snapshot.js"

/** How a virtual sandbox is set up. */
export interface Options {
  /** Its root, an absolute path. Default: `/workspace`. */
  readonly root?: string | undefined
  /** What is written at first: a path, relative to the root or absolute inside of it, and a text or bytes. */
  readonly files?: Readonly<Record<string, string | Uint8Array>> | undefined
  /**
   * A folder of this machine that the root begins as. It is read and never changed: what is written stays in memory. A
   * folder of it is listed once, when it is first looked at, and a file read each time until it is written. Its links are
   * links of the sandbox: one that leads out of it leads nowhere. Devices, sockets and pipes are not shown, and no more
   * than 64 MiB of a file are read at once: a command, which reads the whole of it, does not get one that is larger.
   */
  readonly overlay?: string | undefined
  /** What it begins with; `files` come on top. Not together with `overlay`, since a snapshot is whole. */
  readonly snapshot?: Snapshot | undefined
  /** The variables that commands get, besides `HOME` (the root), `PATH` and what the shell itself sets. */
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly limits?: Partial<Limits> | undefined
}

/** What a sandbox may take. */
export interface Limits {
  /** How many commands one command line may run, and how often a loop may go round. Default: 100,000. */
  readonly commands: number
  /** How many bytes a command line may print, both outputs together. Default: 64 MiB. */
  readonly output: number
  /** How many bytes the files may hold. Default: 256 MiB. */
  readonly files: number
  /** The heap of its thread, in MiB. Default: 512. */
  readonly heap: number
  /**
   * How many bytes may be kept of what sessions changed, to restore it: contents count once, also those that the files
   * still have, and each change about 500 bytes besides. Beyond that the oldest changes go, and a restoring that would
   * need them tells them as conflicts. Default: 128 MiB.
   */
  readonly changes: number
  /** How long a command that was to end may compute on, in milliseconds, before the thread is ended. Default: 10,000. */
  readonly grace: number
}

export const defaultLimits: Limits = {
  commands: 100_000,
  output: 64 * 1024 * 1024,
  files: 256 * 1024 * 1024,
  heap: 512,
  changes: 128 * 1024 * 1024,
  grace: 10_000
}

export { outputLimits } from "./sandbox/request.js"

/** The whole of a virtual sandbox, to be kept and put back. */
export class VirtualSandbox extends Context.Tag("baton/VirtualSandbox")<
  VirtualSandbox,
  {
    /**
     * All that it holds now, with permissions, times and links; what it reads through of a folder below is in it. Left
     * out are `/bin`, `/usr/bin`, `/dev` and `/proc`, which the shell makes. Fails where it does not fit into memory.
     */
    readonly snapshot: Effect.Effect<Snapshot, SandboxError>
    /**
     * Makes it hold what the snapshot says and nothing else, at once, as if it had begun with it: an empty root and `/tmp`
     * are made where it has none. A folder below is not read any more. A command that
     * runs meanwhile goes on in the files that it began with, which nobody sees any more. Fails, and changes nothing,
     * where this is no snapshot or has more bytes than the files may hold.
     */
    readonly restore: (snapshot: Snapshot) => Effect.Effect<void, SandboxError>
  }
>() {}

/**
 * A sandbox of its own for each time that it is built, in a thread that ends with the layer. Starting takes about 0.1 s
 * and loads `just-bash`; where that is not installed the error says how it is. Fails where the folder below does not
 * exist, or a file or the snapshot cannot be put in.
 *
 * A timeout below 1 millisecond counts as 1, one over 2^31 - 1 as that, and one that is not a number as none. An
 * interrupted `exec` ends when its command has; after that the command has no effect. An interrupted `write` is done.
 */
export const layer = (options: Options = {}): Layer.Layer<Sandbox | VirtualSandbox, SandboxError> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const root = path.normalize(options.root ?? "/workspace").replace(/(?<=.)\/$/, "")
      if (!path.isAbsolute(root) || root === "/" || root.includes("\0")) {
        return yield* new SandboxError({
          operation: "stat",
          path: root,
          reason: "the root is no absolute path below /"
        })
      }
      if (options.overlay !== undefined && options.snapshot !== undefined) {
        const reason = "it begins either with a snapshot or with a folder below, not with both"
        return yield* new SandboxError({ operation: "stat", path: root, reason })
      }
      const { grace, heap, ...limits } = { ...defaultLimits, ...options.limits }
      const thread = yield* start(
        {
          root,
          files: options.files ?? {},
          overlay: options.overlay,
          snapshot: options.snapshot,
          env: { HOME: root, PATH: "/usr/bin:/bin", ...options.env },
          limits
        },
        heap,
        grace
      )

      const exec = Effect.fnUntraced(function* (request: ExecRequest) {
        const fault = faultOf(request)
        if (fault !== undefined) return yield* new SandboxError({ operation: "exec", path: "a command", reason: fault })
        const { command, cwd, env = {} } = request
        const maxOutput = maxOutputOf(request)
        return yield* byWhom((by) => thread.exec({ command, cwd, env, by, maxOutput }, timeoutOf(request)))
      })

      const restore = (
        incarnation: string,
        onPath: (place: number) => boolean
      ): Effect.Effect<Restored, SandboxError> =>
        byWhom((above) => {
          const by = [{ session: incarnation, place: undefined }, ...above.filter((it) => it.session !== incarnation)]
          const go = (known: ReadonlyArray<number>): Effect.Effect<Restored, SandboxError> =>
            Effect.flatMap(
              thread.ask("rewind", root, { session: incarnation, by, known, onPath: known.filter(onPath) }),
              (it) => ("places" in it ? go(it.places) : Effect.succeed(it))
            )
          return Effect.uninterruptible(go([]))
        })

      const sandbox = Sandbox.of({
        root,
        read: (at, { cwd, limit, offset } = {}) => thread.ask("read", at, { path: at, cwd, limit, offset }),
        stat: (at, cwd) => thread.ask("stat", at, { path: at, cwd }),
        list: (at, cwd) => thread.ask("list", at, { path: at, cwd }),
        place: (at, cwd) => thread.ask("place", at, { path: at, cwd }),
        write: (at, bytes, cwd) =>
          byWhom((by) => Effect.uninterruptible(thread.ask("write", at, { path: at, cwd, bytes, by }))),
        exec,
        restore
      })
      return Context.make(Sandbox, sandbox).pipe(
        Context.add(VirtualSandbox, {
          snapshot: thread.ask("snapshot", root, undefined),
          restore: (snapshot) => Effect.uninterruptible(thread.ask("restore", root, snapshot))
        })
      )
    })
  )

/** Goes on with those for whom this fiber works. */
const byWhom = <A, E>(go: (by: By) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.withFiberRuntime<A, E>((fiber) => go(authorsOf(fiber)))
