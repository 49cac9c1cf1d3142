/**
 * Anthropic's Messages API, for `AiModel.layerAnthropic`. Loads `@effect/ai-anthropic`.
 */
import type * as LanguageModel from "@effect/ai/LanguageModel"
import * as AnthropicClient from "@effect/ai-anthropic/AnthropicClient"
import * as AnthropicLanguageModel from "@effect/ai-anthropic/AnthropicLanguageModel"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type { ModelRequest, Thinking } from "../services/Model.js"

export interface Options {
  /** The model used where neither the call nor the agent names one. */
  readonly model: string
  readonly apiKey: Redacted.Redacted
  /** Without `/v1`. Default: `https://api.anthropic.com`. */
  readonly apiUrl?: string | undefined
  /** How many tokens a reply may have, apart from its thinking. Default: 8,192, which every model since 3.5 allows. */
  readonly maxTokens?: number | undefined
}

/** The language model. Redirects are not followed: the key would go with them. */
export const layer = (options: Options): Layer.Layer<LanguageModel.LanguageModel> =>
  AnthropicLanguageModel.layer({ model: modelName(options.model) }).pipe(
    Layer.provide(AnthropicClient.layer({ apiKey: options.apiKey, apiUrl: options.apiUrl })),
    Layer.provide(FetchHttpClient.layer),
    Layer.provide(Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" }))
  )

/** The settings of one request. */
export const configure =
  (options: Options) =>
  (request: ModelRequest): Context.Context<never> => {
    const reply = options.maxTokens ?? 8192
    const budget = request.thinking === undefined ? 0 : budgets[request.thinking]
    return Context.make(AnthropicLanguageModel.Config, {
      model: modelName(request.model),
      max_tokens: reply + budget,
      ...(budget > 0 ? { thinking: { type: "enabled", budget_tokens: budget } } : undefined)
    })
  }

/** Tokens of thinking; the least that Anthropic takes is 1,024. */
const budgets: Readonly<Record<Thinking, number>> = { off: 0, low: 2048, medium: 8192, high: 20_480 }

const modelName = (model: string): string => model.replace(/^anthropic\//, "")
