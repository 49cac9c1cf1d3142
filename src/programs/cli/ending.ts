/**
 * How a command ends: the exit code, and the word to whoever waits for it.
 */
import * as ValidationError from "@effect/cli/ValidationError"
import { isPlatformError } from "@effect/platform/Error"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { SandboxError, SessionStoreError } from "../../services/Errors.js"
import { clean } from "../tree.js"
import { FileNotUsable } from "./files.js"

/**
 * 0 completed, 1 failed, 2 usage or configuration, 3 the session is busy, 130 interrupted, 143 stopped and left to be
 * resumed: those of a process that SIGINT or SIGTERM ended. `baton shell` ends as its command does.
 */
export const exitCode = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  const failure = Cause.failureOption(exit.cause)
  if (Option.isNone(failure)) return Cause.isInterrupted(exit.cause) ? 130 : 1
  const error = failure.value
  if (ValidationError.isValidationError(error)) return 2
  if (error instanceof CommandExited) return error.code
  // Opening the store is configuration; what fails later has happened.
  if (error instanceof SessionStoreError) return error.operation === "open" ? 2 : 1
  // So is the folder to work in; a command was recorded.
  if (error instanceof SandboxError) return error.operation === "exec" ? 1 : 2
  if (error instanceof FileNotUsable) return error.operation === "write" ? 1 : 2
  const tag = typeof error === "object" && error !== null && "_tag" in error ? error._tag : undefined
  return typeof tag === "string" ? (codes[tag] ?? 1) : 1
}

/** A command of the shell ended with a code that tells of no success; it is the executable's own. */
export class CommandExited extends Data.TaggedError("CommandExited")<{ readonly code: number }> {}

const codes: Readonly<Record<string, number>> = {
  AgentNotFound: 2,
  AgentNotUsable: 2,
  ModelNotUsable: 2,
  ModelNotConfigured: 2,
  EntryNotFound: 2,
  InvalidExport: 2,
  InvalidInput: 2,
  InvalidSessionId: 2,
  SessionAlreadyExists: 2,
  SessionNotFound: 2,
  SkillNotFound: 2,
  UnsupportedFormat: 2,
  SessionBusy: 3,
  Stopped: 143
}

/** Says on the error output why a command did not complete. */
export const tell = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  const failure = Cause.failureOption(cause)
  if (Option.isNone(failure)) {
    return Console.error(Cause.isInterrupted(cause) ? "Interrupted." : clean(Cause.pretty(cause)))
  }
  const error = failure.value
  // The parser has told its own, and a closed output takes no word.
  if (ValidationError.isValidationError(error) || isPlatformError(error)) return Effect.void
  // The command has said its own.
  if (error instanceof CommandExited) return Effect.void
  return Console.error(clean(error instanceof Error ? error.message : String(error)))
}
