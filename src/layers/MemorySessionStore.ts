/**
 * Sessions in memory, for tests and for programs whose sessions end with them.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Entry } from "../services/Entry.js"
import { SessionAlreadyExists, SessionStoreError, StaleLease, type StoreError } from "../services/Errors.js"
import { type SessionRow, SessionStore } from "../services/SessionStore.js"

/** A session and its entries, as the store keeps them. */
export interface Stored {
  /** Changes with every write; what the store gives out is a copy. */
  readonly row: { -readonly [K in keyof SessionRow]: SessionRow[K] }
  readonly entries: Array<Entry>
}

/** The insides of a memory store, for assertions. */
export class Memory extends Context.Tag("baton/MemorySessionStore/Memory")<Memory, ReadonlyMap<string, Stored>>() {}

/** A store of its own for each time the layer is built. */
export const layer: Layer.Layer<SessionStore | Memory> = Layer.effectContext(
  Effect.sync(() => {
    const sessions = new Map<string, Stored>()
    return Context.make(SessionStore, make(sessions)).pipe(Context.add(Memory, sessions))
  })
)

export const make = (sessions: Map<string, Stored>): Context.Tag.Service<SessionStore> => {
  const owned = (id: string, incarnation: string, epoch?: number): Stored | StaleLease => {
    const stored = sessions.get(id)
    if (stored === undefined || stored.row.incarnation !== incarnation) {
      return new StaleLease({ session: id, reason: "removed" })
    }
    return epoch === undefined || stored.row.epoch === epoch ? stored : new StaleLease({ session: id, reason: "epoch" })
  }

  return {
    get: (id) =>
      Effect.sync(() => {
        const stored = sessions.get(id)
        return stored === undefined ? undefined : { ...stored.row }
      }),

    create: (row) =>
      Effect.suspend(() => {
        if (sessions.has(row.id)) return Effect.fail(new SessionAlreadyExists({ session: row.id }))
        sessions.set(row.id, { row: { ...row }, entries: [] })
        return Effect.void
      }),

    list: (parent) =>
      Effect.sync(() => {
        const rows: Array<SessionRow> = []
        for (const { row } of sessions.values()) if (row.parent === (parent ?? null)) rows.push({ ...row })
        return rows
      }),

    claim: (id, incarnation, owner) =>
      Effect.suspend(() => {
        const stored = owned(id, incarnation)
        if (stored instanceof StaleLease) return Effect.fail(stored)
        stored.row.owner = owner
        stored.row.epoch++
        return Effect.succeed({ ...stored.row })
      }),

    append: ({ children, entries, epoch, expectedSeq, incarnation, session }) =>
      Effect.suspend((): Effect.Effect<void, StoreError> => {
        const stored = owned(session, incarnation, epoch)
        if (stored instanceof StaleLease) return Effect.fail(stored)
        if (stored.row.nextSeq !== expectedSeq) return Effect.fail(new StaleLease({ session, reason: "sequence" }))
        const taken = children.find((child) => sessions.has(child.id))
        if (taken !== undefined) {
          return Effect.fail(
            new SessionStoreError({ operation: "write", reason: `session "${taken.id}" exists already` })
          )
        }
        for (const entry of entries) stored.entries.push(entry)
        stored.row.nextSeq = expectedSeq + entries.length
        for (const child of children) sessions.set(child.id, { row: { ...child }, entries: [] })
        return Effect.void
      }),

    read: (id, incarnation, fromSeq) =>
      Effect.sync(() => {
        const stored = sessions.get(id)
        return stored === undefined || stored.row.incarnation !== incarnation ? [] : stored.entries.slice(fromSeq - 1)
      }),

    remove: (rows) =>
      Effect.sync(() => {
        for (const { id, incarnation } of rows) {
          if (sessions.get(id)?.row.incarnation === incarnation) sessions.delete(id)
        }
      })
  }
}
