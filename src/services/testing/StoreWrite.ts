/**
 * What a store was made to keep, write by write.
 */
import type { Entry } from "../Entry.js"
import { fresh, type InboxItem, type NewSession, type SessionRow } from "../SessionStore.js"

/** One write, which a store keeps as a whole or not at all. */
export type StoreWrite =
  | { readonly _tag: "Created"; readonly row: NewSession }
  /** Sessions that have a history from the start; of their entries the first `shared` are those of another session. */
  | {
      readonly _tag: "Begun"
      readonly sessions: ReadonlyArray<{
        readonly row: NewSession
        readonly shared: number
        readonly entries: ReadonlyArray<Entry>
      }>
    }
  | {
      readonly _tag: "Appended"
      readonly session: string
      readonly entries: ReadonlyArray<Entry>
      /** Child sessions that were created with it. */
      readonly children: ReadonlyArray<NewSession>
      /** What else it left of the session: who owns it and what runs there. */
      readonly row: Pick<SessionRow, "owner" | "epoch" | "running" | "partial">
      /** Inputs that it delivered. */
      readonly delivered: ReadonlyArray<string>
    }
  /** An input was put into a session's inbox. */
  | { readonly _tag: "Put"; readonly session: string; readonly item: InboxItem }
  /** An input was taken out again. */
  | { readonly _tag: "Withdrawn"; readonly session: string; readonly item: string }
  | { readonly _tag: "Removed"; readonly sessions: ReadonlyArray<string> }

/** A session, its entries, and what waits in its inbox. */
export interface Kept {
  readonly row: SessionRow
  readonly entries: ReadonlyArray<Entry>
  /** How many of the entries it shares with the session that it was forked from. */
  readonly shared: number
  readonly waiting: ReadonlyArray<InboxItem>
}

/**
 * What a store holds after some writes: `keptAfter(writes.slice(0, n))` is what a crash after the n-th leaves, when the
 * leases of whoever crashed have run out.
 */
export const keptAfter = (writes: Iterable<StoreWrite>): ReadonlyMap<string, Kept> => {
  type Filling = Kept & { row: SessionRow; readonly entries: Array<Entry>; waiting: ReadonlyArray<InboxItem> }
  const kept = new Map<string, Filling>()
  const create = (row: NewSession) => kept.set(row.id, { row: fresh(row), entries: [], shared: 0, waiting: [] })
  for (const write of writes) {
    switch (write._tag) {
      case "Created":
        create(write.row)
        break
      case "Begun":
        for (const { entries, row, shared } of write.sessions) {
          const begun = { ...fresh(row), nextSeq: entries.length + 1 }
          kept.set(row.id, { row: begun, entries: [...entries], shared, waiting: [] })
        }
        break
      case "Appended": {
        const it = kept.get(write.session)
        if (it !== undefined) {
          it.entries.push(...write.entries)
          it.row = { ...it.row, ...write.row, nextSeq: it.row.nextSeq + write.entries.length }
          it.waiting = it.waiting.filter(({ id }) => !write.delivered.includes(id))
        }
        for (const row of write.children) create(row)
        break
      }
      case "Put": {
        const it = kept.get(write.session)
        if (it === undefined) break
        it.waiting = [...it.waiting, write.item]
        it.row = { ...it.row, inbox: it.row.inbox + 1 }
        break
      }
      case "Withdrawn": {
        const it = kept.get(write.session)
        if (it !== undefined) it.waiting = it.waiting.filter(({ id }) => id !== write.item)
        break
      }
      case "Removed":
        for (const session of write.sessions) kept.delete(session)
        break
    }
  }
  return kept
}
