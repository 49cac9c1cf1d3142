/**
 * The memory store with its journal: every write in order, so that a history can be cut after each.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SessionStore } from "../../services/SessionStore.js"
import { keptAfter, type StoreWrite } from "../../services/testing/StoreWrite.js"
import { make as makeStore, Memory, type Stored } from "../MemorySessionStore.js"

export { type Kept, keptAfter, type StoreWrite } from "../../services/testing/StoreWrite.js"

/** The writes so far, in order. The array grows as the store is written to. */
export class StoreJournal extends Context.Tag("baton/testing/StoreJournal")<
  StoreJournal,
  ReadonlyArray<StoreWrite>
>() {}

/**
 * A memory store of its own for each time the layer is built. It begins with what earlier writes left, which are the
 * first of its journal: `layerAfter(writes.slice(0, n))` is the store of the process that comes after a crash, when
 * the leases have run out.
 */
export const layerAfter = (writes: Iterable<StoreWrite>): Layer.Layer<SessionStore | Memory | StoreJournal> =>
  Layer.effectContext(
    Effect.sync(() => {
      const sessions = new Map<string, Stored>()
      const journal = [...writes]
      for (const [id, { entries, row, shared, waiting }] of keptAfter(journal)) {
        sessions.set(id, { row: { ...row }, entries: [...entries], shared, waiting, leaseUntil: 0 })
      }
      return Context.make(SessionStore, make(sessions, journal)).pipe(
        Context.add(Memory, sessions),
        Context.add(StoreJournal, journal)
      )
    })
  )

/** An empty store. */
export const layer: Layer.Layer<SessionStore | Memory | StoreJournal> = layerAfter([])

/** The writes of two sessions at once may stand either way round; those of one, and a child's after its link, never. */
const make = (sessions: Map<string, Stored>, journal: Array<StoreWrite>): Context.Tag.Service<SessionStore> => {
  const store = makeStore(sessions)
  const noted = <A, E>(write: Effect.Effect<A, E>, note: (value: A) => StoreWrite | undefined): Effect.Effect<A, E> =>
    Effect.uninterruptible(
      Effect.map(write, (value) => {
        const done = note(value)
        if (done !== undefined) journal.push(done)
        return value
      })
    )
  return {
    ...store,
    create: (row) => noted(store.create(row), () => ({ _tag: "Created", row: { ...row } })),
    begin: (begun) =>
      noted(store.begin(begun), () => ({
        _tag: "Begun",
        sessions: begun.map(({ session }) => {
          const { entries, shared } = sessions.get(session.id)!
          return { row: { ...session }, shared, entries: entries.slice() }
        })
      })),
    append: (write) =>
      noted(store.append(write), () => {
        const { epoch, owner, partial, running } = sessions.get(write.session)!.row
        return {
          _tag: "Appended",
          session: write.session,
          entries: write.entries,
          children: write.children.map((row) => ({ ...row })),
          row: { owner, epoch, running, partial },
          delivered: write.delivered
        }
      }),
    put: (key, item) =>
      Effect.suspend(() => {
        const before = sessions.get(key.id)?.row.inbox
        return noted(store.put(key, item), () =>
          sessions.get(key.id)?.row.inbox === before ? undefined : { _tag: "Put", session: key.id, item }
        )
      }),
    withdraw: (key, item) =>
      noted(store.withdraw(key, item), (there) => (there ? { _tag: "Withdrawn", session: key.id, item } : undefined)),
    remove: (keys, owner) =>
      noted(
        // What is gone already, or another by now, stays out of the journal.
        store.remove(keys, owner),
        ({ sessions }) =>
          sessions.length === 0 ? undefined : { _tag: "Removed", sessions: sessions.map(({ id }) => id) }
      )
  }
}
