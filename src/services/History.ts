/**
 * The history of sessions: the one path by which entries are written, and the journal that an operation works on.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import { Conversation } from "./Conversation.js"
import type { Draft } from "./Draft.js"
import type { Entry } from "./Entry.js"
import type { CorruptRecord, SessionNotFound, SessionOwned, SessionStoreError, StoreError } from "./Errors.js"
import type { Budget } from "./Budget.js"
import type { LimitValues } from "./Limits.js"
import type { Thinking } from "./Model.js"
import type { Running } from "./Operation.js"
import { fresh, type NewSession, type SessionRow } from "./SessionStore.js"
import * as Usage from "./Usage.js"

/** How a prompt runs, in effect: the call's wishes over the agent's over what is inherited. */
export interface Call {
  readonly model: string
  /** The models that are left to try when that one is not available. */
  readonly fallbacks: ReadonlyArray<string>
  /** What the operation and its tasks may use, where that is limited. */
  readonly budget: Budget | undefined
  readonly thinking: Thinking | undefined
  readonly limits: LimitValues
}

/** What goes with the drafts of a write. */
export interface WriteOptions {
  /** Child sessions to create in the same transaction. */
  readonly children?: ReadonlyArray<NewSession> | undefined
  /** Inputs of the store's inbox that the drafts deliver, by their ids: taken out in the same transaction. */
  readonly delivered?: ReadonlyArray<string> | undefined
  /** What has arrived of a reply that is still streaming. */
  readonly partial?: string | undefined
  /** The conversation that the head moves to with the drafts, where that is not the one before the last operation. */
  readonly moved?: Conversation | undefined
  /** Called in the step in which they are stored, before the event of the last of them. */
  readonly onStored?: (() => void) | undefined
}

/** What one call wants written. */
export interface Write {
  readonly operationId: string
  readonly drafts: ReadonlyArray<Draft>
  readonly options: WriteOptions
  /** Whether it is no operation's, and the session is given up with it. */
  readonly isNote?: boolean
}

/** A write that waits for the one that is being stored. */
export interface WaitingWrite extends Write {
  readonly resume: (effect: Effect.Effect<void, StoreError | SessionOwned>) => void
}

/**
 * What is known of a session's history in this process: its row, the place of the next entry, and the fold so far.
 * A handle keeps the last one, so that its next operation folds only what is new.
 */
export class Journal {
  conversation = new Conversation()
  row: SessionRow
  nextSeq = 1
  /** The last entry of the conversation, which the next one follows. */
  head: number | null = null
  /** The epoch that the session had when it was read or written last. */
  epoch = 0
  /** Whether this engine owns the session under that epoch. */
  owned = false
  /** What was started last, if it has not ended. */
  running: Running | null = null
  /** How often something was put into the store's inbox, as the last write told, and how often when it was looked at. */
  inbox = 0
  inboxSeen = 0
  /** A write failed, and it is not known whether it was stored. */
  unsure = false
  /** It knew all of the history when it was written last, and gave the session up then: only others can have written since. */
  atRest = false
  /** The session was lost to another owner while an operation ran: nothing is written any more. */
  lost = false
  /** The operation that was started last, where its start is, and where the conversation stood before. */
  lastStart: { readonly operationId: string; readonly seq: number; readonly before: number | null } | undefined
  /** The operation that was settled last as interrupted by another, while the head has not been moved since. */
  lastCut: { readonly operationId: string; readonly by: string } | undefined
  /** The operation that works on it. */
  operationId = ""
  /** Usage of this operation's own turns. */
  turns = Usage.zero
  /** Usage of attempts that failed. */
  retries = Usage.zero
  /** Usage of this operation's compactions. */
  compactions = Usage.zero
  /** Usage of the tasks that this operation delegated. */
  tasks = Usage.zero
  /** Ends of its tasks that could not be stored: they go with its own. */
  late: ReadonlyArray<Draft> = []
  /** The call that runs, which its tasks inherit. */
  call: Call | undefined
  /** The writes that wait for the one that is being stored; `undefined` while none is. */
  waiting: Array<WaitingWrite> | undefined

  constructor(row: SessionRow) {
    this.row = row
  }

  /** The journal of a session that was created just now. */
  static ofNew(session: NewSession): Journal {
    const journal = new Journal(fresh(session))
    journal.atRest = true
    return journal
  }

  /** Makes it the journal of an operation that begins. */
  start(operationId: string): void {
    this.lost = false
    this.operationId = operationId
    this.turns = Usage.zero
    this.retries = Usage.zero
    this.compactions = Usage.zero
    this.tasks = Usage.zero
    this.late = []
    this.call = undefined
  }

  usage(): Usage.UsageReport {
    return Usage.report(this.turns, this.retries, this.compactions, this.tasks)
  }

  /** Takes what another journal of the same session knows of its history, and leaves that one knowing nothing. */
  takeOver(other: Journal): void {
    this.conversation = other.conversation
    this.nextSeq = other.nextSeq
    this.head = other.head
    this.running = other.running
    this.epoch = other.epoch
    this.inbox = other.inbox
    this.inboxSeen = other.inboxSeen
    this.atRest = other.atRest
    this.lastStart = other.lastStart
    this.lastCut = other.lastCut
    other.conversation = new Conversation()
    other.nextSeq = 1
    other.head = null
    other.running = null
    other.atRest = false
    other.lastStart = undefined
    other.lastCut = undefined
  }
}

export class History extends Context.Tag("baton/History")<
  History,
  {
    /** Names this engine as the owner of the sessions that it writes to. */
    readonly owner: string

    /**
     * Brings the journal of a session up to date for the operation that holds it: reads what the journal does not know
     * yet, unless it knew all when it was written last (if others have written since, the claim is refused), and stores the end of an operation of this engine that could not be stored before. `known` is the journal of
     * an earlier operation through the same handle; what operations through others learned last is taken over from
     * their journal while it is kept. A session that was removed is not found, though another may have its name by
     * now; `SessionOwned` where another engine holds it. `journal.running` tells what was left unfinished.
     */
    readonly begin: (
      session: string,
      incarnation: string,
      known?: Journal
    ) => Effect.Effect<Journal, SessionNotFound | SessionOwned | StoreError>

    /** Makes a journal that of the operation that holds its session now. `onLost` is called when the session is lost. */
    readonly enter: (journal: Journal, clock: Clock.Clock, onLost: () => void) => void

    /** The journal of the operation that holds the session now. */
    readonly current: (session: string) => Journal | undefined

    /** Takes back the journal of a session that is being given back; what it knows may be kept for the next handle. */
    readonly end: (session: string) => void

    /**
     * The first write of an operation: claims the session for this engine, in the same transaction. `SessionOwned` where
     * another has it, `StaleLease` where one was quicker by a step: nothing is written then.
     */
    readonly start: (
      journal: Journal,
      operationId: string,
      drafts: ReadonlyArray<Draft>,
      options?: WriteOptions
    ) => Effect.Effect<void, StoreError | SessionOwned>

    /**
     * A write that is no operation's: claims the session, stores the drafts and gives the session up, in one. Refused as
     * `start` is.
     */
    readonly note: (
      journal: Journal,
      operationId: string,
      drafts: ReadonlyArray<Draft>,
      options?: WriteOptions
    ) => Effect.Effect<void, StoreError | SessionOwned>

    /**
     * The conversation as it stands at an entry, for a head that is to move there; `undefined` where the journal can go
     * there by itself. The entry has to be there. Reads the whole history, unless it is given.
     */
    readonly at: (
      journal: Journal,
      entry: number | null,
      entries?: ReadonlyArray<Entry>
    ) => Effect.Effect<Conversation | undefined, SessionStoreError | CorruptRecord>

    /**
     * Gives the drafts their places, stores them in one write, folds them and publishes their events, in that order.
     * Writes to one session are stored in the order of the calls; those that come while one is being stored go
     * together in the next. The write with an operation's end gives the session up. The drafts are handed over. Cannot be interrupted: the entries are stored when it ends, or it
     * fails; where a failure leaves it open whether they are, the store is asked.
     */
    readonly append: (
      journal: Journal,
      operationId: string,
      drafts: ReadonlyArray<Draft>,
      options?: WriteOptions
    ) => Effect.Effect<void, StoreError>

    /** Gives a session up without an end of what runs in it: another engine can resume it at once. */
    readonly leave: (journal: Journal) => Effect.Effect<void>

    /** Takes note of ends that could not be stored: they are stored before the next operation of the session. */
    readonly owe: (journal: Journal, drafts: ReadonlyArray<Draft>) => void

    /** The entries of a session from a place on; those of this incarnation, and of no other of the name. */
    readonly read: (
      session: string,
      incarnation: string,
      fromSeq?: number
    ) => Effect.Effect<ReadonlyArray<Entry>, SessionNotFound | CorruptRecord | SessionStoreError>
  }
>() {}
