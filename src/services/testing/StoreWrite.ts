/**
 * What a store was made to keep, write by write.
 */
import type { Entry } from "../Entry.js"
import type { SessionRow } from "../SessionStore.js"

/** One write, which a store keeps as a whole or not at all. */
export type StoreWrite =
  | { readonly _tag: "Created"; readonly row: SessionRow }
  /** Another engine took the session over. */
  | { readonly _tag: "Claimed"; readonly row: SessionRow }
  | {
      readonly _tag: "Appended"
      readonly session: string
      readonly entries: ReadonlyArray<Entry>
      /** Child sessions that were created with it. */
      readonly children: ReadonlyArray<SessionRow>
    }
  | { readonly _tag: "Removed"; readonly sessions: ReadonlyArray<string> }

/** A session and its entries. */
export interface Kept {
  readonly row: SessionRow
  readonly entries: ReadonlyArray<Entry>
}

/** What a store holds after some writes: `keptAfter(writes.slice(0, n))` is what a crash after the n-th leaves. */
export const keptAfter = (writes: Iterable<StoreWrite>): ReadonlyMap<string, Kept> => {
  const kept = new Map<string, { row: SessionRow; readonly entries: Array<Entry> }>()
  for (const write of writes) {
    switch (write._tag) {
      case "Created":
        kept.set(write.row.id, { row: write.row, entries: [] })
        break
      case "Claimed": {
        const it = kept.get(write.row.id)
        if (it !== undefined) it.row = write.row
        break
      }
      case "Appended": {
        const it = kept.get(write.session)
        if (it !== undefined) {
          it.entries.push(...write.entries)
          it.row = { ...it.row, nextSeq: it.row.nextSeq + write.entries.length }
        }
        for (const row of write.children) kept.set(row.id, { row, entries: [] })
        break
      }
      case "Removed":
        for (const session of write.sessions) kept.delete(session)
        break
    }
  }
  return kept
}
