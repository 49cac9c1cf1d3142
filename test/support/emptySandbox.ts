/**
 * A sandbox that holds no file, with a shell of the test's own.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Errors from "../../src/services/Errors.js"
import type { ExecRequest, ExecResult, Sandbox } from "../../src/services/Sandbox.js"

type Result = Partial<ExecResult>

export const emptySandbox = (
  exec: (request: ExecRequest) => Effect.Effect<Result | void, Errors.SandboxError>
): Context.Tag.Service<typeof Sandbox> => {
  const missing = (operation: Errors.SandboxError["operation"]) => (path: string) =>
    new Errors.SandboxError({ operation, path, reason: "no such file or folder" })
  return {
    root: "/",
    read: missing("read"),
    stat: missing("stat"),
    list: missing("list"),
    write: missing("write"),
    place: (path) => Effect.succeed(path),
    exec: (request) => Effect.map(exec(request), (result) => ({ ...nothing, ...result }))
  }
}

const nothing: ExecResult = { stdout: "", stderr: "", exitCode: 0, dropped: { stdout: 0, stderr: 0 } }
