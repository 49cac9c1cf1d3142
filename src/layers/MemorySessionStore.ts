/**
 * Sessions in memory, for tests and for programs whose sessions end with them. Its clock is Effect's.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Entry } from "../services/Entry.js"
import {
  SessionAlreadyExists,
  SessionNotFound,
  SessionOwned,
  SessionStoreError,
  StaleLease
} from "../services/Errors.js"
import {
  type Append,
  type Appended,
  type Begun,
  fresh,
  type InboxItem,
  type NewSession,
  type Page,
  type Query,
  type SessionKey,
  type SessionRow,
  SessionStore,
  type WriteError
} from "../services/SessionStore.js"
import * as Words from "../services/Words.js"
import { pause } from "./tools/pace.js"

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

/** A session and its entries, as the store keeps them. */
export interface Stored {
  /** Changes with every write; what the store gives out is a copy, which says whether the lease holds. */
  readonly row: Mutable<SessionRow>
  readonly entries: Array<Entry>
  /** How many of them it shares with the session that it was forked from. */
  readonly shared: number
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
  shared: 0,
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
    const claims = lease === "claim" || lease === "once"
    if (claims && row.owner !== null && row.owner !== owner && it.leaseUntil > now) {
      return new SessionOwned({ session, owner: row.owner, running: row.running })
    }
    if (row.epoch !== epoch || (!claims && row.owner !== owner)) {
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
    if (claims) row.epoch++
    const isLeft = lease === "release" || lease === "once"
    row.owner = isLeft ? null : owner
    it.leaseUntil = isLeft ? 0 : now + leaseFor
    if (delivered.length > 0) it.waiting = it.waiting.filter(({ id }) => !delivered.includes(id))
    for (const child of children) sessions.set(child.id, stored(child))
    return Effect.succeed({ epoch: row.epoch, inbox: row.inbox })
  }

  const begin = (
    begun: ReadonlyArray<Begun>
  ): Effect.Effect<void, SessionAlreadyExists | SessionNotFound | SessionStoreError> => {
    const made: Array<Stored> = []
    const ids = new Set<string>()
    for (const { base, entries, session } of begun) {
      if (sessions.has(session.id) || ids.has(session.id)) return new SessionAlreadyExists({ session: session.id })
      ids.add(session.id)
      const shared = base === null ? undefined : find(base)
      if (base !== null && !(shared !== undefined && isPlace(base.seq, shared.row.nextSeq))) {
        return new SessionNotFound({ session: base.id })
      }
      const all = [...(shared?.entries.slice(0, base!.seq) ?? none), ...entries]
      if (all.some(({ id }, i) => id !== i + 1)) {
        return new SessionStoreError({ operation: "create", reason: "its entries are not in order" })
      }
      const it = stored(session)
      it.row.nextSeq = all.length + 1
      made.push({ ...it, entries: all, shared: base?.seq ?? 0 })
    }
    for (const it of made) sessions.set(it.row.id, it)
    return Effect.void
  }

  /** Those that were there first have the lower numbers, also when others are removed. */
  const orderOf = (it: Stored): number => {
    let order = orders.get(it)
    if (order === undefined) orders.set(it, (order = ++last))
    return order
  }
  const orders = new WeakMap<Stored, number>()
  let last = 0

  const search = ({ after, limit, session, words }: Query): Effect.Effect<Page> =>
    Effect.gen(function* () {
      const cursor = after === undefined ? undefined : placeOf(after)
      if (words.length === 0 || (after !== undefined && cursor === undefined)) return { hits: [], next: undefined }
      const found: Array<Found> = []
      const seen = new Set<Entry>()
      let looked = 0
      for (const it of [...sessions.values()]) {
        const order = orderOf(it)
        for (const entry of ownOf(it, seen)) {
          if (session !== undefined && session !== it.row.id) continue
          if (++looked % atOnce === 0) yield* pause
          const hit = { session: it.row.id, order, entry }
          if ((cursor === undefined || inOrder(cursor, placeIn(hit)) < 0) && Words.hasAll(Words.textOf(entry), words))
            found.push(hit)
        }
      }
      found.sort((a, b) => inOrder(placeIn(a), placeIn(b)))
      const hits = found.slice(0, limit)
      const end = hits.at(-1)
      return {
        hits: hits.map(({ entry, session }) => ({ session, entry })),
        next: end !== undefined && found.length > limit ? placeIn(end).join("/") : undefined
      }
    })

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

    begin: (begun) => Effect.suspend(() => begin(begun)),

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

    read: (id, incarnation, fromSeq, toSeq) =>
      Effect.sync(() => find({ id, incarnation })?.entries.slice(Math.max(0, fromSeq - 1), toSeq) ?? none),

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
        const all = [...new Set(keys.flatMap((key) => find(key) ?? []))]
        for (const { leaseUntil, row } of all) {
          if (row.owner !== null && row.owner !== owner && leaseUntil > now) {
            return new SessionOwned({ session: row.id, owner: row.owner, running: row.running })
          }
        }
        for (const { row } of all) sessions.delete(row.id)
        // Who shares any entry shares the first.
        const firsts = new Set(all.map(({ entries }) => entries[0]))
        const seen = new Set<Entry>()
        for (const { entries } of sessions.values()) {
          if (firsts.has(entries[0])) for (const entry of entries) seen.add(entry)
        }
        const went = { entries: 0, bytes: 0 }
        for (const { entries } of all) {
          for (const entry of entries) {
            if (seen.has(entry)) continue
            seen.add(entry)
            count(went, entry)
          }
        }
        return Effect.succeed({ sessions: all.map(({ row: { id, incarnation } }) => ({ id, incarnation })), ...went })
      }),

    measure: withNow((now) => {
      const all = [...sessions.values()]
      const seen = new Set<Entry>()
      return Effect.forEach(all, (it) =>
        Effect.map(sizeOf(it, seen), (size) => ({
          row: rowOf(it, now),
          activeAt: it.entries.at(-1)?.at ?? it.row.createdAt,
          ...size
        }))
      )
    }),

    search,

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

/** How many entries are looked at before others go on. */
const atOnce = 256

interface Size {
  entries: number
  bytes: number
}

const count = (size: Size, entry: Entry): void => {
  size.entries++
  size.bytes += Buffer.byteLength(JSON.stringify(entry))
}

/** The entries of a session that were not seen yet: what it shares is that of the first that has it. */
function* ownOf({ entries, shared }: Stored, seen: Set<Entry>): Generator<Entry> {
  const end = entries.length
  for (let i = 0; i < end; i++) {
    const entry = entries[i]!
    if (i < shared && seen.has(entry)) continue
    seen.add(entry)
    yield entry
  }
}

/** What a session takes. */
const sizeOf = (it: Stored, seen: Set<Entry>): Effect.Effect<Size> =>
  Effect.gen(function* () {
    const size = { entries: 0, bytes: 0 }
    for (const entry of ownOf(it, seen)) {
      count(size, entry)
      if (size.entries % atOnce === 0) yield* pause
    }
    return size
  })

interface Found {
  readonly session: string
  readonly order: number
  readonly entry: Entry
}

/** Where a hit stands among others. */
type Place = readonly [at: number, order: number, id: number]

const placeIn = ({ entry, order }: Found): Place => [entry.at, order, entry.id]

/** The last comes first. */
const inOrder = (a: Place, b: Place): number => b[0] - a[0] || b[1] - a[1] || b[2] - a[2]

const placeOf = (cursor: string): Place | undefined => {
  const [at = NaN, order = NaN, id = NaN, ...more] = cursor.split("/").map((it) => (it === "" ? NaN : Number(it)))
  const isOne = Number.isFinite(at) && Number.isSafeInteger(order) && Number.isSafeInteger(id) && more.length === 0
  return isOne ? [at, order, id] : undefined
}

/** Whether an entry stands there; nothing stands before the first one, which can be shared as well. */
const isPlace = (seq: number, nextSeq: number): boolean => Number.isSafeInteger(seq) && seq >= 0 && seq < nextSeq

const rowOf = ({ leaseUntil, row }: Stored, now: number): SessionRow => ({
  ...row,
  leased: row.owner !== null && leaseUntil > now
})

const withNow = <A, E>(use: (now: number) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.withFiberRuntime((fiber) =>
    use(Context.unsafeGet(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis())
  )
