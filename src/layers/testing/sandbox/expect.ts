/**
 * What a case of the sandboxes' contract says, and how it looks at a sandbox.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { SandboxError } from "../../../services/Errors.js"
import { type ExecRequest, Sandbox } from "../../../services/Sandbox.js"
import { Broken, refused, same } from "../contract/expect.js"

export interface Case {
  /** The sentence that it tries, to be used as a test's name. */
  readonly name: string
  /** To be run with a sandbox of its own whose root is empty, in real time. */
  readonly run: Effect.Effect<void, Broken, Sandbox>
}

/** A sandbox, and what is often done with it. */
export interface Subject {
  readonly sandbox: Context.Tag.Service<Sandbox>
  /** Writes a text. */
  readonly write: (path: string, text: string, cwd?: string) => Effect.Effect<void, SandboxError>
  /** Reads a text. */
  readonly read: (path: string, cwd?: string) => Effect.Effect<string, SandboxError>
  /** Runs a command that is to end with 0, and gives its standard output. */
  readonly sh: (command: string, more?: Omit<ExecRequest, "command">) => Effect.Effect<string, Broken | SandboxError>
}

/** A case; an error of the sandbox that the case does not expect breaks it. */
export const trial = (name: string, body: (subject: Subject) => Effect.Effect<void, Broken | SandboxError>): Case => ({
  name,
  run: Effect.flatMap(Sandbox, (sandbox) => body(subjectOf(sandbox))).pipe(
    Effect.mapError((error) =>
      error._tag === "Broken" ? error : new Broken({ reason: `what the contract allows failed: ${error.message}` })
    )
  )
})

const subjectOf = (sandbox: Context.Tag.Service<Sandbox>): Subject => ({
  sandbox,
  write: (path, text, cwd) => sandbox.write(path, bytesOf(text), cwd),
  read: (path, cwd) => Effect.map(sandbox.read(path, { cwd }), textOf),
  sh: (command, more) =>
    Effect.flatMap(sandbox.exec({ command, ...more }), ({ exitCode, stderr, stdout }) =>
      exitCode === 0
        ? Effect.succeed(stdout)
        : new Broken({ reason: `\`${command}\` ended with ${exitCode} and said: ${stderr}` })
    )
})

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** That an operation on a path is refused with the port's error. */
export const denied = <A>(what: string, self: Effect.Effect<A, SandboxError>): Effect.Effect<void, Broken> =>
  refused(what, self, { _tag: "SandboxError" })

/** That every operation on a path is refused. */
export const closed = ({ sandbox }: Subject, path: string, cwd?: string): Effect.Effect<void, Broken> => {
  const what = (operation: string) =>
    `the ${operation} of ${JSON.stringify(path)}${cwd === undefined ? "" : ` from ${JSON.stringify(cwd)}`}`
  return Effect.all(
    [
      denied(what("read"), sandbox.read(path, { cwd })),
      denied(what("stat"), sandbox.stat(path, cwd)),
      denied(what("list"), sandbox.list(path, cwd)),
      denied(what("place"), sandbox.place(path, cwd)),
      denied(what("write"), sandbox.write(path, bytesOf("x"), cwd))
    ],
    { discard: true }
  )
}

/** That a text has another in it. */
export const has = (what: string, text: string, part: string): Effect.Effect<void, Broken> =>
  text.includes(part)
    ? Effect.void
    : new Broken({ reason: `${what} is ${JSON.stringify(text.slice(0, 300))}, which has no ${JSON.stringify(part)}` })

export { Broken, same }
