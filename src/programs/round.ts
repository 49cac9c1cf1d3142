/**
 * One attempt at a round-trip with a model.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import {
  ContextOverflow,
  InvalidInput,
  type LimitReached,
  type ModelError,
  ModelNotConfigured,
  ModelRejected,
  ModelUnavailable
} from "../services/Errors.js"
import type { Call } from "../services/History.js"
import type { ModelFinish, ModelInfo, ModelRequest } from "../services/Model.js"
import { isPrice, type Price, priced } from "../services/Prices.js"
import { brief } from "../services/Json.js"
import * as Secrets from "../services/Secrets.js"
import { describe } from "../services/Tool.js"
import * as Usage from "../services/Usage.js"
import type { Engine } from "./engine.js"
import { clamp, estimate, requestTokens } from "./estimate.js"
import type { Operation } from "./held.js"
import { Reply } from "./Reply.js"
import { modelSpan } from "./spans.js"

/** A complete reply: what came, why it ended, and what it used. */
export interface Round {
  readonly reply: Reply
  readonly finish: ModelFinish["reason"]
  readonly usage: Usage.Usage
  /** `false` where the usage is estimated or was cut to what can be. */
  readonly reported: boolean
}

/** What is asked, of whichever model; `maxOutput` where the reply is to be shorter than the model's longest. */
export type Asked = Omit<ModelRequest, "model">

/** An attempt that failed, and what it used as far as it is known. */
export interface Failed<E> {
  readonly error: E
  readonly usage: Usage.Usage
}

/**
 * Sends a request and gathers the reply. A model that says nothing for `modelIdle` is given up. Interruption ends the
 * request, and waits `toolGrace` for a model that does not heed it, which is left behind.
 *
 * Where a budget holds, waits until the worst case of the round-trip can be reserved, and gives back what was not used.
 *
 * A `quiet` reply is none of the conversation: its text is told to nobody, its calls are none, and nothing is kept of it.
 */
export const round = (
  operation: Operation,
  call: Call,
  request: Asked,
  quiet: boolean
): Effect.Effect<Round, Failed<ModelError | LimitReached | InvalidInput>> => {
  const { engine } = operation
  const info = engine.model.info?.(call.model)
  const price = priceOf(engine.prices, call.model, info)
  const { budget } = call
  const most = shorter(info?.maxOutput, request.maxOutput)
  if (budget === undefined) return send(operation, call, request, quiet, most, info, price)
  const unpriced = budget.countsCost && price === undefined
  if (unpriced) {
    const reason = `no price of the model "${call.model}" is known`
    return Effect.fail({ error: new InvalidInput({ path: "limits.cost", reason }), usage: Usage.zero })
  }
  const input = requestTokens(request)
  const wish = {
    least: { tokens: input, cost: (input * Math.max(price?.input ?? 0, price?.cacheWrite ?? 0)) / 1_000_000 },
    price: (price?.output ?? 0) / 1_000_000,
    output: most ?? unknownOutput
  }
  return Effect.uninterruptibleMask((restore) =>
    Effect.matchCauseEffect(
      Effect.mapError(budget.reserve(wish), (error) => ({ error, usage: Usage.zero })),
      {
        onFailure: Effect.failCause,
        onSuccess: ({ output, settle }) => {
          const spend = (usage: Usage.Usage) => settle({ tokens: Usage.tokens(usage), cost: usage.cost ?? 0 })
          return Effect.matchCauseEffect(
            restore(Effect.suspend(() => send(operation, call, request, quiet, output, info, price))),
            {
              onSuccess: (it) => {
                spend(it.usage)
                return Effect.succeed(it)
              },
              onFailure: (cause) => {
                const failure = Cause.failureOption(cause)
                spend(failure._tag === "Some" ? failure.value.usage : (operation.reply?.used() ?? Usage.zero))
                return Effect.failCause(cause)
              }
            }
          )
        }
      }
    )
  )
}

const shorter = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)

/** By the name that was asked for, or the one that it is an alias of. */
const priceOf = (prices: Engine["prices"], asked: string, info: ModelInfo | undefined): Price | undefined => {
  const name = Object.hasOwn(prices, asked) ? asked : info?.name
  const price = name !== undefined && Object.hasOwn(prices, name) ? prices[name] : undefined
  return price === undefined || isPrice(price) ? price : undefined
}

/** Tokens of reply that are reserved where the model's most is not known. */
const unknownOutput = 8_192

/**
 * Begins at once, in a fiber that is the operation's: one that cannot be interrupted holds nobody up. The Effect waits
 * for its end; where it is interrupted, the operation's frame ends that fiber.
 */
const send = (
  operation: Operation,
  { limits, model }: Call,
  { instructions, messages, thinking, tools }: Asked,
  quiet: boolean,
  maxOutput: number | undefined,
  info: ModelInfo | undefined,
  price: Price | undefined
): Effect.Effect<Round, Failed<ModelError>> => {
  const { engine } = operation
  const used = (usage: Usage.Usage | undefined) =>
    usage === undefined ? Usage.zero : priced(clamp(usage, info?.contextWindow), price)
  const reply = new Reply(operation, used, quiet)
  const request: ModelRequest = { model, thinking, instructions, messages, tools, maxOutput }
  const settle = (exit: Exit.Exit<ModelFinish, ModelError>): Effect.Effect<Round, Failed<ModelError>> => {
    operation.asking = undefined
    reply.end()
    if (Exit.isSuccess(exit)) {
      const finish = endOf(exit.value)
      if (finish === undefined) {
        operation.drop()
        const error = new ModelUnavailable({ model, reason: "the reply came to no end" })
        return Effect.fail({ error, usage: reply.used() })
      }
      const { reason, usage } = finish
      if (reason !== finish.told) operation.notice("The model ended for a reason that is none; it counts as another.")
      const clamped = clamp(usage ?? reply.usage ?? estimate(request, reply.parts), info?.contextWindow)
      const reported = usage !== undefined && clamped === usage
      if (usage !== undefined && !reported) {
        operation.notice(`The model "${model}" told a usage that cannot be; it was cut to what can.`)
      }
      // Until it is stored it counts as one that was cut.
      reply.final = priced(clamped, price)
      return Effect.succeed({ reply, finish: reason, usage: reply.final, reported })
    }
    const defect = Cause.keepDefects(exit.cause)
    const failure = Cause.failureOption(exit.cause)
    // It fails the operation, with whose end it is counted what the reply used.
    if (failure._tag === "None" && defect._tag === "Some") return Effect.failCause(defect.value)
    operation.drop()
    const usage = reply.used()
    if (failure._tag === "Some") return Effect.fail({ error: errorOf(failure.value, model), usage })
    // Nobody else has done it: who interrupts the operation does not come here any more.
    const error = new ModelUnavailable({ model, reason: "the request was interrupted from within" })
    return Effect.fail({ error, usage })
  }
  const asked = Effect.suspend(() => {
    const asking = engine.model.stream(request, (event) => reply.take(event))
    return Secrets.any() ? Effect.mapError(asking, withoutSecrets) : asking
  })
  const asking = Runtime.runFork(operation.runtime, modelSpan(operation.runtime, request, asked))
  const exit = asking.unsafePoll()
  if (exit !== null) return settle(exit)
  const onEnd = () => {
    reply.end()
    // It may have been complete by then.
    const exit = asking.unsafePoll()
    if (exit !== null && Exit.isSuccess(exit)) reply.final = used(exit.value.usage ?? reply.usage)
  }
  operation.asking = { fiber: asking, grace: limits.toolGrace, onEnd }
  return Effect.flatMap(answer(operation, reply, asking, limits.modelIdle), (exit) => {
    operation.unwatch()
    if (exit !== undefined) return settle(exit)
    operation.asking = undefined
    reply.end()
    operation.drop()
    const reason = `it said nothing for ${limits.modelIdle / 1_000} s`
    return Effect.fail({ error: new ModelUnavailable({ model, reason }), usage: reply.used() })
  })
}

/** The end of a reply, whatever an adapter's types say; `undefined` where it is none. */
const endOf = (
  finish: ModelFinish
):
  | { readonly reason: ModelFinish["reason"]; readonly told: unknown; readonly usage: ModelFinish["usage"] }
  | undefined => {
  try {
    const { reason, usage } = finish
    return { reason: reasons.has(reason) ? reason : "other", told: reason, usage }
  } catch {
    return undefined
  }
}

const reasons: ReadonlySet<string> = new Set<ModelFinish["reason"]>([
  "stop",
  "tool-calls",
  "length",
  "content-filter",
  "pause",
  "other"
])

/** What an adapter failed with, as one of the errors that a model may fail with. */
const errorOf = (error: ModelError, model: string): ModelError =>
  isModelError(error)
    ? error
    : new ModelUnavailable({ model, reason: brief(`it failed with what is no error of a model. ${describe(error)}`) })

const isModelError = (error: unknown): boolean =>
  error instanceof ModelNotConfigured ||
  error instanceof ModelUnavailable ||
  error instanceof ModelRejected ||
  error instanceof ContextOverflow

/** An error that tells no secret; where it would have, its cause may too. */
const withoutSecrets = (error: ModelError): ModelError => {
  if (!isModelError(error) || error.reason === undefined) return error
  const reason = Secrets.redact(error.reason)
  if (reason === error.reason) return error
  switch (error._tag) {
    case "ModelNotConfigured":
      return new ModelNotConfigured({ ...error, reason, cause: undefined })
    case "ModelUnavailable":
      return new ModelUnavailable({ ...error, reason, cause: undefined })
    case "ModelRejected":
      return new ModelRejected({ ...error, reason, cause: undefined })
    case "ContextOverflow":
      return new ContextOverflow({ ...error, reason })
  }
}

/** Waits for the end of a model's fiber; `undefined` where it said nothing for too long and was ended. */
const answer = (
  operation: Operation,
  reply: Reply,
  asking: Fiber.RuntimeFiber<ModelFinish, ModelError>,
  idle: number
): Effect.Effect<Exit.Exit<ModelFinish, ModelError> | undefined> =>
  Effect.async<Exit.Exit<ModelFinish, ModelError> | undefined>((resume) => {
    let silent = false
    asking.addObserver((exit) => resume(Effect.succeed(silent ? undefined : exit)))
    const look = () => {
      const due = reply.heardAt + idle
      if (due > operation.clock.unsafeCurrentTimeMillis()) return operation.watch(due, look)
      silent = true
      operation.endAsking(() => resume(Effect.succeed(undefined)))
    }
    if (idle !== Number.POSITIVE_INFINITY) look()
  })
