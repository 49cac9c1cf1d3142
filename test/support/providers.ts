/**
 * Small servers that speak the wire formats of Anthropic's Messages API and OpenAI's Responses API.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface Seen {
  readonly path: string
  readonly headers: IncomingMessage["headers"]
  readonly body: any
}

export interface Server {
  readonly url: string
  /** The requests in the order of their arrival. */
  readonly seen: ReadonlyArray<Seen>
}

/** Serves each request by `answer` until the scope ends. */
export const serve = (
  answer: (response: ServerResponse, seen: Seen) => void
): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<{ readonly server: ReturnType<typeof createServer>; readonly seen: Array<Seen> }>((resume) => {
      const seen: Array<Seen> = []
      const server = createServer((request, response) => {
        let text = ""
        request.on("data", (chunk: Buffer) => (text += chunk.toString()))
        request.on("end", () => {
          const it = { path: request.url ?? "", headers: request.headers, body: JSON.parse(text) as unknown }
          seen.push(it)
          answer(response, it)
        })
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, seen })))
    }),
    ({ server }) =>
      Effect.async<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  ).pipe(
    Effect.map(({ seen, server }) => ({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }))
  )

/** Begins an event stream. */
export const begin = (response: ServerResponse): void => {
  response.writeHead(200, { "content-type": "text/event-stream" })
}

/** Sends events as both providers do: the type is the event's name. */
export const send = (response: ServerResponse, events: ReadonlyArray<{ readonly type: string }>): void => {
  response.write(written(events))
}

/** A whole reply, to the letter. */
export const answer = (response: ServerResponse, body: string, type = "text/event-stream"): void => {
  response.writeHead(200, { "content-type": type })
  response.end(body)
}

/** Events as both providers send them. */
export const written = (events: ReadonlyArray<{ readonly type: string }>): string =>
  events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("")

/** Refuses with a status and a JSON body. */
export const refuse = (
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {}
): void => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(JSON.stringify(body))
}

/** Events of Anthropic's Messages API. */
export const anthropic = {
  start: {
    type: "message_start",
    message: {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "claude-test",
      content: [],
      container: null,
      context_management: null,
      stop_reason: null,
      stop_sequence: null,
      usage: {
        input_tokens: 10,
        output_tokens: 1,
        cache_creation: null,
        cache_creation_input_tokens: 20,
        cache_read_input_tokens: 300,
        server_tool_use: null,
        service_tier: "standard"
      }
    }
  },
  thinking: (index: number, text: string, signature: string) => [
    { type: "content_block_start", index, content_block: { type: "thinking", thinking: "", signature: "" } },
    { type: "content_block_delta", index, delta: { type: "thinking_delta", thinking: text } },
    { type: "content_block_delta", index, delta: { type: "signature_delta", signature } },
    { type: "content_block_stop", index }
  ],
  text: (index: number, ...deltas: ReadonlyArray<string>) => [
    { type: "content_block_start", index, content_block: { type: "text", text: "", citations: null } },
    ...deltas.map((text) => ({ type: "content_block_delta", index, delta: { type: "text_delta", text } })),
    { type: "content_block_stop", index }
  ],
  call: (index: number, id: string, name: string, ...deltas: ReadonlyArray<string>) => [
    { type: "content_block_start", index, content_block: { type: "tool_use", id, name, input: {} } },
    ...deltas.map((partial_json) => ({
      type: "content_block_delta",
      index,
      delta: { type: "input_json_delta", partial_json }
    })),
    { type: "content_block_stop", index }
  ],
  stop: (reason: string, output: number) => [
    {
      type: "message_delta",
      delta: { stop_reason: reason, stop_sequence: null },
      usage: {
        input_tokens: null,
        output_tokens: output,
        cache_creation_input_tokens: null,
        cache_read_input_tokens: null,
        server_tool_use: null
      }
    },
    { type: "message_stop" }
  ]
} as const

const response = (status: string, output: ReadonlyArray<unknown>, more: object = {}) => ({
  id: "resp_1",
  object: "response",
  created_at: 1_700_000_000,
  status,
  error: null,
  incomplete_details: null,
  instructions: null,
  metadata: {},
  model: "gpt-test",
  output,
  parallel_tool_calls: true,
  temperature: 1,
  tool_choice: "auto",
  tools: [],
  top_p: 1,
  ...more
})

/** Events of OpenAI's Responses API. */
export const openai = {
  created: { type: "response.created", sequence_number: 0, response: response("in_progress", []) },
  reasoning: (index: number, id: string, text: string, encrypted: string) => [
    {
      type: "response.output_item.added",
      sequence_number: 1,
      output_index: index,
      item: { type: "reasoning", id, summary: [], encrypted_content: "" }
    },
    {
      type: "response.reasoning_summary_text.delta",
      sequence_number: 2,
      item_id: id,
      output_index: index,
      summary_index: 0,
      delta: text
    },
    {
      type: "response.output_item.done",
      sequence_number: 3,
      output_index: index,
      item: { type: "reasoning", id, summary: [{ type: "summary_text", text }], encrypted_content: encrypted }
    }
  ],
  text: (index: number, id: string, ...deltas: ReadonlyArray<string>) => [
    {
      type: "response.output_item.added",
      sequence_number: 1,
      output_index: index,
      item: { type: "message", id, role: "assistant", status: "in_progress", content: [] }
    },
    ...deltas.map((delta) => ({
      type: "response.output_text.delta",
      sequence_number: 2,
      item_id: id,
      output_index: index,
      content_index: 0,
      delta,
      logprobs: []
    })),
    {
      type: "response.output_item.done",
      sequence_number: 3,
      output_index: index,
      item: {
        type: "message",
        id,
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text: deltas.join(""), annotations: [], logprobs: [] }]
      }
    }
  ],
  call: (index: number, id: string, callId: string, name: string, ...deltas: ReadonlyArray<string>) => [
    {
      type: "response.output_item.added",
      sequence_number: 1,
      output_index: index,
      item: { type: "function_call", id, call_id: callId, name, arguments: "", status: "in_progress" }
    },
    ...deltas.map((delta) => ({
      type: "response.function_call_arguments.delta",
      sequence_number: 2,
      item_id: id,
      output_index: index,
      delta
    })),
    {
      type: "response.output_item.done",
      sequence_number: 3,
      output_index: index,
      item: { type: "function_call", id, call_id: callId, name, arguments: deltas.join(""), status: "completed" }
    }
  ],
  completed: {
    type: "response.completed",
    sequence_number: 9,
    response: response("completed", [], {
      usage: {
        input_tokens: 330,
        input_tokens_details: { cached_tokens: 300 },
        output_tokens: 7,
        output_tokens_details: { reasoning_tokens: 3 },
        total_tokens: 337
      }
    })
  },
  failed: {
    type: "response.failed",
    sequence_number: 9,
    response: response("failed", [], { error: { code: "server_error", message: "The model is overloaded." } })
  }
} as const
