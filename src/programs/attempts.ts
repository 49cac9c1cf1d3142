/**
 * The attempts at a reply: a request is sent until a reply is complete or no model is left.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { type InvalidInput, type LimitReached, type ModelError, ModelUnavailable } from "../services/Errors.js"
import type { Failure } from "../services/Event.js"
import type { Call } from "../services/History.js"
import { brief } from "../services/Json.js"
import type * as Usage from "../services/Usage.js"
import type { Operation } from "./held.js"
import { type Asked, type Failed, type Round, round } from "./round.js"

export type AttemptError = ModelError | LimitReached | InvalidInput

/** Who is asked: what is fallen back to takes its place. */
export interface Line {
  call: Call | undefined
}

/**
 * Asks a model. A failure that may pass is tried again after a while, up to `retries` in a row, and then with the next
 * fallback model, which `line` keeps to. Nothing of a failed attempt is in the next request. Writes nothing. Asks at
 * once, when it is called.
 *
 * A `quiet` reply is none of the conversation: all that it and the attempts at it use is that of a compaction, and
 * whether it says anything is for the caller to judge.
 */
export const attempts = <A>(
  operation: Operation,
  line: Line,
  request: Asked,
  quiet: boolean,
  done: (model: string, round: Round) => A
): Effect.Effect<A, AttemptError> => {
  const count = (usage: Usage.Usage) => (quiet ? operation.countSummary(usage) : operation.countRetry(usage))
  const ask = (failed: Attempts): Effect.Effect<A, AttemptError> => {
    const call = line.call!
    return Effect.matchEffect(round(operation, call, request, quiet), {
      onSuccess: (it) => {
        if (quiet) {
          operation.drop()
          count(it.usage)
          return Effect.succeed(done(call.model, it))
        }
        const again = isEmpty(it) && !failed.empty && failed.inARow < call.limits.retries
        if (!again) return Effect.succeed(done(call.model, it))
        operation.drop()
        count(it.usage)
        const error = new ModelUnavailable({ model: call.model, reason: "the reply was empty" })
        return wait(operation, line, call, { ...failed, empty: true }, error, ask)
      },
      onFailure: ({ error, usage }: Failed<AttemptError>) => {
        count(usage)
        if (error._tag === "ModelUnavailable") return wait(operation, line, call, failed, error, ask)
        // A fallback that nobody serves is passed over: what is wrong with the model before it is the reason.
        const passed = error._tag === "ModelNotConfigured" ? failed.last : undefined
        if (passed === undefined) return Effect.fail(error)
        operation.notice(error.message)
        return nextModel(operation, line, call, failed, passed, ask)
      }
    })
  }
  return ask(none)
}

/** The attempts at a reply that failed. */
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

/** Waits and asks again, asks the next model, or fails where there is none. */
const wait = <A>(
  operation: Operation,
  line: Line,
  call: Call,
  failed: Attempts,
  error: ModelUnavailable,
  ask: (failed: Attempts) => Effect.Effect<A, AttemptError>
): Effect.Effect<A, AttemptError> => {
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
  return nextModel(operation, line, call, { ...failed, total }, last, ask)
}

/** Asks the next model, or fails where there is none. */
const nextModel = <A>(
  operation: Operation,
  line: Line,
  call: Call,
  failed: Attempts,
  last: ModelUnavailable,
  ask: (failed: Attempts) => Effect.Effect<A, AttemptError>
): Effect.Effect<A, AttemptError> => {
  const [next, ...fallbacks] = call.fallbacks
  if (next === undefined) return last
  operation.retry(failed.total, call.model, failureOf(last), 0, next)
  line.call = { ...call, model: next, fallbacks }
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

/** Whether a reply has neither a text nor a call. */
export const saysNothing = (reply: Round["reply"]): boolean =>
  reply.parts.every((part) => part.type === "reasoning" || (part.type === "text" && part.text.trim() === ""))
