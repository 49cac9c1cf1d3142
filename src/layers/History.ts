/**
 * The one write path over a store.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RuntimeFlags from "effect/RuntimeFlags"
import { Alarms } from "../services/Alarms.js"
import { Conversation } from "../services/Conversation.js"
import { type Draft, place } from "../services/Draft.js"
import type { Entry } from "../services/Entry.js"
import {
  CorruptRecord,
  SessionNotFound,
  SessionOwned,
  type SessionStoreError,
  StaleLease,
  type StoreError
} from "../services/Errors.js"
import { ofEntry } from "../services/Event.js"
import { Events } from "../services/Events.js"
import { History, type Journal, type Write } from "../services/History.js"
import { Ids } from "../services/Ids.js"
import { Leases } from "../services/Leases.js"
import type { Running } from "../services/Operation.js"
import { corruptBy, Misplaced, placesProblem } from "../services/Sequence.js"
import { type Append, type Appended, type SessionRow, SessionStore } from "../services/SessionStore.js"
import { makeKept } from "./history/kept.js"
import { makeRenewals } from "./history/renewals.js"
import { ownerName } from "./history/ownerName.js"

export const layer: Layer.Layer<History, never, SessionStore | Events | Alarms> = Layer.scoped(
  History,
  Effect.gen(function* () {
    const ids = yield* Ids
    const store = yield* SessionStore
    const leases = yield* Leases
    const owner = ownerName(ids.unsafeNext())
    const renewals = yield* makeRenewals(store, yield* Alarms, owner, leases)
    return make(store, yield* Events, owner, leases.duration, renewals)
  })
)

type Failure = StoreError | SessionOwned

const make = (
  store: Context.Tag.Service<SessionStore>,
  events: Context.Tag.Service<Events>,
  owner: string,
  leaseFor: number,
  renewals: Effect.Effect.Success<ReturnType<typeof makeRenewals>>
): Context.Tag.Service<History> => {
  const kept = makeKept()
  /** Ends that could not be stored, by incarnation. */
  const owed = new Map<string, Owed>()

  const begin = (
    session: string,
    incarnation: string,
    known: Journal | undefined
  ): Effect.Effect<Journal, SessionNotFound | Failure> => {
    if (owed.size > 0) return settlingChildren(session, incarnation, known)
    if (known !== undefined) {
      const journal = kept.newest(known.row, known)
      if (journal.atRest) return Effect.succeed(journal)
    }
    return catchingUp(session, incarnation, known)
  }

  /** A child may never be begun again: what is owed to it is stored with whatever comes next. */
  const settlingChildren = (
    session: string,
    incarnation: string,
    known: Journal | undefined
  ): Effect.Effect<Journal, SessionNotFound | Failure> =>
    Effect.zipRight(
      Effect.forEach(
        [...owed].filter(([id, { journal }]) => id !== incarnation && isFreeChild(journal)),
        ([id, { journal }]) => Effect.ignore(catchingUp(journal.row.id, id, journal)),
        { discard: true }
      ),
      catchingUp(session, incarnation, known)
    )

  const isFreeChild = ({ row }: Journal): boolean => row.parent !== null && renewals.current(row.id) === undefined

  const catchingUp = (
    session: string,
    incarnation: string,
    known: Journal | undefined
  ): Effect.Effect<Journal, SessionNotFound | Failure> =>
    Effect.flatMap(store.get(session), (row): Effect.Effect<Journal, SessionNotFound | Failure> => {
      if (row?.incarnation !== incarnation) {
        owed.delete(incarnation)
        return new SessionNotFound({ session })
      }
      if (row.leased && row.owner !== null && row.owner !== owner) {
        return new SessionOwned({ session, owner: row.owner, running: row.running })
      }
      return Effect.flatMap(catchUp(row, known), (journal) => {
        const end = owed.get(incarnation)
        if (end === undefined) return Effect.succeed(journal)
        owed.delete(incarnation)
        return journal.running?.operationId === end.operationId ? settleOwed(journal, end) : Effect.succeed(journal)
      })
    })

  /** Entries never change, so what is known stays known. */
  const catchUp = (row: SessionRow, known: Journal | undefined): Effect.Effect<Journal, StoreError> => {
    const journal = kept.newest(row, known)
    journal.row = row
    journal.epoch = row.epoch
    journal.owned = row.owner === owner
    journal.inbox = row.inbox
    journal.unsure = false
    if (journal.nextSeq === row.nextSeq) return Effect.succeed(journal)
    return Effect.flatMap(store.read(row.id, row.incarnation, journal.nextSeq), (entries) => follow(journal, entries))
  }

  /** Takes in what was read behind what is known. */
  const follow = (
    journal: Journal,
    entries: ReadonlyArray<Entry>
  ): Effect.Effect<Journal, CorruptRecord | SessionStoreError> => {
    const { id: session, incarnation } = journal.row
    for (const [i, entry] of entries.entries()) {
      const problem = problemOf(journal.conversation.calls, journal.running !== null, entry)
      if (problem === undefined && entry._tag === "HeadMoved" && !journal.conversation.goesBackTo(entry.parentId)) {
        const whole = entries[0]!.id === 1 ? Effect.succeed(entries) : store.read(session, incarnation, 1)
        return Effect.flatMap(whole, (all) => refold(journal, all))
      }
      const reason = problem ?? learnt(journal, entry)
      if (reason === undefined) continue
      return new CorruptRecord({ session, seq: entry.id, reason, readable: entries.slice(0, i) })
    }
    return Effect.succeed(journal)
  }

  /** Folds a whole history anew, in which the head was moved to somewhere else than before the last operation. */
  const refold = (journal: Journal, entries: ReadonlyArray<Entry>): Effect.Effect<Journal, CorruptRecord> => {
    const { id: session } = journal.row
    const calls = new Set<string>()
    let isRunning = false
    for (const entry of entries) {
      const reason = problemOf(calls, isRunning, entry)
      if (reason !== undefined) return corruptBy(session, entries, new Misplaced(entry.id, reason))
      if (entry._tag === "OperationStarted") isRunning = true
      else if (entry._tag === "OperationSettled") isRunning = false
      if (entry._tag !== "Assistant") continue
      for (const part of entry.content) if (part.type === "tool-call") calls.add(part.id)
    }
    try {
      journal.conversation = Conversation.at(entries, entries.length)
    } catch (error) {
      return corruptBy(session, entries, error)
    }
    for (const entry of entries) note(journal, entry)
    return Effect.succeed(journal)
  }

  /** Stores an end that could not be stored before. Those who listen have heard of it. */
  const settleOwed = (journal: Journal, end: Owed): Effect.Effect<Journal, Failure> =>
    Effect.matchCauseEffect(
      Effect.uninterruptible(
        Effect.clockWith((clock) => {
          const lease = journal.owned ? "release" : "claim"
          const entries = placed(
            journal,
            [{ operationId: end.operationId, drafts: end.drafts, options: none }],
            clock.unsafeCurrentTimeMillis()
          )
          return Effect.map(store.append(appendOf(journal, entries, none, lease, null)), (appended) => {
            became(journal, lease, appended)
            for (const entry of entries) learn(journal, entry)
          })
        })
      ),
      {
        onFailure: (cause) => {
          owed.set(journal.row.incarnation, end)
          return Effect.failCause(cause)
        },
        onSuccess: () => Effect.succeed(journal)
      }
    )

  const appendOf = (
    journal: Journal,
    entries: ReadonlyArray<Entry>,
    { children = nothing, delivered = nothing, partial = null }: OneWrite,
    lease: Append["lease"],
    running: Running | null
  ): Append => ({
    session: journal.row.id,
    incarnation: journal.row.incarnation,
    owner,
    epoch: journal.epoch,
    lease,
    leaseFor,
    expectedSeq: journal.nextSeq,
    entries,
    running,
    partial,
    children,
    delivered
  })

  /** Stores writes as one, then lets those that came meanwhile be stored as the next. */
  const write = (journal: Journal, writes: ReadonlyArray<Write>, at: number): Effect.Effect<void, Failure> => {
    if (journal.lost) return failed(journal, new StaleLease({ session: journal.row.id, reason: "epoch" }))
    if (journal.unsure) {
      return Effect.matchCauseEffect(resolve(journal), {
        onFailure: (cause) => failed(journal, Effect.failCause(cause)),
        onSuccess: () => write(journal, writes, at)
      })
    }
    const entries = placed(journal, writes, at)
    const running = runningAfter(journal.running, entries)
    const ends = running === null && journal.running !== null
    const isNote = writes[0]!.isNote === true
    const lease = journal.owned ? (ends || isNote ? "release" : "keep") : isNote ? "once" : "claim"
    const wanted = appendOf(journal, entries, together(writes), lease, running)
    return Effect.matchCauseEffect(
      Effect.suspend(() => store.append(wanted)),
      {
        onFailure: (cause) => {
          const error = cause._tag === "Fail" ? cause.error : undefined
          if (error === undefined || error._tag === "SessionStoreError") {
            return Effect.matchCauseEffect(wasStored(wanted), {
              onFailure: () => {
                journal.unsure = true
                return failed(journal, Effect.failCause(cause))
              },
              onSuccess: (appended) =>
                appended === undefined
                  ? failed(journal, Effect.failCause(cause))
                  : stored(journal, writes, wanted, appended)
            })
          }
          const isGone = error._tag === "StaleLease" && error.reason === "delivered"
          if (!isGone) journal.owned = false
          if (!isGone && lease !== "claim" && lease !== "once") journal.lost = true
          return failed(journal, Effect.failCause(cause))
        },
        onSuccess: (appended) => stored(journal, writes, wanted, appended)
      }
    )
  }

  const failed = (journal: Journal, error: Effect.Effect<never, Failure>): Effect.Effect<never, Failure> => {
    journal.atRest = false
    next(journal)
    return error
  }

  const stored = (
    journal: Journal,
    writes: ReadonlyArray<Write>,
    { entries, lease }: Append,
    appended: Appended
  ): Effect.Effect<void> => {
    // Whatever becomes of this, those who wait must not wait for ever.
    try {
      became(journal, lease, appended)
      const session = journal.row.id
      const heard = events.heard(session)
      const last = entries.at(-1)
      for (const entry of entries) {
        learn(journal, entry, entry._tag === "HeadMoved" ? movedBy(writes) : undefined)
        if (entry === last) for (const { options } of writes) options.onStored?.()
        if (heard) events.publish(ofEntry(session, entry))
      }
      if (last === undefined) for (const { options } of writes) options.onStored?.()
    } finally {
      next(journal)
    }
    return Effect.void
  }

  /**
   * Whether a write that failed was stored all the same: an entry of its operation, made at its time, stands in its
   * place. A write without entries is told by nothing and counts as not stored.
   */
  const wasStored = (write: Append): Effect.Effect<Appended | undefined, unknown> =>
    Effect.flatMap(store.get(write.session), (row) => {
      const [first] = write.entries
      if (first === undefined || row?.incarnation !== write.incarnation || row.nextSeq <= write.expectedSeq) {
        return Effect.succeed(undefined)
      }
      return Effect.map(store.read(row.id, row.incarnation, write.expectedSeq), ([found]) =>
        found?._tag === first._tag && found.operationId === first.operationId && found.at === first.at
          ? { epoch: row.epoch, inbox: row.inbox }
          : undefined
      )
    })

  /** Finds out how a session stands after a write whose fate was not known. */
  const resolve = (journal: Journal): Effect.Effect<void, Failure> =>
    Effect.flatMap(store.get(journal.row.id), (row): Effect.Effect<void, Failure> => {
      const { id, incarnation } = journal.row
      if (row?.incarnation !== incarnation) return lose(journal, "removed")
      const claimed = row.epoch === journal.epoch + 1 && !journal.owned
      if (row.owner !== owner || (row.epoch !== journal.epoch && !claimed)) return lose(journal, "epoch")
      return Effect.flatMap(store.read(id, incarnation, journal.nextSeq), (entries) => {
        journal.unsure = false
        journal.epoch = row.epoch
        journal.owned = true
        return Effect.map(follow(journal, entries), () => {
          for (const entry of entries) events.publish(ofEntry(id, entry))
        })
      })
    })

  const lose = (journal: Journal, reason: "epoch" | "removed"): StaleLease => {
    journal.lost = true
    return new StaleLease({ session: journal.row.id, reason })
  }

  /** The first who waits stores for all who do, and answers the others. */
  const next = (journal: Journal): void => {
    const [first, ...rest] = journal.waiting!
    if (first === undefined) {
      journal.waiting = undefined
      return
    }
    journal.waiting = []
    first.resume(
      Effect.onExit(
        Effect.clockWith((clock) => write(journal, [first, ...rest], clock.unsafeCurrentTimeMillis())),
        (exit) =>
          Effect.sync(() => {
            for (const { resume } of rest) resume(exit)
          })
      )
    )
  }

  const append = (journal: Journal, wanted: Write): Effect.Effect<void, Failure> =>
    Effect.withFiberRuntime((fiber, { runtimeFlags }) => {
      if (RuntimeFlags.interruptible(runtimeFlags)) return Effect.uninterruptible(append(journal, wanted))
      if (journal.waiting === undefined) {
        journal.waiting = []
        const clock = Context.unsafeGet(fiber.currentDefaultServices, Clock.Clock)
        return write(journal, [wanted], clock.unsafeCurrentTimeMillis())
      }
      return Effect.async<void, Failure>((resume) => {
        // The fiber may have yielded since: what was being stored then is not what is now.
        if (journal.waiting === undefined) resume(append(journal, wanted))
        else journal.waiting.push({ ...wanted, resume })
      })
    })

  return {
    owner,
    begin,
    enter: renewals.enter,
    current: renewals.current,
    end: (session) => {
      const journal = renewals.end(session)
      if (journal !== undefined) kept.keep(journal)
    },
    start: (journal, operationId, drafts, options = none) => append(journal, { operationId, drafts, options }),
    note: (journal, operationId, drafts, options = none) =>
      append(journal, { operationId, drafts, options, isNote: true }),
    at: (journal, entry, entries) =>
      journal.conversation.goesBackTo(entry)
        ? Effect.succeed(undefined)
        : Effect.flatMap(
            entries === undefined ? store.read(journal.row.id, journal.row.incarnation, 1) : Effect.succeed(entries),
            (all) => {
              try {
                return Effect.succeed(Conversation.from(all, entry))
              } catch (error) {
                // The journal knows only what is on its own way.
                return corruptBy(journal.row.id, all, error)
              }
            }
          ),
    append: (journal, operationId, drafts, options = none) =>
      // The session is owned since the operation's start: nothing is claimed here.
      append(journal, { operationId, drafts, options }) as Effect.Effect<void, StoreError>,
    leave: (journal) =>
      journal.owned && !journal.lost
        ? // Where it fails the lease runs out by itself.
          Effect.ignore(
            Effect.suspend(() => store.append(appendOf(journal, nothing, none, "release", journal.running)))
          )
        : Effect.void,
    owe: (journal, drafts) => {
      owed.set(journal.row.incarnation, { journal, operationId: journal.operationId, drafts })
    },
    read: (session, incarnation, fromSeq = 1) =>
      Effect.flatMap(store.get(session), (row): ReturnType<Context.Tag.Service<History>["read"]> =>
        row?.incarnation === incarnation
          ? store.read(session, incarnation, Math.max(1, Math.trunc(fromSeq) || 1))
          : new SessionNotFound({ session })
      )
  }
}

/** An end that could not be stored. */
interface Owed {
  /** Of the operation that has ended. */
  readonly journal: Journal
  readonly operationId: string
  readonly drafts: ReadonlyArray<Draft>
}

type OneWrite = {
  readonly children?: Append["children"] | undefined
  readonly delivered?: Append["delivered"] | undefined
  readonly partial?: string | null | undefined
}

const nothing: ReadonlyArray<never> = []
const none = {}

/** Only the first write of an operation moves the head, and that is stored by itself. */
const movedBy = ([first]: ReadonlyArray<Write>): Conversation | undefined => first?.options.moved

/** What goes with several writes that are stored as one. */
const together = (writes: ReadonlyArray<Write>): OneWrite => {
  if (writes.length === 1) return writes[0]!.options
  return {
    children: writes.flatMap(({ options }) => options.children ?? nothing),
    delivered: writes.flatMap(({ options }) => options.delivered ?? nothing),
    // What had arrived of a reply before others were written is a part of those, or of nothing.
    partial: writes.at(-1)!.options.partial
  }
}

/** Gives the drafts of writes their places. */
const placed = (journal: Journal, writes: ReadonlyArray<Write>, at: number): ReadonlyArray<Entry> => {
  const entries: Array<Entry> = []
  let { head } = journal
  for (const { drafts, operationId } of writes) {
    for (const draft of drafts) {
      const seq = journal.nextSeq + entries.length
      // The head moves by an entry whose parent is the place that it moves to.
      entries.push(place(draft, seq, draft._tag === "HeadMoved" ? draft.parentId : head, at, operationId))
      head = seq
    }
  }
  return entries
}

const runningAfter = (before: Running | null, entries: ReadonlyArray<Entry>): Running | null => {
  let running = before
  for (const entry of entries) {
    if (entry._tag === "OperationStarted") {
      running = { operationId: entry.operationId, kind: entry.kind, since: entry.at }
    } else if (entry._tag === "OperationSettled") running = null
  }
  return running
}

const became = (journal: Journal, lease: Append["lease"], { epoch, inbox }: Appended): void => {
  journal.epoch = epoch
  journal.inbox = inbox
  const isLeft = lease === "release" || lease === "once"
  journal.owned = !isLeft
  journal.atRest = isLeft
}

/** What is wrong with an entry that was read, if anything, as one of its history: its form is the store's to look at. */
const problemOf = (calls: ReadonlySet<string>, isRunning: boolean, entry: Entry): string | undefined => {
  const problem = placesProblem(entry)
  if (problem !== undefined) return problem
  if (entry._tag === "HeadMoved" && isRunning) return "the head moves while an operation runs"
  const isOfCall = entry._tag === "ToolStarted" || entry._tag === "ToolSettled"
  return isOfCall && !calls.has(entry.callId) ? "there is no such call" : undefined
}

/** Takes an entry in, or says why it cannot be. */
const learnt = (journal: Journal, entry: Entry): string | undefined => {
  try {
    learn(journal, entry)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** `moved` is the conversation that a move of the head leads to, where it does not go back to before the last operation. */
const learn = (journal: Journal, entry: Entry, moved?: Conversation): void => {
  if (entry._tag === "HeadMoved" && moved !== undefined) journal.conversation = moved
  else journal.conversation.add(entry)
  note(journal, entry)
}

const note = (journal: Journal, entry: Entry): void => {
  journal.nextSeq = entry.id + 1
  journal.head = entry.id
  if (entry._tag === "OperationStarted") {
    const { at: since, id: seq, kind, operationId, parentId: before } = entry
    journal.lastStart = { operationId, seq, before }
    journal.running = { operationId, kind, since }
    journal.lastCut = undefined
  } else if (entry._tag === "OperationSettled") {
    journal.running = null
    if (typeof entry.by === "object") {
      journal.lastCut = { operationId: entry.operationId, by: entry.by.operationId }
    }
  } else if (entry._tag === "HeadMoved") {
    // Somebody has left it behind: there is nothing to go back from any more.
    journal.lastCut = undefined
  }
}
