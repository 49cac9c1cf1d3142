/**
 * The one write path over a store.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RuntimeFlags from "effect/RuntimeFlags"
import { place } from "../services/Draft.js"
import type { Entry } from "../services/Entry.js"
import { SessionNotFound, type SessionStoreError, type StoreError } from "../services/Errors.js"
import { ofEntry } from "../services/Event.js"
import { Events } from "../services/Events.js"
import { History, type Journal, type Write } from "../services/History.js"
import { Ids } from "../services/Ids.js"
import { type SessionRow, SessionStore } from "../services/SessionStore.js"
import { makeKept } from "./history/kept.js"

export const layer: Layer.Layer<History, never, SessionStore | Events> = Layer.effect(
  History,
  Effect.map(Effect.all([SessionStore, Events, Ids]), ([store, events, ids]) => make(store, events, ids.unsafeNext()))
)

const make = (
  store: Context.Tag.Service<SessionStore>,
  events: Context.Tag.Service<Events>,
  owner: string
): Context.Tag.Service<History> => {
  /** The journals of the operations that run. */
  const live = new Map<string, Journal>()
  const kept = makeKept()

  const begin = (
    session: string,
    incarnation: string,
    known: Journal | undefined
  ): Effect.Effect<Journal, SessionNotFound | StoreError> =>
    Effect.flatMap(store.get(session), (row): Effect.Effect<Journal, SessionNotFound | StoreError> => {
      if (row?.incarnation !== incarnation) return new SessionNotFound({ session })
      if (row.owner === owner) return catchUp(row, known)
      return Effect.flatMap(store.claim(session, incarnation, owner), (claimed) => catchUp(claimed, known))
    })

  /** Entries never change, so what is known stays known. */
  const catchUp = (row: SessionRow, known: Journal | undefined): Effect.Effect<Journal, StoreError> => {
    const journal = kept.newest(row, known)
    journal.row = row
    if (journal.nextSeq === row.nextSeq) return Effect.succeed(journal)
    return Effect.map(store.read(row.id, row.incarnation, journal.nextSeq), (entries) => {
      for (const entry of entries) learn(journal, entry)
      return journal
    })
  }

  /** Stores writes as one, then lets those that came meanwhile be stored as the next. */
  const write = (journal: Journal, writes: ReadonlyArray<Write>, at: number): Effect.Effect<void, StoreError> => {
    const { epoch, id, incarnation } = journal.row
    const expectedSeq = journal.nextSeq
    const entries: Array<Entry> = []
    let { head } = journal
    for (const { drafts, operationId } of writes) {
      for (const draft of drafts) {
        const seq = expectedSeq + entries.length
        // The head moves by an entry whose parent is the place that it moves to.
        entries.push(place(draft, seq, draft._tag === "HeadMoved" ? draft.parentId : head, at, operationId))
        head = seq
      }
    }
    const children = writes.length === 1 ? writes[0]!.children : writes.flatMap((it) => it.children)
    const stored = Effect.suspend(() =>
      store.append({ session: id, incarnation, epoch, expectedSeq, entries, children })
    )
    return Effect.matchCauseEffect(stored, {
      onFailure: (cause) => {
        next(journal)
        return Effect.failCause(cause)
      },
      onSuccess: () => {
        // Whatever becomes of this, those who wait must not wait for ever.
        try {
          const heard = events.heard(id)
          const last = entries.at(-1)
          for (const entry of entries) {
            learn(journal, entry)
            if (entry === last) for (const { onStored } of writes) onStored?.()
            if (heard) events.publish(ofEntry(id, entry))
          }
        } finally {
          next(journal)
        }
        return Effect.void
      }
    })
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

  const append = (journal: Journal, wanted: Write): Effect.Effect<void, StoreError> =>
    Effect.withFiberRuntime((fiber, { runtimeFlags }) => {
      if (RuntimeFlags.interruptible(runtimeFlags)) return Effect.uninterruptible(append(journal, wanted))
      const { waiting } = journal
      if (waiting === undefined) {
        journal.waiting = []
        const clock = Context.unsafeGet(fiber.currentDefaultServices, Clock.Clock)
        return write(journal, [wanted], clock.unsafeCurrentTimeMillis())
      }
      return Effect.async<void, StoreError>((resume) => {
        waiting.push({ ...wanted, resume })
      })
    })

  return {
    owner,
    begin,
    enter: (journal) => {
      live.set(journal.row.id, journal)
    },
    current: (session) => live.get(session),
    end: (session) => {
      const journal = live.get(session)
      live.delete(session)
      if (journal !== undefined) kept.keep(journal)
    },
    append: (journal, operationId, drafts, children = none, onStored = undefined) =>
      append(journal, { operationId, drafts, children, onStored }),
    read: (session, incarnation, fromSeq = 1) =>
      Effect.flatMap(
        store.get(session),
        (row): Effect.Effect<ReadonlyArray<Entry>, SessionNotFound | SessionStoreError> =>
          row?.incarnation === incarnation
            ? store.read(session, incarnation, Math.max(1, Math.trunc(fromSeq) || 1))
            : new SessionNotFound({ session })
      )
  }
}

const none: ReadonlyArray<SessionRow> = []

const learn = (journal: Journal, entry: Entry): void => {
  journal.conversation.add(entry)
  journal.nextSeq = entry.id + 1
  journal.head = entry.id
  if (entry._tag === "OperationStarted") {
    journal.lastStart = { operationId: entry.operationId, before: entry.parentId }
    journal.lastCut = undefined
  } else if (entry._tag === "OperationSettled" && typeof entry.by === "object") {
    journal.lastCut = { operationId: entry.operationId, by: entry.by.operationId }
  }
}
