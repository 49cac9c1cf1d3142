/**
 * Finding one's way in a whole history: what is on the way to an entry, and what entries are called.
 */
import type { Entry } from "../services/Entry.js"
import { EntryNotFound, InvalidInput } from "../services/Errors.js"
import { cleanText } from "../services/Json.js"
import * as SessionId from "../services/SessionId.js"

/** An entry by its place or its name. */
export type Named = number | string

/** The entries that lead to one, that one included, in order. `entries` is a history from its first entry on. */
export const wayTo = (entries: ReadonlyArray<Entry>, head: number | null): ReadonlyArray<Entry> => {
  const way: Array<Entry> = []
  for (let at = head; at !== null;) {
    const entry = entries[at - 1]!
    way.push(entry)
    at = entry.parentId
  }
  return way.toReversed()
}

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
  const at = typeof wanted === "number" ? wanted : labelsOf(entries).get(cleanText(wanted))
  return at !== undefined && Number.isInteger(at) && at >= 1 && at <= entries.length ? at : notFound(session, wanted)
}

export const notFound = (session: string, wanted: Named): EntryNotFound =>
  new EntryNotFound({ session, entry: typeof wanted === "number" ? wanted : SessionId.told(wanted) })

/** What is wrong with what is to tell an entry, if anything. */
export const entryProblem = (value: unknown, path: string, orNone: boolean): InvalidInput | undefined =>
  typeof value === "number" || typeof value === "string" || (orNone && value === null)
    ? undefined
    : new InvalidInput({ path, reason: "it is neither the place of an entry nor a name" })
