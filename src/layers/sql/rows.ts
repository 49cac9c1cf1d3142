/**
 * Session rows as a database gives them.
 */
import type { OperationKind } from "../../services/Operation.js"
import type { SessionRow } from "../../services/SessionStore.js"

/** Integers come as text from drivers that do not trust numbers with them. */
export type Integer = number | string | bigint

export interface Row {
  readonly key: Integer
  readonly id: string
  readonly incarnation: string
  readonly agent: string
  readonly cwd: string
  readonly parent: string | null
  readonly depth: Integer
  readonly created_at: Integer
  readonly origin: string | null
  readonly origin_entry: Integer | null
  readonly owner: string | null
  readonly leased: Integer | boolean
  readonly epoch: Integer
  readonly next_seq: Integer
  readonly running_id: string | null
  readonly running_kind: OperationKind | null
  readonly running_since: Integer | null
  readonly partial: string | null
  readonly inbox: Integer
}

/** An integer of the database as a number. Dies where a number cannot say it: nothing that Baton counts gets there. */
export const integer = (value: Integer): number => {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw new RangeError(`the integer ${value} is beyond what a number can say`)
  return number
}

export const sessionRow = (row: Row): SessionRow => ({
  id: row.id,
  incarnation: row.incarnation,
  agent: row.agent,
  cwd: row.cwd,
  parent: row.parent,
  depth: integer(row.depth),
  createdAt: Number(row.created_at),
  owner: row.owner,
  leased: row.leased === true || row.leased === 1,
  epoch: integer(row.epoch),
  nextSeq: integer(row.next_seq),
  running:
    row.running_id === null || row.running_kind === null
      ? null
      : { operationId: row.running_id, kind: row.running_kind, since: Number(row.running_since) },
  partial: row.partial === null ? null : partialOf(row.partial),
  inbox: integer(row.inbox),
  origin:
    row.origin === null || row.origin_entry === null ? null : { session: row.origin, entry: integer(row.origin_entry) }
})

/** What had arrived of a reply; none where that cannot be read, which is not part of the history. */
const partialOf = (text: string): string | null => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "string" ? value : null
  } catch {
    return null
  }
}

/** Whether a database keeps a text as it is. `false` for half a surrogate pair and for NUL: no name has them. */
export const isPlain = (text: string): boolean => text.isWellFormed() && !text.includes("\0")
