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

    const all: Array<Measured> = []
    for (let after: Integer = 0; ;) {
      const page = yield* using("measure", (connection) => rows<MeasuredRow>(connection, statements.measured, after))
      const sizes = page.map(() => ({ entries: 0, bytes: 0 }))
      for (const group of groupsOf(page)) {
        const counted = yield* ranged<Counted>(
          statements.sizes,
          group.map(({ range }) => range)
        )
        for (const { bytes, entries, n } of counted) {
          const size = sizes[group[integer(n)]!.session]!
          size.entries += integer(entries)
          size.bytes += integer(bytes)
        }
      }
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
        all.push({ row, activeAt, ...sizes[i]! })
      }
      const end = page.at(-1)
      if (end === undefined || page.length < pageSize) return all
      after = end.key
    }
  })

interface Counted {
  readonly n: Integer
  readonly entries: Integer
  readonly bytes: Integer
}

/** The entries of sessions' own, in groups of no more places than are counted at once. */
function* groupsOf(
  page: ReadonlyArray<MeasuredRow>
): Generator<ReadonlyArray<{ readonly session: number; readonly range: Range }>> {
  let group: Array<{ readonly session: number; readonly range: Range }> = []
  let room = placesAtOnce
  for (const [session, row] of page.entries()) {
    const end = integer(row.next_seq) - 1
    for (let from = integer(row.shared) + 1; from <= end;) {
      const to = Math.min(end, from + room - 1)
      group.push({ session, range: { key: row.key, from, to } })
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
