/**
 * Children that nobody waits for any more.
 */
import * as Effect from "effect/Effect"
import * as Draft from "../services/Draft.js"
import type { StoreError } from "../services/Errors.js"
import { SessionRef } from "../services/Session.js"
import * as Usage from "../services/Usage.js"
import type { Operation } from "./held.js"
import { resumed } from "./resumed.js"
import type { Past } from "./Past.js"

/**
 * Ends the children that a tool's own code had delegated to: the code is gone, and nobody waits for them. So nobody does
 * for those whose call has its result already.
 */
export const endStrays = (
  running: Operation,
  past: Past,
  /** The operation itself is ended: nobody waits for any of its children. */
  all = false
): Effect.Effect<void, StoreError, unknown> => {
  const { engine, lease, ref } = running
  const strays = past.openLinks.filter(
    ({ callId }) => all || callId === undefined || !past.isTaskCall(callId) || past.resultOf(callId) !== undefined
  )
  return Effect.forEach(
    strays,
    (link) =>
      Effect.flatMap(engine.store.get(link.child), (row) => {
        const end = Draft.taskSettled(link.taskId, link.child, "interrupted", undefined, Usage.zero)
        const recorded = running.append([end])
        if (row === undefined || row.running === null) return recorded
        const { kind, operationId } = row.running
        const child = new SessionRef(row, ref.agent, ref.context)
        const cut = resumed(child, { kind, operationId, under: lease }, (it, childsPast) =>
          Effect.zipRight(endStrays(it, childsPast, true), Effect.interrupt)
        )
        return Effect.zipRight(Effect.exit(cut), recorded)
      }),
    { discard: true }
  )
}
