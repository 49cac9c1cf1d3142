/**
 * The file system and the shell that tools work in.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { SandboxError } from "./Errors.js"
import type * as Tool from "./Tool.js"

/** What a folder holds. */
export interface DirectoryEntry {
  readonly name: string
  readonly type: "file" | "directory" | "other"
}

export interface FileStat {
  readonly type: "file" | "directory" | "other"
  /** In bytes. */
  readonly size: number
}

/** A command for the sandbox's shell. */
export interface ExecRequest {
  readonly command: string
  /** Folder to run in, relative to the root; default: the root. */
  readonly cwd?: string | undefined
  /** Added to the allow-listed environment. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** In milliseconds. On its expiry the command is killed and the exit code is 124. */
  readonly timeout?: number | undefined
  /** The most bytes kept of each output, from its end; the rest is counted and dropped as it flows. */
  readonly maxOutput?: number | undefined
}

/** How a command ended. A non-zero exit is a value. */
export interface ExecResult {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
  /** Bytes dropped from the beginning of the outputs. */
  readonly dropped: { readonly stdout: number; readonly stderr: number }
}

/**
 * Paths are relative to the root, or absolute inside of it; any that leads out of the root, by `..` or by a link, is
 * refused with `SandboxError`. `cwd` is the folder that a relative path starts from, itself under the same rule.
 */
export class Sandbox extends Context.Tag("baton/Sandbox")<
  Sandbox,
  {
    /** The absolute path of the root, as a person would name it. */
    readonly root: string
    /** Reads `limit` bytes from `offset`, fewer only at the end of the file. Only regular files are read. */
    readonly read: (
      path: string,
      options?: {
        readonly cwd?: string | undefined
        readonly offset?: number | undefined
        readonly limit?: number | undefined
      }
    ) => Effect.Effect<Uint8Array, SandboxError>
    /** What stands at a path, links followed inside the root. */
    readonly stat: (path: string, cwd?: string) => Effect.Effect<FileStat, SandboxError>
    /** What a folder holds, sorted by name; links are `other` and not followed. */
    readonly list: (path: string, cwd?: string) => Effect.Effect<ReadonlyArray<DirectoryEntry>, SandboxError>
    /**
     * Runs a command in the sandbox's shell and waits for its end. Interruption and the timeout kill the whole
     * process group, and the Effect ends when it is gone.
     */
    readonly exec: (request: ExecRequest) => Effect.Effect<ExecResult, SandboxError>
  }
>() {}

/** The tools that come with the sandbox: what the general delegate works with. */
export class SandboxTools extends Context.Reference<SandboxTools>()("baton/SandboxTools", {
  defaultValue: (): ReadonlyArray<Tool.Tool> => []
}) {}
