/**
 * Spans of what the engine does, through Effect's tracer, by the names of OpenTelemetry's conventions for generative AI
 * (`@opentelemetry/semantic-conventions` 1.45, incubating). They tell names, counts and times, never what was said.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import type * as Runtime from "effect/Runtime"
import * as Tracer from "effect/Tracer"
import type { ModelFinish } from "../services/Model.js"
import type { OperationKind } from "../services/Operation.js"
import type { Usage, UsageReport } from "../services/Usage.js"

type Attributes = Readonly<Record<string, unknown>>
type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** An operation: the agent is invoked, or a command is run. */
export const operationSpan = <A, E, R>(
  fiber: AnyFiber,
  operation: { readonly kind: OperationKind; readonly session: string; readonly agent: string; readonly id: string },
  usage: () => UsageReport,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  if (!isTraced(fiber.getFiberRefs())) return effect
  const { agent, id, kind, session } = operation
  const own = { "gen_ai.conversation.id": session, "baton.operation.id": id, "baton.operation.kind": kind }
  if (kind !== "prompt" && kind !== "skill") return span(`baton.${kind}`, "internal", own, effect)
  const attributes = { ...own, "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent }
  return span(`invoke_agent ${agent}`, "internal", attributes, effect, () => usageAttributes(usage().total))
}

/** One attempt at a round-trip. */
export const modelSpan = <E, R>(
  runtime: Runtime.Runtime<never>,
  request: { readonly model: string; readonly maxOutput?: number | undefined },
  effect: Effect.Effect<ModelFinish, E, R>
): Effect.Effect<ModelFinish, E, R> => {
  if (!isTraced(runtime.fiberRefs)) return effect
  const { maxOutput, model } = request
  const slash = model.indexOf("/")
  const attributes = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": model,
    ...(slash > 0 ? { "gen_ai.provider.name": model.slice(0, slash) } : undefined),
    ...(maxOutput === undefined ? undefined : { "gen_ai.request.max_tokens": maxOutput })
  }
  return span(`chat ${model}`, "client", attributes, effect, ({ reason, usage }) => ({
    "gen_ai.response.finish_reasons": [reason],
    ...(usage === undefined ? undefined : usageAttributes(usage))
  }))
}

/** A tool call. What the handler does has it for its parent. */
export const toolSpan = <A, E, R>(
  fiber: AnyFiber,
  call: { readonly id: string; readonly name: string },
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  if (!isTraced(fiber.getFiberRefs())) return effect
  const attributes = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": call.name,
    "gen_ai.tool.call.id": call.id,
    "gen_ai.tool.type": "function"
  }
  return span(`execute_tool ${call.name}`, "internal", attributes, effect)
}

/** Nobody looks at the spans of Effect's own tracer, and each costs as much as a tenth of a prompt. */
const isTraced = (refs: FiberRefs.FiberRefs): boolean => {
  const services = FiberRefs.getOrDefault(refs, DefaultServices.currentServices)
  return (
    Context.unsafeGet(services, Tracer.Tracer) !== own && FiberRefs.getOrDefault(refs, FiberRef.currentTracerEnabled)
  )
}

const own = Context.get(DefaultServices.liveServices, Tracer.Tracer)

const span = <A, E, R>(
  name: string,
  kind: Tracer.SpanKind,
  attributes: Attributes,
  effect: Effect.Effect<A, E, R>,
  learned?: (value: A) => Attributes
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.makeSpan(name, { kind, attributes, captureStackTrace: false }), (span) =>
      Effect.onExit(restore(Effect.withParentSpan(effect, span)), (exit) =>
        Effect.clockWith((clock) =>
          Effect.sync(() => {
            const more = Exit.isSuccess(exit) ? learned?.(exit.value) : { "error.type": errorType(exit.cause) }
            for (const [key, value] of Object.entries(more ?? {})) span.attribute(key, value)
            span.end(clock.unsafeCurrentTimeNanos(), told(exit))
          })
        )
      )
    )
  ) as Effect.Effect<A, E, R>

/** An exit without what was said: values are left out, and failures that are no errors, which are words for a model. */
const told = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> =>
  Exit.isSuccess(exit)
    ? Exit.void
    : Exit.failCause(Cause.map(exit.cause, (error) => (error instanceof Error ? error : "failed")))

/** The tag of an error, and what OpenTelemetry calls one that has none. */
const errorType = (cause: Cause.Cause<unknown>): string => {
  if (Cause.isInterrupted(cause)) return "Interrupted"
  const error = Cause.squash(cause)
  return typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string"
    ? error._tag
    : "_OTHER"
}

const usageAttributes = ({ cacheRead, cacheWrite, input, output, reasoning }: Usage): Attributes => ({
  "gen_ai.usage.input_tokens": input,
  "gen_ai.usage.output_tokens": output,
  "gen_ai.usage.cache_read.input_tokens": cacheRead,
  "gen_ai.usage.cache_creation.input_tokens": cacheWrite,
  "gen_ai.usage.reasoning.output_tokens": reasoning
})
