/**
 * What a session can be asked to do, and how an operation is named.
 */

/** What an operation is. */
export type OperationKind = "prompt" | "task" | "skill" | "shell" | "compact"

/** What may hold a session: an operation, a move of its head, the naming of an entry, or its removal. */
export type HoldKind = OperationKind | "move" | "label" | "remove"

/** Names one operation wherever it is mentioned: in errors, lineages and cycles. */
export interface OperationRef {
  readonly session: string
  readonly kind: HoldKind
  readonly operationId: string
}

/** An operation that was started and has no end yet. */
export interface Running {
  readonly operationId: string
  readonly kind: OperationKind
  /** When it was started, in milliseconds since the epoch. */
  readonly since: number
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

/**
 * What a prompt does when its session is held; an idle one it prompts in any case.
 *
 * - `steer` joins the running prompt at the next boundary of its turns;
 * - `followUp` becomes the next input of the running prompt when its model would stop;
 * - `rollback` is `interrupt`, and the history goes on from before the operation that it interrupted.
 *
 * A text that is to join and cannot, because what runs is no prompt or ends before, is prompted in its turn: no input
 * is lost.
 */
export type PromptOnBusy = OnBusy | "steer" | "followUp" | "rollback"
