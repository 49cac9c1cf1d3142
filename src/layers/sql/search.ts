/**
 * Finding entries by their words. The index is brought up to date by whoever searches: a session's row says up to which
 * place its entries are indexed, and a write costs nothing for it.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { SessionStoreError } from "../../services/Errors.js"
import type { Hit, Page, Query } from "../../services/SessionStore.js"
import * as Words from "../../services/Words.js"
import { pause } from "../tools/pace.js"
import type { Database } from "./Database.js"
import type { FoundRow, Indexed, Range } from "./Dialect.js"
import { chainOf } from "./forks.js"
import * as records from "./records.js"
import { type Integer, integer, isPlain } from "./rows.js"

/** How much is indexed in one transaction: SQLite makes it synchronously. It takes about 20 ms, and so does finding the words. */
const atOnce = { entries: 128, bytes: 128_000 } as const

/** Among how many keys what is not indexed is looked for at once; SQLite looks at 20,000 rows in about 5 ms. */
const keysAtOnce = 20_000

/** How many rows are read at once: entries may be large. */
const rowsAtOnce = { least: 16, most: 200 } as const

const nothing: Page = { hits: [], next: undefined }

export const makeSearch = (
  database: Database
): Effect.Effect<(query: Query) => Effect.Effect<Page, SessionStoreError>> =>
  Effect.map(Effect.makeSemaphore(1), (semaphore) => {
    // Of those that search at once the first one does it for all.
    const refreshed = semaphore.withPermits(1)(refresh(database))
    return (query) =>
      Effect.suspend(() => {
        const { after, words } = query
        if (words.length === 0 || !words.every(isWord)) return Effect.succeed(nothing)
        if (after !== undefined && !database.dialect.isCursor(after)) return Effect.succeed(nothing)
        if (!isPlain(query.session ?? "")) return Effect.succeed(nothing)
        return Effect.zipRight(refreshed, find(database, query))
      })
  })

/** Whether it can be a word of a text: what is none has a meaning for a database. */
const isWord = (text: string): boolean => /^[\p{L}\p{N}\p{M}]+$/u.test(text) && !/[A-Z]/.test(text)

interface Unindexed {
  readonly key: Integer
  readonly incarnation: string
  readonly isGone: boolean
  readonly end: number
  was: number
}

const refresh = ({ dialect, index, rows, using }: Database): Effect.Effect<void, SessionStoreError> =>
  Effect.gen(function* () {
    const { statements } = dialect
    const ask = <A>(text: string, ...parameters: ReadonlyArray<unknown>) =>
      using("search", (connection) => rows<A>(connection, text, ...parameters))

    /** Puts the next texts of these sessions into the index; gives those that another process was quicker with. */
    const advance = (some: ReadonlyArray<{ readonly it: Unindexed; readonly range: Range }>) =>
      Effect.gen(function* () {
        const lengths = yield* ask<{ readonly n: Integer; readonly seq: Integer; readonly bytes: Integer }>(
          statements.lengths,
          ...dialect.ranges(some.map(({ range }) => range))
        )
        const chosen = some.map(({ it, range }) => ({ it, range }))
        let bytes = 0
        for (const [i, length] of lengths.entries()) {
          bytes += integer(length.bytes)
          if (i === 0 || bytes <= atOnce.bytes) continue
          // As far as the entry before; what follows is for the next time.
          const n = integer(length.n)
          const last = chosen[n]!
          chosen.length = n + 1
          chosen[n] = { it: last.it, range: { ...last.range, to: integer(length.seq) - 1 } }
          if (chosen[n].range.to < chosen[n].range.from) chosen.pop()
          break
        }
        const bodies = yield* ask<{ readonly n: Integer; readonly seq: Integer; readonly body: string }>(
          statements.bodies,
          ...dialect.ranges(chosen.map(({ range }) => range))
        )
        const batch = chosen.map(({ it, range }) => ({
          ...it,
          upTo: range.to,
          texts: [] as Array<Indexed["texts"][number]>
        }))
        for (const { body, n, seq } of bodies) {
          const entry = records.entryOf(body, integer(seq))
          if (Either.isLeft(entry)) continue
          const words = Words.of(Words.textOf(entry.right))
          if (words.length > 0) batch[integer(n)]!.texts.push({ seq: integer(seq), at: entry.right.at, words })
        }
        yield* pause
        const done = new Set((yield* index(batch)).map(integer))
        for (const { it, range } of chosen) if (done.has(integer(it.key))) it.was = range.to
        return new Set(chosen.flatMap(({ it }) => (done.has(integer(it.key)) ? [] : it)))
      })

    const [last] = yield* ask<{ readonly key: Integer | null }>(statements.lastKey)
    const end = integer(last?.key ?? 0)
    for (let from = 0; from < end;) {
      const to = from + keysAtOnce
      const found = yield* ask<{
        readonly key: Integer
        readonly incarnation: string
        readonly indexed: Integer
        readonly next_seq: Integer
        readonly gone: Integer
      }>(statements.unindexed, from, to, from, to)
      let waiting: ReadonlyArray<Unindexed> = found.map(({ gone, incarnation, indexed, key, next_seq }) => ({
        key,
        incarnation,
        isGone: integer(gone) === 1,
        was: integer(indexed),
        end: integer(next_seq) - 1
      }))
      let isCrossed = false
      while (waiting.length > 0) {
        const some: Array<{ readonly it: Unindexed; readonly range: Range }> = []
        let room: number = atOnce.entries
        for (const it of waiting) {
          if (room === 0) break
          const upTo = Math.min(it.end, it.was + room)
          room -= upTo - it.was
          some.push({ it, range: { key: it.key, from: it.was + 1, to: upTo } })
        }
        const crossed = yield* advance(some)
        if (crossed.size > 0) isCrossed = true
        const first = waiting.findIndex((it) => it.was < it.end && !crossed.has(it))
        waiting = first < 0 ? [] : waiting.slice(first).filter((it) => !crossed.has(it))
        yield* pause
      }
      // What another process was quicker with may have more that it has not come to.
      if (!isCrossed) from = to
    }
  })

const find = (database: Database, { after, limit, session, words }: Query): Effect.Effect<Page, SessionStoreError> =>
  Effect.gen(function* () {
    const { dialect, rows, using } = database
    const { statements } = dialect
    const ask = <A>(text: string, ...parameters: ReadonlyArray<unknown>) =>
      using("search", (connection) => rows<A>(connection, text, ...parameters))

    let keys: ReadonlyArray<Integer> | undefined
    if (session !== undefined) {
      const [row] = yield* ask<{ readonly key: Integer; readonly incarnation: string }>(statements.get, session)
      if (row === undefined) return nothing
      keys = [row.key, ...(yield* chainOf(database, session, row.incarnation)).map(({ key }) => key)]
    }

    const heirs = new Map<string, ReadonlyArray<{ readonly id: string; readonly upto: Integer }>>()
    /** Of an entry that a removed session wrote: the oldest that shares it. */
    const heirOf = (key: Integer, seq: number) =>
      Effect.gen(function* () {
        const name = String(key)
        const known =
          heirs.get(name) ?? (yield* ask<{ readonly id: string; readonly upto: Integer }>(statements.forks, key))
        heirs.set(name, known)
        return known.find(({ upto }) => integer(upto) >= seq)?.id
      })

    const hits: Array<Hit & { readonly cursor: string }> = []
    for (let cursor = after; ;) {
      const wanted = Math.min(rowsAtOnce.most, Math.max(rowsAtOnce.least, limit + 1 - hits.length))
      const [text, parameters] = dialect.find(words, keys, cursor, wanted)
      const found = yield* ask<FoundRow>(text, ...parameters)
      for (const row of found) {
        cursor = row.cursor
        const seq = integer(row.seq)
        const id = row.id ?? (yield* heirOf(row.key, seq))
        if (id === undefined || (session !== undefined && session !== id)) continue
        const entry = records.entryOf(row.body, seq)
        if (Either.isLeft(entry)) continue
        if (hits.length === limit) return pageOf(hits, hits.at(-1)?.cursor)
        hits.push({ session: id, entry: entry.right, cursor: row.cursor })
      }
      if (found.length < wanted) return pageOf(hits, undefined)
      yield* pause
    }
  })

const pageOf = (hits: ReadonlyArray<Hit>, next: string | undefined): Page => ({
  hits: hits.map(({ entry, session }) => ({ session, entry })),
  next
})
