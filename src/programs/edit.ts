/**
 * Saying something else in place of what was said.
 */
import * as Effect from "effect/Effect"
import type { AnySchema, ContextOf, ValueOf } from "../services/AnySchema.js"
import * as Draft from "../services/Draft.js"
import type { Entry } from "../services/Entry.js"
import { EntryNotFound, InvalidInput } from "../services/Errors.js"
import type { EditError, EditOptions, PromptInput, Reply, ResultError, SessionRef } from "../services/Session.js"
import type * as Tool from "../services/Tool.js"
import type { Needs } from "./engine.js"
import type { Operation } from "./held.js"
import { find, standsAt, wholeOf } from "./log.js"
import { ownParts } from "./move.js"
import { named, once } from "./once.js"
import { type Moving, operation, type OperationSpec } from "./operation.js"
import { replyOf } from "./outcome.js"
import { checked, decodedReply, looking, turns } from "./prompt.js"
import { requestOf } from "./request.js"

/**
 * Prompts with another input in place of one that was said: the head moves to before that, in one write with the start of
 * the prompt. An input with which an operation began takes the whole operation back, and one that joined an operation
 * what came after it. Interrupted before that write, or refused, it writes nothing.
 */
export const edit = <
  R,
  const Tools extends ReadonlyArray<Tool.Listed> = [],
  Result extends AnySchema | undefined = undefined
>(
  ref: SessionRef<R>,
  entry: number,
  input: PromptInput,
  given?: EditOptions<Tools, Result>
): Effect.Effect<
  Reply<ValueOf<Result>>,
  EditError | ResultError<Result>,
  R | Needs | Tool.Requirements<Tools[number]> | ContextOf<Result>
> =>
  Effect.suspend(() => {
    if (typeof entry !== "number") return new InvalidInput({ path: "entry", reason: "it is not the place of an entry" })
    return checked(ref, input, given, false, (content, wanted, options) => {
      const name = named("prompt", options?.operationId, [entry, content])
      const spec: OperationSpec<never, EditFailure> = {
        kind: "prompt",
        onBusy: (options as EditOptions | undefined)?.onBusy,
        named: name,
        request: requestOf(options, wanted),
        first: [Draft.user(content)],
        moves: movesBefore(ref, entry),
        prepare: looking(ref)
      }
      const ran = operation(ref, spec, (running: Operation) => turns(running, options, wanted, undefined, undefined))
      return once(ref, "prompt", name, ran, (past) =>
        Effect.flatMap(replyOf(past), (reply) => decodedReply(reply, wanted))
      )
    })
  }) as Effect.Effect<
    Reply<ValueOf<Result>>,
    EditError | ResultError<Result>,
    R | Needs | Tool.Requirements<Tools[number]> | ContextOf<Result>
  >

type EditFailure = EditError

const movesBefore =
  (ref: SessionRef<unknown>, entry: number): NonNullable<OperationSpec<never, EditFailure>["moves"]> =>
  (engine, journal) =>
    Effect.flatMap(wholeOf(engine, ref, journal), (entries): Effect.Effect<Moving | undefined, EditFailure> => {
      const at = find(ref.id, entries, entry)
      if (at instanceof EntryNotFound) return at
      const to = before(entries, entries[at! - 1]!)
      if (to instanceof InvalidInput) return to
      if (standsAt(entries, journal.head) === standsAt(entries, to)) return Effect.succeed(undefined)
      return Effect.map(engine.history.at(journal, to, entries), (moved) => ({ to, moved }))
    })

/** The entry before an input, or before the operation that began with it. */
const before = (entries: ReadonlyArray<Entry>, entry: Entry): number | null | InvalidInput => {
  const refused = new InvalidInput({ path: "entry", reason: `entry ${entry.id} is no input of the user's` })
  if (entry._tag !== "User" || ownParts(entry.content).length === 0) return refused
  const start = entries.slice(0, entry.id).findLast((it) => it._tag === "OperationStarted")
  if (start?._tag !== "OperationStarted" || (start.kind !== "prompt" && start.kind !== "skill")) return refused
  const first = entries.slice(start.id).find((it) => it._tag === "User" && ownParts(it.content).length > 0)
  return first === entry ? start.parentId : entry.parentId
}
