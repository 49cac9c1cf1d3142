/**
 * A session that goes on from an entry of another one.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Agent from "../services/Agent.js"
import { explain } from "../services/Conversation.js"
import * as Draft from "../services/Draft.js"
import type { Entry } from "../services/Entry.js"
import { type EntryNotFound, SessionNotFound, type SessionStoreError, type CorruptRecord } from "../services/Errors.js"
import { cleanText } from "../services/Json.js"
import { type ForkError, SessionRef } from "../services/Session.js"
import * as SessionId from "../services/SessionId.js"
import type { SessionRow } from "../services/SessionStore.js"
import * as Usage from "../services/Usage.js"
import { type Engine, engineOf, type Needs } from "./engine.js"
import { type Named, notFound } from "./log.js"
import { Past } from "./Past.js"

/**
 * Makes a new session that shares the entries of another one up to one of them, by default the last that is stored. Asks
 * nobody for that session, which may be at work here or in another engine, and writes nothing to it. What was open at
 * that entry, an operation with its calls and tasks, the new session has as interrupted by the fork: its own first
 * entries say so. Reads back to the start of that operation and no further, but for a name, which is looked for from the
 * end on. One write; interrupted, it was made or not.
 */
export const fork = <R>(
  ref: SessionRef<R>,
  id: string,
  entry?: Named
): Effect.Effect<SessionRef<R>, ForkError, Needs> =>
  Effect.withFiberRuntime<SessionRef<R>, ForkError, Needs>((fiber) => {
    const wrong = SessionId.check(id)
    if (wrong !== undefined) return wrong
    const engine = engineOf(fiber, ref.context)
    const clock = Context.unsafeGet(fiber.currentDefaultServices, Clock.Clock)
    return Effect.flatMap(rowOf(engine, ref), (row) =>
      Effect.flatMap(placeOf(engine, row, entry), (at) =>
        Effect.flatMap(operationAt(engine, row, at), (open) => {
          const own = closing(open, at, clock.unsafeCurrentTimeMillis())
          return begin(engine, clock, ref, { id, row, at, own, agent: ref.agent, context: ref.context })
        })
      )
    )
  })

/** A fork that is to be made. */
export interface Forking<R> {
  readonly id: string
  /** The session as it is stored that is forked, and the last entry that is shared; 0 where none is. */
  readonly row: SessionRow
  readonly at: number
  /** What follows that entry. */
  readonly own: ReadonlyArray<Entry>
  readonly agent: Agent.Agent<R>
  readonly context: Context.Context<never>
}

/** The row of the session of a handle. */
export const rowOf = (
  { store }: Engine,
  { id, incarnation }: SessionRef<unknown>
): Effect.Effect<SessionRow, SessionNotFound | SessionStoreError> =>
  Effect.flatMap(store.get(id), (row) =>
    row?.incarnation === incarnation ? Effect.succeed(row) : new SessionNotFound({ session: id })
  )

/** Stores a fork, and gives its handle. */
export const begin = <R>(
  { ids, store }: Engine,
  clock: Clock.Clock,
  { cwd }: SessionRef<unknown>,
  { agent, at, context, id, own, row }: Forking<R>
): Effect.Effect<SessionRef<R>, ForkError> => {
  const session = {
    id,
    incarnation: ids.unsafeNext(),
    agent: cleanText(agent.name),
    cwd,
    parent: null,
    depth: 0,
    createdAt: clock.unsafeCurrentTimeMillis(),
    origin: { session: row.id, entry: at }
  }
  const base = at === 0 ? null : { id: row.id, incarnation: row.incarnation, seq: at }
  return Effect.as(store.begin([{ session, base, entries: own }]), new SessionRef(session, agent, context))
}

/** What is interrupted by a fork at an entry: the ends of the operation that is open there, which begins these entries. */
export const closing = (open: ReadonlyArray<Entry>, at: number, now: number): ReadonlyArray<Entry> => {
  const [start] = open
  if (start?._tag !== "OperationStarted") return []
  const past = new Past(open)
  const calls = new Map<string, string>()
  for (const entry of open) {
    if (entry._tag === "Assistant") {
      for (const part of entry.content) if (part.type === "tool-call") calls.set(part.id, part.name)
    } else if (entry._tag === "ToolSettled") calls.delete(entry.callId)
  }
  const drafts = past.openLinks.map(({ child, taskId }) =>
    Draft.taskSettled(taskId, child, "interrupted", undefined, Usage.zero)
  )
  for (const [callId, name] of calls) {
    const outcome = past.wasStarted(callId) ? "interrupted" : "not-run"
    drafts.push(Draft.toolSettled(callId, name, outcome, explain(outcome), undefined))
  }
  const usage = Usage.report(past.turns, Usage.zero, past.compactions, past.tasks)
  drafts.push(Draft.operationSettled(start.kind, start.key, usage, { outcome: "interrupted", by: "fork" }))
  return drafts.map((draft, i) => Draft.place(draft, at + 1 + i, at + i, now, start.operationId))
}

/** The entries of the operation that is open at an entry, which is the last of them; none where none is. */
export const openAmong = (entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> => {
  const last = entries.findLastIndex(isEdge)
  return last >= 0 && entries[last]!._tag === "OperationStarted" ? entries.slice(last) : []
}

const isEdge = (entry: Entry): boolean => entry._tag === "OperationStarted" || entry._tag === "OperationSettled"

type ReadError = CorruptRecord | SessionStoreError

/** The same, read from the store. */
const operationAt = (
  engine: Engine,
  row: SessionRow,
  at: number
): Effect.Effect<ReadonlyArray<Entry>, ReadError | SessionNotFound> =>
  Effect.map(backwards(engine, row, at, isEdge), openAmong)

/** The entry that is told by its place or name; the last one where none is told, and 0 where there is none. */
const placeOf = (
  engine: Engine,
  row: SessionRow,
  entry: Named | undefined
): Effect.Effect<number, ReadError | SessionNotFound | EntryNotFound> => {
  const last = row.nextSeq - 1
  if (entry === undefined) return Effect.succeed(last)
  if (typeof entry === "number") {
    return Number.isInteger(entry) && entry >= 1 && entry <= last ? Effect.succeed(entry) : notFound(row.id, entry)
  }
  if (typeof entry !== "string") return notFound(row.id, SessionId.told(entry))
  if (SessionId.problemOfName(entry) !== undefined) return notFound(row.id, entry)
  const name = cleanText(entry)
  const isThat = (it: Entry) => it._tag === "Label" && it.label === name
  return Effect.flatMap(backwards(engine, row, last, isThat), (entries) => {
    const found = entries.findLast(isThat)
    return found?._tag === "Label" && found.entry !== null ? Effect.succeed(found.entry) : notFound(row.id, entry)
  })
}

/** How many entries are read first on the way back; each further read is of twice as many. */
const firstPiece = 64

/** Reads back from an entry, that one included, until something is among what was read, or to the first entry. */
const backwards = (
  engine: Engine,
  row: SessionRow,
  to: number,
  wanted: (entry: Entry) => boolean,
  size = firstPiece,
  known: ReadonlyArray<Entry> = []
): Effect.Effect<ReadonlyArray<Entry>, ReadError | SessionNotFound> => {
  if (to < 1) return Effect.succeed(known)
  const from = Math.max(1, to - size + 1)
  return Effect.flatMap(
    engine.store.read(row.id, row.incarnation, from, to),
    (piece): Effect.Effect<ReadonlyArray<Entry>, ReadError | SessionNotFound> => {
      // It was there when it was asked for: it was removed since.
      if (piece.length <= to - from) return new SessionNotFound({ session: row.id })
      const all = known.length === 0 ? piece : [...piece, ...known]
      return piece.some(wanted) ? Effect.succeed(all) : backwards(engine, row, from - 1, wanted, size * 2, all)
    }
  )
}
