/**
 * What happened in a session, as a tree: its operations, the branches that its head left, and its tasks.
 */
import type { CompactionTrigger } from "./Entry.js"
import type { OperationKind } from "./Operation.js"
import type { Origin } from "./SessionStore.js"

/** A session. Its texts are one clean line each. Times are in milliseconds since the epoch. */
export interface HistoryTree {
  readonly session: string
  readonly agent: string
  readonly createdAt: number
  readonly origin: Origin | null
  readonly entries: number
  /** The last entry of the conversation; `null` where nothing was said yet, or the head has moved back to before all. */
  readonly head: number | null
  /** From the first entry on to the last that was written, which is where the head is. */
  readonly trunk: Branch
}

/** Operations that follow each other. */
export interface Branch {
  /** The entry that it goes on from; `null` where it begins. */
  readonly from: number | null
  /** What the head moved away from before the first of its operations, the oldest first. */
  readonly branches: ReadonlyArray<Branch>
  readonly steps: ReadonlyArray<Step>
}

/** An operation, as far as it lies on a branch. */
export interface Step {
  readonly operationId: string
  readonly kind: OperationKind
  /** Its first and its last entry here. */
  readonly from: number
  readonly to: number
  /** Whether it began on the branch that this one left: here is the rest of it, which the head moved away from. */
  readonly isRest: boolean
  readonly at: number
  /** What was asked. */
  readonly text: string
  readonly status: "running" | "completed" | "failed" | "interrupted"
  /** Why it failed, or who interrupted it; empty otherwise. */
  readonly note: string
  /** How many replies and tool calls it has here. */
  readonly replies: number
  readonly calls: number
  readonly tasks: ReadonlyArray<Task>
  readonly compactions: ReadonlyArray<Compacted>
  /** The names that entries of it have. */
  readonly labels: ReadonlyArray<{ readonly label: string; readonly entry: number }>
  /** Branches that the head left here: what it moved away from, the oldest first. */
  readonly branches: ReadonlyArray<Branch>
}

export interface Compacted {
  readonly entry: number
  readonly trigger: CompactionTrigger
  /** In tokens; without the second it came to nothing. */
  readonly before: number
  readonly after: number | undefined
}

export interface Task {
  readonly taskId: string
  readonly entry: number
  readonly agent: string
  readonly description: string
  readonly status: "running" | "completed" | "failed" | "interrupted"
  readonly note: string
  readonly child: string
  /** The child session, where it was read; `undefined` also where it was removed. */
  readonly session: HistoryTree | undefined
  /** Why the child session cannot be read, where that is so. */
  readonly problem: string | undefined
}

export interface TreeOptions {
  /** How many levels of tasks' sessions are read, from 0; default 1. What lies deeper is told by its name alone. */
  readonly depth?: number | undefined
}
