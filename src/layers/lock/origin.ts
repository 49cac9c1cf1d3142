/**
 * Where a call for a session comes from.
 */
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { currentMark, type LeaseRequest, type Mark, promiseLineage } from "../../services/SessionLock.js"
import type { LeaseState } from "./state.js"

/** The mark of a fiber, if its lease still stands and its delegation, if it has one, is open. */
export const validMark = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Mark | undefined => {
  const mark = fiber.getFiberRef(currentMark)
  return mark !== undefined && stands(mark) ? mark : undefined
}

const stands = (mark: Mark): boolean =>
  (mark.lease as LeaseState).phase !== "ended" && (mark.delegation === undefined || mark.delegation.open)

/**
 * Where a call comes from, if not from the mark. Around a promise the lineage is known from its context, for fibers
 * younger than the tool call: an older one is only being resumed there.
 */
export const originOf = (request: LeaseRequest, fiber: Fiber.RuntimeFiber<unknown, unknown>): Mark | undefined => {
  if (request.under !== undefined) {
    return (request.under as LeaseState).phase === "ended" ? undefined : { lease: request.under, delegation: undefined }
  }
  const around = promiseLineage.getStore()
  if (around === undefined || !stands(around.mark)) return undefined
  const id = fiber.id()
  return FiberId.isRuntime(id) && id.id > around.fiber ? around.mark : undefined
}
