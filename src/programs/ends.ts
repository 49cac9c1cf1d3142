/**
 * How operations end: by what they gave, what they failed with, or who interrupted them; or not here.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { explain } from "../services/Conversation.js"
import * as Draft from "../services/Draft.js"
import type { StoreError } from "../services/Errors.js"
import { type Failure, ofEntry } from "../services/Event.js"
import { brief, clean, cleanText, maxSize } from "../services/Json.js"
import type { OperationKind } from "../services/Operation.js"
import type { Lease } from "../services/SessionLock.js"
import { describe } from "../services/Tool.js"
import * as Usage from "../services/Usage.js"
import { type Operation, turnError } from "./held.js"

/** How a body ends well: its value, and entries to be stored with the end in one write. */
export interface Done<A> {
  /** Read when everything below the operation has ended. */
  readonly value: () => A
  readonly drafts: ReadonlyArray<Draft.Draft>
  /** What is recorded with the end of an operation whose caller gave it its id. */
  readonly recorded?: unknown
}

/** Records the end in one write with what the body left to record. */
export const settleDone = <A>(
  running: Operation,
  kind: OperationKind,
  { drafts, recorded, value }: Done<A>
): Effect.Effect<A, StoreError> => {
  // The last reply is among the drafts, or was stored before.
  running.count()
  const { journal, key } = running
  const value_ = key === undefined ? undefined : recorded
  const end = Draft.operationSettled(kind, key, journal.usage(), { outcome: "completed", value: value_ })
  return record(running, [...drafts, end], Exit.succeed(value()))
}

export const settleFailed = <E>(
  running: Operation,
  kind: OperationKind,
  cause: Cause.Cause<E>
): Effect.Effect<never, E | StoreError> => {
  const { journal, key, lease } = running
  const wasCut = Cause.isInterrupted(cause)
  const reply = cutReply(running, wasCut)
  const usage = journal.usage()
  // What another engine has by now is recorded there; what is below it is left to that engine.
  if (wasCut && !journal.lost && isShutdown(lease)) return suspended(running, kind, reply, usage, cause)
  const end = wasCut
    ? Draft.operationSettled(kind, key, usage, { outcome: "interrupted", by: lease.interruptedBy ?? "caller" })
    : Draft.operationSettled(kind, key, usage, { outcome: "failed", error: errorOf(cause) })
  const drafts = [...openCalls(running, wasCut), ...reply, end]
  return record(running, drafts, Exit.failCause(cause))
}

/** Whether the engine's end has interrupted an operation, or one that it stands under. */
export const isShutdown = (lease: Lease): boolean => {
  for (let at: Lease | undefined = lease; at !== undefined; at = at.parent) {
    if (at.interruptedBy === "shutdown") return true
  }
  return false
}

/**
 * The engine ends: what had arrived of a reply is kept, and the operation is left as it is, to be resumed by whoever
 * opens its session next. Those who listen hear of its end all the same.
 */
const suspended = <E>(
  running: Operation,
  kind: OperationKind,
  reply: ReadonlyArray<Draft.Draft>,
  usage: Usage.UsageReport,
  cause: Cause.Cause<E>
): Effect.Effect<never, E> => {
  const end = Draft.operationSettled(kind, running.key, usage, { outcome: "interrupted", by: "shutdown" })
  const kept = reply.length === 0 ? Effect.void : Effect.ignoreLogged(running.append(reply))
  return Effect.zipRight(
    Effect.zipRight(kept, running.engine.history.leave(running.journal)),
    Effect.suspend(() => {
      tellUnstored(running, [end])
      running.release()
      return Effect.failCause(cause)
    })
  )
}

/** Ends for the calls that have none: the operation was cut while they were being written, or a write failed. */
const openCalls = ({ journal }: Operation, cut: boolean): ReadonlyArray<Draft.Draft> =>
  journal.conversation.unsettled().map(({ call: { id, name }, started }) => {
    const outcome = started ? (cut ? "interrupted" : "unknown") : "not-run"
    return Draft.toolSettled(id, name, outcome, explain(outcome), undefined)
  })

/** What had arrived of a reply that was interrupted is kept, marked; what it used counts either way. */
const cutReply = (running: Operation, keep: boolean): ReadonlyArray<Draft.Draft> => {
  const { journal, reply } = running
  if (reply === undefined) return []
  running.reply = undefined
  const { said } = reply
  const usage = reply.used()
  if (reply.quiet) {
    running.countSummary(usage)
    return []
  }
  if (!keep || said.trim() === "") {
    journal.retries = Usage.add(journal.retries, usage)
    return []
  }
  journal.turns = Usage.add(journal.turns, usage)
  const text = { type: "text" as const, text: cleanText(said) }
  return [Draft.assistant([text], journal.call?.model ?? "", "interrupted", usage, false)]
}

/** Stores the end, then gives the result. */
const record = <A, E>(
  running: Operation,
  end: ReadonlyArray<Draft.Draft>,
  result: Exit.Exit<A, E>
): Effect.Effect<A, E | StoreError> => {
  const { late } = running.journal
  const drafts = late.length === 0 ? end : [...late, ...end]
  return Effect.matchCauseEffect(running.appendEnd(drafts), {
    onSuccess: () => {
      running.release()
      return result
    },
    onFailure: (cause) => {
      tellUnstored(running, drafts)
      // Whoever has the session by now ends it. Otherwise it has ended, and is to be recorded as such.
      if (!running.journal.lost) running.engine.history.owe(running.journal, drafts)
      running.release()
      return Effect.failCause(cause)
    }
  })
}

/** Lets those who listen hear of ends that could not be stored: every start has its end. */
export const tellUnstored = (running: Operation, ends: ReadonlyArray<Draft.Draft>): void => {
  const { clock, engine, id, ref } = running
  for (const end of ends) {
    if (end._tag === "OperationSettled") running.endOpen(turnError(end))
    const event = ofEntry(ref.id, { ...end, at: clock.unsafeCurrentTimeMillis(), operationId: id })
    engine.events.publish("seq" in event ? { ...event, seq: undefined } : event)
  }
}

/** The same with what else a typed error says, for whoever asks for the outcome again. */
const errorOf = (cause: Cause.Cause<unknown>): Failure & { readonly data?: unknown } => {
  const failure = failureOf(cause)
  const error = Cause.squash(cause)
  if (typeof error !== "object" || error === null || !("_tag" in error)) return failure
  const {
    _tag,
    cause: _cause,
    message: _message,
    name: _name,
    // Entries of a history are no part of another record.
    readable: _readable,
    stack: _stack,
    ...data
  } = error as Partial<Error> & { readonly readable?: unknown } & typeof error
  const cleaned = clean(data, { room: maxSize, gaps: true })
  return "value" in cleaned ? { ...failure, data: cleaned.value } : failure
}

/** An error by its tag and its sentence, as entries and events carry it. Never throws. */
export const failureOf = (cause: Cause.Cause<unknown>): Failure => {
  const error = Cause.squash(cause)
  const message = brief(error instanceof Error ? error.message : describe(error))
  if (typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string") {
    return { tag: error._tag, message }
  }
  return { tag: "Defect", message }
}
