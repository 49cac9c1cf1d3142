/**
 * Which entries an entry may point to: only those before it.
 */
import type { Entry } from "./Entry.js"
import { CorruptRecord } from "./Errors.js"

/** What is wrong with the places that an entry tells, if anything: a head alone goes on from elsewhere than the entry before. */
export const placesProblem = (entry: Entry): string | undefined => {
  const { id, parentId } = entry
  const isBefore = (place: number | null | undefined) => place == null || place < id
  if (entry._tag === "HeadMoved") return isBefore(parentId) ? undefined : "its parent does not come before it"
  if (parentId !== (id === 1 ? null : id - 1)) return "it does not follow the entry before it"
  switch (entry._tag) {
    case "OperationStarted":
      return isBefore(entry.request?.replay?.from) ? undefined : "it replays what does not come before it"
    case "ToolSettled":
      return isBefore(entry.replayed) ? undefined : "it repeats what does not come before it"
    case "Compaction":
      return isBefore(entry.firstKept) ? undefined : "it keeps what does not come before it"
    case "Label":
      return isBefore(entry.entry) ? undefined : "it names what does not come before it"
    default:
      return undefined
  }
}

/** An entry does not go with those on the way to it. */
export class Misplaced extends Error {
  constructor(
    /** Its place. */
    readonly entry: number,
    reason: string
  ) {
    super(reason)
  }
}

/** The record that made a fold of a history fail. What is no fault of the history's is thrown on. */
export const corruptBy = (session: string, entries: ReadonlyArray<Entry>, error: unknown): CorruptRecord => {
  if (!(error instanceof Misplaced)) throw error
  const { entry: seq, message: reason } = error
  return new CorruptRecord({ session, seq, reason, readable: entries.slice(0, seq - 1) })
}
