/**
 * Whole prompts through each provider: what the second request of a prompt carries of the first reply.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { Agent, Engine, type Errors, type Model, Sessions, Tool } from "effect-baton"
import { AiModel } from "effect-baton/ai"
import { type Mock, mock } from "../support/mock.js"

const apiKey = Redacted.make("sk-the-key-of-the-test")

const lookup = Tool.make("lookup", {
  description: "Looks a ticket up",
  parameters: Schema.Struct({ id: Schema.Number }),
  run: ({ id }) => ({ id, open: true })
})

const agent = Agent.make("triage", { instructions: "Be brief.", tools: [lookup], delegate: "off", thinking: "medium" })

const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

/** The same with an image for a result. */
const showing = Agent.make("triage", {
  instructions: "Be brief.",
  tools: [
    Tool.make("lookup", {
      description: "Looks a ticket up",
      parameters: Schema.Struct({ id: Schema.Number }),
      run: () => Tool.content([{ type: "image", mediaType: "image/png", data: png }])
    })
  ],
  delegate: "off",
  thinking: "medium"
})

const call = { name: "lookup", arguments: '{"id":1}', id: "call_of_the_test" }

/** Prompts twice: a call and an answer, then another answer. */
const conversation = (
  layerOf: (url: string) => Layer.Layer<Model.Model, Errors.ModelNotConfigured>,
  who: Agent.Agent = agent
) =>
  Effect.gen(function* () {
    const server = yield* mock([
      {
        match: { hasToolResult: false, userMessage: "Ticket 1" },
        response: {
          reasoning: "Let me look it up.",
          reasoningSignature: "signed-by-the-provider",
          redactedThinking: ["sealed-by-the-provider"],
          toolCalls: [call],
          usage: { prompt_tokens: 100, completion_tokens: 20, input_tokens: 100, output_tokens: 20 }
        }
      },
      { match: { hasToolResult: true, userMessage: "Ticket 1" }, response: { content: "It is open." } },
      { match: { userMessage: "Image 1" }, response: { content: "It is open." } },
      { match: { userMessage: "Thanks" }, response: { content: "You are welcome." } }
    ])
    yield* Effect.gen(function* () {
      const session = yield* (yield* Sessions.Sessions).open({ id: "s", agent: who })
      const reply = yield* session.prompt("Ticket 1?")
      assert.strictEqual(reply.text, "It is open.")
      assert.isAtLeast(reply.usage.total.input, 100)
      assert.strictEqual((yield* session.prompt("Thanks")).text, "You are welcome.")
    }).pipe(Effect.provide(Layer.provide(Engine.layerMemory, layerOf(server.url))))
    assert.strictEqual(server.seen.length, 3)
    return bodies(server)
  })

const bodies = ({ seen }: Mock) => [seen[0]?.body, seen[1]?.body, seen[2]?.body] as const

/** A request extends the one before it: with the same settings, and beginning with the same messages. */
const assertExtends = (requests: ReadonlyArray<object>, key: string): void => {
  const bare = (request: object): any => JSON.parse(JSON.stringify(request).replace(/,"cache_control":\{[^}]*\}/g, ""))
  requests.slice(1).forEach((request, index) => {
    const { [key]: before, ...settings } = bare(requests[index]!)
    const { [key]: after, ...same } = bare(request)
    assert.deepStrictEqual(same, settings)
    assert.deepStrictEqual(after.slice(0, before.length), before)
  })
}

describe("a session", () => {
  it.scopedLive("over Anthropic's API", () =>
    Effect.gen(function* () {
      const [first, second, third] = yield* conversation((apiUrl) =>
        AiModel.layerAnthropic({ model: "claude-sonnet-4-5", apiKey, apiUrl })
      )
      assertExtends([first, second, third], "messages")
      assert.deepStrictEqual(first.thinking, { type: "enabled", budget_tokens: 8192 })
      const cache_control = { type: "ephemeral" }
      assert.deepStrictEqual(second.system, [{ type: "text", text: "Be brief.", cache_control }])
      assert.deepStrictEqual(second.messages, [
        { role: "user", content: [{ type: "text", text: "Ticket 1?", cache_control }] },
        {
          role: "assistant",
          content: [
            { type: "redacted_thinking", data: "sealed-by-the-provider" },
            { type: "thinking", thinking: "Let me look it up.", signature: "signed-by-the-provider" },
            { type: "tool_use", id: call.id, name: "lookup", input: { id: 1 } }
          ]
        },
        {
          role: "user",
          content: [
            {
              type: "tool_result",
              tool_use_id: call.id,
              content: '{"id":1,"open":true}',
              is_error: false,
              cache_control
            }
          ]
        }
      ])
      const marks = [first, second, third].map((body) => JSON.stringify(body).split('"cache_control"').length - 1)
      assert.deepStrictEqual(marks, [2, 3, 3])
    })
  )

  it.scopedLive("over OpenAI's API", () =>
    Effect.gen(function* () {
      const [first, second, third] = yield* conversation((url) =>
        AiModel.layerOpenAi({ model: "gpt-5.1", apiKey, apiUrl: `${url}/v1` })
      )
      assertExtends([first, second, third], "input")
      assert.deepStrictEqual(first.reasoning, { effort: "medium", summary: "auto" })
      const [, , reasoning, made, result] = second.input
      const id = reasoning.id as string
      assert.match(id, /^rs/)
      assert.deepStrictEqual(reasoning, {
        type: "reasoning",
        id,
        summary: [{ type: "summary_text", text: "Let me look it up." }],
        encrypted_content: Buffer.from(`aimock-encrypted-reasoning:${id}`).toString("base64")
      })
      assert.deepStrictEqual(
        { ...made, id: undefined },
        { type: "function_call", id: undefined, call_id: call.id, name: "lookup", arguments: '{"id":1}' }
      )
      assert.match(made.id, /^fc/)
      assert.deepStrictEqual(result, {
        type: "function_call_output",
        call_id: call.id,
        output: '{"id":1,"open":true}'
      })
      // The text of the second reply is sent back as the item that it was.
      assert.match(third.input.find((item: any) => item.role === "assistant").id, /^msg/)
    })
  )

  it.scopedLive("over a compatible API", () =>
    Effect.gen(function* () {
      const [first, second, third] = yield* conversation((url) =>
        AiModel.layerCompatible({ model: "deepseek-r1", apiUrl: `${url}/v1` })
      )
      assertExtends([first, second, third], "messages")
      assert.strictEqual(first.reasoning_effort, "medium")
      assert.deepStrictEqual(second.messages, [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Ticket 1?" },
        {
          role: "assistant",
          content: null,
          reasoning_content: "Let me look it up.",
          tool_calls: [{ id: call.id, type: "function", function: { name: "lookup", arguments: '{"id":1}' } }]
        },
        { role: "tool", tool_call_id: call.id, content: '{"id":1,"open":true}' }
      ])
    })
  )

  it.scopedLive("shows an image of a result after the results, and again as it was", () =>
    Effect.gen(function* () {
      const line = { type: "text", text: `[Image 1 in the result of "lookup", call ${call.id}:]` }
      const mark = { type: "text", text: "[image 1: image/png]" }
      const plain = (value: unknown): unknown =>
        JSON.parse(JSON.stringify(value).replace(/,"cache_control":\{[^}]*\}/g, ""))

      const anthropic = yield* conversation(
        (apiUrl) => AiModel.layerAnthropic({ model: "claude-sonnet-4-5", apiKey, apiUrl }),
        showing
      )
      assertExtends(anthropic, "messages")
      const source = { type: "base64", media_type: "image/png", data: png }
      const result = { type: "tool_result", tool_use_id: call.id, content: mark.text, is_error: false }
      assert.deepStrictEqual(plain(anthropic[1].messages.at(-1)), {
        role: "user",
        content: [result, line, { type: "image", source }]
      })

      const openai = yield* conversation(
        (url) => AiModel.layerOpenAi({ model: "gpt-5.1", apiKey, apiUrl: `${url}/v1` }),
        showing
      )
      assertExtends(openai, "input")
      const image_url = `data:image/png;base64,${png}`
      assert.deepStrictEqual(openai[1].input.slice(-2), [
        { type: "function_call_output", call_id: call.id, output: mark.text },
        {
          role: "user",
          content: [
            { type: "input_text", text: line.text },
            { type: "input_image", image_url, detail: "auto" }
          ]
        }
      ])

      const compatible = yield* conversation(
        (url) => AiModel.layerCompatible({ model: "deepseek-r1", apiUrl: `${url}/v1` }),
        showing
      )
      assertExtends(compatible, "messages")
      assert.deepStrictEqual(compatible[1].messages.slice(-2), [
        { role: "tool", tool_call_id: call.id, content: mark.text },
        { role: "user", content: [line, { type: "image_url", image_url: { url: image_url } }] }
      ])
    })
  )

  it.scopedLive("records no key that the model repeats", () =>
    Effect.gen(function* () {
      const key = Redacted.value(apiKey)
      const server = yield* mock([{ match: {}, response: { content: `Your key is ${key}, is it not?` } }])
      const model = AiModel.layerCompatible({ model: "deepseek-r1", apiKey, apiUrl: `${server.url}/v1` })
      yield* Effect.gen(function* () {
        const session = yield* (yield* Sessions.Sessions).open({ id: "s", agent })
        assert.strictEqual((yield* session.prompt("Hello")).text, "Your key is <redacted>, is it not?")
        assert.notInclude(JSON.stringify(yield* session.history), key)
      }).pipe(Effect.provide(Layer.provide(Engine.layerMemory, model)))
    })
  )
})
