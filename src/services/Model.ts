/**
 * The model port: one round-trip, thin, and ours.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Message } from "./Conversation.js"
import type { FinishReason } from "./Entry.js"
import type { ModelError } from "./Errors.js"
import type { Usage } from "./Usage.js"

/** How hard the model is asked to think; an adapter maps it to its provider's knob. */
export type Thinking = "off" | "low" | "medium" | "high"

/** A tool as the model is told of it. */
export interface ToolSpec {
  readonly name: string
  readonly description: string
  /** JSON Schema of the arguments, computed when it is first read. */
  readonly inputSchema: object
}

/** Everything that a round-trip depends on. */
export interface ModelRequest {
  readonly model: string
  readonly thinking: Thinking | undefined
  /** Empty where the agent has no instructions. */
  readonly instructions: string
  readonly messages: ReadonlyArray<Message>
  readonly tools: ReadonlyArray<ToolSpec>
  /** The most tokens that the reply may have, where a budget or the model's own limit says so. */
  readonly maxOutput?: number | undefined
}

/** What arrives while a reply streams, in order. */
export type ModelEvent =
  | { readonly _tag: "TextDelta"; readonly text: string }
  /** Ends a stretch of text, where the provider wants something back with it. */
  | { readonly _tag: "TextEnd"; readonly metadata?: unknown }
  | { readonly _tag: "ReasoningDelta"; readonly text: string }
  /** Ends a stretch of reasoning, with what the provider wants back with it. */
  | { readonly _tag: "ReasoningEnd"; readonly metadata?: unknown }
  /** A complete call. `args` is parsed JSON where it parsed; `raw` is the text where it did not. */
  | {
      readonly _tag: "ToolCall"
      readonly id: string
      readonly name: string
      readonly args: unknown
      readonly raw?: string | undefined
      readonly metadata?: unknown
    }
  /** What the round-trip has used so far, where the provider tells it before the end. Each replaces the one before. */
  | { readonly _tag: "UsageSoFar"; readonly usage: Usage }
  /** Something that the adapter did and that whoever watches should know, in one sentence. */
  | { readonly _tag: "Notice"; readonly message: string }

/** The end of a complete reply. A round-trip that does not reach it has failed. */
export interface ModelFinish {
  readonly reason: Exclude<FinishReason, "interrupted">
  /** `undefined` where the provider told nothing. */
  readonly usage: Usage | undefined
}

/** What is known of a model besides its name. */
export interface ModelInfo {
  /** Its own name, where it was asked for by another: an alias. */
  readonly name?: string | undefined
  /** In tokens, of what is sent and what comes back together. */
  readonly contextWindow?: number | undefined
  /** The most tokens of one reply. */
  readonly maxOutput?: number | undefined
}

export class Model extends Context.Tag("baton/Model")<
  Model,
  {
    /** The model used where neither the call nor the agent names one. */
    readonly defaultModel: string | undefined
    /** The models tried, in order, when the one that was asked for is not available; where neither call nor agent names any. */
    readonly fallbacks?: ReadonlyArray<string> | undefined
    /** What is known of a model; nothing where this is not given. */
    readonly info?: ((model: string) => ModelInfo | undefined) | undefined
    /**
     * Counts the tokens of messages with the model's own tokenizer, without their images; `undefined` where it cannot:
     * then, and where this is not given, they are estimated.
     */
    readonly count?:
      | ((model: string, messages: ReadonlyArray<Message>) => Effect.Effect<number | undefined>)
      | undefined
    /**
     * One round-trip. Each event is handed to `emit` as it arrives, synchronously and in order; the Effect completes
     * with the end of the reply and fails if there was none. No tool is run. Interruption ends the request at once;
     * nothing is emitted afterwards.
     *
     * A callback and not a Stream: running any `Stream` costs about 100 us a round-trip, twice what the rest of a
     * prompt costs. `AiModel` shows how an adapter drains one into `emit`, a chunk at a time.
     */
    readonly stream: (
      request: ModelRequest,
      emit: (event: ModelEvent) => void
    ) => Effect.Effect<ModelFinish, ModelError>
  }
>() {}
