/**
 * What a session can be asked to do, and how an operation is named.
 */

/** What an operation is. A lock knows five kinds; of these a session runs `prompt`, `task` and `shell`. */
export type OperationKind = "prompt" | "task" | "skill" | "shell" | "compact"

/** What may hold a session: an operation, or its removal. */
export type HoldKind = OperationKind | "remove"

/** Names one operation wherever it is mentioned: in errors, lineages and cycles. */
export interface OperationRef {
  readonly session: string
  readonly kind: HoldKind
  readonly operationId: string
}

/**
 * What a call does when its session is held by another operation.
 *
 * - `reject` fails at once with `SessionBusy`;
 * - `wait` stands in line, first come, first served; after `timeout` milliseconds, or when `cap` callers stand in
 *   line already, it fails with `SessionBusy`;
 * - `interrupt` interrupts the running operation and starts when that has ended, ahead of the line.
 */
export type OnBusy =
  | "reject"
  | "wait"
  | "interrupt"
  | { readonly _tag: "wait"; readonly timeout?: number | undefined; readonly cap?: number | undefined }
