/**
 * The bodies that providers get for requests, as their own packages put them together and send them over a socket.
 */
import { Effect, type Layer, Redacted } from "effect"
import { type Errors, Model } from "effect-baton"
import { AiModel } from "effect-baton/ai"
import { refuse, type Seen, serve } from "./providers.js"

type Request = Model.ModelRequest
type Asked = Pick<Request, "instructions" | "messages" | "tools">

/** A provider by the way that leads to it, and the model that it is asked for. */
interface Provider {
  readonly layer: (apiUrl: string) => Layer.Layer<Model.Model, Errors.ModelNotConfigured>
  readonly model: string
}

const apiKey = Redacted.make("sk-test-key")

export const anthropicMessages: Provider = {
  layer: (apiUrl) => AiModel.layerAnthropic({ model: "claude-test", apiKey, apiUrl }),
  model: "anthropic/claude-test"
}

export const openAiResponses: Provider = {
  layer: (url) => AiModel.layerOpenAi({ model: "gpt-5", apiKey, apiUrl: `${url}/v1` }),
  model: "openai/gpt-5"
}

export const chatCompletions: Provider = {
  layer: (url) => AiModel.layerCompatible({ model: "local", apiKey, apiUrl: `${url}/v1` }),
  model: "compatible/local"
}

/** Sends each request, with thinking, and gives the bodies in order. A request that is not sent is a defect. */
export const bodiesOf = (
  { layer, model }: Provider,
  requests: ReadonlyArray<Asked>
): Effect.Effect<ReadonlyArray<Seen["body"]>> =>
  Effect.gen(function* () {
    const refusal = { error: { type: "invalid_request_error", message: "seen" } }
    const server = yield* serve((response) => refuse(response, 400, refusal))
    yield* Effect.gen(function* () {
      const port = yield* Model.Model
      for (const { instructions, messages, tools } of requests) {
        const request: Request = { model, thinking: "low", instructions, messages, tools }
        const sent = server.seen.length
        const error = yield* Effect.flip(port.stream(request, () => {}))
        if (server.seen.length !== sent + 1) return yield* Effect.dieMessage(`not sent: ${error.message}`)
      }
    }).pipe(
      Effect.provide(layer(server.url)),
      Effect.orDieWith(() => new Error("a refusal was taken for a reply"))
    )
    return server.seen.map(({ body }) => body as unknown)
  }).pipe(Effect.scoped)
