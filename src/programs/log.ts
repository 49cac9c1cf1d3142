/**
 * Finding one's way in a whole history: where a conversation stands, and what entries are called.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Entry } from "../services/Entry.js"
import { EntryNotFound, InvalidInput, StaleLease, type StoreError } from "../services/Errors.js"
import type { Journal } from "../services/History.js"
import { cleanText } from "../services/Json.js"
import type { SessionRef } from "../services/Session.js"
import * as SessionId from "../services/SessionId.js"
import type { Engine } from "./engine.js"

/**
 * The whole history of a session that is held, as its journal knows it. Others may have written to a session at rest
 * unseen by its journal: that is refused as a write would be, and the journal reads what is new when it begins again.
 */
export const wholeOf = (
  { store }: Engine,
  { id, incarnation }: SessionRef<unknown>,
  journal: Journal
): Effect.Effect<ReadonlyArray<Entry>, StoreError> =>
  Effect.flatMap(store.read(id, incarnation, 1), (entries): Effect.Effect<ReadonlyArray<Entry>, StaleLease> => {
    if (entries.length === journal.nextSeq - 1) return Effect.succeed(entries)
    journal.atRest = false
    return new StaleLease({ session: id, reason: "sequence" })
  })

/** Whether a look at a history found that others have written to it. */
export const isBehind = (cause: Cause.Cause<unknown>): boolean =>
  cause._tag === "Fail" && cause.error instanceof StaleLease && cause.error.reason === "sequence"

/** An entry by its place or its name. */
export type Named = number | string

/** Where a conversation stands whose head is at an entry: moves and names are no part of what was said. */
export const standsAt = (entries: ReadonlyArray<Entry>, head: number | null): number | null => {
  for (let at = head; at !== null;) {
    const entry = entries[at - 1]!
    if (entry._tag !== "HeadMoved" && entry._tag !== "Label") return at
    at = entry.parentId
  }
  return null
}

/** What entries are called, by their names. */
export const labelsOf = (entries: Iterable<Entry>): ReadonlyMap<string, number> => {
  const labels = new Map<string, number>()
  for (const entry of entries) {
    if (entry._tag !== "Label") continue
    // One that is given anew is the newest.
    labels.delete(entry.label)
    if (entry.entry !== null) labels.set(entry.label, entry.entry)
  }
  return labels
}

/** The place of an entry in a history, or that there is none. */
export const find = (
  session: string,
  entries: ReadonlyArray<Entry>,
  wanted: Named | null
): number | null | EntryNotFound => {
  if (wanted === null) return null
  const at = typeof wanted === "number" ? wanted : labelled(entries, wanted)
  return at !== undefined && Number.isInteger(at) && at >= 1 && at <= entries.length ? at : notFound(session, wanted)
}

/** What no entry can be called is not looked for. */
const labelled = (entries: ReadonlyArray<Entry>, name: string): number | undefined =>
  SessionId.problemOfName(name) === undefined ? labelsOf(entries).get(cleanText(name)) : undefined

export const notFound = (session: string, wanted: Named): EntryNotFound =>
  new EntryNotFound({ session, entry: typeof wanted === "number" ? wanted : SessionId.told(wanted) })

/** What is wrong with what is to tell an entry, if anything. */
export const entryProblem = (value: unknown, path: string, orNone: boolean): InvalidInput | undefined =>
  typeof value === "number" || typeof value === "string" || (orNone && value === null)
    ? undefined
    : new InvalidInput({ path, reason: "it is neither the place of an entry nor a name" })
