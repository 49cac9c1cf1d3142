/**
 * What was left unfinished in a session, as those who watch its resumption are to see it.
 */
import * as Effect from "effect/Effect"
import type * as Context from "effect/Context"
import type { Entry } from "../services/Entry.js"
import type { CorruptRecord, SessionStoreError } from "../services/Errors.js"
import { type Event, ofEntry } from "../services/Event.js"
import type { Running } from "../services/Operation.js"
import type { SessionRow, SessionStore } from "../services/SessionStore.js"

type Store = Context.Tag.Service<SessionStore>

export interface Leftover extends Running {
  readonly session: string
  /** What it was asked. */
  readonly input: string
  /** How often it will have been begun, the first run included. */
  readonly attempt: number
  /** What happened in it and in its unfinished tasks. */
  readonly events: ReadonlyArray<Event>
}

/** What is unfinished in a session, as recorded so far; to be asked before the session is opened. */
export const leftIn = (
  store: Store,
  row: SessionRow
): Effect.Effect<Leftover | undefined, CorruptRecord | SessionStoreError> =>
  Effect.gen(function* () {
    const { running } = row
    if (running === null) return undefined
    const entries = yield* entriesOf(store, row)
    const events = yield* eventsOf(store, row, entries)
    // A child's words are not its own.
    const said = events.flatMap((event) => (event._tag === "UserMessage" && event.session === row.id ? [event] : []))
    const input = said[0]?.text ?? ""
    const resumed = entries.findLast((entry) => entry._tag === "OperationResumed")
    const attempt = 1 + (resumed?.attempt ?? 1)
    return { ...running, session: row.id, input, attempt, events }
  })

/** The entries of what was started last. */
const entriesOf = (
  store: Store,
  { id, incarnation }: SessionRow
): Effect.Effect<ReadonlyArray<Entry>, CorruptRecord | SessionStoreError> =>
  Effect.map(store.read(id, incarnation, 1), (entries) =>
    entries.slice(
      Math.max(
        0,
        entries.findLastIndex((entry) => entry._tag === "OperationStarted")
      )
    )
  )

const eventsOf = (
  store: Store,
  { id }: SessionRow,
  entries: ReadonlyArray<Entry>
): Effect.Effect<ReadonlyArray<Event>, CorruptRecord | SessionStoreError> =>
  Effect.gen(function* () {
    const events: Array<Event> = []
    const ended = new Set(entries.flatMap((entry) => (entry._tag === "TaskSettled" ? [entry.child] : [])))
    for (const entry of entries) {
      events.push(ofEntry(id, entry))
      if (entry._tag !== "TaskLink" || ended.has(entry.child)) continue
      const child = yield* store.get(entry.child)
      if (child !== undefined) events.push(...(yield* eventsOf(store, child, yield* entriesOf(store, child))))
    }
    return events
  })

/** How an operation of a session ended, and what was said last in it; `undefined` where it has not ended. */
export const outcomeOf = (
  entries: ReadonlyArray<Entry>,
  operationId: string
): { readonly end: Extract<Entry, { readonly _tag: "OperationSettled" }>; readonly text: string } | undefined => {
  const own = entries.filter((entry) => entry.operationId === operationId)
  const end = own.findLast((entry) => entry._tag === "OperationSettled")
  if (end === undefined) return undefined
  const last = own.findLast((entry) => entry._tag === "Assistant")
  const said = (last?.content ?? []).flatMap((part) => (part.type === "text" ? [part.text] : []))
  return { end, text: said.join("") }
}
