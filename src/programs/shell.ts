/**
 * The operation `shell`: a command that the application runs in the session's sandbox.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { explain } from "../services/Conversation.js"
import * as Draft from "../services/Draft.js"
import type { ToolOutcome } from "../services/Entry.js"
import { InvalidInput, type RecoveryExhausted, SandboxError } from "../services/Errors.js"
import { cleanText } from "../services/Json.js"
import { type ExecResult, Sandbox } from "../services/Sandbox.js"
import type { SessionRef, ShellError, ShellOptions } from "../services/Session.js"
import * as Secrets from "../services/Secrets.js"
import * as Usage from "../services/Usage.js"
import { engineOf, type Needs } from "./engine.js"
import { commandText, operationIdProblem, plainOptions, policyProblem, shellProblem } from "./input.js"
import { named, once } from "./once.js"
import type { Done } from "./ends.js"
import type { Operation } from "./held.js"
import { operation } from "./operation.js"
import { resumed, type ResumeSpec } from "./resumed.js"
import { ended } from "./outcome.js"
import type { Past } from "./Past.js"
import { fit } from "./toolResult.js"

/**
 * Runs a command and records it as if the model had called `bash`. A non-zero exit is a value. Interruption ends the
 * command's whole process group before the session is given back, and records that it was cut.
 */
export const shell = <R>(
  ref: SessionRef<R>,
  command: string,
  given?: ShellOptions
): Effect.Effect<ExecResult, ShellError, R | Needs> =>
  Effect.withFiberRuntime<ExecResult, ShellError, R | Needs>((fiber) => {
    const checked = commandText(command)
    if (checked instanceof InvalidInput) return checked
    const options = plainOptions(given)
    if (options instanceof InvalidInput) return options
    const problem =
      policyProblem(options?.onBusy, false) ?? operationIdProblem(options?.operationId) ?? shellProblem(options)
    if (problem !== undefined) return problem
    const name = named("shell", options?.operationId, [checked, options?.cwd])
    const callId = engineOf(fiber, ref.context).ids.unsafeNext()
    const first = asked(checked, callId, options)
    const ran = operation(ref, { kind: "shell", onBusy: options?.onBusy, named: name, first }, (running) =>
      run(running, checked, callId, options)
    )
    // Nothing but a prompt takes what joins it.
    return once(ref, "shell", name, ran, outcomeOf) as Effect.Effect<ExecResult, ShellError, R | Needs>
  })

/** What a command gave that was run before. */
const outcomeOf = (past: Past): Effect.Effect<ExecResult, ShellError> => ended(past, (end) => end.value as ExecResult)

/** The command as a request and a call of `bash`. Of the environment only the names are recorded. */
const asked = (run: string, callId: string, options: ShellOptions | undefined): ReadonlyArray<Draft.Draft> => {
  const command = cleanText(run)
  const env = Object.keys(options?.env ?? {}).map(cleanText)
  const args = {
    command,
    ...(options?.cwd === undefined ? undefined : { cwd: cleanText(options.cwd) }),
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
    : Effect.mapError(
        Effect.suspend(() => sandbox.value.exec({ command, cwd: options?.cwd ?? ref.cwd, env, timeout })),
        withoutSecrets
      )
  // An interruption is recorded with the end of the operation.
  return Effect.matchEffect(exec, {
    onFailure: (error) => Effect.zipRight(running.append([settled("failure", error.message)]), error),
    onSuccess: (value) =>
      Effect.succeed({
        value: () => value,
        recorded: clean(value),
        drafts: [settled(value.exitCode === 0 ? "success" : "failure", report(value))]
      })
  })
}

/** Ends a command that was cut when its process ended: it is not run again. */
export const resumeShell = <R>(
  ref: SessionRef<R>,
  spec: ResumeSpec
): Effect.Effect<unknown, ShellError | RecoveryExhausted, R | Needs> =>
  resumed(ref, spec, (running) => {
    const reason = "the process ended while the command ran; its effects are possible"
    const error = new SandboxError({ operation: "exec", path: ref.cwd, reason })
    const open = running.journal.conversation
      .unsettled()
      .map(({ call: { id, name } }) => Draft.toolSettled(id, name, "unknown", explain("unknown"), undefined))
    return Effect.zipRight(open.length === 0 ? Effect.void : running.append(open), error)
  })

/** An error may tell the path that was asked for, and its cause too. */
const withoutSecrets = (error: SandboxError): SandboxError =>
  Secrets.any()
    ? new SandboxError({
        operation: error.operation,
        path: Secrets.redact(error.path),
        reason: Secrets.redact(error.reason)
      })
    : error

/** A command's output as a record takes it. */
const clean = (result: ExecResult): ExecResult => ({
  ...result,
  stdout: cleanText(result.stdout),
  stderr: cleanText(result.stderr)
})

const report = ({ exitCode, stderr, stdout }: ExecResult): string =>
  [stdout, stderr, ...(exitCode === 0 ? [] : [`(exit code ${exitCode})`])].filter((text) => text !== "").join("\n")
