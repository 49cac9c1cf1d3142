/**
 * The operation `shell`: a command that the application runs in the session's sandbox.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { explain } from "../services/Conversation.js"
import * as Draft from "../services/Draft.js"
import type { ToolOutcome } from "../services/Entry.js"
import { InvalidInput, SandboxError } from "../services/Errors.js"
import { type ExecResult, Sandbox } from "../services/Sandbox.js"
import type { SessionRef, ShellError, ShellOptions } from "../services/Session.js"
import type { Needs } from "./engine.js"
import { commandText } from "./input.js"
import { type Done, failureOf, type Operation, operation } from "./operation.js"
import { fit } from "./toolResult.js"

/**
 * Runs a command and records it as if the model had called `bash`. A non-zero exit is a value. Interruption ends the
 * command's whole process group before the session is given back, and records that it was cut.
 */
export const shell = <R>(
  ref: SessionRef<R>,
  command: string,
  options?: ShellOptions
): Effect.Effect<ExecResult, ShellError, R | Needs> =>
  Effect.suspend(() => {
    const checked = commandText(command)
    if (checked instanceof InvalidInput) return checked
    return operation(ref, { kind: "shell", onBusy: options?.onBusy, first: asked(checked, options) }, (running) =>
      run(running, checked, options)
    )
  })

/** The call's id within its turn, which has no other. */
const callId = "shell"

/** The command as a request and a call of `bash`. Of the environment only the names are recorded. */
const asked = (command: string, options: ShellOptions | undefined): ReadonlyArray<Draft.Draft> => {
  const env = Object.keys(options?.env ?? {})
  const args = {
    command,
    ...(options?.cwd === undefined ? undefined : { cwd: options.cwd }),
    ...(env.length === 0 ? undefined : { env })
  }
  return [
    Draft.user([{ type: "text", text: `Run this command in the shell:\n${command}` }]),
    Draft.assistant([{ type: "tool-call", id: callId, name: "bash", args }], "", "tool-calls", undefined),
    Draft.toolStarted(callId, "bash")
  ]
}

const run = (
  running: Operation,
  command: string,
  options: ShellOptions | undefined
): Effect.Effect<Done<ExecResult>, ShellError> => {
  const { engine, ref } = running
  const sandbox = Context.getOption(engine.context as Context.Context<unknown>, Sandbox)
  if (Option.isNone(sandbox)) {
    return new SandboxError({ operation: "exec", path: ref.cwd, reason: "no sandbox is configured" })
  }
  const { env, timeout } = options ?? {}
  const settled = (outcome: ToolOutcome, result: string): Draft.Draft => {
    const { cutFrom, text } = fit(result, engine.limits.toolResult)
    return Draft.toolSettled(callId, "bash", outcome, text, cutFrom)
  }
  return sandbox.value.exec({ command, cwd: options?.cwd ?? ref.cwd, env, timeout }).pipe(
    // Where this write fails, the one of the operation's end says so, and the fold knows the call's end as unknown.
    Effect.onError((cause) =>
      Effect.ignore(
        running.append([
          Cause.isInterrupted(cause)
            ? settled("interrupted", explain("interrupted"))
            : settled("failure", failureOf(cause).message)
        ])
      )
    ),
    Effect.map((value) => ({
      value,
      drafts: [settled(value.exitCode === 0 ? "success" : "failure", report(value))]
    }))
  )
}

const report = ({ exitCode, stderr, stdout }: ExecResult): string =>
  [stdout, stderr, ...(exitCode === 0 ? [] : [`(exit code ${exitCode})`])].filter((text) => text !== "").join("\n")
