/**
 * The one write path over a store.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type { Draft, Entry } from "../services/Entry.js"
import { SessionNotFound, type SessionStoreError, type StoreError } from "../services/Errors.js"
import { ofEntry } from "../services/Event.js"
import { Events } from "../services/Events.js"
import { History, Journal } from "../services/History.js"
import { Ids } from "../services/Ids.js"
import { type SessionRow, SessionStore } from "../services/SessionStore.js"

export const layer: Layer.Layer<History, never, SessionStore | Events> = Layer.effect(
  History,
  Effect.map(Effect.all([SessionStore, Events, Ids]), ([store, events, ids]) => make(store, events, ids.unsafeNext()))
)

/** What one call wants written. */
interface Write {
  readonly operationId: string
  readonly drafts: ReadonlyArray<Draft>
  readonly children: ReadonlyArray<SessionRow>
}

/** A write that waits for the one that is being stored. */
interface Waiting extends Write {
  readonly resume: (effect: Effect.Effect<void, StoreError>) => void
}

const make = (
  store: Context.Tag.Service<SessionStore>,
  events: Context.Tag.Service<Events>,
  owner: string
): Context.Tag.Service<History> => {
  /** The journals of the operations that run. */
  const live = new Map<string, Journal>()
  /** The journals that are being written to, with the writes that came meanwhile. */
  const busy = new Map<Journal, Array<Waiting>>()

  const existing = (session: string): Effect.Effect<SessionRow, SessionNotFound | SessionStoreError> =>
    Effect.flatMap(store.get(session), (row) =>
      row === undefined ? new SessionNotFound({ session }) : Effect.succeed(row)
    )

  const begin = (
    session: string,
    incarnation: string,
    known: Journal | undefined
  ): Effect.Effect<Journal, SessionNotFound | StoreError> =>
    Effect.flatMap(existing(session), (row): Effect.Effect<Journal, SessionNotFound | StoreError> => {
      if (row.incarnation !== incarnation) return new SessionNotFound({ session })
      if (row.owner === owner) return catchUp(row, known)
      return Effect.flatMap(store.claim(session, incarnation, owner), (claimed) => catchUp(claimed, known))
    })

  /** Entries never change, so what is known stays known. */
  const catchUp = (row: SessionRow, known: Journal | undefined): Effect.Effect<Journal, StoreError> => {
    const journal = known ?? new Journal(row)
    journal.row = row
    live.set(row.id, journal)
    if (journal.nextSeq === row.nextSeq) return Effect.succeed(journal)
    return Effect.map(store.read(row.id, row.incarnation, journal.nextSeq), (entries) => {
      for (const entry of entries) learn(journal, entry)
      return journal
    })
  }

  const write = (journal: Journal, writes: ReadonlyArray<Write>): Effect.Effect<void, StoreError> =>
    Effect.clockWith((clock) => {
      const { epoch, id, incarnation } = journal.row
      const at = clock.unsafeCurrentTimeMillis()
      const entries: Array<Entry> = []
      for (const { drafts, operationId } of writes) {
        for (const draft of drafts) {
          const seq = journal.nextSeq + entries.length
          entries.push({ ...draft, id: seq, parentId: seq === 1 ? null : seq - 1, at, operationId })
        }
      }
      const children = writes.length === 1 ? writes[0]!.children : writes.flatMap((it) => it.children)
      const expectedSeq = journal.nextSeq
      return Effect.map(store.append({ session: id, incarnation, epoch, expectedSeq, entries, children }), () => {
        const heard = events.heard(id)
        for (const entry of entries) {
          learn(journal, entry)
          if (heard) events.publish(ofEntry(id, entry))
        }
      })
    })

  /** Stores writes, answers those who wait for them, and lets the first who came meanwhile store what is next. */
  const lead = (journal: Journal, writes: ReadonlyArray<Write>, answer?: (exit: Exit.Exit<void, StoreError>) => void) =>
    Effect.flatMap(Effect.exit(write(journal, writes)), (exit) => {
      answer?.(exit)
      const waiting = busy.get(journal)!
      const [first, ...rest] = waiting.splice(0)
      if (first === undefined) busy.delete(journal)
      else {
        const tell = (result: Exit.Exit<void, StoreError>) => {
          for (const { resume } of rest) resume(result)
        }
        first.resume(lead(journal, [first, ...rest], tell))
      }
      return exit
    })

  const append = (journal: Journal, wanted: Write): Effect.Effect<void, StoreError> =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        const waiting = busy.get(journal)
        if (waiting !== undefined) {
          return Effect.async<void, StoreError>((resume) => {
            waiting.push({ ...wanted, resume })
          })
        }
        busy.set(journal, [])
        return lead(journal, [wanted])
      })
    )

  return {
    owner,
    begin,
    current: (session) => live.get(session),
    end: (session) => {
      live.delete(session)
    },
    append: (journal, operationId, drafts, children = []) => append(journal, { operationId, drafts, children }),
    read: (session, fromSeq = 1) =>
      Effect.flatMap(existing(session), (row) => store.read(session, row.incarnation, fromSeq))
  }
}

const learn = (journal: Journal, entry: Entry): void => {
  journal.conversation.add(entry)
  journal.nextSeq = entry.id + 1
}
