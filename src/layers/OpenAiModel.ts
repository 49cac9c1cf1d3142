/**
 * OpenAI's Responses API, for `AiModel.layerOpenAi`. Loads `@effect/ai-openai`.
 */
import * as OpenAiClient from "@effect/ai-openai/OpenAiClient"
import * as OpenAiLanguageModel from "@effect/ai-openai/OpenAiLanguageModel"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ModelRequest, Thinking } from "../services/Model.js"
import * as http from "./ai/http.js"
import { type RoundTrip, through } from "./ai/roundTrip.js"
import { sentBack } from "./openai/input.js"
import { Reply } from "./openai/Reply.js"

export interface Options {
  /** The model used where neither the call nor the agent names one. */
  readonly model: string
  readonly apiKey: Redacted.Redacted
  /** With `/v1`. Default: `https://api.openai.com/v1`. */
  readonly apiUrl?: string | undefined
  /** The most tokens that a reply may have, with its reasoning. Default: the provider's. */
  readonly maxTokens?: number | undefined
}

/**
 * The package makes the request and the parts of the reply. What it has no say in is done to the body that it made, and
 * to the events before it reads them.
 */
export const make = (options: Options): Effect.Effect<RoundTrip, never, Scope.Scope> =>
  Effect.gen(function* () {
    let client!: HttpClient.HttpClient
    const openai = yield* OpenAiClient.make({
      apiKey: options.apiKey,
      apiUrl: options.apiUrl,
      transformClient: (prepared) => (client = prepared)
    })
    return through((request, wire) => {
      const reply = new Reply(wire)
      return OpenAiLanguageModel.make({ model: modelName(request.model), config: settings(request, options) }).pipe(
        Effect.provideService(OpenAiClient.OpenAiClient, {
          ...openai,
          createResponseStream: (payload) => {
            const sent = HttpClientRequest.post("/responses").pipe(
              HttpClientRequest.bodyUnsafeJson({ ...payload, input: sentBack(payload.input), stream: true })
            )
            return http.events(client, sent, [options.apiKey]).pipe(
              Stream.mapChunks(Chunk.flatMap((event) => Chunk.unsafeFromArray(reply.read(event)))),
              Stream.takeUntil((event) => event.type === "response.completed" || event.type === "error")
            )
          }
        })
      )
    })
  }).pipe(Effect.provide(http.client))

const settings = (request: ModelRequest, options: Options): Omit<OpenAiLanguageModel.Config.Service, "model"> => {
  const model = modelName(request.model)
  const { thinking } = request
  const most = Math.min(request.maxOutput ?? Number.POSITIVE_INFINITY, options.maxTokens ?? Number.POSITIVE_INFINITY)
  return {
    // A strict tool may have no optional parameter.
    strict: false,
    // What the next request needs is sent with it, so nothing has to be kept at the provider.
    store: false,
    ...(Number.isFinite(most) ? { max_output_tokens: Math.max(leastOutput, Math.floor(most)) } : undefined),
    ...(reasons(model) ? { include: ["reasoning.encrypted_content"] } : undefined),
    ...(thinking === undefined || !reasons(model) ? undefined : { reasoning: reasoning(model, thinking) })
  }
}

/** The least that OpenAI takes for a limit. */
const leastOutput = 16

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
