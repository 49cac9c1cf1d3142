/**
 * Sessions in memory, for tests and for programs whose sessions end with them. Its clock is Effect's.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Entry } from "../services/Entry.js"
import { SessionAlreadyExists, SessionOwned, SessionStoreError, StaleLease } from "../services/Errors.js"
import {
  type Append,
  type Appended,
  fresh,
  type InboxItem,
  type NewSession,
  type SessionKey,
  type SessionRow,
  SessionStore,
  type WriteError
} from "../services/SessionStore.js"

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

/** A session and its entries, as the store keeps them. */
export interface Stored {
  /** Changes with every write; what the store gives out is a copy, which says whether the lease holds. */
  readonly row: Mutable<SessionRow>
  readonly entries: Array<Entry>
  /** What was put into its inbox and is not delivered. */
  waiting: ReadonlyArray<InboxItem>
  /** When its owner's lease runs out, in milliseconds since the epoch. */
  leaseUntil: number
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

/** A session as it is stored first. */
export const stored = (session: NewSession): Stored => ({
  row: fresh(session),
  entries: [],
  waiting: none,
  leaseUntil: 0
})

const none: ReadonlyArray<never> = []

export const make = (sessions: Map<string, Stored>): Context.Tag.Service<SessionStore> => {
  const find = ({ id, incarnation }: SessionKey): Stored | undefined => {
    const it = sessions.get(id)
    return it?.row.incarnation === incarnation ? it : undefined
  }

  const rowsWhere = (wanted: (it: Stored) => boolean): Effect.Effect<ReadonlyArray<SessionRow>> =>
    withNow((now) => {
      const rows: Array<SessionRow> = []
      for (const it of sessions.values()) if (wanted(it)) rows.push(rowOf(it, now))
      return Effect.succeed(rows)
    })

  const append = (write: Append, now: number): Effect.Effect<Appended, WriteError> => {
    const { children, delivered, entries, epoch, expectedSeq, incarnation, lease, leaseFor, owner, session } = write
    const it = sessions.get(session)
    if (it === undefined || it.row.incarnation !== incarnation) return new StaleLease({ session, reason: "removed" })
    const { row } = it
    if (lease === "claim" && row.owner !== null && row.owner !== owner && it.leaseUntil > now) {
      return new SessionOwned({ session, owner: row.owner, running: row.running })
    }
    if (row.epoch !== epoch || (lease !== "claim" && row.owner !== owner)) {
      return new StaleLease({ session, reason: "epoch" })
    }
    if (row.nextSeq !== expectedSeq) return new StaleLease({ session, reason: "sequence" })
    const taken = children.find((child) => sessions.has(child.id))
    if (taken !== undefined) {
      return new SessionStoreError({ operation: "write", reason: `session "${taken.id}" exists already` })
    }
    if (delivered.some((id) => !it.waiting.some((item) => item.id === id))) {
      return new StaleLease({ session, reason: "delivered" })
    }
    for (const entry of entries) it.entries.push(entry)
    row.nextSeq = expectedSeq + entries.length
    row.running = write.running
    row.partial = write.partial
    if (lease === "claim") row.epoch++
    row.owner = lease === "release" ? null : owner
    it.leaseUntil = lease === "release" ? 0 : now + leaseFor
    if (delivered.length > 0) it.waiting = it.waiting.filter(({ id }) => !delivered.includes(id))
    for (const child of children) sessions.set(child.id, stored(child))
    return Effect.succeed({ epoch: row.epoch, inbox: row.inbox })
  }

  return {
    get: (id) =>
      withNow((now) => {
        const it = sessions.get(id)
        return Effect.succeed(it === undefined ? undefined : rowOf(it, now))
      }),

    create: (session) =>
      Effect.suspend(() => {
        if (sessions.has(session.id)) return new SessionAlreadyExists({ session: session.id })
        sessions.set(session.id, stored(session))
        return Effect.void
      }),

    list: (parent) => rowsWhere(({ row }) => row.parent === (parent ?? null)),

    unsettled: rowsWhere(({ row, waiting }) => row.running !== null || waiting.length > 0),

    append: (write) => withNow((now) => append(write, now)),

    renew: (owner, leases, leaseFor) =>
      withNow((now) => {
        const kept: Array<string> = []
        for (const { epoch, ...key } of leases) {
          const it = find(key)
          if (it?.row.owner !== owner || it.row.epoch !== epoch) continue
          it.leaseUntil = now + leaseFor
          kept.push(key.id)
        }
        return Effect.succeed(kept)
      }),

    read: (id, incarnation, fromSeq) =>
      Effect.sync(() => find({ id, incarnation })?.entries.slice(fromSeq - 1) ?? none),

    operation: (id, incarnation, operationId) =>
      Effect.sync(() => {
        const entries = find({ id, incarnation })?.entries ?? none
        const from = entries.findLastIndex(
          (it) => it._tag === "OperationStarted" && it.key !== undefined && it.operationId === operationId
        )
        if (from < 0)
          return entries.filter((it) => it._tag === "User" && it.asked?.operationId === operationId).slice(-1)
        return entries.slice(from).filter((it) => it.operationId === operationId)
      }),

    remove: (keys, owner) =>
      withNow((now) => {
        const all = keys.flatMap((key) => find(key) ?? [])
        for (const { leaseUntil, row } of all) {
          if (row.owner !== null && row.owner !== owner && leaseUntil > now) {
            return new SessionOwned({ session: row.id, owner: row.owner, running: row.running })
          }
        }
        for (const { row } of all) sessions.delete(row.id)
        return Effect.void
      }),

    put: (key, item) =>
      Effect.suspend(() => {
        const it = find(key)
        if (it === undefined) return new StaleLease({ session: key.id, reason: "removed" })
        if (it.waiting.some(({ id }) => id === item.id)) return Effect.void
        it.waiting = [...it.waiting, item]
        it.row.inbox++
        return Effect.void
      }),

    waiting: (key) => Effect.sync(() => find(key)?.waiting ?? none),

    withdraw: (key, item) =>
      Effect.sync(() => {
        const it = find(key)
        if (it?.waiting.some(({ id }) => id === item) !== true) return false
        it.waiting = it.waiting.filter(({ id }) => id !== item)
        return true
      })
  }
}

const rowOf = ({ leaseUntil, row }: Stored, now: number): SessionRow => ({
  ...row,
  leased: row.owner !== null && leaseUntil > now
})

const withNow = <A, E>(use: (now: number) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.withFiberRuntime((fiber) =>
    use(Context.unsafeGet(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis())
  )
