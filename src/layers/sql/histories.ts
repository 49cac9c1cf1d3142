/**
 * Reading what was written, page by page: a session's own entries, and before them those that it shares.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Entry } from "../../services/Entry.js"
import { CorruptRecord, type SessionStoreError } from "../../services/Errors.js"
import { pause } from "../tools/pace.js"
import type { Database } from "./Database.js"
import { pageSize, type Range } from "./Dialect.js"
import { chainOf } from "./forks.js"
import * as records from "./records.js"
import { integer, type Row } from "./rows.js"

type Entries = Effect.Effect<ReadonlyArray<Entry>, CorruptRecord | SessionStoreError>

interface Page {
  readonly next_seq: Row["next_seq"]
  readonly shared: Row["key"]
  readonly seq: Row["key"] | null
  readonly body: string | null
}

/** Entries from a place to a place. */
export const read = (database: Database, id: string, incarnation: string, from: number, to: number): Entries =>
  Effect.gen(function* () {
    const { dialect, rows, using } = database
    const { statements } = dialect
    const entries: Array<Entry> = []
    let seq = from
    const corrupt = (seq: number, reason: string) => new CorruptRecord({ session: id, seq, reason, readable: entries })

    /** Takes the rows of a page, which follow each other, and says what is wrong with them. */
    const take = (page: ReadonlyArray<Page>): CorruptRecord | undefined => {
      for (const row of page) {
        if (row.body === null || row.seq === null) return undefined
        if (integer(row.seq) !== seq) return corrupt(seq, "it is missing")
        const entry = records.entryOf(row.body, seq)
        if (Either.isLeft(entry)) return corrupt(seq, entry.left)
        entries.push(entry.right)
        seq++
      }
      return undefined
    }

    /** Where the bases of a session begin and end; asked for only where something that it shares is read. */
    let chain: ReadonlyArray<Range> | undefined
    for (;;) {
      const place = seq
      const range: Range | undefined = chain?.find((it) => place <= it.to)
      const last = range === undefined ? to : Math.min(to, range.to)
      const page = yield* using("read", (connection) =>
        range === undefined
          ? rows<Page>(connection, statements.read, place, last, id, incarnation)
          : rows<Page>(connection, statements.readShared, range.key, place, last, id, incarnation)
      )
      // Gone, or removed between two pages.
      if (page.length === 0) return []
      if (range === undefined && integer(page[0]!.shared) >= place && place <= to) {
        // A session that has gone does not come back: it was there when its bases were asked for.
        if (chain !== undefined) return yield* corrupt(place, "it is missing")
        chain = yield* chainOf(database, id, incarnation)
        continue
      }
      const problem = take(page)
      if (problem !== undefined) return yield* problem
      if (page.length < pageSize) {
        const end = Math.min(integer(page[0]!.next_seq), last + 1)
        if (seq < end) return yield* corrupt(seq, "it is missing")
        if (seq > end && seq > from) return yield* corrupt(end, "it stands behind the end")
        if (last === to) return entries
      }
      yield* pause
    }
  })

/** The entries of the last operation that was started under an id, or the input that joined another one under it. */
export const operation = (database: Database, id: string, incarnation: string, operationId: string): Entries =>
  Effect.gen(function* () {
    let end = Number.MAX_SAFE_INTEGER
    let asked: Entry | undefined
    for (const { body, seq } of yield* marksOf(database, id, incarnation, operationId)) {
      const entry = records.entryOf(body, integer(seq))
      if (Either.isLeft(entry)) {
        const readable = yield* read(database, id, incarnation, 1, integer(seq) - 1)
        return yield* new CorruptRecord({ session: id, seq: integer(seq), reason: entry.left, readable })
      }
      if (entry.right._tag === "User") {
        asked ??= entry.right
        continue
      }
      if (entry.right._tag === "OperationStarted") {
        const entries = yield* read(database, id, incarnation, integer(seq), end)
        return entries.filter((it) => it.operationId === operationId)
      }
      end = integer(seq)
    }
    return asked === undefined ? [] : [asked]
  })

interface Mark {
  readonly seq: Row["key"]
  readonly body: string
}

/** Where an operation was started and settled, the last first. */
const marksOf = (
  database: Database,
  id: string,
  incarnation: string,
  operationId: string
): Effect.Effect<ReadonlyArray<Mark>, SessionStoreError> =>
  Effect.gen(function* () {
    const { dialect, rows, using } = database
    const own = yield* using("read", (connection) =>
      rows<Page>(connection, dialect.statements.operation, operationId, id, incarnation)
    )
    const marks = own.flatMap(({ body, seq }): ReadonlyArray<Mark> =>
      body === null || seq === null ? [] : [{ body, seq }]
    )
    if (own.length === 0 || integer(own[0]!.shared) === 0) return marks
    for (const { from, key, to } of (yield* chainOf(database, id, incarnation)).toReversed()) {
      const shared = yield* using("read", (connection) =>
        rows<Mark>(connection, dialect.statements.operationShared, operationId, key, from, to)
      )
      for (const mark of shared) marks.push(mark)
    }
    return marks
  })
