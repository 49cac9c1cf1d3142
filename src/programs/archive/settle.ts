/**
 * Ends for what ran in a session when it was exported: it goes on there, and nowhere else.
 */
import { explain } from "../../services/Conversation.js"
import * as Draft from "../../services/Draft.js"
import type { Entry } from "../../services/Entry.js"
import * as Usage from "../../services/Usage.js"
import { Past } from "../Past.js"
import type { Read } from "./Reading.js"

/**
 * The entries that end what runs, after those that are there: of its tasks, its calls, and itself. `used` tells what the
 * session of a task used.
 */
export const endsOf = (
  { conversation, entries, running }: Read,
  at: number,
  used: (child: string) => Usage.Usage
): ReadonlyArray<Entry> => {
  if (running === undefined) return []
  const past = new Past(entries.slice(running - 1))
  const { kind, key, operationId } = past.start
  let tasks = past.tasks
  const taskEnds = past.openLinks.map(({ child, taskId }) => {
    const usage = used(child)
    tasks = Usage.add(tasks, usage)
    return Draft.taskSettled(taskId, child, "interrupted", undefined, usage)
  })
  const callEnds = conversation.unsettled().map(({ call: { id, name }, started }) => {
    const outcome = started ? "interrupted" : "not-run"
    return Draft.toolSettled(id, name, outcome, explain(outcome), undefined)
  })
  const usage = Usage.report(past.turns, Usage.zero, compactionsOf(past.entries), tasks)
  const end = Draft.operationSettled(kind, key, usage, { outcome: "interrupted", by: "import" })
  const last = entries.length
  return [...taskEnds, ...callEnds, end].map((draft, i) => Draft.place(draft, last + i + 1, last + i, at, operationId))
}

const compactionsOf = (entries: ReadonlyArray<Entry>): Usage.Usage =>
  entries.reduce(
    (sum, entry) =>
      entry._tag === "Compaction" || entry._tag === "CompactionStalled" ? Usage.add(sum, entry.usage) : sum,
    Usage.zero
  )

/** What the operations of a history used, each with its tasks. */
export const usageOf = (entries: ReadonlyArray<Entry>): Usage.Usage =>
  entries.reduce(
    (sum, entry) => (entry._tag === "OperationSettled" ? Usage.add(sum, entry.usage.total) : sum),
    Usage.zero
  )
