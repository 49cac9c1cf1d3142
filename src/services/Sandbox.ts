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

/** What to look for in the files below a folder. */
export interface SearchRequest {
  /**
   * A regular expression of RE2 for each line by itself: without its newline or CRLF, without the byte order mark that a
   * file begins with, and with U+FFFD for bytes that are not UTF-8.
   */
  readonly pattern: string
  readonly ignoreCase: boolean
  /** The folder, as `path` elsewhere. */
  readonly path: string
  readonly cwd?: string | undefined
}

/** What was restored: paths, relative to the root, or absolute where they lie outside of it, sorted. */
export interface Restored {
  /** What was changed. What stood as it was to stand is not among it. */
  readonly restored: ReadonlyArray<string>
  /** What was left as it is, and why. */
  readonly conflicts: ReadonlyArray<{ readonly path: string; readonly reason: string }>
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
     * The one name of a place, relative to the root, whatever it is called by: links are followed, and what does not
     * exist yet is named below the real path of what does. Two paths are of one file if their places are the same.
     */
    readonly place: (path: string, cwd?: string) => Effect.Effect<string, SandboxError>
    /**
     * Makes a file hold these bytes and nothing else, with the permissions that it had; folders on the way to it are made.
     * Who reads it meanwhile sees it as it was or as it is then. Interrupted, it has been written or not, and nothing else is left.
     * Refused below a `.git` or a `.baton`, where it would go through a link that leads out, and for a file that has
     * another name besides (a hard link).
     */
    readonly write: (path: string, bytes: Uint8Array, cwd?: string) => Effect.Effect<void, SandboxError>
    /**
     * Files below a folder that may hold a match, found by something quicker than reading them all; more than hold one,
     * but none too few: without what `walk` of the tools would pass over. `undefined` where that cannot be told, as it
     * cannot of a folder that cannot be listed; and a sandbox that has no such thing leaves it out. Paths are relative to
     * the folder.
     */
    readonly candidates?: ((request: SearchRequest) => Effect.Effect<ReadonlyArray<string> | undefined>) | undefined
    /**
     * Runs a command in the sandbox's shell and waits for its end. Whatever it started
     * ends with it, with its timeout and with an interruption; the Effect ends when that is gone.
     */
    readonly exec: (request: ExecRequest) => Effect.Effect<ExecResult, SandboxError>
    /**
     * Brings the files that a session changed back to how they were at a point of its history. What an operation changes
     * counts for its session and for those whose tasks it runs under, in each at the place that the next entry will have
     * when the sandbox is asked. `onPath` tells of a place whether it lies on the way to the point, and is asked once for
     * each place at which the session changed something. A path is left as the session's last change on that way left it,
     * or as it was before its first. Left alone are paths that the session did not change, and, as conflicts, those that
     * do not stand as its last change left them. What is restored counts as its change: another call brings it forward
     * again. It is one step between other calls, and cannot be interrupted. A sandbox that does not remember leaves it out.
     */
    readonly restore?:
      | ((incarnation: string, onPath: (place: number) => boolean) => Effect.Effect<Restored, SandboxError>)
      | undefined
  }
>() {}

/** The tools that come with the sandbox: what the general delegate works with. */
export class SandboxTools extends Context.Reference<SandboxTools>()("baton/SandboxTools", {
  defaultValue: (): ReadonlyArray<Tool.Tool> => []
}) {}
