/**
 * Where entries and session rows live. Small and dumb: what may be written, and when, is decided above it.
 *
 * A session is written to by one engine at a time, its owner. The owner has a lease that runs out by the store's own
 * clock unless it is renewed, and an epoch that rises with each claim: a write under an earlier one is refused, so an
 * owner that slept through the end of its lease can do no harm when it wakes.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Entry, Request, UserPart } from "./Entry.js"
import type {
  CorruptRecord,
  SessionAlreadyExists,
  SessionNotFound,
  SessionOwned,
  SessionStoreError,
  StaleLease
} from "./Errors.js"
import type { When } from "./Inbox.js"
import type { Running } from "./Operation.js"

/** What stays as it was when the session was created. */
export interface NewSession {
  readonly id: string
  /** Tells a session from an earlier one of the same name that was removed. */
  readonly incarnation: string
  readonly agent: string
  /** The folder that the session works in, as the sandbox names it. */
  readonly cwd: string
  /** The session that delegated to this one; `null` for one that an application opened. */
  readonly parent: string | null
  /** How many tasks stand between this session and the one that an application opened. */
  readonly depth: number
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  /** The session that this one was forked from, as it was named then, and the entry at which; `null` for any other. */
  readonly origin: Origin | null
}

export interface Origin {
  readonly session: string
  readonly entry: number
}

/** A session as the store knows it. */
export interface SessionRow extends NewSession {
  /** The engine that may write; `null` where none does. */
  readonly owner: string | null
  /** Whether the owner's lease still holds, by the store's clock at the time of reading. */
  readonly leased: boolean
  /** Raised by each claim, 0 before the first; a write under another one is refused. */
  readonly epoch: number
  /** The place that the next entry will have; the first is 1. */
  readonly nextSeq: number
  /** What was started last, if it has not ended. */
  readonly running: Running | null
  /** What had arrived of a reply that was not stored as an entry. */
  readonly partial: string | null
  /** How often something was put into its inbox: a change says that there is something to look at. */
  readonly inbox: number
}

/** A session as it is before anybody wrote to it. */
export const fresh = (session: NewSession): SessionRow => ({
  ...session,
  owner: null,
  leased: false,
  epoch: 0,
  nextSeq: 1,
  running: null,
  partial: null,
  inbox: 0
})

/** How a write deals with the session's lease. */
export type LeaseStep =
  /** Takes the session, which nobody owns or whose owner's lease has run out, and raises its epoch. */
  | "claim"
  /** Takes the session as a claim does, and gives it up with the same write. */
  | "once"
  /** Goes on as the owner. */
  | "keep"
  /** Gives the session up with the write. */
  | "release"

/** One write: entries that follow what is there. */
export interface Append {
  readonly session: string
  readonly incarnation: string
  /** The engine that writes. */
  readonly owner: string
  /** The epoch that the writer knows: its own, or for a claim the one that it is to follow. */
  readonly epoch: number
  readonly lease: LeaseStep
  /** How long the lease holds from now on, in milliseconds. */
  readonly leaseFor: number
  /** The place of the first entry. A session that has moved on refuses the write. */
  readonly expectedSeq: number
  readonly entries: ReadonlyArray<Entry>
  /** The operation that runs after the write. */
  readonly running: Running | null
  /** What has arrived of a reply that is still streaming, in place of what was kept of it before. */
  readonly partial: string | null
  /** Child sessions to create in the same transaction as the links to them. */
  readonly children: ReadonlyArray<NewSession>
  /**
   * Inputs, by their ids, that these entries deliver: they are taken out of the inbox in the same transaction. The write
   * is refused where one of them is not there any more.
   */
  readonly delivered: ReadonlyArray<string>
}

/** What a write tells. */
export interface Appended {
  readonly epoch: number
  readonly inbox: number
}

/** An input that was acknowledged and waits to be delivered. */
export interface InboxItem {
  readonly id: string
  /** The operation that it is to be, where it is prompted by itself. */
  readonly operationId: string
  /** A digest of the input, where its caller gave the operation its id. */
  readonly key: string | undefined
  readonly when: When | "wait"
  readonly content: ReadonlyArray<UserPart>
  /** How it is to be prompted, where it is by itself. */
  readonly request: Request | undefined
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** A session with the history that it begins with. Nobody owns it, and nothing runs in it. */
export interface Begun {
  readonly session: NewSession
  /**
   * The session whose first entries it shares, up to a place: they are not stored again, and stay when that session is
   * removed.
   */
  readonly base: (SessionKey & { readonly seq: number }) | null
  /** What follows those, in order of their places; the first has place 1 where there is no base. */
  readonly entries: ReadonlyArray<Entry>
}

/** What a session takes. */
export interface Measured {
  readonly row: SessionRow
  /** When its last entry was made, or it was created where it has none; milliseconds since the epoch. */
  readonly activeAt: number
  /**
   * What is stored for it: an entry that sessions share is that of the one that wrote it, or where that is removed, of the
   * oldest that has it. So each that is stored counts once.
   */
  readonly entries: number
  /** Of those entries as JSON, in UTF-8. */
  readonly bytes: number
}

/** What is not stored any more. */
export interface Removed {
  /** Those that were there, in whatever order. */
  readonly sessions: ReadonlyArray<SessionKey>
  /** How many entries went: those that a session has that stays are not among them. */
  readonly entries: number
  /** Of those entries as JSON, in UTF-8. */
  readonly bytes: number
}

/** What is looked for: entries with all of these words. */
export interface Query {
  /** As `Words.of` has them; at least one. */
  readonly words: ReadonlyArray<string>
  /** In one session only. */
  readonly session?: string | undefined
  /** Goes on behind the last hit of the page before. */
  readonly after?: string | undefined
  /** How many hits at most. */
  readonly limit: number
}

/** Hits, those that were stored last first. */
export interface Page {
  readonly hits: ReadonlyArray<Hit>
  /** Where the next page begins; `undefined` where there is none. */
  readonly next: string | undefined
}

export interface Hit {
  readonly session: string
  readonly entry: Entry
}

/** Names one session, and not a later one of the same name. */
export type SessionKey = Pick<SessionRow, "id" | "incarnation">

/** What a write can answer. `SessionOwned` only where it was to claim the session. */
export type WriteError = StaleLease | SessionOwned | SessionStoreError

export class SessionStore extends Context.Tag("baton/SessionStore")<
  SessionStore,
  {
    readonly get: (id: string) => Effect.Effect<SessionRow | undefined, SessionStoreError>

    /** Creates a session that nobody owns. */
    readonly create: (session: NewSession) => Effect.Effect<void, SessionAlreadyExists | SessionStoreError>

    /**
     * Creates sessions that have a history from the start, all or none. `SessionNotFound` where a base is not there, or
     * has no entry in that place.
     */
    readonly begin: (
      sessions: ReadonlyArray<Begun>
    ) => Effect.Effect<void, SessionAlreadyExists | SessionNotFound | SessionStoreError>

    /** All sessions, or the children of one, oldest first. */
    readonly list: (parent?: string) => Effect.Effect<ReadonlyArray<SessionRow>, SessionStoreError>

    /** Sessions, children too, whose last operation has not ended, or whose inbox holds something; oldest first. */
    readonly unsettled: Effect.Effect<ReadonlyArray<SessionRow>, SessionStoreError>

    /**
     * The one write path: the entries, the children, the lease and what goes with them, or nothing. Refused with
     * `StaleLease` unless incarnation, epoch, sequence, and owner where it is no claim, are those of the session; a
     * claim (also one that is given up at once) with `SessionOwned` while the lease of another owner holds. When it completes, the write survives the end
     * of the process, and of the machine where the store says so. When it fails with `SessionStoreError` it may have
     * been made all the same; sequence and epoch tell.
     */
    readonly append: (write: Append) => Effect.Effect<Appended, WriteError>

    /**
     * Prolongs the leases that an engine has at these epochs, and tells which of the sessions it still owns: all
     * others were lost.
     */
    readonly renew: (
      owner: string,
      leases: ReadonlyArray<SessionKey & { readonly epoch: number }>,
      leaseFor: number
    ) => Effect.Effect<ReadonlyArray<string>, SessionStoreError>

    /**
     * The entries from a place on, to another one (included) or to the end, in order; those that it shares with the
     * session it was forked from too. None for a session that is not there. A record that cannot be read fails with
     * `CorruptRecord`, which has those before it.
     */
    readonly read: (
      id: string,
      incarnation: string,
      fromSeq: number,
      toSeq?: number
    ) => Effect.Effect<ReadonlyArray<Entry>, CorruptRecord | SessionStoreError>

    /**
     * The entries of the last operation that was started with this id by its caller (the start has a `key`), from its
     * start to its end; or the one input that was delivered to another operation under this id (it was `asked`
     * so); none where there is neither.
     */
    readonly operation: (
      id: string,
      incarnation: string,
      operationId: string
    ) => Effect.Effect<ReadonlyArray<Entry>, CorruptRecord | SessionStoreError>

    /**
     * Removes sessions for good, all or none. Those that are gone already are no error. Refused while another owns one.
     * What a fork shares with one of them stays for the fork. Gives what went: all that `measure` counts less.
     */
    readonly remove: (
      sessions: ReadonlyArray<SessionKey>,
      owner: string
    ) => Effect.Effect<Removed, SessionOwned | SessionStoreError>

    /** What every session takes, children too; oldest first. Reads all that is stored: it takes its time. */
    readonly measure: Effect.Effect<ReadonlyArray<Measured>, SessionStoreError>

    /**
     * Finds entries by the words of their texts (`Words.textOf`). An entry that sessions share is found once, in the one
     * that it was written to, or where that is removed in the oldest that has it. Entries that the head has moved
     * away from are found as well, and records that cannot be read are not. A cursor that is none finds nothing.
     */
    readonly search: (query: Query) => Effect.Effect<Page, SessionStoreError>

    /** Puts an input behind those that wait, and answers when it is stored. One that is there already stays as it is. */
    readonly put: (session: SessionKey, item: InboxItem) => Effect.Effect<void, StaleLease | SessionStoreError>

    /** What waits, in the order in which it came. */
    readonly waiting: (session: SessionKey) => Effect.Effect<ReadonlyArray<InboxItem>, SessionStoreError>

    /** Takes an input out again; `false` where it is not there any more. */
    readonly withdraw: (session: SessionKey, item: string) => Effect.Effect<boolean, SessionStoreError>
  }
>() {}
