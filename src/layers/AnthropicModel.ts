/**
 * Anthropic's Messages API, for `AiModel.layerAnthropic`. Loads `@effect/ai-anthropic`.
 */
import * as AnthropicClient from "@effect/ai-anthropic/AnthropicClient"
import * as AnthropicLanguageModel from "@effect/ai-anthropic/AnthropicLanguageModel"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as http from "./ai/http.js"
import { type RoundTrip, through } from "./ai/roundTrip.js"
import { withBreakpoints } from "./anthropic/cache.js"
import { Reply } from "./anthropic/Reply.js"
import { withPlainResults } from "./anthropic/results.js"
import { settings } from "./anthropic/settings.js"

export interface Options {
  /** The model used where neither the call nor the agent names one. */
  readonly model: string
  readonly apiKey: Redacted.Redacted
  /** Without `/v1`. Default: `https://api.anthropic.com`. */
  readonly apiUrl?: string | undefined
  /**
   * The most tokens that a reply may have, apart from its thinking. Default: 8,192, which every model since 3.5 allows.
   */
  readonly maxTokens?: number | undefined
  /**
   * Whether to mark how far a request is to be cached, so that the next one reads that part at a tenth of the price.
   * Writing costs a quarter more than not caching. Default: `true`.
   */
  readonly cache?: boolean | undefined
}

/**
 * The package makes the request and the parts of the reply. What it has no say in is done to the body that it made, and
 * to the events before it reads them.
 */
export const make = (options: Options): Effect.Effect<RoundTrip, never, Scope.Scope> =>
  Effect.gen(function* () {
    let client!: HttpClient.HttpClient
    const anthropic = yield* AnthropicClient.make({
      apiKey: options.apiKey,
      apiUrl: options.apiUrl,
      transformClient: (prepared) => (client = prepared)
    })
    return through((request, wire) => {
      const reply = new Reply(wire)
      return AnthropicLanguageModel.make({ model: modelName(request.model) }).pipe(
        Effect.provideService(AnthropicClient.AnthropicClient, {
          ...anthropic,
          createMessageStream: ({ payload }) => {
            const own = settings(modelName(request.model), request, options)
            const body = withPlainResults({ ...payload, ...own, stream: true })
            const sent = HttpClientRequest.post("/v1/messages").pipe(
              HttpClientRequest.bodyUnsafeJson(options.cache === false ? body : withBreakpoints(body))
            )
            return http.events(client, sent, [options.apiKey]).pipe(
              Stream.mapChunks(Chunk.flatMap((event) => Chunk.unsafeFromArray(reply.read(event)))),
              Stream.takeUntil((event) => event.type === "message_stop" || event.type === "error")
            )
          }
        })
      )
    })
  }).pipe(Effect.provide(http.client))

const modelName = (model: string): string => model.replace(/^anthropic\//, "")
