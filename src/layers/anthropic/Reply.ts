/**
 * The events of Anthropic's stream, put so that `@effect/ai-anthropic` cannot fail on them.
 */
import type { MessageStreamEvent } from "@effect/ai-anthropic/AnthropicClient"
import { wrap, wrapper } from "../ai/calls.js"
import { done, Malformed } from "../ai/http.js"
import { type Fields, isRecord, record, text } from "../ai/json.js"
import { figure } from "../ai/usage.js"
import type { Wire } from "../ai/Wire.js"

/**
 * One reply. What is kept from the package: events and blocks that it does not know, which it would fail on; figures,
 * which it refuses where they are wrong, drops before the end, and takes only in part from the end; calls, which go
 * through it wrapped; and an order of events that would be a defect in it.
 */
export class Reply {
  private readonly wire: Wire
  private started = false
  /** The blocks that are open: what is passed on, calls whose arguments are gathered, and what is passed over. */
  private readonly blocks = new Map<unknown, "passed" | "skipped" | { readonly name: string; args: string }>()
  private figures: Fields = {}

  constructor(wire: Wire) {
    this.wire = wire
  }

  /** What the package is to see of an event. */
  read(event: unknown): ReadonlyArray<MessageStreamEvent> {
    if (event === done) return []
    if (event instanceof Malformed) return [errorOf(event)]
    if (!isRecord(event)) return [errorOf(new Malformed("the reply was malformed"))]
    const type = text(event["type"])
    if (type === "error" || (type === "" && "error" in event)) return [errorOf(event["error"])]
    if (type === "message_start") return this.start(record(event["message"]))
    const known = /^(message_(delta|stop)|content_block_(start|delta|stop))$/.test(type)
    if (!known) return []
    if (!this.started) return [outOfOrder]
    switch (type) {
      case "content_block_start":
        return this.open(event["index"], record(event["content_block"]))
      case "content_block_delta":
        return this.delta(event["index"], record(event["delta"]))
      case "content_block_stop":
        return this.close(event["index"])
      case "message_delta":
        return this.end(event)
      default:
        return [...[...this.blocks.keys()].flatMap((index) => this.close(index)), passed({ type })]
    }
  }

  private start(message: Fields): ReadonlyArray<MessageStreamEvent> {
    if (this.started) return [outOfOrder]
    this.started = true
    this.count(message["usage"])
    this.wire.soFar(this.counted())
    const usage = { input_tokens: 0, cache_read_input_tokens: 0 }
    return [
      passed({ type: "message_start", message: { id: text(message["id"]), model: text(message["model"]), usage } })
    ]
  }

  private open(index: unknown, block: Fields): ReadonlyArray<MessageStreamEvent> {
    const begin = (content_block: Fields): MessageStreamEvent =>
      passed({ type: "content_block_start", index, content_block })
    const delta = (type: string, key: string): ReadonlyArray<MessageStreamEvent> =>
      text(block[key]) === ""
        ? []
        : [passed({ type: "content_block_delta", index, delta: { type, [key]: block[key] } })]
    if (typeof index !== "number" || this.blocks.has(index)) return [outOfOrder]
    this.blocks.set(index, "passed")
    switch (block["type"]) {
      case "text":
        return [begin({ type: "text" }), ...delta("text_delta", "text")]
      case "thinking":
        return [
          begin({ type: "thinking" }),
          ...delta("thinking_delta", "thinking"),
          ...delta("signature_delta", "signature")
        ]
      case "redacted_thinking":
        return [begin({ type: "redacted_thinking", data: text(block["data"]) })]
      case "tool_use": {
        const input = isRecord(block["input"]) && Object.keys(block["input"]).length > 0 ? block["input"] : undefined
        const args = input === undefined ? "" : JSON.stringify(input)
        this.blocks.set(index, { name: text(block["name"]), args })
        return [begin({ type: "tool_use", id: text(block["id"]), name: wrapper })]
      }
      default:
        this.blocks.set(index, "skipped")
        return []
    }
  }

  private delta(index: unknown, delta: Fields): ReadonlyArray<MessageStreamEvent> {
    const block = this.blocks.get(index)
    if (block === undefined) return [outOfOrder]
    const { type } = delta
    if (typeof block === "object") {
      if (type === "input_json_delta") block.args += text(delta["partial_json"])
      return []
    }
    const key = block === "passed" ? keys.get(type) : undefined
    return key === undefined
      ? []
      : [passed({ type: "content_block_delta", index, delta: { type, [key]: text(delta[key]) } })]
  }

  private close(index: unknown): ReadonlyArray<MessageStreamEvent> {
    const block = this.blocks.get(index)
    this.blocks.delete(index)
    if (block === undefined || block === "skipped") return []
    const stop = passed({ type: "content_block_stop", index })
    if (block === "passed") return [stop]
    const delta = { type: "input_json_delta", partial_json: wrap(block.name, block.args) }
    return [passed({ type: "content_block_delta", index, delta }), stop]
  }

  private end(event: Fields): ReadonlyArray<MessageStreamEvent> {
    this.count(event["usage"])
    this.wire.ended(this.counted())
    const said = record(event["delta"])["stop_reason"]
    const stop_reason = said === "model_context_window_exceeded" ? "max_tokens" : said
    return [
      passed({ type: "message_delta", delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: null } })
    ]
  }

  /** Figures that come later replace those that came before. */
  private count(usage: unknown): void {
    const told = Object.entries(record(usage)).filter(([, value]) => figure(value) !== undefined)
    this.figures = { ...this.figures, ...Object.fromEntries(told) }
  }

  /** Anthropic counts what was read from the cache and written to it apart from the rest of the input. */
  private counted() {
    const input = figure(this.figures["input_tokens"])
    const cacheRead = figure(this.figures["cache_read_input_tokens"]) ?? 0
    const cacheWrite = figure(this.figures["cache_creation_input_tokens"]) ?? 0
    return {
      input: input === undefined ? undefined : input + cacheRead + cacheWrite,
      output: this.figures["output_tokens"],
      cacheRead,
      cacheWrite
    }
  }
}

/** Where each delta has its text. */
const keys: ReadonlyMap<unknown, string> = new Map([
  ["text_delta", "text"],
  ["thinking_delta", "thinking"],
  ["signature_delta", "signature"]
])

/** The package reads of an event what is in it here, and no more. */
const passed = (event: Fields): MessageStreamEvent => event as unknown as MessageStreamEvent

const errorOf = (error: unknown): MessageStreamEvent => passed({ type: "error", error })

const outOfOrder = errorOf(new Malformed("the reply was malformed"))
