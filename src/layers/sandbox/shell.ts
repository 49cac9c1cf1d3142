/**
 * One program in a process group of its own.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { SandboxError } from "../../services/Errors.js"
import type { ExecResult } from "../../services/Sandbox.js"
import { reasonOf } from "./faults.js"
import { endAll, endHolders, type Marks, marksOf } from "./processes.js"
import { Tail } from "./Tail.js"

/** A program with everything decided. */
export interface Command {
  /** Its path, and its arguments as they are: no shell reads them. */
  readonly program: string
  readonly args: ReadonlyArray<string>
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>
  /** A text in the environment that no other command has. */
  readonly token: string
  /** In milliseconds. */
  readonly timeout: number | undefined
  /** In bytes, of each output. */
  readonly maxOutput: number
  /** In milliseconds, from SIGTERM to SIGKILL. */
  readonly grace: number
}

/** Starts something in a folder: `use` gets a path that leads there until it returns. */
export type Within = <A>(use: (cwd: string) => A) => Effect.Effect<A, SandboxError>

/** bash where the machine has it, else sh. */
export const findShell = (): string => ["/bin/bash", "/usr/bin/bash"].find((path) => fs.existsSync(path)) ?? "/bin/sh"

/**
 * Runs a program to its end, its timeout or its interruption; in each case it ends when the program's processes are
 * gone. Fails where it could not be started.
 */
export const run = (command: Command, within: Within): Effect.Effect<ExecResult, SandboxError> =>
  Effect.suspend(() => {
    const stdout = new Tail(command.maxOutput)
    const stderr = new Tail(command.maxOutput)
    return Effect.acquireUseRelease(
      start(command, within, stdout, stderr),
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
  /** By what its processes are known; `undefined` where none was started. */
  readonly marks: Marks | undefined
}

const start = (command: Command, within: Within, stdout: Tail, stderr: Tail): Effect.Effect<Running, SandboxError> =>
  Effect.flatMap(Effect.all([Deferred.make<number, SandboxError>(), Deferred.make<void>()]), ([exit, closed]) =>
    Effect.flatten(
      within((cwd) =>
        Either.try({
          try: () => {
            const { args, env, program, token } = command
            const child = spawn(program, args, {
              cwd,
              env,
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
            return { child, exit, closed, marks: child.pid === undefined ? undefined : marksOf(child.pid, token) }
          },
          catch: execError
        })
      )
    )
  )

/**
 * Ends what is left of the command, then takes what its outputs still hold. An output that stays open belongs to a
 * process that is known by nothing else; where it cannot be found by that either, the output is let go.
 */
const finish = ({ child, closed, marks }: Running, grace: number): Effect.Effect<void> => {
  if (marks === undefined) return Effect.void
  const drained = Effect.timeoutOption(Effect.interruptible(Deferred.await(closed)), patience)
  return endAll(marks, grace).pipe(
    Effect.zipRight(drained),
    Effect.flatMap((ended) =>
      Option.isSome(ended) ? Effect.void : Effect.zipRight(endHolders(marks, grace), drained)
    ),
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

/** How long outputs may stay open after the processes that are known have ended, in milliseconds. */
const patience = 250

/** The exit code that a shell would tell of a process ended by a signal. */
const codeOf = (signal: NodeJS.Signals | null): number => 128 + (signal === null ? 0 : os.constants.signals[signal])

const execError = (cause: unknown): SandboxError =>
  new SandboxError({ operation: "exec", path: "a command", reason: reasonOf(cause), cause })
