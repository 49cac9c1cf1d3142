/**
 * The three providers over HTTP against a mock that is not ours: the same round-trips with each.
 */
import type { Fixture, MockServerOptions } from "@copilotkit/aimock"
import { assert, describe, it } from "@effect/vitest"
import { AiModel } from "effect-baton/ai"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { ModelNotConfigured } from "../../src/services/Errors.js"
import { Model, type ModelEvent, type ModelRequest } from "../../src/services/Model.js"
import { mock } from "../support/mock.js"
import { complete, refusal, requestOf } from "../support/rounds.js"
import { recording, wordsOf } from "../support/tracer.js"

const key = "sk-the-key-of-the-test"
const apiKey = Redacted.make(key)

interface Provider {
  readonly model: string
  readonly path: string
  readonly layer: (url: string, model: string) => Layer.Layer<Model, ModelNotConfigured>
}

const providers: Readonly<Record<string, Provider>> = {
  anthropic: {
    model: "anthropic/claude-sonnet-4-5",
    path: "/v1/messages",
    layer: (apiUrl, model) => AiModel.layerAnthropic({ model, apiKey, apiUrl })
  },
  openai: {
    model: "openai/gpt-5.1",
    path: "/v1/responses",
    layer: (url, model) => AiModel.layerOpenAi({ model, apiKey, apiUrl: `${url}/v1` })
  },
  compatible: {
    model: "compatible/deepseek-r1",
    path: "/v1/chat/completions",
    layer: (url, model) => AiModel.layerCompatible({ model, apiKey, apiUrl: `${url}/v1` })
  }
}

const usage = { prompt_tokens: 100, completion_tokens: 20, input_tokens: 100, output_tokens: 20 }

const textOf = (events: ReadonlyArray<ModelEvent>, tag: "TextDelta" | "ReasoningDelta"): string =>
  events.map((event) => (event._tag === tag ? event.text : "")).join("")

const callsOf = (events: ReadonlyArray<ModelEvent>) =>
  events.flatMap((event) => (event._tag === "ToolCall" ? [{ name: event.name, args: event.args }] : []))

for (const [name, provider] of Object.entries(providers)) {
  const request = (more: Partial<ModelRequest> = {}) => requestOf({ model: provider.model, thinking: "low", ...more })

  const serving = (fixture: Omit<Fixture, "match">, options?: MockServerOptions) =>
    Effect.map(mock([{ match: {}, ...fixture }], options), (server) => ({
      ...server,
      layer: provider.layer(server.url, provider.model)
    }))

  describe(name, () => {
    it.scopedLive("streams text with its figures", () =>
      Effect.gen(function* () {
        const { layer, seen } = yield* serving({ response: { content: "Hello to you, and to all of yours.", usage } })
        const { events, finish } = yield* complete(request()).pipe(Effect.provide(layer))
        assert.strictEqual(textOf(events, "TextDelta"), "Hello to you, and to all of yours.")
        assert.isAbove(events.filter((event) => event._tag === "TextDelta").length, 1)
        assert.strictEqual(finish.reason, "stop")
        assert.deepStrictEqual(finish.usage, { input: 100, output: 20, cacheRead: 0, cacheWrite: 0, reasoning: 0 })
        assert.strictEqual(seen[0]?.path, provider.path)
        assert.include([seen[0]?.headers["x-api-key"], seen[0]?.headers["authorization"]?.slice(7)], key)
      })
    )

    it.scopedLive("streams reasoning, then calls, also of a tool that was not given or with what is not JSON", () =>
      Effect.gen(function* () {
        const { layer } = yield* serving({
          response: {
            reasoning: "Let me look it up.",
            toolCalls: [
              { name: "lookup", arguments: '{"id":1}' },
              { name: "nothing", arguments: '{"a":[1]}' },
              { name: "lookup", arguments: '{"__proto__":{}}' },
              { name: "lookup", arguments: "" }
            ],
            usage
          }
        })
        const { events, finish } = yield* complete(request()).pipe(Effect.provide(layer))
        assert.strictEqual(textOf(events, "ReasoningDelta"), "Let me look it up.")
        const ends = events.flatMap((event) => (event._tag === "ReasoningEnd" ? [event.metadata] : []))
        assert.strictEqual(ends.length, 1)
        assert.isObject(ends[0])
        assert.deepStrictEqual(callsOf(events), [
          { name: "lookup", args: { id: 1 } },
          { name: "nothing", args: { a: [1] } },
          { name: "lookup", args: {} },
          { name: "lookup", args: {} }
        ])
        const raw = events.flatMap((event) => (event._tag === "ToolCall" ? [event.raw] : []))
        assert.deepStrictEqual(raw, [undefined, undefined, '{"__proto__":{}}', undefined])
        assert.strictEqual(finish.reason, "tool-calls")
        assert.strictEqual(finish.usage?.output, 20)
      })
    )

    it.scopedLive("tells the wait that a rate limit asks for", () =>
      Effect.gen(function* () {
        const response = { error: { message: "Slow down.", type: "rate_limit_error" }, status: 429, retryAfter: 7 }
        const { layer } = yield* serving({ response })
        const { error, events } = yield* refusal(request()).pipe(Effect.provide(layer))
        assert.strictEqual(
          error.message,
          `The model "${provider.model}" is not available: HTTP 429, Slow down, retry after 7 s.`
        )
        assert.strictEqual(error._tag === "ModelUnavailable" ? error.retryAfter : undefined, 7000)
        assert.deepStrictEqual(events, [])
      })
    )

    it.scopedLive("takes a failing server, a cut connection and what is not JSON for unavailable", () =>
      Effect.gen(function* () {
        const of = (chaos: Fixture["chaos"]) =>
          Effect.gen(function* () {
            const { layer } = yield* serving({ response: { content: "Hi" }, chaos: chaos! })
            return (yield* refusal(request()).pipe(Effect.provide(layer))).error.message
          })
        const start = `The model "${provider.model}" is not available: `
        assert.strictEqual(yield* of({ dropRate: 1 }), `${start}HTTP 500, Chaos: request dropped.`)
        assert.strictEqual(yield* of({ malformedRate: 1 }), `${start}the reply was malformed.`)
        assert.match(yield* of({ disconnectRate: 1 }), /is not available: the connection failed/)
        assert.match(yield* of({ rateLimitRate: 1 }), /is not available: HTTP 429, .*, retry after \d+ s\.$/)
      })
    )

    it.scopedLive("takes a reply that is cut for unavailable, and gives what came of it", () =>
      Effect.gen(function* () {
        const content = "A text that is long enough to come in several pieces, of which some are lost."
        const { layer } = yield* serving({ response: { content }, chunkSize: 8, truncateAfterChunks: 5 })
        const { error, events } = yield* refusal(request()).pipe(Effect.provide(layer))
        assert.strictEqual(error._tag, "ModelUnavailable")
        const text = textOf(events, "TextDelta")
        assert.isTrue(content.startsWith(text) && text.length < content.length)
      })
    )

    it.scopedLive("closes the socket of a provider that is silent when it is interrupted", () =>
      Effect.gen(function* () {
        const server = yield* serving({ response: { content: "Hi" }, chaos: { latencyMs: 30_000 } })
        const model = yield* Effect.provide(Model, server.layer)
        const fiber = yield* Effect.fork(model.stream(request(), () => {}))
        yield* server.arrived
        yield* Fiber.interrupt(fiber)
        yield* server.closed
      })
    )

    it.scopedLive("tells the key to no span", () =>
      Effect.gen(function* () {
        const { layer, seen } = yield* serving({ response: { content: "Hi" } })
        const refusing = yield* serving({ response: { error: { message: `Incorrect key ${key}` }, status: 401 } })
        const { started, tracer } = recording()
        yield* complete(request()).pipe(Effect.provide(layer), Effect.withTracer(tracer))
        yield* refusal(request()).pipe(Effect.provide(refusing.layer), Effect.withTracer(tracer))
        assert.include(JSON.stringify(seen[0]?.headers), key)
        const words = JSON.stringify(started.map(wordsOf))
        assert.include(words, "url.full")
        assert.notInclude(words, key)
      })
    )

    it.scopedLive("survives figures that are wrong", () =>
      Effect.gen(function* () {
        const of = (wrong: number) =>
          Effect.gen(function* () {
            const usage = { prompt_tokens: wrong, completion_tokens: wrong, input_tokens: wrong, output_tokens: wrong }
            const { layer } = yield* serving({ response: { content: "Hi", usage } })
            const { events, finish } = yield* complete(request()).pipe(Effect.provide(layer))
            assert.strictEqual(textOf(events, "TextDelta"), "Hi")
            return finish.usage
          })
        const none = { cacheRead: 0, cacheWrite: 0, reasoning: 0 }
        assert.deepStrictEqual(yield* of(-5), { input: 0, output: 0, ...none })
        assert.deepStrictEqual(yield* of(1e300), { input: 1e300, output: 1e300, ...none })
        assert.isUndefined(yield* of(Number.NaN))
      })
    )

    it.scopedLive("keeps refusals apart: a key, a quota, a context that is full", () =>
      Effect.gen(function* () {
        const of = (status: number, message: string, code?: string) =>
          Effect.gen(function* () {
            const error = { message, type: "some_error", ...(code === undefined ? undefined : { code }) }
            const { layer } = yield* serving({ response: { error, status } })
            const refused = yield* refusal(request()).pipe(Effect.provide(layer))
            assert.notInclude(JSON.stringify(refused.error) + refused.error.message, key)
            return refused.error._tag
          })
        assert.strictEqual(yield* of(401, `Incorrect API key provided: ${key}`), "ModelRejected")
        assert.strictEqual(yield* of(429, "You exceeded your current quota.", "insufficient_quota"), "ModelRejected")
        assert.strictEqual(yield* of(400, "Your input exceeds the context window of this model."), "ContextOverflow")
        assert.strictEqual(yield* of(404, "No such model."), "ModelRejected")
        assert.strictEqual(yield* of(529, "Overloaded."), "ModelUnavailable")
      })
    )
  })
}
