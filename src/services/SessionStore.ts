/**
 * Where entries and session rows live. Small and dumb: what may be written, and when, is decided above it.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Entry } from "./Entry.js"
import type { SessionAlreadyExists, SessionStoreError, StoreError } from "./Errors.js"

/** A session as the store knows it. */
export interface SessionRow {
  readonly id: string
  /** Tells a session from an earlier one of the same name that was removed. */
  readonly incarnation: string
  /** The engine that may write. */
  readonly owner: string
  /** Raised by each claim; a write under an older one is refused. */
  readonly epoch: number
  /** The place that the next entry will have; the first is 1. */
  readonly nextSeq: number
  readonly agent: string
  /** The folder that the session works in, as the sandbox names it. */
  readonly cwd: string
  /** The session that delegated to this one; `null` for one that an application opened. */
  readonly parent: string | null
  /** How many tasks stand between this session and the one that an application opened. */
  readonly depth: number
  /** Milliseconds since the epoch. */
  readonly createdAt: number
}

/** One write: entries that follow what is there. */
export interface Append {
  readonly session: string
  readonly incarnation: string
  readonly epoch: number
  /** The place of the first entry. A session that has moved on refuses the write. */
  readonly expectedSeq: number
  readonly entries: ReadonlyArray<Entry>
  /** Child sessions to create in the same transaction as the links to them. */
  readonly children: ReadonlyArray<SessionRow>
}

export class SessionStore extends Context.Tag("baton/SessionStore")<
  SessionStore,
  {
    readonly get: (id: string) => Effect.Effect<SessionRow | undefined, SessionStoreError>

    /** Creates a session; the creator owns it under the row's epoch. */
    readonly create: (row: SessionRow) => Effect.Effect<void, SessionAlreadyExists | SessionStoreError>

    /** All sessions, or the children of one, oldest first. */
    readonly list: (parent?: string) => Effect.Effect<ReadonlyArray<SessionRow>, SessionStoreError>

    /** Takes the session over: raises its epoch, so that no earlier owner can write, and gives the row. */
    readonly claim: (id: string, incarnation: string, owner: string) => Effect.Effect<SessionRow, StoreError>

    /**
     * The one write path: all entries of the write, and the child if there is one, or nothing. Refused with
     * `StaleLease` unless incarnation, epoch and sequence are those of the session.
     */
    readonly append: (write: Append) => Effect.Effect<void, StoreError>

    /** The entries from a place on, in order; none for a session that is not there. */
    readonly read: (
      id: string,
      incarnation: string,
      fromSeq: number
    ) => Effect.Effect<ReadonlyArray<Entry>, SessionStoreError>

    /** Removes sessions for good, all or none. Those that are gone already are no error. */
    readonly remove: (
      rows: ReadonlyArray<Pick<SessionRow, "id" | "incarnation">>
    ) => Effect.Effect<void, SessionStoreError>
  }
>() {}
