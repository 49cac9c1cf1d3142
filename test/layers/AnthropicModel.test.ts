import { assert, describe, it } from "@effect/vitest"
import { AiModel } from "effect-baton/ai"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type { Message } from "../../src/services/Conversation.js"
import { Model, type ModelRequest } from "../../src/services/Model.js"
import { anthropic, answer, begin, refuse, send, serve, written } from "../support/providers.js"
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
            { type: "tool_result", tool_use_id: "toolu_1", content: "Error: gone", is_error: true, cache_control }
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

  /** The body of the request, which is answered with a text. */
  const sent = (more: Partial<ModelRequest>, options: Partial<Parameters<typeof AiModel.layerAnthropic>[0]> = {}) =>
    Effect.gen(function* () {
      const server = yield* serve((response) =>
        answer(response, written([anthropic.start, ...anthropic.stop("end_turn", 2)]))
      )
      const layer = AiModel.layerAnthropic({
        model: "claude-test",
        apiKey: Redacted.make(key),
        apiUrl: server.url,
        ...options
      })
      yield* complete({ ...request, ...more }).pipe(Effect.provide(layer))
      return server.seen[0]?.body
    }).pipe(Effect.scoped)

  it.live("puts the thinking level and the limit as the model takes them", () =>
    Effect.gen(function* () {
      const of = (model: string, thinking: ModelRequest["thinking"], maxOutput?: number, maxTokens?: number) =>
        Effect.map(sent({ model, thinking, maxOutput }, { maxTokens }), (body) => [
          body.max_tokens,
          body.thinking?.budget_tokens ?? body.thinking?.type,
          body.output_config?.effort
        ])
      assert.deepStrictEqual(yield* of("claude-sonnet-4-5", "medium"), [16_384, 8192, undefined])
      assert.deepStrictEqual(yield* of("claude-sonnet-4-20250514", "high"), [28_672, 20_480, undefined])
      assert.deepStrictEqual(yield* of("claude-3-7-sonnet-20250219", "low"), [10_240, 2048, undefined])
      assert.deepStrictEqual(yield* of("claude-opus-4-6", "high"), [28_672, "adaptive", "high"])
      assert.deepStrictEqual(yield* of("anthropic/claude-opus-5", "low", 5000), [5000, "adaptive", "low"])
      assert.deepStrictEqual(yield* of("claude-opus-4-6", "off"), [8192, undefined, undefined])
      assert.deepStrictEqual(yield* of("claude-sonnet-5", "off"), [8192, "disabled", undefined])
      assert.deepStrictEqual(yield* of("claude-opus-5-20270101", "off"), [8192, "disabled", undefined])
      assert.deepStrictEqual(yield* of("claude-opus-5-5", "off"), [10_240, undefined, "low"])
      assert.deepStrictEqual(yield* of("claude-fable-5", "off"), [10_240, undefined, "low"])
      assert.deepStrictEqual(yield* of("claude-opus-5", undefined), [28_672, undefined, undefined])
      assert.deepStrictEqual(yield* of("claude-opus-4-8", undefined), [8192, undefined, undefined])
      assert.deepStrictEqual(yield* of("claude-sonnet-4-5", "high", 5000), [5000, 3976, undefined])
      assert.deepStrictEqual(yield* of("claude-sonnet-4-5", "high", 2000), [2000, undefined, undefined])
      assert.deepStrictEqual(yield* of("claude-sonnet-4-5", undefined, 100_000), [8192, undefined, undefined])
      assert.deepStrictEqual(yield* of("claude-sonnet-4-5", undefined, 100_000, 64_000), [64_000, undefined, undefined])
    })
  )

  it.live("asks for no budget where the reply goes on after calls that were made without thinking", () =>
    Effect.gen(function* () {
      const of = (metadata: unknown) => {
        const messages: ReadonlyArray<Message> = [
          { role: "user", content: [{ type: "text", text: "Hello" }] },
          {
            role: "assistant",
            content: [
              { type: "reasoning", text: "Hm", metadata },
              { type: "tool-call", id: "toolu_1", name: "lookup", args: {} }
            ]
          },
          { role: "tool", results: [{ callId: "toolu_1", name: "lookup", text: "1", isError: false }] }
        ]
        return Effect.map(sent({ messages, thinking: "low" }), (body) => body.thinking?.budget_tokens)
      }
      assert.isUndefined(yield* of({ openai: { itemId: "rs_1", encryptedContent: "sealed" } }))
      assert.strictEqual(yield* of({ anthropic: { type: "thinking", signature: "signed" } }), 2048)
    })
  )

  it.live("keeps a thought whose text is not told, and asks for the text", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) =>
        answer(
          response,
          written([anthropic.start, ...anthropic.thinking(0, "", "signed"), ...anthropic.stop("end_turn", 2)])
        )
      )
      const metadata = { anthropic: { type: "thinking", signature: "signed" } }
      const messages: ReadonlyArray<Message> = [
        { role: "user", content: [{ type: "text", text: "Hello" }] },
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "", metadata },
            { type: "text", text: "Hi" }
          ]
        },
        { role: "user", content: [{ type: "text", text: "And?" }] }
      ]
      const asked = { ...request, model: "claude-opus-4-8", thinking: "low", messages } as const
      const { events } = yield* complete(asked).pipe(Effect.provide(layer(server.url)))
      assert.deepStrictEqual(events.at(-1), { _tag: "ReasoningEnd", metadata })
      const body = server.seen[0]?.body
      assert.deepStrictEqual(body.thinking, { type: "adaptive", display: "summarized" })
      assert.deepStrictEqual(body.messages[1].content[0], { type: "thinking", thinking: "", signature: "signed" })
    }).pipe(Effect.scoped)
  )

  it.live("marks the instructions, or else the tools, and the last two messages that are not the model's", () =>
    Effect.gen(function* () {
      const user = (text: string): Message => ({ role: "user", content: [{ type: "text", text }] })
      const assistant: Message = { role: "assistant", content: [{ type: "text", text: "Yes." }] }
      const messages = [user("1"), assistant, user("2"), assistant, user("3")]
      const tools = [lookup, { ...lookup, name: "other" }]
      const isMarked = (it: any) => it.cache_control !== undefined
      const marks = (body: any) => [
        body.system?.map(isMarked),
        body.tools?.map(isMarked),
        body.messages.map((it: any) => it.content.map(isMarked)).flat()
      ]
      assert.deepStrictEqual(marks(yield* sent({ messages, tools })), [
        [true],
        [false, false],
        [false, false, true, false, true]
      ])
      assert.deepStrictEqual(marks(yield* sent({ messages, tools, instructions: "" })), [
        undefined,
        [false, true],
        [false, false, true, false, true]
      ])
      assert.notInclude(JSON.stringify(yield* sent({ messages }, { cache: false })), "cache_control")
    })
  )

  it.scopedLive("reads what it does not know, and what the package would fail on", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) => {
        const [start, ...rest] = [
          { ...anthropic.start, message: { id: "msg_1", usage: { input_tokens: 10, output_tokens: -1, more: {} } } },
          { type: "content_block_start", index: 0, content_block: { type: "some_new_block", data: [1] } },
          { type: "content_block_delta", index: 0, delta: { type: "some_new_delta" } },
          { type: "content_block_stop", index: 0 },
          { type: "some_new_event" },
          { type: "content_block_start", index: 1, content_block: { type: "redacted_thinking", data: "sealed" } },
          { type: "content_block_stop", index: 1 },
          ...anthropic.call(2, "toolu_1", "nothing", '{"a":', "1}"),
          ...anthropic.call(3, "toolu_2", "lookup", '{"id'),
          ...anthropic.call(4, "toolu_3", "lookup"),
          { type: "message_delta", delta: { stop_reason: "some_new_reason" }, usage: { output_tokens: 30 } },
          { type: "message_stop" }
        ]
        answer(response, `retry: 5\n\n: a comment\n\n${written([start!])}${written(rest).replaceAll("\n", "\r\n")}`)
      })
      const { events, finish } = yield* complete(request).pipe(Effect.provide(layer(server.url)))
      const none = { cacheRead: 0, cacheWrite: 0, reasoning: 0 }
      assert.deepStrictEqual(events, [
        { _tag: "UsageSoFar", usage: { input: 10, output: 0, ...none } },
        { _tag: "ReasoningEnd", metadata: { anthropic: { type: "redacted_thinking", redactedData: "sealed" } } },
        { _tag: "ToolCall", id: "toolu_1", name: "nothing", args: { a: 1 } },
        { _tag: "ToolCall", id: "toolu_2", name: "lookup", args: {}, raw: '{"id' },
        { _tag: "ToolCall", id: "toolu_3", name: "lookup", args: {} }
      ])
      assert.deepStrictEqual(finish, { reason: "other", usage: { input: 10, output: 30, ...none } })
      assert.strictEqual(server.seen.length, 1)
    })
  )

  it.scopedLive("gives a call that the limit cut with the text that it has", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) => {
        const cut = server.seen.length === 1 ? ['{"id":'] : []
        const call = anthropic.call(1, "toolu_1", "lookup", ...cut)
        answer(
          response,
          written([anthropic.start, ...anthropic.text(0, "Hm."), ...call, ...anthropic.stop("max_tokens", 9)])
        )
      })
      for (const raw of ['{"id":', ""]) {
        const { events, finish } = yield* complete(request).pipe(Effect.provide(layer(server.url)))
        assert.strictEqual(finish.reason, "length")
        assert.deepStrictEqual(events.at(-1), { _tag: "ToolCall", id: "toolu_1", name: "lookup", args: {}, raw })
      }
      const full = yield* serve((response) =>
        answer(response, written([anthropic.start, ...anthropic.stop("model_context_window_exceeded", 9)]))
      )
      const { finish } = yield* complete(request).pipe(Effect.provide(layer(full.url)))
      assert.strictEqual(finish.reason, "length")
    })
  )

  it.scopedLive("takes what is malformed, out of order, a page or without an end for unavailable", () =>
    Effect.gen(function* () {
      const { start } = anthropic
      const stop = { type: "content_block_stop", index: 7 }
      const delta = { type: "content_block_delta", index: 7 }
      const answers: ReadonlyArray<readonly [string, string?]> = [
        [`${written([start, ...anthropic.text(0, "Hel")])}data: {"type":\n\n`],
        [written([start, delta])],
        [written([...anthropic.text(0, "Hel"), ...anthropic.stop("end_turn", 1)])],
        [written([start, start])],
        [written([start, stop])],
        ["data: 1\n\n"],
        ["<html><title>Sign in</title></html>", "text/html; charset=utf-8"],
        ["{}", "application/json"],
        ['{"error":{"type":"overloaded_error","message":"Overloaded"}}', "application/json"],
        [""]
      ]
      const server = yield* serve((response) => answer(response, ...answers[server.seen.length - 1]!))
      const said: Array<string> = []
      for (const _ of answers) {
        const { error, events } = yield* refusal(request).pipe(Effect.provide(layer(server.url)))
        assert.strictEqual(error._tag, "ModelUnavailable")
        said.push(error._tag === "ModelUnavailable" ? error.reason : "")
        if (said.length === 1) assert.deepInclude(events, { _tag: "TextDelta", text: "Hel" })
      }
      const [malformed, early] = ["the reply was malformed", "the reply ended before it was complete"]
      assert.deepStrictEqual(said, [
        malformed,
        malformed,
        malformed,
        malformed,
        early,
        malformed,
        "the reply is an HTML page",
        early,
        "Overloaded",
        early
      ])
    })
  )

  it.scopedLive("sends once more, without earlier reasoning, what was refused for it", () =>
    Effect.gen(function* () {
      const body = {
        type: "error",
        error: { type: "invalid_request_error", message: "Invalid `signature` in `thinking` block" }
      }
      const server = yield* serve((response, { body: { messages } }) =>
        JSON.stringify(messages).includes("signature")
          ? refuse(response, 400, body)
          : answer(
              response,
              written([anthropic.start, ...anthropic.text(0, "Done."), ...anthropic.stop("end_turn", 2)])
            )
      )
      const thought = [
        { type: "reasoning", text: "Hm", metadata: { anthropic: { type: "thinking", signature: "signed" } } },
        { type: "text", text: "Yes." }
      ] as const
      const user: Message = { role: "user", content: [{ type: "text", text: "Hello" }] }
      const model = yield* Effect.provide(Model, layer(server.url))
      const messages: ReadonlyArray<Message> = [user, { role: "assistant", content: thought }, user]
      const emitted: Array<string> = []
      const ask = (messages: ReadonlyArray<Message>) =>
        model.stream({ ...request, messages }, (event) => emitted.push(event._tag))
      assert.strictEqual((yield* ask(messages)).reason, "stop")
      assert.deepStrictEqual(emitted, ["Notice", "UsageSoFar", "TextDelta"])
      assert.strictEqual(server.seen.length, 2)
      assert.deepStrictEqual(server.seen[1]?.body.messages[1], {
        role: "assistant",
        content: [{ type: "text", text: "Yes." }]
      })
      // What was refused once is not tried again.
      yield* ask([...messages, { role: "assistant", content: [{ type: "text", text: "Done." }] }, user])
      assert.strictEqual(server.seen.length, 3)
      // A budget asks for a thought at the head of a reply that goes on, and this one has lost it.
      const call = { type: "tool-call", id: "toolu_1", name: "lookup", args: {} } as const
      const loop: ReadonlyArray<Message> = [
        user,
        { role: "assistant", content: [...thought, call] },
        { role: "tool", results: [{ callId: "toolu_1", name: "lookup", text: "1", isError: false }] }
      ]
      yield* model.stream({ ...request, messages: loop, thinking: "low" }, () => {})
      assert.property(server.seen[3]?.body, "thinking")
      assert.notProperty(server.seen[4]?.body, "thinking")
      // A second refusal is one.
      const refusing = yield* serve((response) => refuse(response, 400, body))
      const { error } = yield* refusal({ ...request, messages }).pipe(Effect.provide(layer(refusing.url)))
      assert.strictEqual(error._tag, "ModelRejected")
      assert.strictEqual(refusing.seen.length, 2)
      // Without reasoning in the request it is not about that.
      yield* refusal(request).pipe(Effect.provide(layer(refusing.url)))
      assert.strictEqual(refusing.seen.length, 3)
      // Nor is what failed half-way, of which something was told already.
      const half = yield* serve((response) => {
        const error = { type: "invalid_request_error", message: "Invalid `signature` in `thinking` block" }
        answer(response, written([anthropic.start, ...anthropic.text(0, "Hel"), { type: "error", error } as never]))
      })
      yield* refusal({ ...request, messages }).pipe(Effect.provide(layer(half.url)))
      assert.strictEqual(half.seen.length, 1)
      // Nor is a level of it that is not taken.
      const level = yield* serve((response) =>
        refuse(response, 400, { error: { message: "reasoning_effort: not supported" } })
      )
      yield* refusal({ ...request, messages }).pipe(Effect.provide(layer(level.url)))
      assert.strictEqual(level.seen.length, 1)
    })
  )

  it.scopedLive("tells how long to wait, however it is said, and a page by its title", () =>
    Effect.gen(function* () {
      const page = `<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>${"x".repeat(9000)}</body></html>`
      const date = "Wed, 21 Oct 2026 07:28:00 GMT"
      const headers: ReadonlyArray<Readonly<Record<string, string>>> = [
        { "retry-after-ms": "1500", "retry-after": "2" },
        { "retry-after": "0.5" },
        { date, "retry-after": "Wed, 21 Oct 2026 07:29:00 GMT" },
        { date, "retry-after": "Wed, 21 Oct 2026 07:27:00 GMT" },
        { "retry-after": "soon" },
        { "retry-after": "-3" },
        {}
      ]
      const server = yield* serve((response) => {
        response.writeHead(502, { "content-type": "text/html", ...headers[server.seen.length - 1] })
        response.end(page)
      })
      const waits: Array<number | undefined> = []
      for (const _ of headers) {
        const { error } = yield* refusal(request).pipe(Effect.provide(layer(server.url)))
        if (error._tag !== "ModelUnavailable") assert.fail(error._tag)
        assert.strictEqual(error.reason, 'HTTP 502, an HTML page, "502 Bad Gateway"')
        waits.push(error.retryAfter)
      }
      assert.deepStrictEqual(waits, [1500, 500, 60_000, 0, undefined, undefined, undefined])
    })
  )
})
