/**
 * A turn's reply: the request is the fold of history, and it is sent until a reply is complete or no model is left.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Draft from "../services/Draft.js"
import type { ToolCallPart } from "../services/Entry.js"
import { type InvalidInput, type LimitReached, type ModelError, ModelUnavailable } from "../services/Errors.js"
import type { Failure } from "../services/Event.js"
import type { Call } from "../services/History.js"
import { brief } from "../services/Json.js"
import type { ModelRequest } from "../services/Model.js"
import * as Usage from "../services/Usage.js"
import type { Operation } from "./held.js"
import { type Failed, type Round, round } from "./round.js"

/** What a reply asks for. */
export type TurnOutcome =
  /** The model is done. */
  | { readonly _tag: "Final"; readonly assistant: Draft.Assistant; readonly text: string }
  /** The model wants these calls run. */
  | {
      readonly _tag: "Calls"
      readonly assistant: Draft.Assistant
      readonly text: string
      readonly calls: ReadonlyArray<ToolCallPart>
    }
  /** The model wants to be asked again as things stand. */
  | { readonly _tag: "Pause"; readonly assistant: Draft.Assistant; readonly text: string }

export type TurnError = ModelError | LimitReached | InvalidInput

/** What is the same in every request of a prompt. */
export type Frame = Pick<ModelRequest, "thinking" | "instructions" | "tools">

/**
 * Asks the model. A failure that may pass is tried again after a while, up to `retries` in a row, and then with the next
 * fallback model, which the operation keeps to. Nothing of a failed attempt is in the next request. Writes nothing.
 * Asks at once, when it is called.
 */
export const turn = (operation: Operation, frame: Frame): Effect.Effect<TurnOutcome, TurnError> => {
  const { instructions, thinking, tools } = frame
  // A failed attempt writes nothing, so the request stays what it was.
  const messages = operation.journal.conversation.messages()
  const ask = (failed: Attempts): Effect.Effect<TurnOutcome, TurnError> => {
    const call = operation.journal.call!
    const request = { model: call.model, thinking, instructions, messages, tools }
    return Effect.matchEffect(round(operation, call, request), {
      onSuccess: (it) => {
        const again = isEmpty(it) && !failed.empty && failed.inARow < call.limits.retries
        if (!again) return Effect.succeed(outcomeOf(call, it))
        operation.drop()
        count(operation, it.usage)
        const error = new ModelUnavailable({ model: call.model, reason: "the reply was empty" })
        return wait(operation, call, { ...failed, empty: true }, error, ask)
      },
      onFailure: ({ error, usage }: Failed<TurnError>) => {
        count(operation, usage)
        if (error._tag === "ModelUnavailable") return wait(operation, call, failed, error, ask)
        // A fallback that nobody serves is passed over: what is wrong with the model before it is the reason.
        const passed = error._tag === "ModelNotConfigured" ? failed.last : undefined
        if (passed === undefined) return Effect.fail(error)
        operation.notice(error.message)
        return nextModel(operation, call, failed, passed, ask)
      }
    })
  }
  return ask(none)
}

/** The attempts at a turn that failed. */
interface Attempts {
  /** Of the model that is asked now. */
  readonly inARow: number
  /** Of all models. */
  readonly total: number
  /** Whether a reply was empty before. */
  readonly empty: boolean
  /** Why the model before was given up. */
  readonly last: ModelUnavailable | undefined
}

const none: Attempts = { inARow: 0, total: 0, empty: false, last: undefined }

const count = ({ journal }: Operation, usage: Usage.Usage): void => {
  journal.retries = Usage.add(journal.retries, usage)
}

/** Waits and asks again, asks the next model, or fails where there is none. */
const wait = (
  operation: Operation,
  call: Call,
  failed: Attempts,
  error: ModelUnavailable,
  ask: (failed: Attempts) => Effect.Effect<TurnOutcome, TurnError>
): Effect.Effect<TurnOutcome, TurnError> => {
  const { limits } = call
  const tooLong = error.retryAfter !== undefined && error.retryAfter > limits.retryAfter
  const total = failed.total + 1
  if (!tooLong && failed.inARow < limits.retries) {
    return Effect.flatMap(delayOf(failed.inARow, limits.retryDelay, error.retryAfter), (delay) => {
      operation.retry(total, call.model, failureOf(error), delay, call.model)
      return Effect.zipRight(
        Effect.sleep(delay),
        Effect.suspend(() => ask({ ...failed, inARow: failed.inARow + 1, total }))
      )
    })
  }
  const { model, reason, retryAfter } = error
  const last =
    failed.inARow === 0
      ? error
      : new ModelUnavailable({ model, reason, retryAfter, attempts: failed.inARow + 1, cause: error.cause })
  return nextModel(operation, call, { ...failed, total }, last, ask)
}

/** Asks the next model, or fails where there is none. */
const nextModel = (
  operation: Operation,
  call: Call,
  failed: Attempts,
  last: ModelUnavailable,
  ask: (failed: Attempts) => Effect.Effect<TurnOutcome, TurnError>
): Effect.Effect<TurnOutcome, TurnError> => {
  const [next, ...fallbacks] = call.fallbacks
  if (next === undefined) return last
  operation.retry(failed.total, call.model, failureOf(last), 0, next)
  operation.journal.call = { ...call, model: next, fallbacks }
  return Effect.suspend(() => ask({ ...failed, inARow: 0, last }))
}

/** The longest wait that Baton chooses by itself, in milliseconds. */
const longestDelay = 30_000

/** What the provider asks for, or twice as long each time, a quarter more or less so that callers part. */
const delayOf = (inARow: number, first: number, asked: number | undefined): Effect.Effect<number> => {
  if (asked !== undefined) return Effect.succeed(asked)
  return Effect.map(Random.next, (random) =>
    Math.round(Math.min(longestDelay, first * 2 ** inARow) * (0.75 + random / 2))
  )
}

const failureOf = (error: ModelUnavailable): Failure => ({ tag: error._tag, message: brief(error.message) })

/** Nothing to read and nothing to do, and no reason given for it. */
const isEmpty = ({ finish, reply }: Round): boolean =>
  (finish === "stop" || finish === "other" || finish === "tool-calls" || finish === "pause") && saysNothing(reply)

const saysNothing = (reply: Round["reply"]): boolean =>
  reply.parts.every((part) => part.type === "reasoning" || (part.type === "text" && part.text.trim() === ""))

const outcomeOf = ({ model }: Call, { finish, reply, reported, usage }: Round): TurnOutcome => {
  const assistant = Draft.assistant(reply.parts, model, finish, usage, reported)
  const calls = reply.parts.filter((part) => part.type === "tool-call")
  let text = ""
  for (const part of reply.parts) if (part.type === "text") text += part.text
  if (calls.length > 0) return { _tag: "Calls", assistant, calls, text }
  // After a pause that says nothing the next request would be the same.
  return { _tag: finish === "pause" && !saysNothing(reply) ? "Pause" : "Final", assistant, text }
}
