/**
 * What the sandbox and the thread that it works in tell each other.
 */
import type { DirectoryEntry, ExecResult, FileStat } from "../../services/Sandbox.js"
import type { Place, Range } from "../sandbox/rules.js"
import type { Rewind, Rewound } from "./rewind.js"
import type { Snapshot } from "./snapshot.js"
import type { By } from "./Tree.js"

/** How the thread is set up. */
export interface Setup {
  readonly root: string
  readonly files: Readonly<Record<string, string | Uint8Array>>
  readonly overlay: string | undefined
  readonly snapshot: Snapshot | undefined
  readonly env: Readonly<Record<string, string>>
  readonly limits: Limits
}

export interface Limits {
  /** Of one command line: how many commands it may run. */
  readonly commands: number
  /** Of one command line: how many bytes it may print, both outputs together. */
  readonly output: number
  /** Bytes in all files. */
  readonly files: number
  /** Bytes that may be kept of what was changed. */
  readonly changes: number
}

/** What is asked for, and what is given for it. */
export interface Calls {
  readonly read: [Place & Range, Uint8Array]
  readonly stat: [Place, FileStat]
  readonly list: [Place, ReadonlyArray<DirectoryEntry>]
  readonly place: [Place, string]
  readonly write: [Place & { readonly bytes: Uint8Array; readonly by: By }, void]
  readonly exec: [Exec, ExecResult]
  readonly snapshot: [undefined, Snapshot]
  readonly restore: [Snapshot, void]
  readonly rewind: [Rewind, Rewound]
}

export interface Exec {
  readonly command: string
  readonly cwd: string | undefined
  readonly env: Readonly<Record<string, string>>
  /** For whom it is run. */
  readonly by: By
  /** In bytes, of each output. */
  readonly maxOutput: number
  /** Of 4 bytes; not 0 means that the command is to end. It is seen by a thread that has no turn for messages. */
  readonly stop: SharedArrayBuffer
}

export type CallName = keyof Calls

export type ToGuest =
  | {
      readonly [Name in CallName]: { readonly id: number; readonly call: Name; readonly args: Calls[Name][0] }
    }[CallName]
  | { readonly stop: number }
  | { readonly woken: number }

export type FromGuest =
  | { readonly ready: true }
  /** The thread could not begin; `missing` if a package is not installed. */
  | { readonly failed: string; readonly missing: boolean }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly refused: string }
  /** A command sleeps for so many milliseconds, and is to be woken. */
  | { readonly sleep: number; readonly millis: number }
  /** Who slept so is not to be woken any more: their command has ended. */
  | { readonly rest: ReadonlyArray<number> }
