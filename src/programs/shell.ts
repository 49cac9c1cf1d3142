/**
 * The operation `shell`: a command that the application runs in the session's sandbox.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Draft from "../services/Draft.js"
import type { ToolOutcome } from "../services/Entry.js"
import { InvalidInput, SandboxError } from "../services/Errors.js"
import { type ExecResult, Sandbox } from "../services/Sandbox.js"
import type { SessionRef, ShellError, ShellOptions } from "../services/Session.js"
import * as Usage from "../services/Usage.js"
import { engineOf, type Needs } from "./engine.js"
import { commandText, policyProblem } from "./input.js"
import { type Done, type Operation, operation } from "./operation.js"
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
  Effect.withFiberRuntime<ExecResult, ShellError, R | Needs>((fiber) => {
    const checked = commandText(command)
    if (checked instanceof InvalidInput) return checked
    const problem = policyProblem(options?.onBusy, false)
    if (problem !== undefined) return problem
    const callId = engineOf(fiber, ref.context).ids.unsafeNext()
    const first = asked(checked, callId, options)
    return operation(ref, { kind: "shell", onBusy: options?.onBusy, first }, (running) =>
      run(running, checked, callId, options)
    )
  })

/** The command as a request and a call of `bash`. Of the environment only the names are recorded. */
const asked = (command: string, callId: string, options: ShellOptions | undefined): ReadonlyArray<Draft.Draft> => {
  const env = Object.keys(options?.env ?? {})
  const args = {
    command,
    ...(options?.cwd === undefined ? undefined : { cwd: options.cwd }),
    ...(env.length === 0 ? undefined : { env })
  }
  return [
    Draft.user([{ type: "text", text: `Run this command in the shell:\n${command}` }]),
    Draft.assistant([{ type: "tool-call", id: callId, name: "bash", args }], "", "tool-calls", Usage.zero, false),
    Draft.toolStarted(callId, "bash")
  ]
}

const run = (
  running: Operation,
  command: string,
  callId: string,
  options: ShellOptions | undefined
): Effect.Effect<Done<ExecResult>, ShellError> => {
  const { engine, ref } = running
  const sandbox = Context.getOption(engine.context as Context.Context<unknown>, Sandbox)
  const { env, timeout } = options ?? {}
  const settled = (outcome: ToolOutcome, result: string): Draft.Draft => {
    const { cutFrom, text } = fit(result, engine.limits.toolResult)
    return Draft.toolSettled(callId, "bash", outcome, text, cutFrom)
  }
  const exec = Option.isNone(sandbox)
    ? new SandboxError({ operation: "exec", path: ref.cwd, reason: "no sandbox is configured" })
    : Effect.suspend(() => sandbox.value.exec({ command, cwd: options?.cwd ?? ref.cwd, env, timeout }))
  // An interruption is recorded with the end of the operation.
  return Effect.matchEffect(exec, {
    onFailure: (error) => Effect.zipRight(running.append([settled("failure", error.message)]), error),
    onSuccess: (value) =>
      Effect.succeed({
        value: () => value,
        drafts: [settled(value.exitCode === 0 ? "success" : "failure", report(value))]
      })
  })
}

const report = ({ exitCode, stderr, stdout }: ExecResult): string =>
  [stdout, stderr, ...(exitCode === 0 ? [] : [`(exit code ${exitCode})`])].filter((text) => text !== "").join("\n")
