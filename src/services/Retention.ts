/**
 * How sessions are removed, and what is told of it.
 */
import type * as Duration from "effect/Duration"
import type { SessionRow } from "./SessionStore.js"

/** What a removal took away. */
export interface Removed {
  /** The session and those of its tasks, at whatever depth. */
  readonly sessions: ReadonlyArray<string>
  /** How many entries are not stored any more: what a fork shares with one of them stays for the fork. */
  readonly entries: number
  /** Of those entries as JSON, in UTF-8. */
  readonly bytes: number
}

/**
 * What is to go: at least one limit. A session stands with those of its tasks for one, its tree: its age is that of the
 * last entry of any of them, or of its creation where that is later, and what was used last is kept longest.
 */
export interface PruneOptions {
  /** Removes what was used last longer ago than this. A number is milliseconds. */
  readonly olderThan?: Duration.DurationInput | undefined
  /** How many trees may be left. */
  readonly maxSessions?: number | undefined
  /** How many bytes of entries may be left, as JSON in UTF-8. */
  readonly maxBytes?: number | undefined
  /** Whether a session stays with its tree, whatever the limits; it counts all the same. */
  readonly keep?: ((session: SessionRow) => boolean) | undefined
  /** Removes nothing, and tells what would be, as if nothing stayed for forks. */
  readonly dryRun?: boolean | undefined
}

/** A tree that was removed. */
export interface PrunedTree extends Removed {
  readonly id: string
  /** The limit that it was beyond. */
  readonly reason: "age" | "count" | "bytes"
  /** When something was written in it last, or it was created, in milliseconds since the epoch. */
  readonly activeAt: number
}

export interface Pruned {
  /** Those that were used longest ago first. */
  readonly removed: ReadonlyArray<PrunedTree>
  /** Trees that were beyond a limit and could not be removed, and why. */
  readonly skipped: ReadonlyArray<{ readonly id: string; readonly reason: string }>
  /** What is left, in trees and in bytes. */
  readonly left: { readonly sessions: number; readonly bytes: number }
}
