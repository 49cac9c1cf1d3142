import { assert, describe, it } from "@effect/vitest"
import { AiModel } from "effect-baton/ai"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type { Message } from "../../src/services/Conversation.js"
import { Model } from "../../src/services/Model.js"
import { anthropic, begin, refuse, send, serve } from "../support/providers.js"
import { complete, lookup, refusal, requestOf } from "../support/rounds.js"

const key = "sk-ant-the-key"

const layer = (apiUrl: string) => AiModel.layerAnthropic({ model: "claude-test", apiKey: Redacted.make(key), apiUrl })

const cache_control = { type: "ephemeral" }

const request = requestOf({ model: "anthropic/claude-other" })

describe("AiModel.layerAnthropic", () => {
  it.scopedLive("streams a reply with thinking, text and a call", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) => {
        begin(response)
        send(response, [
          anthropic.start,
          ...anthropic.thinking(0, "Hm", "signed"),
          ...anthropic.text(1, "Hel", "lo"),
          ...anthropic.call(2, "toolu_1", "bash", '{"comm', 'and":"ls"}'),
          ...anthropic.call(3, "toolu_2", "lookup"),
          ...anthropic.stop("tool_use", 7)
        ])
        response.end()
      })
      const tools = [lookup, { ...lookup, name: "bash" }]
      const { events, finish } = yield* complete({ ...request, tools, thinking: "low" }).pipe(
        Effect.provide(layer(server.url))
      )
      assert.deepStrictEqual(events, [
        { _tag: "UsageSoFar", usage: { input: 330, output: 1, cacheRead: 300, cacheWrite: 20, reasoning: 0 } },
        { _tag: "ReasoningDelta", text: "Hm" },
        { _tag: "ReasoningEnd", metadata: { anthropic: { type: "thinking", signature: "signed" } } },
        { _tag: "TextDelta", text: "Hel" },
        { _tag: "TextDelta", text: "lo" },
        { _tag: "ToolCall", id: "toolu_1", name: "bash", args: { command: "ls" } },
        { _tag: "ToolCall", id: "toolu_2", name: "lookup", args: {} }
      ])
      assert.deepStrictEqual(finish, {
        reason: "tool-calls",
        usage: { input: 330, output: 7, cacheRead: 300, cacheWrite: 20, reasoning: 0 }
      })
      const [seen] = server.seen
      assert.strictEqual(seen!.path, "/v1/messages")
      assert.strictEqual(seen!.headers["x-api-key"], key)
      const { messages, tools: sent, ...settings } = seen!.body
      assert.deepStrictEqual(settings, {
        model: "claude-other",
        max_tokens: 10_240,
        thinking: { type: "enabled", budget_tokens: 2048 },
        system: [{ type: "text", text: "Be brief.", cache_control }],
        tool_choice: { type: "auto" },
        stream: true
      })
      assert.deepStrictEqual(messages, [{ role: "user", content: [{ type: "text", text: "Hello", cache_control }] }])
      assert.deepStrictEqual(
        sent,
        tools.map(({ description, inputSchema, name }) => ({ name, description, input_schema: inputSchema }))
      )
    })
  )

  it.scopedLive("takes back what a reply brought", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) => {
        begin(response)
        send(response, [anthropic.start, ...anthropic.text(0, "Done."), ...anthropic.stop("end_turn", 2)])
        response.end()
      })
      const metadata = { anthropic: { type: "thinking", signature: "signed" } }
      const messages: ReadonlyArray<Message> = [
        { role: "user", content: [{ type: "image", mediaType: "image/png", data: "AQI=" }] },
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "Hm", metadata },
            { type: "tool-call", id: "toolu_1", name: "lookup", args: { id: 1 } }
          ]
        },
        { role: "tool", results: [{ callId: "toolu_1", name: "lookup", text: "gone", isError: true }] }
      ]
      const { finish } = yield* complete({ ...request, messages }).pipe(Effect.provide(layer(server.url)))
      assert.strictEqual(finish.reason, "stop")
      assert.deepStrictEqual(server.seen[0]?.body.messages, [
        {
          role: "user",
          content: [{ type: "image", source: { type: "base64", media_type: "image/png", data: "AQI=" }, cache_control }]
        },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "Hm", signature: "signed" },
            { type: "tool_use", id: "toolu_1", name: "lookup", input: { id: 1 } }
          ]
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "toolu_1", content: '"Error: gone"', is_error: true, cache_control }
          ]
        }
      ])
    })
  )

  it.scopedLive("says which refusals may pass", () =>
    Effect.gen(function* () {
      const body = (type: string, message: string) => ({ type: "error", error: { type, message } })
      const answers = [
        [429, body("rate_limit_error", "Slow down."), { "retry-after": "30" }],
        [529, body("overloaded_error", "Overloaded")],
        [401, body("authentication_error", `invalid x-api-key ${key}`)],
        [400, body("invalid_request_error", "prompt is too long: 2 tokens > 1 maximum")],
        [302, {}, { location: "http://127.0.0.1:1/" }]
      ] as const
      const server = yield* serve((response) => {
        const [status, body, headers] = answers[server.seen.length - 1]!
        refuse(response, status, body, headers)
      })
      const said: Array<string> = []
      for (const _ of answers) {
        const { error } = yield* refusal(request).pipe(Effect.provide(layer(server.url)))
        said.push(`${error._tag}: ${error.message}`)
        assert.notInclude(JSON.stringify(error), key)
      }
      assert.deepStrictEqual(said, [
        'ModelUnavailable: The model "anthropic/claude-other" is not available: HTTP 429, Slow down, retry after 30 s.',
        'ModelUnavailable: The model "anthropic/claude-other" is not available: HTTP 529, Overloaded.',
        'ModelRejected: The model "anthropic/claude-other" refused the request (HTTP 401): invalid x-api-key <redacted>.',
        'ContextOverflow: The history does not fit into the context window of "anthropic/claude-other": prompt is too long: 2 tokens > 1 maximum.',
        'ModelRejected: The model "anthropic/claude-other" refused the request (HTTP 302): no reason given.'
      ])
    })
  )

  it.scopedLive("takes a cut reply, an error in a reply and a closed port for unavailable", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) => {
        begin(response)
        send(response, [anthropic.start, ...anthropic.text(0, "Hel")])
        if (server.seen.length === 1) response.end()
        else if (server.seen.length === 2) setImmediate(() => response.destroy())
        else {
          const error = { type: "overloaded_error", message: "Overloaded" }
          send(response, [{ type: "error", error } as { readonly type: string }])
          response.end()
        }
      })
      for (const attempt of [1, 2, 3]) {
        const { error, events } = yield* refusal(request).pipe(Effect.provide(layer(server.url)))
        assert.strictEqual(error._tag, "ModelUnavailable")
        if (attempt !== 2) assert.deepStrictEqual(events.slice(1), [{ _tag: "TextDelta", text: "Hel" }])
      }
      const gone = yield* Effect.scoped(serve(() => {}))
      const { error } = yield* refusal(request).pipe(Effect.provide(layer(gone.url)))
      assert.strictEqual(
        error.message,
        'The model "anthropic/claude-other" is not available: the connection failed (ECONNREFUSED).'
      )
    })
  )

  it.scopedLive("closes the connection when it is interrupted", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const arrived = yield* Deferred.make<void>()
      const server = yield* serve((response) => {
        begin(response)
        send(response, [anthropic.start, ...anthropic.text(0, "Hel")])
        response.on("close", () => Deferred.unsafeDone(closed, Effect.void))
      })
      const model = yield* Effect.provide(Model, layer(server.url))
      const fiber = yield* Effect.fork(model.stream(request, () => Deferred.unsafeDone(arrived, Effect.void)))
      yield* Deferred.await(arrived)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(closed)
    })
  )
})
