/**
 * For whom something is changed in a sandbox.
 */
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { currentMark, type Mark, promiseLineage } from "../../services/SessionLock.js"
import type { Author } from "./Changes.js"

/**
 * The sessions whose operations a fiber works for, nearest first, each with the place that its next entry will have.
 * Nobody outside of any operation. A handler that was given up and works on still works for them.
 */
export const authorsOf = (fiber: Fiber.RuntimeFiber<unknown, unknown>): ReadonlyArray<Author> => {
  const authors: Array<Author> = []
  for (let at = markOf(fiber)?.lease; at !== undefined; at = at.parent) {
    const { position } = at
    if (position === undefined) continue
    const { incarnation: session } = position.row
    // A session that is re-entered below itself writes one history.
    if (authors.every((author) => author.session !== session)) authors.push({ session, place: position.nextSeq })
  }
  return authors
}

/** Its own, or that around the promise it was started in: a fiber that is older than that is only being resumed there. */
const markOf = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Mark | undefined => {
  const own = fiber.getFiberRef(currentMark)
  if (own !== undefined) return own
  const around = promiseLineage.getStore()
  const id = fiber.id()
  return around !== undefined && FiberId.isRuntime(id) && id.id > around.fiber ? around.mark : undefined
}
