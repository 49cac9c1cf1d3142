/**
 * The model port over the providers of `@effect/ai`.
 */
import type * as AiError from "@effect/ai/AiError"
import * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Response from "@effect/ai/Response"
import type * as Tool from "@effect/ai/Tool"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { ModelNotConfigured } from "../services/Errors.js"
import { Model, type ModelRequest } from "../services/Model.js"
import { type Asked, rejected } from "./ai/errors.js"
import { load } from "./ai/load.js"
import { promptOf, toolsOf, Unreadable } from "./ai/prompt.js"
import { Round } from "./ai/round.js"
import type * as AnthropicModel from "./AnthropicModel.js"
import type * as OpenAiModel from "./OpenAiModel.js"

export interface Options {
  /** The name of the model that the `LanguageModel` serves, and the one used where neither call nor agent names any. */
  readonly model: string
  /**
   * Services for the provider's stream, so that it serves the model and the thinking level of a request: its `Config`.
   * Without this function only `model` is served, and the thinking level has no effect.
   */
  readonly configure?: ((request: ModelRequest) => Context.Context<never>) | undefined
  /** Texts that no error may repeat. What looks like a key is never repeated. */
  readonly secrets?: ReadonlyArray<Redacted.Redacted> | undefined
}

/**
 * Takes any `LanguageModel` of `@effect/ai` for the model. A request is one streamed round-trip in which no tool is
 * run; interrupting it closes the connection. There is no retry and no time limit inside.
 *
 * A reply counts only when it came to its end without an error. Fails with `ModelUnavailable` where the same request
 * may succeed later (HTTP 408, 409, 429 and from 500, a broken connection, a malformed or incomplete reply), with
 * `ContextOverflow` where the provider says that the history is too long, with `ModelRejected` and its HTTP status
 * otherwise, and with `ModelNotConfigured` for a model that is not served.
 *
 * In the figures, `input` holds what was read from or written to a cache too, and `output` the reasoning.
 */
export const layer = (options: Options): Layer.Layer<Model, never, LanguageModel.LanguageModel> =>
  Layer.effect(
    Model,
    Effect.map(LanguageModel.LanguageModel, (languageModel) => ({
      defaultModel: options.model,
      stream: (request, emit) =>
        Effect.suspend(() => {
          if (options.configure === undefined && request.model !== options.model) {
            return Effect.fail(new ModelNotConfigured({ model: request.model }))
          }
          const asked: Asked = { model: request.model, secrets: options.secrets ?? [] }
          const parts = partsOf(languageModel, request)
          if (parts instanceof Unreadable) return Effect.fail(rejected(parts.message, asked))
          const round = new Round(request, emit, asked)
          const services = options.configure?.(request) ?? Context.empty()
          return parts.pipe(
            Stream.catchAll((error) => Stream.execute(round.failed(error))),
            Stream.runForEachChunk((chunk) => round.read(chunk)),
            Effect.zipRight(Effect.suspend(() => round.end())),
            Effect.mapInputContext((context: Context.Context<never>) => Context.merge(context, services))
          )
        })
    }))
  )

/**
 * Anthropic's Messages API. A request may name any of its models, with or without `anthropic/` before the name.
 * `@effect/ai-anthropic` is loaded when the layer is built, which fails where it is not installed.
 */
export const layerAnthropic = (options: AnthropicModel.Options): Layer.Layer<Model, ModelNotConfigured> =>
  Layer.unwrapEffect(
    Effect.map(
      load(options.model, () => import("./AnthropicModel.js"), "@effect/ai", "@effect/ai-anthropic"),
      (provider) =>
        Layer.provide(
          layer({ model: options.model, configure: provider.configure(options), secrets: [options.apiKey] }),
          provider.layer(options)
        )
    )
  )

/**
 * OpenAI's Responses API, or a server that speaks it. A request may name any of its models, with or without `openai/`
 * before the name. Nothing is stored at the provider. `@effect/ai-openai` is loaded when the layer is
 * built, which fails where it is not installed.
 */
export const layerOpenAi = (options: OpenAiModel.Options): Layer.Layer<Model, ModelNotConfigured> =>
  Layer.unwrapEffect(
    Effect.map(
      load(options.model, () => import("./OpenAiModel.js"), "@effect/ai", "@effect/ai-openai"),
      (provider) =>
        Layer.provide(
          layer({ model: options.model, configure: provider.configure(options), secrets: [options.apiKey] }),
          provider.layer(options)
        )
    )
  )

type Parts = Stream.Stream<Response.StreamPart<Record<string, Tool.Any>>, AiError.AiError>

const partsOf = (languageModel: LanguageModel.Service, request: ModelRequest): Parts | Unreadable => {
  try {
    const prompt = promptOf(request)
    const tools = toolsOf(request.tools)
    return tools === undefined
      ? languageModel.streamText({ prompt, disableToolCallResolution: true })
      : (languageModel.streamText({ prompt, ...tools, disableToolCallResolution: true }) as Parts)
  } catch (error) {
    if (error instanceof Unreadable) return error
    throw error
  }
}
