/**
 * Journals of long sessions, kept beyond the handles that worked on them: a session that is opened for each prompt
 * anew does not fold its whole history each time.
 */
import { Journal } from "../../services/History.js"
import type { SessionRow } from "../../services/SessionStore.js"

/** Below this many entries folding anew costs less than what is kept weighs. */
const leastEntries = 64

/** How many entries the kept journals may stand for together; those that were not used for longest go first. */
const mostEntries = 50_000

export interface Kept {
  /** Keeps the journal of an operation that ends. */
  readonly keep: (journal: Journal) => void

  /**
   * The journal for an operation that holds the session: that of the handle, or a new one. What the last operation knew,
   * through whatever handle, is taken over; its journal still tells what that operation used.
   */
  readonly newest: (row: SessionRow, own: Journal | undefined) => Journal
}

export const makeKept = (): Kept => {
  const journals = new Map<string, { readonly journal: Journal; readonly entries: number }>()
  let total = 0

  const drop = (session: string): void => {
    const last = journals.get(session)
    if (last === undefined) return
    journals.delete(session)
    total -= last.entries
  }

  const keep = (journal: Journal): void => {
    const session = journal.row.id
    const entries = journal.nextSeq
    drop(session)
    if (entries < leastEntries) return
    journals.set(session, { journal, entries })
    total += entries
    for (const oldest of journals.keys()) {
      if (total <= mostEntries) return
      drop(oldest)
    }
  }

  return {
    keep,
    newest: (row, own) => {
      const last = journals.get(row.id)?.journal
      if (last === undefined || last === own) return own ?? new Journal(row)
      drop(row.id)
      if (last.row.incarnation !== row.incarnation) return own ?? new Journal(row)
      const journal = own ?? new Journal(row)
      journal.takeOver(last)
      // The operation may fail before it enters; what is known is not lost with it.
      keep(journal)
      return journal
    }
  }
}
