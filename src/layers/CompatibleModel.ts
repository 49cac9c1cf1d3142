/**
 * OpenAI's Chat Completions, as other servers offer it, for `AiModel.layerCompatible`.
 *
 * `@effect/ai-openai` speaks the Responses API alone, so this is the port itself over HTTP: a `LanguageModel` in between
 * would put each delta through its schemas and give nothing for it.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { fromAiError } from "./ai/errors.js"
import * as http from "./ai/http.js"
import type { RoundTrip } from "./ai/roundTrip.js"
import { bodyOf } from "./compatible/body.js"
import { Reply } from "./compatible/Reply.js"

export interface Options {
  /** The model used where neither the call nor the agent names one. */
  readonly model: string
  /** Where the server asks for one. */
  readonly apiKey?: Redacted.Redacted | undefined
  /** With `/v1`, for instance `http://127.0.0.1:11434/v1`. */
  readonly apiUrl: string
  /** The most tokens that a reply may have. Default: the server's. */
  readonly maxTokens?: number | undefined
}

export const make = (options: Options): Effect.Effect<RoundTrip> =>
  Effect.map(HttpClient.HttpClient, (fetch): RoundTrip => {
    const client = HttpClient.mapRequest(fetch, (request) =>
      request.pipe(
        HttpClientRequest.prependUrl(options.apiUrl),
        options.apiKey === undefined ? identity : HttpClientRequest.bearerToken(options.apiKey)
      )
    )
    return (request, emit, asked) =>
      Effect.suspend(() => {
        const reply = new Reply(emit, asked)
        const sent = HttpClientRequest.post("/chat/completions").pipe(
          HttpClientRequest.bodyUnsafeJson(bodyOf(modelName(request.model), request, options))
        )
        return http.events(client, sent, asked.secrets).pipe(
          Stream.catchAll((error) =>
            Stream.execute(
              Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.fail(fromAiError(error, asked, now)))
            )
          ),
          Stream.runForEachChunk((events) => reply.read(events)),
          Effect.zipRight(Effect.suspend(() => reply.end()))
        )
      })
  }).pipe(Effect.provide(http.client))

const modelName = (model: string): string => model.replace(/^compatible\//, "")
