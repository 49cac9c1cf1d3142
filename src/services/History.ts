/**
 * The history of sessions: the one path by which entries are written, and the journal that an operation works on.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import { Conversation } from "./Conversation.js"
import type { Draft } from "./Draft.js"
import type { Entry } from "./Entry.js"
import type { SessionNotFound, SessionStoreError, StoreError } from "./Errors.js"
import type { Budget } from "./Budget.js"
import type { LimitValues } from "./Limits.js"
import type { Thinking } from "./Model.js"
import type { SessionRow } from "./SessionStore.js"
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

/** What one call wants written. */
export interface Write {
  readonly operationId: string
  readonly drafts: ReadonlyArray<Draft>
  readonly children: ReadonlyArray<SessionRow>
  /** Called when they are stored, before the last of them is published. */
  readonly onStored: (() => void) | undefined
}

/** A write that waits for the one that is being stored. */
export interface WaitingWrite extends Write {
  readonly resume: (effect: Effect.Effect<void, StoreError>) => void
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
  /** The operation that was started last, and where the conversation stood before. */
  lastStart: { readonly operationId: string; readonly before: number | null } | undefined
  /** The operation that was settled last as interrupted by another. */
  lastCut: { readonly operationId: string; readonly by: string } | undefined
  /** The operation that works on it. */
  operationId = ""
  /** Usage of this operation's own turns. */
  turns = Usage.zero
  /** Usage of attempts that failed. */
  retries = Usage.zero
  /** Usage of the tasks that this operation delegated. */
  tasks = Usage.zero
  /** The call that runs, which its tasks inherit. */
  call: Call | undefined
  /** The writes that wait for the one that is being stored; `undefined` while none is. */
  waiting: Array<WaitingWrite> | undefined

  constructor(row: SessionRow) {
    this.row = row
  }

  /** Makes it the journal of an operation that begins. */
  start(operationId: string): void {
    this.operationId = operationId
    this.turns = Usage.zero
    this.retries = Usage.zero
    this.tasks = Usage.zero
    this.call = undefined
  }

  usage(): Usage.UsageReport {
    return Usage.report(this.turns, this.retries, Usage.zero, this.tasks)
  }

  /** Takes what another journal of the same session knows of its history, and leaves that one knowing nothing. */
  takeOver(other: Journal): void {
    this.conversation = other.conversation
    this.nextSeq = other.nextSeq
    this.head = other.head
    this.lastStart = other.lastStart
    this.lastCut = other.lastCut
    other.conversation = new Conversation()
    other.nextSeq = 1
    other.head = null
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
     * Brings the journal of a session up to date for the operation that holds it: claims the session where another engine
     * owns it, and reads what the journal does not know yet. `known` is the journal of an earlier operation through the
     * same handle; what operations through others learned last is taken over from their journal while it is kept. A
     * session that was removed is not found, though another may have its name by now.
     */
    readonly begin: (
      session: string,
      incarnation: string,
      known?: Journal
    ) => Effect.Effect<Journal, SessionNotFound | StoreError>

    /** Makes a journal that of the operation that holds its session now. */
    readonly enter: (journal: Journal) => void

    /** The journal of the operation that holds the session now. */
    readonly current: (session: string) => Journal | undefined

    /** Takes back the journal of a session that is being given back; what it knows may be kept for the next handle. */
    readonly end: (session: string) => void

    /**
     * Gives the drafts their places, stores them in one write, folds them and publishes their events, in that order.
     * Writes to one session are stored in the order of the calls; those that come while one is being stored go
     * together in the next. `children` are created in the same transaction; `onStored` is called in the step
     * in which they are stored, before the event of the last of them. The drafts are handed over. Cannot be
     * interrupted: the entries are stored when it ends, or it fails.
     */
    readonly append: (
      journal: Journal,
      operationId: string,
      drafts: ReadonlyArray<Draft>,
      children?: ReadonlyArray<SessionRow>,
      onStored?: () => void
    ) => Effect.Effect<void, StoreError>

    /** The entries of a session from a place on; those of this incarnation, and of no other of the name. */
    readonly read: (
      session: string,
      incarnation: string,
      fromSeq?: number
    ) => Effect.Effect<ReadonlyArray<Entry>, SessionNotFound | SessionStoreError>
  }
>() {}
