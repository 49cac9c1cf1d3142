import { assert, describe, it } from "@effect/vitest"
import { AiModel } from "effect-baton/ai"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type { Message } from "../../src/services/Conversation.js"
import { Model, type ModelEvent } from "../../src/services/Model.js"
import { answer, begin, refuse, serve } from "../support/providers.js"
import { complete, lookup, refusal, requestOf } from "../support/rounds.js"

const key = "sk-or-the-key"

const layer = (url: string) =>
  AiModel.layerCompatible({ model: "qwen3", apiKey: Redacted.make(key), apiUrl: `${url}/v1` })

const request = requestOf({ model: "compatible/qwen3" })

const delta = (delta: object, more: object = {}) => ({ choices: [{ index: 0, delta, ...more }] })
const stop = (finish_reason: string | null) => delta({}, { finish_reason })
const piece = (index: unknown, more: object) => delta({ tool_calls: [{ index, ...more }] })

/** The lines of a reply; a text stands for itself. */
const lines = (...events: ReadonlyArray<object | string>): string =>
  events.map((event) => (typeof event === "string" ? `${event}\n\n` : `data: ${JSON.stringify(event)}\n\n`)).join("")

const done = "data: [DONE]"

/** What one reply is read as. */
const read = (...events: ReadonlyArray<object | string>) =>
  Effect.gen(function* () {
    const server = yield* serve((response) => answer(response, lines(...events)))
    return yield* complete(request).pipe(Effect.provide(layer(server.url)))
  }).pipe(Effect.scoped)

const calls = (events: ReadonlyArray<ModelEvent>) => events.filter((event) => event._tag === "ToolCall")

describe("AiModel.layerCompatible", () => {
  it.scopedLive("sends a request and reads a reply", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) =>
        answer(
          response,
          lines(
            ": OPENROUTER PROCESSING",
            delta({ role: "assistant", content: "", reasoning_content: null }),
            delta({ reasoning_content: "H" }),
            delta({ reasoning_content: "m" }),
            delta({ content: "Hel", some_new_field: 1 }),
            delta({ content: "lo" }),
            piece(0, { id: "call_1", type: "function", function: { name: "lookup", arguments: "" } }),
            piece(0, { function: { arguments: '{"id"' } }),
            piece(0, { function: { arguments: ":1}" } }),
            stop("tool_calls"),
            {
              choices: [],
              usage: {
                prompt_tokens: 330,
                completion_tokens: 7,
                prompt_tokens_details: { cached_tokens: 300, cache_write_tokens: 20 },
                completion_tokens_details: { reasoning_tokens: 3 }
              }
            },
            done
          )
        )
      )
      const { events, finish } = yield* complete({ ...request, thinking: "high", maxOutput: 900 }).pipe(
        Effect.provide(layer(server.url))
      )
      assert.deepStrictEqual(events, [
        { _tag: "ReasoningDelta", text: "H" },
        { _tag: "ReasoningDelta", text: "m" },
        { _tag: "ReasoningEnd", metadata: { compatible: { field: "reasoning_content" } } },
        { _tag: "TextDelta", text: "Hel" },
        { _tag: "TextDelta", text: "lo" },
        { _tag: "ToolCall", id: "call_1", name: "lookup", args: { id: 1 } }
      ])
      assert.deepStrictEqual(finish, {
        reason: "tool-calls",
        usage: { input: 330, output: 7, cacheRead: 300, cacheWrite: 20, reasoning: 3 }
      })
      const [seen] = server.seen
      assert.strictEqual(seen?.path, "/v1/chat/completions")
      assert.strictEqual(seen?.headers["authorization"], `Bearer ${key}`)
      assert.deepStrictEqual(seen?.body, {
        model: "qwen3",
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Hello" }
        ],
        tools: [
          {
            type: "function",
            function: { name: "lookup", description: lookup.description, parameters: lookup.inputSchema }
          }
        ],
        max_tokens: 900,
        reasoning_effort: "high",
        stream: true,
        stream_options: { include_usage: true }
      })
    })
  )

  it.scopedLive("takes back what a reply brought, and only what it brought itself", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) =>
        answer(response, lines(delta({ content: "Done." }), stop("stop"), done))
      )
      const details = [{ type: "reasoning.text", text: "Hm", signature: "signed", index: 0 }]
      const call = { type: "tool-call", id: "call_1", name: "lookup" } as const
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
            { type: "reasoning", text: "Hm", metadata: { compatible: { field: "reasoning", details } } },
            { type: "reasoning", text: "So", metadata: { anthropic: { type: "thinking", signature: "other" } } },
            { type: "text", text: "I look." },
            { ...call, args: { id: 1 } },
            { ...call, id: "call_2", args: {}, raw: '{"id' }
          ]
        },
        {
          role: "tool",
          results: [
            { callId: "call_1", name: "lookup", text: '{"open":true}', isError: false },
            { callId: "call_2", name: "lookup", text: "not JSON", isError: true }
          ]
        },
        {
          role: "user",
          content: [
            { type: "text", text: "One" },
            { type: "text", text: "Two" }
          ]
        }
      ]
      const layer = AiModel.layerCompatible({ model: "qwen3", apiUrl: `${server.url}/v1/`, maxTokens: 100 })
      const more = { messages, instructions: "", tools: [], thinking: "off", maxOutput: 500 } as const
      yield* complete({ ...request, ...more, model: "anthropic/claude-test" }).pipe(Effect.provide(layer))
      const [seen] = server.seen
      assert.notProperty(seen?.headers, "authorization")
      assert.deepStrictEqual(seen?.body, {
        model: "anthropic/claude-test",
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: "Look" },
              { type: "image_url", image_url: { url: "data:image/png;base64,AQI=" } }
            ]
          },
          {
            role: "assistant",
            content: "I look.",
            reasoning: "Hm",
            reasoning_details: details,
            tool_calls: [
              { id: "call_1", type: "function", function: { name: "lookup", arguments: '{"id":1}' } },
              { id: "call_2", type: "function", function: { name: "lookup", arguments: "{}" } }
            ]
          },
          { role: "tool", tool_call_id: "call_1", content: '{"open":true}' },
          { role: "tool", tool_call_id: "call_2", content: "Error: not JSON" },
          { role: "user", content: "One\n\nTwo" }
        ],
        max_tokens: 100,
        reasoning_effort: "none",
        stream: true,
        stream_options: { include_usage: true }
      })
    })
  )

  it.live("completes with a finish reason or with the mark of the end, and tells no figures where there are none", () =>
    Effect.gen(function* () {
      const hi = delta({ content: "Hi" })
      const reasonOf = (...events: ReadonlyArray<object | string>) =>
        Effect.map(read(...events), ({ events, finish }) => {
          assert.isUndefined(finish.usage)
          assert.deepStrictEqual(events[0], { _tag: "TextDelta", text: "Hi" })
          return finish.reason
        })
      assert.strictEqual(yield* reasonOf(hi, stop(null), done), "stop")
      assert.strictEqual(yield* reasonOf(hi, stop("stop")), "stop")
      assert.strictEqual(yield* reasonOf(hi, stop("length")), "length")
      assert.strictEqual(yield* reasonOf(hi, stop("content_filter"), done), "content-filter")
      assert.strictEqual(yield* reasonOf(hi, delta({ refusal: "No." }), stop("stop"), done), "content-filter")
      assert.strictEqual(yield* reasonOf(hi, stop("eos"), done), "other")
      assert.strictEqual(yield* reasonOf(delta({ content: [{ type: "text", text: "Hi" }] }), done), "stop")
    })
  )

  it.live("puts calls together from whatever pieces come", () =>
    Effect.gen(function* () {
      const lookup = (args: unknown) => ({ name: "lookup", arguments: args })
      // Without ids, two at a time.
      const mixed = yield* read(
        piece(0, { function: lookup("") }),
        piece(1, { function: { name: "nothing", arguments: '{"a"' } }),
        piece(0, { function: { arguments: '{"id":1}' } }),
        piece(1, { function: { arguments: ":2}" } }),
        stop("stop"),
        done
      )
      assert.strictEqual(mixed.finish.reason, "tool-calls")
      assert.deepStrictEqual(calls(mixed.events), [
        { _tag: "ToolCall", id: "", name: "lookup", args: { id: 1 } },
        { _tag: "ToolCall", id: "", name: "nothing", args: { a: 2 } }
      ])
      // All with the index 0, or with none; arguments as an object; a whole call in one piece.
      for (const index of [0, undefined, null]) {
        const { events } = yield* read(
          piece(index, { id: "a", function: lookup({ id: 1 }) }),
          piece(index, { id: "b", function: lookup('{"id"') }),
          piece(index, { id: "b", function: { arguments: ":2" } }),
          piece(index, { function: { arguments: "}" } }),
          done
        )
        assert.deepStrictEqual(calls(events), [
          { _tag: "ToolCall", id: "a", name: "lookup", args: { id: 1 } },
          { _tag: "ToolCall", id: "b", name: "lookup", args: { id: 2 } }
        ])
      }
      // Id and name with every piece.
      const again = yield* read(
        piece(0, { id: "a", function: lookup('{"id"') }),
        piece(0, { id: "a", function: lookup(":1}") }),
        done
      )
      assert.deepStrictEqual(calls(again.events), [{ _tag: "ToolCall", id: "a", name: "lookup", args: { id: 1 } }])
      // Cut by the limit.
      for (const [args, raw] of [
        ['{"id', '{"id'],
        ["", ""]
      ]) {
        const cut = yield* read(piece(0, { id: "a", function: lookup(args) }), stop("length"), done)
        assert.deepStrictEqual(calls(cut.events), [{ _tag: "ToolCall", id: "a", name: "lookup", args: {}, raw }])
      }
      const bare = yield* read(piece(0, { id: "a", function: lookup("") }), stop("tool_calls"), done)
      assert.deepStrictEqual(calls(bare.events), [{ _tag: "ToolCall", id: "a", name: "lookup", args: {} }])
    })
  )

  it.live("keeps OpenRouter's blocks of reasoning, with their signatures", () =>
    Effect.gen(function* () {
      const details = (...pieces: ReadonlyArray<object>) => ({ reasoning_details: pieces })
      const text = (text: string) => ({ type: "reasoning.text", text, index: 0 })
      const { events } = yield* read(
        delta({ reasoning: "Let", ...details(text("Let")) }),
        delta({ reasoning: " me", ...details(text(" me")) }),
        delta(details({ type: "reasoning.text", signature: "signed", index: 0 })),
        delta({ content: "Hi" }),
        // The block of a call comes late.
        delta(details({ type: "reasoning.encrypted", data: "sealed", id: "call_1", index: 1 })),
        delta(details({ type: "reasoning.encrypted", data: "more", id: "call_2", index: 1 })),
        stop("stop"),
        done
      )
      assert.deepStrictEqual(events, [
        { _tag: "ReasoningDelta", text: "Let" },
        { _tag: "ReasoningDelta", text: " me" },
        {
          _tag: "ReasoningEnd",
          metadata: {
            compatible: {
              field: "reasoning",
              details: [{ type: "reasoning.text", text: "Let me", index: 0, signature: "signed" }]
            }
          }
        },
        { _tag: "TextDelta", text: "Hi" },
        {
          _tag: "ReasoningEnd",
          metadata: {
            compatible: {
              details: [
                { type: "reasoning.encrypted", data: "sealed", id: "call_1", index: 1 },
                { type: "reasoning.encrypted", data: "more", id: "call_2", index: 1 }
              ]
            }
          }
        }
      ])
    })
  )

  it.live("tells figures that come before the end, and survives what is none", () =>
    Effect.gen(function* () {
      const figures = (prompt_tokens: unknown, completion_tokens: unknown) => ({
        choices: [],
        usage: { prompt_tokens, completion_tokens, prompt_tokens_details: null }
      })
      const none = { cacheRead: 0, cacheWrite: 0, reasoning: 0 }
      const { events, finish } = yield* read(figures(5, 1), stop("stop"), figures(5, 9), done)
      assert.deepStrictEqual(events, [{ _tag: "UsageSoFar", usage: { input: 5, output: 1, ...none } }])
      assert.deepStrictEqual(finish.usage, { input: 5, output: 9, ...none })
      const wrong = yield* read(stop("stop"), figures(-5, "many"), done)
      assert.deepStrictEqual(wrong.finish.usage, { input: 0, output: 0, ...none })
      assert.isUndefined((yield* read(stop("stop"), figures(null, 3), done)).finish.usage)
      assert.isUndefined((yield* read(stop("stop"), { choices: [], usage: null }, done)).finish.usage)
      const endless = 'data: {"choices":[],"usage":{"prompt_tokens":1e999}}'
      assert.isUndefined((yield* read(stop("stop"), endless, done)).finish.usage)
    })
  )

  it.scopedLive("reads a last event that lacks its empty line", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) =>
        answer(response, `${lines(delta({ content: "Hi" }))}data: ${JSON.stringify(stop("stop"))}`)
      )
      const { finish } = yield* complete(request).pipe(Effect.provide(layer(server.url)))
      assert.strictEqual(finish.reason, "stop")
    })
  )

  it.scopedLive("reads a reply that is not streamed", () =>
    Effect.gen(function* () {
      const message = { role: "assistant", content: "Hi" }
      const whole = { choices: [{ message, finish_reason: "stop" }], usage: { prompt_tokens: 3, completion_tokens: 1 } }
      const server = yield* serve((response) => answer(response, JSON.stringify(whole), "application/json"))
      const { events, finish } = yield* complete(request).pipe(Effect.provide(layer(server.url)))
      assert.deepStrictEqual(events, [{ _tag: "TextDelta", text: "Hi" }])
      assert.strictEqual(finish.usage?.input, 3)
    })
  )

  it.scopedLive("says which refusals may pass", () =>
    Effect.gen(function* () {
      const answers: ReadonlyArray<readonly [number, unknown, Readonly<Record<string, string>>?]> = [
        [429, { error: { message: "Slow down.", code: 429 } }, { "retry-after": "30" }],
        [402, { error: { message: "Insufficient credits", code: 402 } }],
        [401, { error: { message: `No auth for ${key}` } }],
        [404, { error: "model 'qwen3' not found" }],
        [400, { object: "error", message: "This model's maximum context length is 8192 tokens.", code: 400 }],
        [422, { detail: "Unprocessable" }],
        [503, ""],
        [302, {}, { location: "http://127.0.0.1:1/" }]
      ]
      const server = yield* serve((response) => refuse(response, ...answers[server.seen.length - 1]!))
      const said: Array<string> = []
      for (const _ of answers) {
        const { error } = yield* refusal(request).pipe(Effect.provide(layer(server.url)))
        assert.notInclude(JSON.stringify(error), key)
        said.push(`${error._tag}: ${"reason" in error ? error.reason : ""}`)
      }
      assert.deepStrictEqual(said, [
        "ModelUnavailable: HTTP 429, Slow down",
        "ModelRejected: Insufficient credits",
        "ModelRejected: No auth for <redacted>",
        "ModelRejected: model 'qwen3' not found",
        "ContextOverflow: This model's maximum context length is 8192 tokens",
        "ModelRejected: Unprocessable",
        "ModelUnavailable: HTTP 503, no reason given",
        "ModelRejected: no reason given"
      ])
    })
  )

  it.scopedLive("takes a reply that is cut, malformed, a page or an error for unavailable", () =>
    Effect.gen(function* () {
      const hi = delta({ content: "Hel" })
      const answers: ReadonlyArray<readonly [string, string?]> = [
        [lines(hi)],
        [lines(hi, 'data: {"choices":')],
        [lines(hi, "data: 1")],
        [lines(hi, { error: { code: 502, message: "Provider returned error" }, choices: [] })],
        [lines(hi, { error: { code: 403, message: "Flagged" } })],
        [lines(hi, stop("error"), done)],
        ["<!doctype html><p>Sign in</p>", "text/html"],
        [""]
      ]
      const server = yield* serve((response) => answer(response, ...answers[server.seen.length - 1]!))
      const said: Array<string> = []
      for (const _ of answers) {
        const { error, events } = yield* refusal(request).pipe(Effect.provide(layer(server.url)))
        said.push(`${error._tag}: ${"reason" in error ? error.reason : ""}`)
        if (said.length <= 6) assert.deepStrictEqual(events, [{ _tag: "TextDelta", text: "Hel" }])
      }
      assert.deepStrictEqual(said, [
        "ModelUnavailable: the reply ended before it was complete",
        "ModelUnavailable: the reply was malformed",
        "ModelUnavailable: the reply was malformed",
        "ModelUnavailable: Provider returned error",
        "ModelRejected: Flagged",
        "ModelUnavailable: the provider ended the reply as failed",
        "ModelUnavailable: the reply is an HTML page",
        "ModelUnavailable: the reply ended before it was complete"
      ])
    })
  )

  it.scopedLive("sends once more, without earlier reasoning, what was refused for it", () =>
    Effect.gen(function* () {
      const server = yield* serve((response, { body }) =>
        JSON.stringify(body).includes('"reasoning_content"')
          ? refuse(response, 400, { error: { message: "The reasoning_content is not allowed in the input" } })
          : answer(response, lines(delta({ content: "Done." }), stop("stop"), done))
      )
      const metadata = { compatible: { field: "reasoning_content" } }
      const messages: ReadonlyArray<Message> = [
        { role: "user", content: [{ type: "text", text: "Hello" }] },
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "Hm", metadata },
            { type: "text", text: "Hi" }
          ]
        },
        { role: "user", content: [{ type: "text", text: "And?" }] }
      ]
      const { events } = yield* complete({ ...request, messages }).pipe(Effect.provide(layer(server.url)))
      assert.deepStrictEqual(
        events.map((event) => event._tag),
        ["Notice", "TextDelta"]
      )
      assert.deepStrictEqual(server.seen[1]?.body.messages[2], { role: "assistant", content: "Hi" })
    })
  )

  it.scopedLive("closes the connection when it is interrupted in the middle of a reply", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const arrived = yield* Deferred.make<void>()
      const server = yield* serve((response) => {
        begin(response)
        response.write(lines(delta({ content: "Hel" })))
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
