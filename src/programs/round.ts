/**
 * One attempt at a round-trip with a model.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import { InvalidInput, type LimitReached, type ModelError, ModelUnavailable } from "../services/Errors.js"
import type { Call } from "../services/History.js"
import type { ModelFinish, ModelInfo, ModelRequest } from "../services/Model.js"
import { type Price, priced } from "../services/Prices.js"
import * as Usage from "../services/Usage.js"
import { clamp, estimate, requestTokens } from "./estimate.js"
import type { Operation } from "./operation.js"
import { Reply } from "./Reply.js"

/** A complete reply: what came, why it ended, and what it used. */
export interface Round {
  readonly reply: Reply
  readonly finish: ModelFinish["reason"]
  readonly usage: Usage.Usage
  /** `false` where the usage is estimated or was cut to what can be. */
  readonly reported: boolean
}

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
 */
export const round = (
  operation: Operation,
  call: Call,
  request: Omit<ModelRequest, "maxOutput">
): Effect.Effect<Round, Failed<ModelError | LimitReached | InvalidInput>> => {
  const { engine } = operation
  const info = engine.model.info?.(call.model)
  const price = engine.prices[call.model]
  const { budget } = call
  if (budget === undefined) return send(operation, call, request, info?.maxOutput, info, price)
  const unpriced = budget.countsCost && price === undefined
  if (unpriced) {
    const reason = `no price of the model "${call.model}" is known`
    return Effect.fail({ error: new InvalidInput({ path: "limits.cost", reason }), usage: Usage.zero })
  }
  const input = requestTokens(request)
  const wish = {
    least: { tokens: input, cost: (input * Math.max(price?.input ?? 0, price?.cacheWrite ?? 0)) / 1_000_000 },
    price: (price?.output ?? 0) / 1_000_000,
    output: info?.maxOutput ?? unknownOutput
  }
  return Effect.uninterruptibleMask((restore) =>
    Effect.matchCauseEffect(restore(Effect.mapError(budget.reserve(wish), (error) => ({ error, usage: Usage.zero }))), {
      onFailure: Effect.failCause,
      onSuccess: ({ output, settle }) => {
        const spend = (usage: Usage.Usage) => settle({ tokens: Usage.tokens(usage), cost: usage.cost ?? 0 })
        return Effect.matchCauseEffect(restore(send(operation, call, request, output, info, price)), {
          onSuccess: (it) => {
            spend(it.usage)
            return Effect.succeed(it)
          },
          onFailure: (cause) => {
            const failure = Cause.failureOption(cause)
            spend(failure._tag === "Some" ? failure.value.usage : (operation.cutUsage ?? Usage.zero))
            return Effect.failCause(cause)
          }
        })
      }
    })
  )
}

/** Tokens of reply that are reserved where the model's most is not known. */
const unknownOutput = 8_192

const send = (
  operation: Operation,
  { limits, model }: Call,
  { instructions, messages, thinking, tools }: Omit<ModelRequest, "maxOutput">,
  maxOutput: number | undefined,
  info: ModelInfo | undefined,
  price: Price | undefined
): Effect.Effect<Round, Failed<ModelError>> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime<Round, Failed<ModelError>>((fiber) => {
      const { clock, engine } = operation
      const reply = new Reply(operation)
      const request: ModelRequest = { model, thinking, instructions, messages, tools, maxOutput }
      const runtime = Runtime.make({
        context: fiber.currentContext,
        runtimeFlags: Runtime.defaultRuntimeFlags,
        fiberRefs: fiber.getFiberRefs()
      })
      const asked = Effect.suspend(() => engine.model.stream(request, (event) => reply.take(event)))
      // In a fiber of its own: one that cannot be interrupted holds nobody up.
      const asking = Runtime.runFork(runtime, asked)
      const used = (usage: Usage.Usage | undefined) =>
        usage === undefined ? Usage.zero : priced(clamp(usage, info?.contextWindow), price)
      const settle = (exit: Exit.Exit<ModelFinish, ModelError>): Effect.Effect<Round, Failed<ModelError>> => {
        reply.end()
        if (exit._tag === "Success") {
          const { reason, usage } = exit.value
          const told = usage ?? reply.usage
          const clamped = clamp(told ?? estimate(request, reply.parts), info?.contextWindow)
          const reported = usage !== undefined && clamped === usage
          if (usage !== undefined && !reported) {
            operation.notice(`The model "${model}" told a usage that cannot be; it was cut to what can.`)
          }
          // Until it is stored it counts as one that was cut.
          operation.cutUsage = priced(clamped, price)
          return Effect.succeed({ reply, finish: reason, usage: operation.cutUsage, reported })
        }
        operation.drop()
        const failure = Cause.failureOrCause(exit.cause)
        return failure._tag === "Left"
          ? Effect.fail({ error: failure.left, usage: used(reply.usage) })
          : Effect.failCause(failure.right)
      }
      const exit = asking.unsafePoll()
      if (exit !== null) return settle(exit)
      let silent = false
      /** Completes when the model's fiber has ended, or was given up and does not end in time. */
      const ended = Effect.async<Exit.Exit<ModelFinish, ModelError> | undefined>((resume) => {
        asking.addObserver((exit) => resume(Effect.succeed(exit)))
        const look = () => {
          const due = reply.heardAt + limits.modelIdle
          if (due > clock.unsafeCurrentTimeMillis()) return operation.watch(due, look)
          silent = true
          giveUp(operation, asking, limits.toolGrace, () => resume(Effect.succeed(undefined)))
        }
        if (limits.modelIdle !== Number.POSITIVE_INFINITY) look()
      })
      return Effect.matchCauseEffect(restore(ended), {
        onSuccess: (exit) => {
          operation.unwatch()
          if (!silent && exit !== undefined) return settle(exit)
          reply.end()
          operation.drop()
          const reason = `it said nothing for ${limits.modelIdle / 1_000} s`
          return Effect.fail({ error: new ModelUnavailable({ model, reason }), usage: used(reply.usage) })
        },
        onFailure: (cause) =>
          Effect.flatMap(stop(operation, asking, limits.toolGrace), () => {
            operation.unwatch()
            reply.end()
            // What had come of it is kept with the operation's end, also where it was complete by then.
            const exit = asking.unsafePoll()
            const told = (exit?._tag === "Success" ? exit.value.usage : undefined) ?? reply.usage
            operation.cutUsage = told === undefined ? undefined : used(told)
            return Effect.failCause(cause)
          })
      })
    })
  )

/** Interrupts a model's fiber and calls `late` where it has not ended within the grace. */
const giveUp = (
  operation: Operation,
  asking: Fiber.RuntimeFiber<unknown, unknown>,
  grace: number,
  late: () => void
): void => {
  asking.unsafeInterruptAsFork(asking.id())
  operation.watch(operation.clock.unsafeCurrentTimeMillis() + grace, late)
}

/** Interrupts a model's fiber and waits for its end, no longer than the grace. */
const stop = (operation: Operation, asking: Fiber.RuntimeFiber<unknown, unknown>, grace: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const go = () => resume(Effect.void)
    asking.addObserver(go)
    giveUp(operation, asking, grace, go)
  })
