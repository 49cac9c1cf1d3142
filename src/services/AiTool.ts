/**
 * Tools and toolkits of `@effect/ai` as they are handed over: by their shape alone, since that package need not be there.
 */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { AnySchema } from "./AnySchema.js"

/** Marks a tool. */
export const toolTypeId = "~@effect/ai/Tool"

/** Marks one that its provider runs. */
export const providerDefinedTypeId = "~@effect/ai/Tool/ProviderDefined"

/** Marks a toolkit. */
const toolkitTypeId = "~@effect/ai/Toolkit"

/** A tool of `@effect/ai`, made by its `Tool.make` or `Tool.fromTaggedRequest`. */
export interface AiTool {
  readonly [toolTypeId]: { readonly _Requirements: (_: never) => unknown }
  readonly [providerDefinedTypeId]?: never
  /** What its handler is found by in the context. */
  readonly id: string
  readonly name: string
  readonly description?: string | undefined
  readonly parametersSchema: AnySchema
  readonly successSchema: AnySchema
  readonly failureSchema: AnySchema
  readonly failureMode: "error" | "return"
  readonly annotations: Context.Context<never>
}

/** A toolkit of `@effect/ai`: its handlers are in the context. */
export interface AiToolkit {
  readonly [toolkitTypeId]: unknown
  readonly tools: Readonly<Record<string, AiTool>>
}

/** A toolkit of `@effect/ai` with its handlers. */
export interface AiWithHandler {
  readonly tools: Readonly<Record<string, AiTool>>
  readonly handle: (name: never, params: never) => Effect.Effect<AiResult, unknown, unknown>
}

/** What `AiWithHandler.handle` gives. */
export interface AiResult {
  readonly isFailure: boolean
  readonly encodedResult: unknown
}

/** What is in the context under `AiTool.id`. */
export interface AiHandler {
  readonly context: Context.Context<never>
  readonly handler: (params: unknown) => Effect.Effect<unknown, unknown>
}

/**
 * The handler of a tool that stands in a list by itself, as a requirement: whatever gives `Tool.Handler<Name>` of
 * `@effect/ai`, as `Toolkit.toLayer` does, meets it.
 */
export interface HandlerOf<Name> extends AiHandler {
  readonly _: never
  readonly name: Name
}

/** What a tool needs besides its handler. */
export type NeedsOf<T> = T extends AiTool
  ? | T["parametersSchema"]["Context"]
    | T["successSchema"]["Context"]
    | T["failureSchema"]["Context"]
    | (T[typeof toolTypeId]["_Requirements"] extends (_: never) => infer R ? R : never)
  : never

/** What a toolkit needs: its handlers, where it does not bring them, and what its tools need besides. */
export type ToolkitNeeds<T> = T extends { readonly tools: infer Tools }
  ? NeedsOf<Tools[keyof Tools]> | (T extends AiToolkit ? HandlersOf<T> : never)
  : never

type HandlersOf<T> = T extends Effect.Effect<infer _A, infer _E, infer R> ? R : never
