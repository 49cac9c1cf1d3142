/**
 * One command in a process group of its own.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { SandboxError } from "../../services/Errors.js"
import type { ExecResult } from "../../services/Sandbox.js"
import { reasonOf } from "./confine.js"
import { endGroup } from "./processGroup.js"
import { Tail } from "./Tail.js"

/** A command with everything decided. */
export interface Command {
  readonly command: string
  /** An absolute path. */
  readonly cwd: string
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>
  /** In milliseconds. */
  readonly timeout: number | undefined
  /** In bytes, of each output. */
  readonly maxOutput: number
  /** In milliseconds, from SIGTERM to SIGKILL. */
  readonly grace: number
}

/** bash where the machine has it, else sh. */
export const findShell = (): string => ["/bin/bash", "/usr/bin/bash"].find((path) => fs.existsSync(path)) ?? "/bin/sh"

/**
 * Runs a command to its end, its timeout or its interruption; in each case it ends when the command's processes are
 * gone. Fails where the shell could not be started.
 */
export const run = (shell: string, command: Command): Effect.Effect<ExecResult, SandboxError> =>
  Effect.suspend(() => {
    const stdout = new Tail(command.maxOutput)
    const stderr = new Tail(command.maxOutput)
    return Effect.acquireUseRelease(
      start(shell, command, stdout, stderr),
      (running) =>
        command.timeout === undefined
          ? Deferred.await(running.exit)
          : Effect.timeoutTo(Deferred.await(running.exit), {
              duration: command.timeout,
              onSuccess: (code) => code,
              onTimeout: () => 124
            }),
      (running) => finish(running, command.grace)
    ).pipe(
      Effect.map((exitCode) => {
        const out = stdout.read()
        const err = stderr.read()
        return {
          stdout: out.text,
          stderr: err.text,
          exitCode,
          dropped: { stdout: out.dropped, stderr: err.dropped }
        }
      })
    )
  })

interface Running {
  readonly child: ChildProcess
  readonly exit: Deferred.Deferred<number, SandboxError>
  /** Both outputs have ended. */
  readonly closed: Deferred.Deferred<void>
}

/** Spawns and listens in one synchronous step: there is no moment at which a process runs that nobody will end. */
const start = (shell: string, command: Command, stdout: Tail, stderr: Tail): Effect.Effect<Running, SandboxError> =>
  Effect.flatMap(Effect.all([Deferred.make<number, SandboxError>(), Deferred.make<void>()]), ([exit, closed]) =>
    Effect.try({
      try: () => {
        const child = spawn(shell, ["-c", command.command], {
          cwd: command.cwd,
          env: command.env,
          stdio: ["ignore", "pipe", "pipe"],
          detached: true
        })
        child.on("error", (error) => Deferred.unsafeDone(exit, Effect.fail(execError(error))))
        child.on("exit", (code, signal) => Deferred.unsafeDone(exit, Effect.succeed(code ?? codeOf(signal))))
        child.on("close", () => Deferred.unsafeDone(closed, Effect.void))
        for (const [stream, tail] of [[child.stdout, stdout] as const, [child.stderr, stderr] as const]) {
          stream.on("data", (chunk: Uint8Array) => tail.push(chunk))
          stream.on("error", () => {})
        }
        return { child, exit, closed }
      },
      catch: execError
    })
  )

/**
 * Ends what is left of the command, then takes what its outputs still hold. An output that stays open belongs to a
 * process that left the session; it is let go after a quarter of a second.
 */
const finish = ({ child, closed }: Running, grace: number): Effect.Effect<void> => {
  if (child.pid === undefined) return Effect.void
  return endGroup(child.pid, grace).pipe(
    Effect.zipRight(Effect.timeoutOption(Effect.interruptible(Deferred.await(closed)), 250)),
    Effect.withClock(Clock.make()),
    Effect.zipRight(
      Effect.sync(() => {
        child.stdout?.destroy()
        child.stderr?.destroy()
        child.unref()
      })
    )
  )
}

/** The exit code that a shell would tell of a process ended by a signal. */
const codeOf = (signal: NodeJS.Signals | null): number => 128 + (signal === null ? 0 : os.constants.signals[signal])

const execError = (cause: unknown): SandboxError =>
  new SandboxError({ operation: "exec", path: "a command", reason: reasonOf(cause), cause })
