import { assert, describe, it } from "@effect/vitest"
import { AiModel } from "effect-baton/ai"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type { Message } from "../../src/services/Conversation.js"
import { Model } from "../../src/services/Model.js"
import { begin, openai, refuse, send, serve } from "../support/providers.js"
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
        { role: "tool", results: [{ callId: "call_1", name: "lookup", text: '{"open":true}', isError: false }] }
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
        { type: "function_call_output", call_id: "call_1", output: '{"open":true}' }
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
})
