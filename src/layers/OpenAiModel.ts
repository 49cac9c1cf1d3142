/**
 * OpenAI's Responses API, for `AiModel.layerOpenAi`. Loads `@effect/ai-openai`.
 */
import type * as LanguageModel from "@effect/ai/LanguageModel"
import * as OpenAiClient from "@effect/ai-openai/OpenAiClient"
import * as OpenAiLanguageModel from "@effect/ai-openai/OpenAiLanguageModel"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type { ModelRequest, Thinking } from "../services/Model.js"

export interface Options {
  /** The model used where neither the call nor the agent names one. */
  readonly model: string
  readonly apiKey: Redacted.Redacted
  /** With `/v1`. Default: `https://api.openai.com/v1`. */
  readonly apiUrl?: string | undefined
  /** How many tokens a reply may have, with its reasoning. Default: the provider's. */
  readonly maxTokens?: number | undefined
}

/** The language model. Redirects are not followed: the key would go with them. */
export const layer = (options: Options): Layer.Layer<LanguageModel.LanguageModel> =>
  OpenAiLanguageModel.layer({ model: modelName(options.model) }).pipe(
    Layer.provide(OpenAiClient.layer({ apiKey: options.apiKey, apiUrl: options.apiUrl })),
    Layer.provide(FetchHttpClient.layer),
    Layer.provide(Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" }))
  )

/** The settings of one request. */
export const configure =
  (options: Options) =>
  (request: ModelRequest): Context.Context<never> => {
    const model = modelName(request.model)
    const { thinking } = request
    return Context.make(OpenAiLanguageModel.Config, {
      model,
      // A strict tool may have no optional parameter.
      strict: false,
      // What the next request needs is sent with it, so nothing has to be kept at the provider.
      store: false,
      ...(options.maxTokens === undefined ? undefined : { max_output_tokens: options.maxTokens }),
      ...(reasons(model) ? { include: ["reasoning.encrypted_content"] } : undefined),
      ...(thinking === undefined || !reasons(model) ? undefined : { reasoning: reasoning(model, thinking) })
    })
  }

/** Whether a model takes settings for its reasoning; the others refuse them. */
const reasons = (model: string): boolean => /^(o\d|gpt-[5-9]|codex)/.test(model) && !model.includes("-chat")

const reasoning = (model: string, thinking: Thinking) =>
  thinking === "off" ? ({ effort: leastEffort(model) } as const) : ({ effort: thinking, summary: "auto" } as const)

/** Only the models from gpt-5.1 can be told not to reason at all. */
const leastEffort = (model: string) => {
  if (!model.startsWith("gpt-")) return "low"
  return /^gpt-5(-|$)/.test(model) ? "minimal" : "none"
}

const modelName = (model: string): string => model.replace(/^openai\//, "")
