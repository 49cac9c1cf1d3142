/**
 * The providers of `AiModel` as entries of a registry.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type { Model } from "../services/Model.js"
import * as Known from "./ai/knownModels.js"
import * as AiModel from "./AiModel.js"
import type * as AnthropicModel from "./AnthropicModel.js"
import type * as CompatibleModel from "./CompatibleModel.js"
import type { Entry } from "./ModelRegistry.js"
import type * as OpenAiModel from "./OpenAiModel.js"

/** A key, or where it is found. It is looked up when the provider is first asked for. */
export type Key = Redacted.Redacted | Config.Config<Redacted.Redacted>

/** The options of a provider without those that a registry brings: a request names its own model. */
export type Keyed<Options> = Omit<Options, "model" | "apiKey"> & { readonly apiKey: Key }

/** The layers need a model to fall back on; a request of a registry always names its own. */
const model = ""

/** Anthropic, for the `providers` of a registry; the limits of its well-known models are known. */
export const anthropic = (options: Keyed<AnthropicModel.Options>): Entry => ({
  layer: withKey(options.apiKey, (apiKey) => AiModel.layerAnthropic({ ...options, apiKey, model })),
  info: Known.anthropic
})

/** OpenAI, for the `providers` of a registry; the limits of its well-known models are known. */
export const openAi = (options: Keyed<OpenAiModel.Options>): Entry => ({
  layer: withKey(options.apiKey, (apiKey) => AiModel.layerOpenAi({ ...options, apiKey, model })),
  info: Known.openai
})

/** A server that speaks OpenAI's older API, for the `providers` of a registry. It may ask for no key. */
export const compatible = (
  options: Omit<Keyed<CompatibleModel.Options>, "apiKey"> & { readonly apiKey?: Key | undefined }
): Entry => {
  const layer = (apiKey?: Redacted.Redacted) => AiModel.layerCompatible({ ...options, apiKey, model })
  return { layer: options.apiKey === undefined ? layer() : withKey(options.apiKey, layer) }
}

const withKey = <E>(
  key: Key,
  layer: (apiKey: Redacted.Redacted) => Layer.Layer<Model, E>
): Layer.Layer<Model, unknown> => (Config.isConfig(key) ? Layer.unwrapEffect(Effect.map(key, layer)) : layer(key))
