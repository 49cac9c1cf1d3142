import * as AiError from "@effect/ai/AiError"
import * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Response from "@effect/ai/Response"
import * as Tokenizer from "@effect/ai/Tokenizer"
import * as AiTool from "@effect/ai/Tool"
import { assert, describe, it } from "@effect/vitest"
import { AiModel } from "effect-baton/ai"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type { Message } from "../../src/services/Conversation.js"
import { Model, type ModelEvent, type ModelRequest } from "../../src/services/Model.js"
import { complete, lookup, refusal, requestOf } from "../support/rounds.js"

const ask: Message = { role: "user", content: [{ type: "text", text: "Hello" }] }

type Part = Response.StreamPartEncoded

const finish = (reason: Response.FinishReason = "stop", more: Partial<Response.FinishPartEncoded> = {}): Part => ({
  type: "finish",
  reason,
  usage: { inputTokens: 100, outputTokens: 20, totalTokens: 120 },
  ...more
})

const textOf = (...deltas: ReadonlyArray<string>): ReadonlyArray<Part> => [
  { type: "text-start", id: "0" },
  ...deltas.map((delta): Part => ({ type: "text-delta", id: "0", delta })),
  { type: "text-end", id: "0" }
]

const callOf = (id: string, name: string, params: unknown): ReadonlyArray<Part> => [
  { type: "tool-params-start", id, name },
  { type: "tool-params-delta", id, delta: JSON.stringify(params) },
  { type: "tool-params-end", id },
  { type: "tool-call", id, name, params }
]

/** A provider that streams `parts`, each in a chunk of its own, and keeps what it was asked. */
const scripted = (
  parts: Stream.Stream<Part, AiError.AiError> | ReadonlyArray<Part>,
  asked: Array<LanguageModel.ProviderOptions> = [],
  options: Partial<AiModel.Options> = {}
): Layer.Layer<Model> =>
  Layer.provide(
    AiModel.layer({ model: "test", ...options }),
    Layer.effect(
      LanguageModel.LanguageModel,
      LanguageModel.make({
        generateText: () => Effect.succeed([]),
        streamText: (options) => {
          asked.push(options)
          return "pipe" in parts ? parts : Stream.rechunk(Stream.fromIterable(parts), 1)
        }
      })
    )
  )

describe("a tokenizer", () => {
  const messages: ReadonlyArray<Message> = [
    ask,
    { role: "assistant", content: [{ type: "tool-call", id: "c", name: "lookup", args: { id: 1 } }] },
    {
      role: "tool",
      results: [
        {
          callId: "c",
          name: "lookup",
          text: "a picture [image 1: image/png]",
          isError: false,
          images: [{ type: "image", mediaType: "image/png", data: "iVBORw0KGgo=" }]
        }
      ]
    },
    { role: "user", content: [{ type: "image", mediaType: "image/png", data: "iVBORw0KGgo=" }] }
  ]

  const counted = (tokenize: Parameters<typeof Tokenizer.make>[0]["tokenize"]) =>
    Effect.flatMap(Model, (model) => model.count?.("test", messages) ?? Effect.succeed(-1)).pipe(
      Effect.provide(Layer.provide(scripted([]), Layer.succeed(Tokenizer.Tokenizer, Tokenizer.make({ tokenize }))))
    )

  it.effect("that is around the layer counts messages, without their images", () =>
    Effect.gen(function* () {
      const parts: Array<string> = []
      const tokens = yield* counted((prompt) =>
        Effect.sync(() => {
          for (const { content } of prompt.content) {
            if (typeof content !== "string") parts.push(...content.map(({ type }) => type))
          }
          return [1, 2, 3, 4, 5]
        })
      )
      assert.strictEqual(tokens, 5)
      assert.deepStrictEqual(parts, ["text", "tool-call", "tool-result"])
    })
  )

  it.effect("that cannot count says so", () =>
    Effect.gen(function* () {
      const error = new AiError.UnknownError({ module: "Test", method: "tokenize" })
      assert.isUndefined(yield* counted(() => Effect.fail(error)))
    })
  )

  it.effect("that is not there counts nothing", () =>
    Effect.gen(function* () {
      assert.isUndefined((yield* Model).count)
    }).pipe(Effect.provide(scripted([])))
  )
})

const httpRequest = {
  method: "POST",
  url: "https://provider.test/v1",
  urlParams: [],
  hash: Option.none<string>(),
  headers: { authorization: "Bearer sk-secret-secret" }
} as const

const refusedWith = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new AiError.HttpResponseError({
    module: "Test",
    method: "streamText",
    reason: "StatusCode",
    request: httpRequest,
    response: { status, headers },
    body: typeof body === "string" ? body : JSON.stringify(body)
  })

describe("AiModel", () => {
  describe("what is sent", () => {
    it.effect("the instructions, the messages in their order, and the tools with their JSON Schema", () => {
      const asked: Array<LanguageModel.ProviderOptions> = []
      const metadata = { anthropic: { type: "thinking", signature: "s" } }
      const messages: ReadonlyArray<Message> = [
        {
          role: "user",
          content: [
            { type: "text", text: "Look" },
            { type: "image", mediaType: "image/png", data: "AQI=" }
          ]
        },
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "Hm", metadata },
            { type: "text", text: " " },
            { type: "text", text: "I look." },
            { type: "tool-call", id: "c1", name: "lookup", args: { id: 1 }, metadata: { openai: { itemId: "i" } } },
            { type: "tool-call", id: "c2", name: "lookup", args: {}, raw: "{" },
            { type: "tool-call", id: "c3", name: "lookup", args: [1] }
          ]
        },
        {
          role: "tool",
          results: [
            { callId: "c1", name: "lookup", text: '{"open":true}', isError: false },
            { callId: "c2", name: "lookup", text: "not JSON", isError: true },
            { callId: "c3", name: "lookup", text: '{"n": 12345678901234567890}', isError: false }
          ]
        }
      ]
      return Effect.gen(function* () {
        yield* complete(requestOf({ messages }))
        yield* complete(requestOf({ messages: [...messages, ask], instructions: "", tools: [] }))
        const [first, second] = asked
        assert.deepStrictEqual(plain(first?.prompt.content), [
          { role: "system", content: "Be brief." },
          {
            role: "user",
            content: [
              { type: "text", text: "Look" },
              { type: "file", mediaType: "image/png", data: new Uint8Array([1, 2]) }
            ]
          },
          {
            role: "assistant",
            content: [
              { type: "reasoning", text: "Hm", options: metadata },
              { type: "text", text: "I look." },
              { type: "tool-call", id: "c1", name: "lookup", params: { id: 1 }, options: { openai: { itemId: "i" } } },
              { type: "tool-call", id: "c2", name: "lookup", params: {} },
              { type: "tool-call", id: "c3", name: "lookup", params: {} }
            ]
          },
          {
            role: "tool",
            content: [
              { type: "tool-result", id: "c1", name: "lookup", isFailure: false, result: { open: true } },
              { type: "tool-result", id: "c2", name: "lookup", isFailure: true, result: "Error: not JSON" },
              { type: "tool-result", id: "c3", name: "lookup", isFailure: false, result: '{"n": 12345678901234567890}' }
            ]
          }
        ])
        assert.deepStrictEqual(
          first?.tools.map((tool) => [
            tool.name,
            tool.description,
            AiTool.getJsonSchemaFromSchemaAst(tool.parametersSchema.ast) as object
          ]),
          [["lookup", "Looks a ticket up", lookup.inputSchema]]
        )
        assert.strictEqual(first?.toolChoice, "auto")
        assert.deepStrictEqual(second?.tools, [])
        // The request of a turn begins with the very messages of the turn before.
        assert.strictEqual(second?.prompt.content[1], first?.prompt.content[2])
      }).pipe(Effect.provide(scripted([finish()], asked)))
    })

    it.effect("a tool whose name Anthropic's package keeps for itself, under its own name", () => {
      const asked: Array<LanguageModel.ProviderOptions> = []
      const bash = { ...lookup, name: "bash" }
      const parts: ReadonlyArray<Part> = [
        { type: "tool-params-start", id: "c1", name: "bash", providerName: "bash" },
        { type: "tool-call", id: "c1", name: "AnthropicBash", providerName: "bash", params: { command: "ls" } },
        finish("tool-calls")
      ]
      return Effect.gen(function* () {
        const { events, finish } = yield* complete(requestOf({ tools: [bash, lookup] }))
        assert.deepStrictEqual(events, [{ _tag: "ToolCall", id: "c1", name: "bash", args: { command: "ls" } }])
        assert.strictEqual(finish.usage?.input, 100)
        assert.deepStrictEqual(
          asked[0]?.tools.map((tool) => tool.name),
          ["bash", "lookup"]
        )
      }).pipe(Effect.provide(scripted(parts, asked)))
    })

    it.effect("no image that is not base64", () =>
      Effect.gen(function* () {
        const messages: ReadonlyArray<Message> = [
          { role: "user", content: [{ type: "image", mediaType: "image/png", data: "?" }] }
        ]
        const { error } = yield* refusal(requestOf({ messages }))
        assert.strictEqual(error._tag, "ModelRejected")
      }).pipe(Effect.provide(scripted([finish()])))
    )

    it.effect("no request for a model that is not served, unless the provider can be told", () =>
      Effect.gen(function* () {
        const { error } = yield* refusal(requestOf({ model: "other" })).pipe(Effect.provide(scripted([finish()])))
        assert.strictEqual(error._tag, "ModelNotConfigured")

        class Config extends Context.Tag("test/Config")<Config, string>() {}
        const told: Array<string> = []
        const parts = Stream.unwrap(
          Effect.map(Effect.context<never>(), (context) => {
            told.push(context.unsafeMap.get(Config.key) as string)
            return Stream.make(finish())
          })
        )
        const configure = (request: ModelRequest) => Context.make(Config, `${request.model} ${request.thinking}`)
        yield* complete(requestOf({ model: "other", thinking: "high" })).pipe(
          Effect.provide(scripted(parts, [], { configure }))
        )
        assert.deepStrictEqual(told, ["other high"])
        const model = yield* Effect.provide(Model, scripted([]))
        assert.strictEqual(model.defaultModel, "test")
      })
    )
  })

  describe("what comes back", () => {
    it.effect("text, reasoning with its metadata, and calls, in order", () =>
      Effect.gen(function* () {
        const { events, finish } = yield* complete()
        assert.deepStrictEqual(events, [
          { _tag: "ReasoningDelta", text: "Let me" },
          { _tag: "ReasoningDelta", text: " see" },
          { _tag: "ReasoningEnd", metadata: { anthropic: { type: "thinking", signature: "s" } } },
          { _tag: "ReasoningEnd", metadata: { anthropic: { type: "redacted_thinking", redactedData: "r" } } },
          { _tag: "TextDelta", text: "Hi" },
          { _tag: "TextDelta", text: "!" },
          { _tag: "ToolCall", id: "c1", name: "lookup", args: { id: 1 }, metadata: { openai: { itemId: "i" } } }
        ])
        assert.deepStrictEqual(finish, {
          reason: "tool-calls",
          usage: { input: 420, output: 20, cacheRead: 300, cacheWrite: 20, reasoning: 5 }
        })
      }).pipe(
        Effect.provide(
          scripted([
            { type: "response-metadata", id: "r", modelId: "m" },
            { type: "reasoning-start", id: "0" },
            { type: "reasoning-delta", id: "0", delta: "Let me" },
            { type: "reasoning-delta", id: "0", delta: " see" },
            {
              type: "reasoning-delta",
              id: "0",
              delta: "",
              metadata: { anthropic: { type: "thinking", signature: "s" } }
            },
            { type: "reasoning-end", id: "0" },
            {
              type: "reasoning-start",
              id: "1",
              metadata: { anthropic: { type: "redacted_thinking", redactedData: "r" } }
            },
            { type: "reasoning-end", id: "1" },
            ...textOf("Hi", "", "!"),
            { type: "tool-call", id: "c1", name: "lookup", params: { id: 1 }, metadata: { openai: { itemId: "i" } } },
            finish("tool-calls", {
              usage: {
                inputTokens: 100,
                outputTokens: 20,
                totalTokens: 120,
                cachedInputTokens: 300,
                reasoningTokens: 5
              },
              metadata: { anthropic: { usage: { cache_creation_input_tokens: 20 } as never } }
            })
          ])
        )
      )
    )

    it.effect("a summary of several parts as one stretch, with what its item brought", () =>
      Effect.gen(function* () {
        const { events } = yield* complete()
        assert.deepStrictEqual(events, [
          { _tag: "ReasoningDelta", text: "one" },
          { _tag: "ReasoningDelta", text: "\n\n" },
          { _tag: "ReasoningDelta", text: "two" },
          { _tag: "ReasoningEnd", metadata: { openai: { itemId: "rs", encryptedContent: "e" } } }
        ])
      }).pipe(
        Effect.provide(
          scripted([
            { type: "reasoning-start", id: "rs:0", metadata: { openai: { itemId: "rs" } } },
            { type: "reasoning-delta", id: "rs:0", delta: "one" },
            { type: "reasoning-start", id: "rs:1", metadata: { openai: { itemId: "rs" } } },
            { type: "reasoning-delta", id: "rs:1", delta: "two" },
            { type: "reasoning-end", id: "rs:0", metadata: { openai: { itemId: "rs", encryptedContent: "e" } } },
            { type: "reasoning-end", id: "rs:1", metadata: { openai: { itemId: "rs", encryptedContent: "e" } } },
            finish()
          ])
        )
      )
    )

    it.effect("the reason of the end, each under our name", () =>
      Effect.gen(function* () {
        const reasons = ["stop", "length", "content-filter", "tool-calls", "pause", "other", "unknown"] as const
        const told: Array<string> = []
        for (const reason of reasons) {
          told.push((yield* complete().pipe(Effect.provide(scripted([finish(reason)])))).finish.reason)
        }
        assert.deepStrictEqual(told, ["stop", "length", "content-filter", "tool-calls", "pause", "other", "other"])
        const { error } = yield* refusal().pipe(Effect.provide(scripted([finish("error")])))
        assert.strictEqual(error._tag, "ModelUnavailable")
      })
    )

    it.effect("no figures where the provider told none", () =>
      Effect.gen(function* () {
        const usage = { inputTokens: undefined, outputTokens: undefined, totalTokens: undefined }
        const silent = yield* complete().pipe(Effect.provide(scripted([finish("stop", { usage })])))
        assert.isUndefined(silent.finish.usage)
        // A failed response of OpenAI ends like a complete one, without figures.
        const failed = finish("stop", { usage, metadata: { openai: {} } })
        const { error } = yield* refusal().pipe(Effect.provide(scripted([failed])))
        assert.strictEqual(error._tag, "ModelUnavailable")
      })
    )

    it.effect("arguments of a wrong shape, as they are", () =>
      Effect.gen(function* () {
        const { events, finish } = yield* complete()
        assert.deepStrictEqual(events, [
          { _tag: "ToolCall", id: "c1", name: "lookup", args: { id: "one", more: [1] } },
          { _tag: "ToolCall", id: "c2", name: "lookup", args: "text" }
        ])
        assert.strictEqual(finish.usage?.output, 20)
      }).pipe(
        Effect.provide(
          scripted([
            ...callOf("c1", "lookup", { id: "one", more: [1] }),
            ...callOf("c2", "lookup", "text"),
            finish("tool-calls")
          ])
        )
      )
    )

    it.effect("a call of a tool that was not given, and what came before it", () =>
      Effect.gen(function* () {
        const parts = [...callOf("c1", "lookup", { id: 1 }), ...callOf("c2", "nothing", { a: 1 }), finish("tool-calls")]
        const calls = [
          { _tag: "ToolCall", id: "c1", name: "lookup", args: { id: 1 } },
          { _tag: "ToolCall", id: "c2", name: "nothing", args: { a: 1 } }
        ]
        const apart = yield* complete().pipe(Effect.provide(scripted(parts)))
        assert.deepStrictEqual(apart.events, calls as ReadonlyArray<ModelEvent>)
        // The stream is lost with the call, and the figures with the stream.
        assert.deepStrictEqual(apart.finish, { reason: "tool-calls", usage: undefined })
        const together = yield* complete().pipe(Effect.provide(scripted(Stream.fromIterable(parts))))
        assert.deepStrictEqual(together.events, calls as ReadonlyArray<ModelEvent>)
        assert.strictEqual(together.finish.usage?.input, 100)
        const without = yield* complete(requestOf({ tools: [] })).pipe(Effect.provide(scripted(parts)))
        assert.strictEqual(without.events.length, 1)
      })
    )

    it.effect("arguments that are not JSON, as text", () =>
      Effect.gen(function* () {
        const { events, finish } = yield* complete()
        assert.deepStrictEqual(events, [{ _tag: "ToolCall", id: "c1", name: "lookup", args: {}, raw: '{"id": ' }])
        assert.strictEqual(finish.reason, "tool-calls")
      }).pipe(
        Effect.provide(
          scripted(
            Stream.concat(
              Stream.make<Array<Part>>(
                { type: "tool-params-start", id: "c1", name: "lookup" },
                { type: "tool-params-delta", id: "c1", delta: '{"id": ' }
              ),
              Stream.fail(
                new AiError.MalformedOutput({
                  module: "Test",
                  method: "makeStreamResponse",
                  description: "Failed to securely parse tool call parameters for tool 'lookup'"
                })
              )
            )
          )
        )
      )
    )
  })

  describe("what fails", () => {
    const failing = (error: AiError.AiError) =>
      scripted(Stream.concat(Stream.fromIterable(textOf("Hi")), Stream.fail(error)))

    it.effect("a reply without its end, or with an error in it", () =>
      Effect.gen(function* () {
        const cut = yield* refusal().pipe(Effect.provide(scripted(textOf("Hi"))))
        assert.strictEqual(cut.error._tag, "ModelUnavailable")
        assert.deepStrictEqual(cut.events, [{ _tag: "TextDelta", text: "Hi" }])
        const errors: ReadonlyArray<readonly [unknown, string]> = [
          [{ type: "overloaded_error", message: "Overloaded" }, "ModelUnavailable"],
          [{ type: "error", code: "server_error", message: "Sorry." }, "ModelUnavailable"],
          ["anything", "ModelUnavailable"],
          [{ type: "authentication_error", message: "invalid x-api-key" }, "ModelRejected"],
          [{ type: "error", code: "insufficient_quota", message: "Quota" }, "ModelRejected"],
          [{ type: "error", code: "context_length_exceeded", message: "Too much" }, "ContextOverflow"]
        ]
        for (const [error, tag] of errors) {
          const parts: ReadonlyArray<Part> = [...textOf("Hi"), { type: "error", error }, finish()]
          assert.strictEqual((yield* refusal().pipe(Effect.provide(scripted(parts)))).error._tag, tag)
        }
      })
    )

    it.effect("an HTTP status, by what can be done about it", () =>
      Effect.gen(function* () {
        const tags: Record<number, string> = {}
        for (const status of [302, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503, 529]) {
          const body = { error: { type: "some_error", message: "No." } }
          const { error } = yield* refusal().pipe(Effect.provide(failing(refusedWith(status, body))))
          tags[status] = error._tag
          if (error._tag === "ModelRejected") assert.strictEqual(error.status, status)
        }
        const [gone, later] = ["ModelRejected", "ModelUnavailable"]
        assert.deepStrictEqual(tags, {
          302: gone,
          400: gone,
          401: gone,
          403: gone,
          404: gone,
          408: later,
          409: later,
          413: gone,
          422: gone,
          429: later,
          500: later,
          503: later,
          529: later
        } as Record<number, string>)
      })
    )

    it.effect("a history that is too long, and a quota that is spent", () =>
      Effect.gen(function* () {
        for (const message of [
          "prompt is too long: 210000 tokens > 200000 maximum",
          "This model's maximum context length is 128000 tokens.",
          "Your input exceeds the context window of this model.",
          "input length and `max_tokens` exceed context limit: 188240 + 28672 > 200000, decrease input length or `max_tokens` and try again",
          "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).",
          "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.",
          "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
          "The total length of all messages is too long.",
          "The decoder prompt (length 9000) is longer than the maximum model length of 8192."
        ]) {
          const { error } = yield* refusal().pipe(Effect.provide(failing(refusedWith(400, { error: { message } }))))
          assert.strictEqual(error._tag, "ContextOverflow")
        }
        const busy = refusedWith(429, { error: { message: "Too many tokens, please wait before trying again." } })
        assert.strictEqual((yield* refusal().pipe(Effect.provide(failing(busy)))).error._tag, "ModelUnavailable")
        const spent = refusedWith(429, { error: { code: "insufficient_quota", message: "You exceeded it." } })
        const { error } = yield* refusal().pipe(Effect.provide(failing(spent)))
        assert.strictEqual(error._tag, "ModelRejected")
      })
    )

    it.effect("everything else of @effect/ai", () =>
      Effect.gen(function* () {
        const place = { module: "Test", method: "streamText" }
        const cases: ReadonlyArray<readonly [AiError.AiError, string]> = [
          [new AiError.HttpRequestError({ ...place, reason: "Transport", request: httpRequest }), "ModelUnavailable"],
          [new AiError.HttpRequestError({ ...place, reason: "InvalidUrl", request: httpRequest }), "ModelRejected"],
          [new AiError.MalformedInput({ ...place, description: "No." }), "ModelRejected"],
          [new AiError.MalformedOutput(place), "ModelUnavailable"],
          [new AiError.UnknownError(place), "ModelUnavailable"],
          [
            new AiError.HttpResponseError({
              ...place,
              reason: "Decode",
              request: httpRequest,
              response: { status: 200, headers: {} }
            }),
            "ModelUnavailable"
          ]
        ]
        for (const [cause, tag] of cases) {
          const { error } = yield* refusal().pipe(Effect.provide(failing(cause)))
          assert.strictEqual(error._tag, tag)
        }
        const part = { type: "text-delta", id: 1, delta: "x" } as unknown as Part
        const { error } = yield* refusal().pipe(Effect.provide(scripted([part, finish()])))
        assert.strictEqual(error._tag, "ModelUnavailable")
      })
    )

    it.effect("without telling a key", () =>
      Effect.gen(function* () {
        const body = { error: { message: "Incorrect key: sk-abcdefghijkl, or my-own-key. Say Bearer xyz." } }
        const layer = scripted(Stream.fail(refusedWith(401, body)), [], { secrets: [Redacted.make("my-own-key")] })
        const { error } = yield* refusal().pipe(Effect.provide(layer))
        const said = `${error.message} ${JSON.stringify(error)} ${Cause.pretty(Cause.fail(error))}`
        assert.include(error.message, "Incorrect key: <redacted>, or <redacted>. Say <redacted>")
        assert.notMatch(said, /sk-|my-own-key|xyz/)
      })
    )

    it.effect("and nothing is emitted after an interruption", () =>
      Effect.gen(function* () {
        const arrived = yield* Deferred.make<void>()
        const ended = yield* Deferred.make<void>()
        const parts = Stream.concat(Stream.fromIterable(textOf("Hi")), Stream.never).pipe(
          Stream.ensuring(Deferred.succeed(ended, undefined))
        )
        const events: Array<ModelEvent> = []
        const model = yield* Effect.provide(Model, scripted(parts))
        const fiber = yield* Effect.fork(
          model.stream(requestOf(), (event) => {
            events.push(event)
            Deferred.unsafeDone(arrived, Effect.void)
          })
        )
        yield* Deferred.await(arrived)
        yield* Fiber.interrupt(fiber)
        yield* Deferred.await(ended)
        assert.strictEqual(events.length, 1)
      })
    )
  })
})

/** Messages of a prompt as plain data, without what every part of a kind has. */
const plain = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(
        ([key, it]) =>
          (!key.startsWith("~") && key !== "providerExecuted" && JSON.stringify(it) !== "{}") || key === "params"
      )
      .map(([key, it]) => [key, plain(it)])
  )
}
