import { assert, describe, it } from "@effect/vitest"
import { AiModel } from "effect-baton/ai"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type { Message } from "../../src/services/Conversation.js"
import { Model } from "../../src/services/Model.js"
import { answer, begin, openai, refuse, send, serve, written } from "../support/providers.js"
import { complete, lookup, refusal, requestOf } from "../support/rounds.js"

const key = "sk-proj-the-key"

const layer = (url: string) =>
  AiModel.layerOpenAi({ model: "gpt-test", apiKey: Redacted.make(key), apiUrl: `${url}/v1` })

const request = requestOf({ model: "openai/gpt-5-test" })

describe("AiModel.layerOpenAi", () => {
  it.scopedLive("streams a reply with reasoning, text and a call", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) => {
        begin(response)
        send(response, [
          openai.created,
          { type: "keepalive" },
          ...openai.reasoning(0, "rs_1", "Hm", "sealed"),
          ...openai.text(1, "msg_1", "Hel", "lo"),
          ...openai.call(2, "fc_1", "call_1", "lookup", '{"id"', ":1}"),
          openai.completed
        ])
        response.end()
      })
      const { events, finish } = yield* complete({ ...request, thinking: "high" }).pipe(
        Effect.provide(layer(server.url))
      )
      assert.deepStrictEqual(events, [
        { _tag: "ReasoningDelta", text: "Hm" },
        { _tag: "ReasoningEnd", metadata: { openai: { itemId: "rs_1", encryptedContent: "sealed" } } },
        { _tag: "TextDelta", text: "Hel" },
        { _tag: "TextDelta", text: "lo" },
        { _tag: "TextEnd", metadata: { openai: { itemId: "msg_1" } } },
        { _tag: "ToolCall", id: "call_1", name: "lookup", args: { id: 1 }, metadata: { openai: { itemId: "fc_1" } } }
      ])
      assert.deepStrictEqual(finish, {
        reason: "tool-calls",
        usage: { input: 330, output: 7, cacheRead: 300, cacheWrite: 0, reasoning: 3 }
      })
      const [seen] = server.seen
      assert.strictEqual(seen?.path, "/v1/responses")
      assert.strictEqual(seen?.headers["authorization"], `Bearer ${key}`)
      assert.deepStrictEqual(seen?.body, {
        model: "gpt-5-test",
        store: false,
        include: ["reasoning.encrypted_content"],
        reasoning: { effort: "high", summary: "auto" },
        input: [
          { role: "developer", content: "Be brief." },
          { role: "user", content: [{ type: "input_text", text: "Hello" }] }
        ],
        text: { format: { type: "text" } },
        tools: [
          {
            type: "function",
            name: "lookup",
            description: lookup.description,
            parameters: lookup.inputSchema,
            strict: false
          }
        ],
        tool_choice: "auto",
        stream: true
      })
    })
  )

  it.scopedLive("takes back what a reply brought", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) => {
        begin(response)
        send(response, [openai.created, ...openai.text(0, "msg_2", "Done."), openai.completed])
        response.end()
      })
      const messages: ReadonlyArray<Message> = [
        { role: "user", content: [{ type: "image", mediaType: "image/png", data: "AQI=" }] },
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "Hm", metadata: { openai: { itemId: "rs_1", encryptedContent: "sealed" } } },
            {
              type: "tool-call",
              id: "call_1",
              name: "lookup",
              args: { id: 1 },
              metadata: { openai: { itemId: "fc_1" } }
            }
          ]
        },
        {
          role: "tool",
          results: [
            { callId: "call_1", name: "lookup", text: '{"open":true}', isError: false },
            { callId: "call_2", name: "lookup", text: 'one\n"two"', isError: false },
            { callId: "call_3", name: "lookup", text: '"three"', isError: true }
          ]
        }
      ]
      const { finish } = yield* complete({ ...request, model: "gpt-4.1", messages }).pipe(
        Effect.provide(layer(server.url))
      )
      assert.strictEqual(finish.reason, "stop")
      const body = server.seen[0]?.body
      assert.notProperty(body, "reasoning")
      assert.deepStrictEqual(body.include, [])
      assert.deepStrictEqual(body.input.slice(1), [
        {
          role: "user",
          content: [{ type: "input_image", image_url: "data:image/png;base64,AQI=", detail: "auto" }]
        },
        {
          type: "reasoning",
          id: "rs_1",
          summary: [{ type: "summary_text", text: "Hm" }],
          encrypted_content: "sealed"
        },
        { type: "function_call", id: "fc_1", call_id: "call_1", name: "lookup", arguments: '{"id":1}' },
        { type: "function_call_output", call_id: "call_1", output: '{"open":true}' },
        { type: "function_call_output", call_id: "call_2", output: 'one\n"two"' },
        { type: "function_call_output", call_id: "call_3", output: 'Error: "three"' }
      ])
    })
  )

  it.scopedLive("says which refusals may pass", () =>
    Effect.gen(function* () {
      const body = (code: string | null, message: string) => ({ error: { message, type: "some_error", code } })
      const answers = [
        [429, body("rate_limit_exceeded", "Slow down."), { "retry-after": "30" }],
        [429, body("insufficient_quota", "You exceeded your current quota.")],
        [401, body("invalid_api_key", "Incorrect API key provided: sk-proj-************-key.")],
        [400, body("context_length_exceeded", "Too long.")],
        [500, body(null, "Sorry.")]
      ] as const
      const server = yield* serve((response) => {
        const [status, body, headers] = answers[server.seen.length - 1]!
        refuse(response, status, body, headers)
      })
      const said: Array<string> = []
      for (const _ of answers) {
        const { error } = yield* refusal(request).pipe(Effect.provide(layer(server.url)))
        said.push(`${error._tag}: ${error.message}`)
        assert.notMatch(JSON.stringify(error), /sk-proj/)
      }
      assert.deepStrictEqual(said, [
        'ModelUnavailable: The model "openai/gpt-5-test" is not available: HTTP 429, Slow down, retry after 30 s.',
        'ModelRejected: The model "openai/gpt-5-test" refused the request (HTTP 429): You exceeded your current quota.',
        'ModelRejected: The model "openai/gpt-5-test" refused the request (HTTP 401): Incorrect API key provided: <redacted>.',
        'ContextOverflow: The history does not fit into the context window of "openai/gpt-5-test": Too long.',
        'ModelUnavailable: The model "openai/gpt-5-test" is not available: HTTP 500, Sorry.'
      ])
    })
  )

  it.scopedLive("takes a cut, failed or broken reply for unavailable", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) => {
        begin(response)
        send(response, [openai.created, ...openai.text(0, "msg_1", "Hel")])
        const n = server.seen.length
        if (n === 2) {
          setImmediate(() => response.destroy())
          return
        }
        if (n === 3) send(response, [openai.failed])
        if (n === 4) {
          const error = { type: "error", sequence_number: 4, code: "server_error", message: "Sorry.", param: null }
          send(response, [error])
        }
        response.end()
      })
      for (const attempt of [1, 2, 3, 4]) {
        const { error, events } = yield* refusal(request).pipe(Effect.provide(layer(server.url)))
        assert.strictEqual(error._tag, "ModelUnavailable")
        if (attempt !== 2) assert.deepStrictEqual(events[0], { _tag: "TextDelta", text: "Hel" })
      }
    })
  )

  it.scopedLive("closes the connection when it is interrupted", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const arrived = yield* Deferred.make<void>()
      const server = yield* serve((response) => {
        begin(response)
        send(response, [openai.created, ...openai.text(0, "msg_1", "Hel")])
        response.on("close", () => Deferred.unsafeDone(closed, Effect.void))
      })
      const model = yield* Effect.provide(Model, layer(server.url))
      const fiber = yield* Effect.fork(model.stream(request, () => Deferred.unsafeDone(arrived, Effect.void)))
      yield* Deferred.await(arrived)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(closed)
    })
  )

  it.scopedLive("maps the limit and the thinking level", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) => answer(response, written([openai.created, openai.completed])))
      const of = (model: string, thinking: "off" | "low", maxOutput?: number, maxTokens?: number) =>
        Effect.gen(function* () {
          const layer = AiModel.layerOpenAi({
            model,
            apiKey: Redacted.make(key),
            apiUrl: `${server.url}/v1`,
            maxTokens
          })
          yield* complete(requestOf({ model, thinking, maxOutput })).pipe(Effect.provide(layer))
          const body = server.seen.at(-1)?.body
          return [body.max_output_tokens, body.reasoning?.effort]
        })
      assert.deepStrictEqual(yield* of("gpt-5.1", "low"), [undefined, "low"])
      assert.deepStrictEqual(yield* of("gpt-5.1", "off", 900), [900, "none"])
      assert.deepStrictEqual(yield* of("gpt-5-mini", "off", 900, 500), [500, "minimal"])
      assert.deepStrictEqual(yield* of("o4-mini", "off", 300, 500), [300, "low"])
      assert.deepStrictEqual(yield* of("gpt-4.1", "low"), [undefined, undefined])
    })
  )

  it.scopedLive("sends back no item that OpenAI would miss the other half of", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) => answer(response, written([openai.created, openai.completed])))
      const reasoning = (itemId: string, encryptedContent?: string) =>
        ({ type: "reasoning", text: "Hm", metadata: { openai: { itemId, encryptedContent } } }) as const
      const text = (itemId: string) => ({ type: "text", text: "Yes.", metadata: { openai: { itemId } } }) as const
      const user = { role: "user", content: [{ type: "text", text: "Hello" }] } as const
      const messages: ReadonlyArray<Message> = [
        user,
        { role: "assistant", content: [reasoning("rs_1"), text("msg_1")] },
        user,
        { role: "assistant", content: [reasoning("rs_2", "sealed"), text("msg_2")] },
        user,
        { role: "assistant", content: [text("msg_3"), reasoning("rs_3", "sealed")] },
        user,
        // An id that is ours, of an item that came without one.
        { role: "assistant", content: [text("baton_item_0")] },
        user
      ]
      yield* complete({ ...request, messages }).pipe(Effect.provide(layer(server.url)))
      const ids = server.seen[0]?.body.input.flatMap((item: any) =>
        item.type === "reasoning" || item.role === "assistant" ? [item.id] : []
      )
      assert.deepStrictEqual(ids, [undefined, "rs_2", "msg_2", "msg_3", undefined])
    })
  )

  it.scopedLive("reads what it does not know, and what the package would fail on", () =>
    Effect.gen(function* () {
      const event = (type: string, more: object) => ({ type: `response.${type}`, ...more })
      const item = (type: string, more: object = {}) => ({ type, status: "completed", ...more })
      const events = [
        event("created", { response: { created_at: "now" } }),
        event("some_new_event", { output_index: 0 }),
        event("output_item.added", { output_index: 0, item: item("some_new_item") }),
        event("output_item.done", { output_index: 0, item: item("some_new_item") }),
        event("output_item.added", { output_index: 1, item: item("reasoning", { id: "rs_1" }) }),
        event("reasoning_text.delta", { output_index: 1, content_index: 0, delta: "Hm" }),
        event("reasoning_summary_part.added", { output_index: 1, summary_index: 1 }),
        event("reasoning_summary_text.delta", { output_index: 1, summary_index: 1, delta: "so" }),
        event("output_item.done", { output_index: 1, item: item("reasoning", { encrypted_content: "sealed" }) }),
        // Without its beginning, and without its pieces.
        event("output_item.done", {
          output_index: 2,
          item: item("message", { id: "msg_1", content: [{ type: "output_text", text: "Hi" }] })
        }),
        ...openai.call(3, "fc_1", "call_1", "nothing", '{"a":', "1}"),
        ...openai.call(4, "fc_2", "call_2", "lookup", '{"__proto__":1}'),
        // Cut: it has no end of its own.
        ...openai.call(5, "fc_3", "call_3", "lookup", '{"id').slice(0, -1),
        event("incomplete", {
          response: {
            status: "incomplete",
            incomplete_details: { reason: "max_output_tokens" },
            usage: { input_tokens: 10, output_tokens: -3, input_tokens_details: null }
          }
        })
      ]
      const server = yield* serve((response) => answer(response, written(events)))
      const { events: read, finish } = yield* complete(request).pipe(Effect.provide(layer(server.url)))
      const call = (n: number, name: string, more: object) => ({
        _tag: "ToolCall",
        id: `call_${n}`,
        name,
        ...more,
        metadata: { openai: { itemId: `fc_${n}` } }
      })
      assert.deepStrictEqual(read as ReadonlyArray<object>, [
        { _tag: "ReasoningDelta", text: "Hm" },
        { _tag: "ReasoningDelta", text: "\n\n" },
        { _tag: "ReasoningDelta", text: "so" },
        { _tag: "ReasoningEnd", metadata: { openai: { itemId: "rs_1", encryptedContent: "sealed" } } },
        { _tag: "TextDelta", text: "Hi" },
        { _tag: "TextEnd", metadata: { openai: { itemId: "msg_1" } } },
        call(1, "nothing", { args: { a: 1 } }),
        call(2, "lookup", { args: {}, raw: '{"__proto__":1}' }),
        call(3, "lookup", { args: {}, raw: '{"id' })
      ])
      assert.deepStrictEqual(finish, {
        reason: "length",
        usage: { input: 10, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
      })
    })
  )

  it.scopedLive("tells a refusal as text, and completes without figures where there are none", () =>
    Effect.gen(function* () {
      const message = { type: "message", id: "msg_1", content: [] }
      const events = [
        openai.created,
        { type: "response.output_item.added", output_index: 0, item: message },
        { type: "response.refusal.delta", output_index: 0, delta: "I cannot help with that." },
        { type: "response.output_item.done", output_index: 0, item: message },
        { type: "response.completed", response: { status: "completed" } }
      ]
      const server = yield* serve((response) => answer(response, written(events)))
      const { events: read, finish } = yield* complete(request).pipe(Effect.provide(layer(server.url)))
      assert.deepStrictEqual(read[0], { _tag: "TextDelta", text: "I cannot help with that." })
      assert.deepStrictEqual(finish, { reason: "content-filter", usage: undefined })
    })
  )

  it.scopedLive("takes a reply that failed for what it says, and what is malformed for unavailable", () =>
    Effect.gen(function* () {
      const failed = (error: unknown) =>
        written([{ type: "response.failed", response: { status: "failed", error } } as never])
      const whole = (response: object) => written([{ type: "response.completed", response } as never])
      const answers: ReadonlyArray<readonly [string, string?]> = [
        [failed({ code: "server_error", message: "The model is overloaded." })],
        [failed({ code: "context_length_exceeded", message: "Too long." })],
        [failed({ code: "insufficient_quota", message: "Pay." })],
        [failed(null)],
        [whole({ status: "failed", error: { code: "rate_limit_exceeded", message: "Slow down." } })],
        ["data: {\n\n"],
        [written([{ type: "response.output_text.delta", output_index: 3, delta: "Hi" } as never])],
        ['{"error":{"code":"invalid_api_key","type":"authentication_error","message":"No key."}}', "application/json"],
        [written([openai.created])]
      ]
      const server = yield* serve((response) => answer(response, ...answers[server.seen.length - 1]!))
      const said: Array<string> = []
      for (const _ of answers) {
        const { error } = yield* refusal(request).pipe(Effect.provide(layer(server.url)))
        said.push(`${error._tag}: ${"reason" in error ? error.reason : ""}`)
      }
      assert.deepStrictEqual(said, [
        "ModelUnavailable: The model is overloaded",
        "ContextOverflow: Too long",
        "ModelRejected: Pay",
        "ModelUnavailable: the provider ended the reply with an error",
        "ModelUnavailable: Slow down",
        "ModelUnavailable: the reply was malformed",
        "ModelUnavailable: the reply was malformed",
        "ModelRejected: No key",
        "ModelUnavailable: the reply ended before it was complete"
      ])
    })
  )

  it.scopedLive("sends once more, without reasoning and the ids beside it, what was refused for it", () =>
    Effect.gen(function* () {
      const message = "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false."
      const server = yield* serve((response, { body }) =>
        JSON.stringify(body).includes("rs_1")
          ? refuse(response, 404, { error: { message, type: "invalid_request_error", param: "input", code: null } })
          : answer(response, written([openai.created, ...openai.text(0, "msg_2", "Done."), openai.completed]))
      )
      const messages: ReadonlyArray<Message> = [
        { role: "user", content: [{ type: "text", text: "Hello" }] },
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "Hm", metadata: { openai: { itemId: "rs_1", encryptedContent: "sealed" } } },
            { type: "text", text: "Hi", metadata: { openai: { itemId: "msg_1" } } },
            { type: "tool-call", id: "call_1", name: "lookup", args: {}, metadata: { openai: { itemId: "fc_1" } } }
          ]
        },
        { role: "tool", results: [{ callId: "call_1", name: "lookup", text: "1", isError: false }] }
      ]
      const { events } = yield* complete({ ...request, messages }).pipe(Effect.provide(layer(server.url)))
      assert.strictEqual(events[0]?._tag, "Notice")
      assert.deepStrictEqual(server.seen[1]?.body.input.slice(2), [
        { role: "assistant", content: [{ type: "output_text", text: "Hi" }] },
        { type: "function_call", call_id: "call_1", name: "lookup", arguments: "{}" },
        { type: "function_call_output", call_id: "call_1", output: "1" }
      ])
    })
  )
})
