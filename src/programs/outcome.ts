/**
 * How an operation ended, read from its entries: what it gave, or what it failed with.
 */
import * as Effect from "effect/Effect"
import * as Errors from "../services/Errors.js"
import type { AnySchema } from "../services/AnySchema.js"
import type { Failure } from "../services/Event.js"
import type { PromptError, Reply, ResultError } from "../services/Session.js"
import type { SessionRow } from "../services/SessionStore.js"
import type { Usage } from "../services/Usage.js"
import type { Engine } from "./engine.js"
import { Past } from "./Past.js"

/** The reply of a child's last operation, or what that failed with. `used` is told what that has used. */
export const recordedReply = (
  { store }: Engine,
  row: SessionRow,
  used: (usage: Usage) => void
): Effect.Effect<Reply, PromptError | ResultError<AnySchema>> =>
  Effect.flatMap(store.read(row.id, row.incarnation, 1), (entries) => {
    const from = entries.findLastIndex((entry) => entry._tag === "OperationStarted")
    const past = new Past(entries.slice(from))
    if (past.end !== undefined) used(past.end.usage.total)
    return replyOf(past)
  })

/** The reply of a prompt that has ended. The structured result is there as JSON. */
export const replyOf = (past: Past): Effect.Effect<Reply, PromptError | ResultError<AnySchema>> =>
  ended(past, ({ id, usage }) => {
    const last = past.replies.at(-1)
    return {
      _tag: "Reply",
      text: past.text,
      value: undefined,
      json: past.json,
      finish: last?.finish ?? "stop",
      usage,
      model: last?.model ?? "",
      entries: { from: past.start.id, to: id }
    }
  })

/**
 * What a completed operation gave. Fails with what a failed one failed with; interrupts where it was interrupted, or
 * has no end.
 */
export const ended = <A, E>(past: Past, value: (end: NonNullable<Past["end"]>) => A): Effect.Effect<A, E> => {
  const { end } = past
  if (end === undefined || end.outcome === "interrupted") return Effect.interrupt
  if (end.outcome === "completed") return Effect.sync(() => value(end))
  return revived(end.error ?? { tag: "Unknown", message: "It failed." })
}

/** An error as it was recorded: the same by its tag and its fields, and a defect where it was one. */
const revived = <E>(error: Failure & { readonly data?: unknown }): Effect.Effect<never, E> => {
  const known = Errors.revive(error.tag, error.data)
  // It fails again with what it failed with then, which was one of the errors of its kind.
  return known === undefined ? Effect.die(new Error(error.message)) : Effect.fail(known as E)
}
