/**
 * The sessions of a store as a table.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { SessionStoreError } from "../services/Errors.js"
import type { SessionRow, SessionStore } from "../services/SessionStore.js"
import { columns } from "./columns.js"
import { oneLine } from "./tree.js"

/** A session as it is listed. */
export interface Listed extends Pick<SessionRow, "agent" | "owner" | "running" | "createdAt"> {
  readonly session: string
  readonly entries: number
  /** When something was written last, in milliseconds since the epoch. */
  readonly at: number
  /** Whether the engine that has it is at it. */
  readonly isHeld: boolean
  /** How many inputs were acknowledged and wait. */
  readonly waiting: number
}

/** The sessions that were opened by an application or a command, oldest first. `isGone` tells of an engine whether it ended. */
export const listed = (
  store: Context.Tag.Service<SessionStore>,
  isGone: (owner: string) => boolean
): Effect.Effect<ReadonlyArray<Listed>, SessionStoreError> =>
  Effect.gen(function* () {
    const rows = yield* store.list()
    const unsettled = new Set((yield* store.unsettled).map(({ incarnation }) => incarnation))
    return yield* Effect.forEach(rows, (row) =>
      Effect.gen(function* () {
        const { agent, createdAt, id, incarnation, leased, nextSeq, owner, running } = row
        const read = nextSeq === 1 ? Effect.succeed([]) : store.read(id, incarnation, nextSeq - 1)
        // One that is damaged is listed like the others.
        const [last] = yield* Effect.catchTag(read, "CorruptRecord", () => Effect.succeed([]))
        const waiting = unsettled.has(incarnation) ? (yield* store.waiting(row)).length : 0
        const isHeld = leased && owner !== null && !isGone(owner)
        const at = last?.at ?? createdAt
        return { session: id, agent, entries: nextSeq - 1, createdAt, at, running, owner, isHeld, waiting }
      })
    )
  })

/** The table, a line for each session below a line of titles. */
export const tableLines = (sessions: ReadonlyArray<Listed>, now: number): ReadonlyArray<string> => {
  const rows = sessions.map((it) => [
    oneLine(it.session),
    oneLine(it.agent),
    String(it.entries),
    ago(now - it.at),
    stateOf(it)
  ])
  return columns([["SESSION", "AGENT", "ENTRIES", "LAST USED", "STATE"], ...rows])
}

const stateOf = ({ isHeld, owner, running, waiting }: Listed): string => {
  const inputs = waiting === 0 ? [] : [waiting === 1 ? "1 input waits" : `${waiting} inputs wait`]
  if (running === null) return inputs[0] ?? "at rest"
  // The name of an engine is host, process and an id.
  const where = isHeld ? ` in ${oneLine(owner ?? "").replace(/:[^:]*$/, "")}` : ""
  return [`${isHeld ? "running" : "unfinished"} ${running.kind}${where}`, ...inputs].join(", ")
}

/** How long ago something was, for people. */
export const ago = (millis: number): string => {
  const seconds = Math.max(0, Math.floor(millis / 1_000))
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 48 * 3_600) return `${Math.floor(seconds / 3_600)} h ago`
  return `${Math.floor(seconds / 86_400)} days ago`
}
