/**
 * What sessions take.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { SessionStoreError } from "../../services/Errors.js"
import type { Measured, SessionRow } from "../../services/SessionStore.js"
import { pause } from "../tools/pace.js"
import type { Database } from "./Database.js"
import { pageSize, type Range } from "./Dialect.js"
import { read } from "./histories.js"
import { type Integer, integer, type Row, sessionRow } from "./rows.js"

/** How many places are counted at once: it takes SQLite about 10 ms, in which the event loop stands still. */
const placesAtOnce = 10_000

/** How many last entries are read at once: they may be large. */
const lastAtOnce = 100

type MeasuredRow = Row & { readonly shared: Integer; readonly base: Integer | null }

export const measure = (database: Database): Effect.Effect<ReadonlyArray<Measured>, SessionStoreError> =>
  Effect.gen(function* () {
    const { dialect, rows, using } = database
    const { statements } = dialect
    const ranged = <A>(text: string, ranges: ReadonlyArray<Range>) =>
      Effect.zipRight(
        pause,
        using("measure", (connection) => rows<A>(connection, text, ...dialect.ranges(ranges)))
      )

    /** Counts what stands in these places. */
    const sized = (owned: Iterable<Owned>) =>
      Effect.gen(function* () {
        for (const group of groupsOf(owned)) {
          const counted = yield* ranged<Counted>(
            statements.sizes,
            group.map(({ range }) => range)
          )
          for (const { bytes, entries, n } of counted) {
            const { size } = group[integer(n)]!
            size.entries += integer(entries)
            size.bytes += integer(bytes)
          }
        }
      })

    const all: Array<Omit<Measured, keyof Size> & { readonly size: Size }> = []
    const sizes = new Map<number, Size>()
    for (let after: Integer = 0; ;) {
      const page = yield* using("measure", (connection) => rows<MeasuredRow>(connection, statements.measured, after))
      const own = page.map(({ key, next_seq, shared }): Owned => {
        const size = { entries: 0, bytes: 0 }
        sizes.set(integer(key), size)
        return { size, range: { key, from: integer(shared) + 1, to: integer(next_seq) - 1 } }
      })
      yield* sized(own)
      const active = new Map<number, number>()
      const last = page.flatMap((row, session) => {
        const range = lastOf(row)
        return range === undefined ? [] : { session, range }
      })
      for (let from = 0; from < last.length; from += lastAtOnce) {
        const some = last.slice(from, from + lastAtOnce)
        const bodies = yield* ranged<{ readonly n: Integer; readonly body: string }>(
          statements.bodies,
          some.map(({ range }) => range)
        )
        for (const { body, n } of bodies) {
          const at = timeOf(body)
          if (at !== undefined) active.set(some[integer(n)]!.session, at)
        }
      }
      for (const [i, it] of page.entries()) {
        const row = sessionRow(it)
        const activeAt = active.get(i) ?? (yield* timeBefore(database, row)) ?? row.createdAt
        all.push({ row, activeAt, size: own[i]!.size })
      }
      const end = page.at(-1)
      if (end === undefined || page.length < pageSize) break
      after = end.key
    }
    // What is left of removed sessions is that of the oldest forks that have it.
    for (let after: Integer = 0; ;) {
      const page = yield* using("measure", (connection) => rows<Remains>(connection, statements.remains, after))
      const left: Array<Owned> = []
      for (const { key, next_seq } of page) {
        const end = integer(next_seq) - 1
        // What it shares itself stands under another key.
        let from = 1
        const heirs = yield* using("measure", (connection) => rows<Heir>(connection, statements.forks, key))
        for (const heir of heirs) {
          const to = Math.min(end, integer(heir.upto))
          const size = sizes.get(integer(heir.key))
          // One that began since counts for the next measure.
          if (size === undefined || to < from) continue
          left.push({ size, range: { key, from, to } })
          from = to + 1
        }
        yield* pause
      }
      yield* sized(left)
      const end = page.at(-1)
      if (end === undefined || page.length < pageSize) break
      after = end.key
    }
    return all.map(({ size, ...it }) => ({ ...it, ...size }))
  })

interface Size {
  entries: number
  bytes: number
}

/** Places whose entries count for somebody. */
interface Owned {
  readonly size: Size
  readonly range: Range
}

interface Remains {
  readonly key: Integer
  readonly next_seq: Integer
}

interface Heir {
  readonly key: Integer
  readonly upto: Integer
}

interface Counted {
  readonly n: Integer
  readonly entries: Integer
  readonly bytes: Integer
}

/** The same places in groups of no more than are counted at once. */
function* groupsOf(owned: Iterable<Owned>): Generator<ReadonlyArray<Owned>> {
  let group: Array<Owned> = []
  let room = placesAtOnce
  for (const { range, size } of owned) {
    for (let { from } = range; from <= range.to;) {
      const to = Math.min(range.to, from + room - 1)
      group.push({ size, range: { key: range.key, from, to } })
      room -= to - from + 1
      from = to + 1
      if (room > 0) continue
      yield group
      group = []
      room = placesAtOnce
    }
  }
  if (group.length > 0) yield group
}

/** Where the last entry of a session stands. The last one that it shares is one that its base wrote. */
const lastOf = ({ base, key, next_seq, shared }: MeasuredRow): Range | undefined => {
  const end = integer(next_seq) - 1
  if (end === 0) return undefined
  return { key: end > integer(shared) ? key : base!, from: end, to: end }
}

/** When the last of the entries before a session's last one was made that can be read, if that is one of a few. */
const timeBefore = (
  database: Database,
  { id, incarnation, nextSeq }: SessionRow
): Effect.Effect<number | undefined, SessionStoreError> =>
  Effect.gen(function* () {
    for (let seq = nextSeq - 2; seq > 0 && seq > nextSeq - 2 - lastAtOnce; seq--) {
      const found = yield* Effect.either(read(database, id, incarnation, seq, seq))
      if (Either.isRight(found)) return found.right[0]?.at
      if (found.left._tag === "SessionStoreError") return yield* found.left
      yield* pause
    }
    return undefined
  })

/** When an entry was made; `undefined` where it cannot be read. */
const timeOf = (body: string): number | undefined => {
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value !== "object" || value === null || !("at" in value)) return undefined
    return typeof value.at === "number" && Number.isFinite(value.at) ? value.at : undefined
  } catch {
    return undefined
  }
}
