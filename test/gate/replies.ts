/**
 * What providers answer, through their real layers over a socket.
 */
import type { ServerResponse } from "node:http"
import { Effect, Layer, Redacted } from "effect"
import { Agent, type Errors, type Model } from "effect-baton"
import { AiModel } from "effect-baton/ai"
import { anthropic, openai, serve, written } from "../support/providers.js"
import { canary, limits, type Stage } from "./ground.js"
import { type Case, type Sink, sink } from "./sink.js"
import { echo } from "./stages.js"
import * as V from "./values.js"

/** What a reply is to say. */
interface Said {
  readonly text?: string
  /** Names, arguments as text, ids. */
  readonly calls?: ReadonlyArray<readonly [name: string, args: string, id: string]>
  /** Whether the provider says that it stopped for its calls. */
  readonly stopped?: "calls" | "end"
  readonly usage?: { readonly input: unknown; readonly output: unknown }
}

/** A provider: its layer, a reply in its format, and one in which something stands where it must not. */
interface Provider {
  readonly layer: (url: string) => Layer.Layer<Model.Model, Errors.ModelNotConfigured>
  readonly reply: (said: Said) => string
  readonly disordered: string
}

const apiKey = Redacted.make(canary)

const providers: Readonly<Record<string, Provider>> = {
  anthropic: {
    layer: (apiUrl) => AiModel.layerAnthropic({ model: "m", apiKey, apiUrl }),
    reply: ({ calls = [], stopped, text, usage }) => {
      const start =
        usage === undefined
          ? anthropic.start
          : { ...anthropic.start, message: { ...anthropic.start.message, usage: { input_tokens: usage.input } } }
      const ends = anthropic.stop(
        (stopped ?? (calls.length > 0 ? "calls" : "end")) === "calls" ? "tool_use" : "end_turn",
        1
      )
      return written([
        start,
        ...(text === undefined ? [] : anthropic.text(0, text)),
        ...calls.flatMap(([name, args, id], i) => anthropic.call(i + 1, id, name, args)),
        ...ends.map((it) =>
          "usage" in it && usage !== undefined ? { ...it, usage: { output_tokens: usage.output } } : it
        )
      ])
    },
    disordered: written([anthropic.start, ...anthropic.text(0, "x").slice(1), ...anthropic.stop("end_turn", 1)])
  },
  openai: {
    layer: (apiUrl) => AiModel.layerOpenAi({ model: "m", apiKey, apiUrl }),
    reply: ({ calls = [], text, usage }) => {
      const { completed } = openai
      const told =
        usage === undefined
          ? completed
          : {
              ...completed,
              response: { ...completed.response, usage: { input_tokens: usage.input, output_tokens: usage.output } }
            }
      return written([
        openai.created,
        ...(text === undefined ? [] : openai.text(0, "msg_1", text)),
        ...calls.flatMap(([name, args, id], i) => openai.call(i + 1, `fc_${i}`, id, name, args)),
        told
      ])
    },
    disordered: written([openai.created, ...openai.text(0, "msg_1", "x").slice(1, 2), openai.completed])
  },
  compatible: {
    layer: (apiUrl) => AiModel.layerCompatible({ model: "m", apiKey, apiUrl }),
    reply: ({ calls = [], stopped, text, usage }) => {
      const chunk = (delta: object, finish_reason: string | null = null) => ({
        choices: [{ index: 0, delta, finish_reason }]
      })
      const tool_calls = calls.map(([name, args, id], index) => ({ index, id, function: { name, arguments: args } }))
      return [
        chunk({ content: text ?? "" }),
        ...(calls.length === 0 ? [] : [chunk({ tool_calls })]),
        chunk({}, (stopped ?? (calls.length > 0 ? "calls" : "end")) === "calls" ? "tool_calls" : "stop"),
        {
          choices: [],
          usage: {
            prompt_tokens: usage === undefined ? 1 : usage.input,
            completion_tokens: usage === undefined ? 1 : usage.output
          }
        }
      ]
        .map((it) => `data: ${JSON.stringify(it)}\n\n`)
        .join("")
    },
    disordered: `data: [1]\n\n`
  }
}

/** Answers the requests of one prompt; counts them from 0. */
interface Answer {
  (response: ServerResponse, provider: Provider, n: number): void
  /** How long the model may say nothing, in milliseconds. */
  readonly idle?: number
}

/** Says nothing that matters, and does not end. */
const silent = (said: string) => (): Answer =>
  Object.assign(
    (response: ServerResponse) => {
      response.writeHead(200, { "content-type": "text/event-stream" })
      response.flushHeaders()
      if (said !== "") response.write(said)
    },
    { idle: 60 }
  )

const body = (response: ServerResponse, text: string | Uint8Array, type = "text/event-stream", status = 200) => {
  response.writeHead(status, { "content-type": type })
  response.end(text)
}

/** Every time. */
const always =
  (answer: (provider: Provider, response: ServerResponse) => void): (() => Answer) =>
  () =>
  (response, provider) =>
    answer(provider, response)

/** The reply to the first request; "ok" to the others. */
const first =
  (said: Said | (() => Said)): (() => Answer) =>
  () => {
    const it = typeof said === "function" ? said() : said
    return (response, provider, n) => body(response, provider.reply(n === 0 ? it : { text: "ok" }))
  }

const raw = (make: (provider: Provider) => string | Uint8Array, type?: string, status?: number) =>
  always((provider, response) => body(response, make(provider), type, status))

const status = (code: number, message = `no ${canary}`) => {
  const text = Buffer.from(JSON.stringify({ error: { type: "some_error", message } }))
  return raw(() => text, "application/json", code)
}

const called = (args: string, name = "echo") => first(() => ({ calls: [[name, args, "call_1"]] }))

const cases: ReadonlyArray<Case<Answer>> = [
  [
    "A",
    "split inside of characters",
    always((provider, response) => {
      const bytes = Buffer.from(provider.reply({ text: "é🙂ok" }))
      response.writeHead(200, { "content-type": "text/event-stream" })
      const at = bytes.indexOf(Buffer.from("🙂")) + 2
      response.write(bytes.subarray(0, at), () => setImmediate(() => response.end(bytes.subarray(at))))
    })
  ],
  [
    "A",
    "CRLF, comments, a mark of byte order",
    raw((provider) => `\ufeff: hello\r\n\r\n${provider.reply({ text: "ok" }).replaceAll("\n", "\r\n")}: bye\r\n\r\n`)
  ],
  ["A", "a retry line", raw((provider) => `retry: 1\n\n${provider.reply({ text: "ok" })}`)],
  [
    "C",
    "bytes that are not UTF-8",
    raw((provider) => {
      const pieces = provider
        .reply({ text: "a@@b" })
        .split("@@")
        .map((it) => Buffer.from(it))
      return Buffer.concat(pieces.flatMap((it, i) => (i === 0 ? [it] : [Buffer.from([0xff, 0xfe]), it])))
    })
  ],
  ["C", "NUL", raw((provider) => provider.reply({ text: "a\0b" }))],
  ["C", "half of a pair", raw((provider) => provider.reply({ text: `a${V.half}b` }))],
  ["A", "the key", raw((provider) => provider.reply({ text: `it is ${canary}, is it not` }))],
  ["T", "arguments that are cut", called('{"text":"a'), /not a JSON object/],
  ["T", "arguments that are no JSON", called(`hello ${canary}`), /not a JSON object/],
  ["T", "arguments that are a list", called("[1]"), /not a JSON object/],
  ["T", "arguments that are null", called("null"), /not a JSON object/],
  ["T", "arguments of another type", called('{"text":5}'), /text: Expected string/],
  ["T", "no arguments", called(""), /text: is missing/],
  ["T", "__proto__ in the arguments", called('{"__proto__":{"polluted":1},"text":"x"}'), /not a JSON object/],
  [
    "T",
    "constructor in the arguments",
    called('{"text":"x","a":{"constructor":{"prototype":{"polluted":1}}}}'),
    /not a JSON object/
  ],
  ["T", "arguments 10^5 deep", called(`{"text":${"[".repeat(100_000)}${"]".repeat(100_000)}}`), /not a JSON object/],
  [
    "T",
    "arguments of 4 MB",
    first(() => ({ calls: [["echo", JSON.stringify({ text: "x".repeat(4 * V.mega) }), "call_1"]] })),
    /not a JSON object/
  ],
  ["A", "a key doubled in the arguments", called('{"text":"a","text":"b"}')],
  ["C", "half of a pair in the arguments", called('{"text":"\\ud83d"}')],
  ["T", "a tool that is not there", called("{}", "nothing"), /There is no tool "nothing"/],
  ["C", "a tool that nobody can name", called("{}", "no such tool!")],
  [
    "A",
    "two calls of one id",
    first({
      calls: [
        ["echo", '{"text":"a"}', "call_1"],
        ["echo", '{"text":"b"}', "call_1"]
      ]
    })
  ],
  ["A", "an empty id", first({ calls: [["echo", '{"text":"a"}', ""]] })],
  ["A", "an id of 1,000 characters", first({ calls: [["echo", '{"text":"a"}', "x".repeat(1_000)]] })],
  [
    "L",
    "200 calls",
    first(() => ({ calls: Array.from({ length: 200 }, (_, i) => ["echo", '{"text":"a"}', `call_${i}`] as const) })),
    /Only the first 128/
  ],
  ["A", "the end, with calls", first({ text: "x", calls: [["echo", '{"text":"a"}', "call_1"]], stopped: "end" })],
  ["A", "calls, with none", first({ text: "x", stopped: "calls" })],
  ["P", "out of order", raw((provider) => provider.disordered), /malformed|complete/],
  ["P", "nothing", raw(() => ""), /complete|empty/],
  ["P", "events that are null", raw(() => "data: null\n\n"), /malformed|complete/],
  ["P", "events that are no JSON", raw(() => 'data: {"a\n\n'), /malformed/],
  ["P", "no events", raw(() => "hello\n\n"), /complete|malformed/],
  ["P", "a page", raw(() => `<html><title>${canary}</title></html>`, "text/html"), /HTML page/],
  ["P", "noise", raw(() => Uint8Array.from({ length: 10_000 }, (_, i) => (i * 7919) % 256)), /complete|malformed/],
  ["P", "an event without end", raw(() => `data: ${"x".repeat(20 * V.mega)}`), /endless|malformed|complete/],
  ["P", "cut in the middle", raw((provider) => provider.reply({ text: "hello" }).slice(0, 60)), /malformed|complete/],
  [
    "P",
    "reset in the middle",
    always((provider, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" })
      response.write(provider.reply({ text: "hello" }).slice(0, 60), () => setImmediate(() => response.destroy()))
    }),
    /broke off|connection failed|complete|malformed/
  ],
  ["P", "silence", silent(""), /said nothing/],
  ["P", "nothing but comments", silent(": ping\n\n: ping\n\n"), /said nothing/],
  ["P", "400", status(400), /HTTP 400/],
  ["P", "401 that repeats the key", status(401), /HTTP 401\): no <redacted>/],
  ["P", "403", status(403), /HTTP 403/],
  ["P", "404", status(404), /HTTP 404/],
  ["P", "408", status(408), /HTTP 408/],
  ["P", "413", status(413), /HTTP 413/],
  ["P", "429", status(429), /HTTP 429/],
  ["P", "500", status(500), /HTTP 500/],
  [
    "P",
    "503 with a page",
    raw(() => "<!doctype html><title>Bad gateway</title>", "text/html", 503),
    /an HTML page, "Bad gateway"/
  ],
  ["P", "529", status(529), /HTTP 529/],
  ["P", "400 with 10 MB", status(400, "😀".repeat(2 * V.mega)), /HTTP 400/],
  ["P", "400 for a history that is too long", status(400, "prompt is too long"), /context window/],
  [
    "P",
    "a redirect",
    always((_, response) => {
      response.writeHead(307, { location: "http://127.0.0.1:9/" })
      response.end()
    })
  ],
  ["C", "absurd usage", first({ text: "x", usage: { input: 1e300, output: 1e300 } }), /cannot be/],
  ["C", "usage that is a text", first({ text: "x", usage: { input: "many", output: "more" } })],
  ["C", "usage that is null", first({ text: "x", usage: { input: null, output: null } })],
  ["A", "negative usage", first({ text: "x", usage: { input: -5, output: -5 } })]
]

const stage =
  (provider: Provider) =>
  (answer: Answer): Stage => {
    let n: number | undefined
    const server = serve((response) => {
      if (n === undefined) body(response, provider.reply({ text: "ok" }))
      else answer(response, provider, n++)
    })
    return {
      model: Layer.unwrapScoped(Effect.map(server, ({ url }) => provider.layer(url))),
      agent: Agent.make("a", {
        tools: [echo],
        limits: { ...limits, modelIdle: answer.idle ?? limits.modelIdle },
        delegate: "off"
      }),
      act: (session) =>
        Effect.suspend(() => {
          n = 0
          return session.prompt("go")
        }).pipe(
          Effect.ensuring(
            Effect.sync(() => {
              n = undefined
            })
          )
        )
    }
  }

export const replies: ReadonlyArray<Sink> = Object.entries(providers).map(([name, provider]) =>
  sink(`replies of ${name}`, stage(provider), cases)
)
