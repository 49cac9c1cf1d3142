/**
 * Command lines, in the shell that `just-bash` is.
 */
import { Buffer } from "node:buffer"
import type { ExecResult } from "../../services/Sandbox.js"
import { Tail } from "../sandbox/Tail.js"
import type { CommandName, JustBash } from "./justBash.js"
import { Hand } from "./Hand.js"
import type { Exec, Limits } from "./messages.js"
import type { Tree } from "./Tree.js"

export interface Shell {
  readonly justBash: JustBash
  readonly env: Readonly<Record<string, string>>
  readonly limits: Limits
  readonly sleep: (millis: number) => Promise<void>
}

// Taken before a command runs: while one does, this global is closed to what it runs in.
const load = Atomics.load.bind(Atomics)

/**
 * Runs a command line in a shell of its own. `controller` ends it; a command that gives its thread no turn is ended by
 * `stop`, which is looked at before each of its steps.
 */
export const run = async (
  { env, justBash, limits, sleep }: Shell,
  tree: Tree,
  cwd: string,
  { by, command, maxOutput, ...exec }: Exec,
  controller: AbortController
): Promise<ExecResult> => {
  const stop = new Int32Array(exec.stop)
  Object.defineProperty(controller.signal, "aborted", { get: () => load(stop, 0) !== 0 })
  const bash = new justBash.Bash({
    fs: by.length === 0 ? tree : new Hand(tree, by),
    cwd,
    env: { ...env, ...exec.env },
    commands: commandsOf(justBash),
    sleep,
    executionLimits: {
      maxCommandCount: limits.commands,
      maxLoopIterations: limits.commands,
      maxOutputSize: limits.output,
      maxExecutionTimeMs: Number.POSITIVE_INFINITY
    }
  })
  const { exitCode, stderr, stdout } = await bash
    .exec(command, { rawScript: true, signal: controller.signal })
    // What the files refuse in the middle of a redirection comes out here, and ends the command line.
    .catch((error: unknown) => ({ stdout: "", stderr: `bash: ${wordsOf(error)}\n`, exitCode: 1 }))
  const out = cut(stdout, maxOutput)
  const err = cut(stderr, maxOutput)
  return {
    stdout: out.text,
    stderr: err.text,
    exitCode,
    dropped: { stdout: out.dropped, stderr: err.dropped }
  }
}

/** What runs in this thread alone: no network, no other language, and no `sqlite3`, which starts threads of its own. */
const commandsOf = (justBash: JustBash) =>
  (justBash.getCommandNames() as ReadonlyArray<CommandName>).filter((name) => name !== "sqlite3")

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : "an unexpected failure")

const cut = (output: string, max: number) => {
  const tail = new Tail(max)
  tail.push(Buffer.from(output))
  return tail.read()
}
