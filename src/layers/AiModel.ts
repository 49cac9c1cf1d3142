/**
 * The model port over the providers of `@effect/ai`, and over servers that speak OpenAI's older API.
 */
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as Tokenizer from "@effect/ai/Tokenizer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { ModelNotConfigured } from "../services/Errors.js"
import { Model, type ModelRequest } from "../services/Model.js"
import * as Secrets from "../services/Secrets.js"
import { counter } from "./ai/counter.js"
import { load } from "./ai/load.js"
import { onceMoreWithout } from "./ai/reasoning.js"
import { over, type RoundTrip } from "./ai/roundTrip.js"
import type * as AnthropicModel from "./AnthropicModel.js"
import type * as CompatibleModel from "./CompatibleModel.js"
import type * as OpenAiModel from "./OpenAiModel.js"

export interface Options {
  /** The name of the model that the `LanguageModel` serves, and the one used where neither call nor agent names any. */
  readonly model: string
  /**
   * Services for the provider's stream, so that it serves the model and the thinking level of a request: its `Config`.
   * Without this function only `model` is served, and the thinking level has no effect.
   */
  readonly configure?: ((request: ModelRequest) => Context.Context<never>) | undefined
  /** Texts that nothing may repeat, from errors to the history. What looks like a key is in no error anyway. */
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
 * Earlier reasoning that the provider refuses is left out, and the request sent once more with a `Notice`.
 *
 * Where a `Tokenizer` of `@effect/ai` is around it, messages are counted with that, for whichever model is asked.
 *
 * In the figures, `input` holds what was read from or written to a cache too, and `output` the reasoning.
 */
export const layer = (options: Options): Layer.Layer<Model, never, LanguageModel.LanguageModel> =>
  Layer.scoped(
    Model,
    Effect.gen(function* () {
      const roundTrip = over(yield* LanguageModel.LanguageModel)
      const { configure } = options
      const tokenizer = yield* Effect.serviceOption(Tokenizer.Tokenizer)
      const served = yield* serve(options, options.secrets ?? [], (request, emit, asked) => {
        if (configure === undefined) {
          return request.model === options.model
            ? roundTrip(request, emit, asked)
            : Effect.fail(new ModelNotConfigured({ model: request.model }))
        }
        return Effect.mapInputContext(roundTrip(request, emit, asked), (context: Context.Context<never>) =>
          Context.merge(context, configure(request))
        )
      })
      return Option.isNone(tokenizer) ? served : { ...served, count: counter(tokenizer.value) }
    })
  )

/**
 * Anthropic's Messages API. A request may name any of its models, with or without `anthropic/` before the name.
 * `@effect/ai-anthropic` is loaded when the layer is built, which fails where it is not installed.
 */
export const layerAnthropic = (options: AnthropicModel.Options): Layer.Layer<Model, ModelNotConfigured> =>
  provider(options, () => import("./AnthropicModel.js"), "@effect/ai-anthropic")

/**
 * OpenAI's Responses API, or a server that speaks it. A request may name any of its models, with or without `openai/`
 * before the name. Nothing is stored at the provider. `@effect/ai-openai` is loaded when the layer is
 * built, which fails where it is not installed.
 */
export const layerOpenAi = (options: OpenAiModel.Options): Layer.Layer<Model, ModelNotConfigured> =>
  provider(options, () => import("./OpenAiModel.js"), "@effect/ai-openai")

/**
 * OpenAI's older API, Chat Completions, as Ollama, vLLM, OpenRouter and many more serve it. A request may name any of
 * the server's models, with or without `compatible/` before the name.
 */
export const layerCompatible = (options: CompatibleModel.Options): Layer.Layer<Model, ModelNotConfigured> =>
  provider(options, () => import("./CompatibleModel.js"), "@effect/platform", "@effect/experimental")

const provider = <O extends { readonly model: string; readonly apiKey?: Redacted.Redacted | undefined }>(
  options: O,
  module: () => Promise<{ readonly make: (options: O) => Effect.Effect<RoundTrip, never, Scope.Scope> }>,
  ...packages: ReadonlyArray<string>
): Layer.Layer<Model, ModelNotConfigured> =>
  Layer.scoped(
    Model,
    load(options.model, module, "@effect/ai", ...packages).pipe(
      Effect.flatMap(({ make }) => make(options)),
      Effect.flatMap((roundTrip) => serve(options, options.apiKey === undefined ? [] : [options.apiKey], roundTrip))
    )
  )

/** The service, for as long as a scope, in which the secrets are told nowhere. */
const serve = (
  options: { readonly model: string },
  secrets: ReadonlyArray<Redacted.Redacted>,
  roundTrip: RoundTrip
): Effect.Effect<Context.Tag.Service<Model>, never, Scope.Scope> => {
  const whole = onceMoreWithout(roundTrip)
  return Effect.as(Effect.forEach(secrets, Secrets.keep, { discard: true }), {
    defaultModel: options.model,
    stream: (request, emit) => Effect.suspend(() => whole(request, emit, { model: request.model, secrets }))
  })
}
