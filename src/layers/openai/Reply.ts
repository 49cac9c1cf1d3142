/**
 * The events of OpenAI's stream, put so that `@effect/ai-openai` cannot fail on them.
 */
import type { ResponseStreamEvent } from "@effect/ai-openai/OpenAiClient"
import { wrap, wrapper } from "../ai/calls.js"
import { done, Malformed } from "../ai/http.js"
import { type Fields, isRecord, record, text } from "../ai/json.js"
import type { Wire } from "../ai/Wire.js"

interface Item {
  readonly type: unknown
  readonly id: string
  readonly callId: string
  readonly name: string
  /** Arguments or text, as far as they came. */
  content: string
}

/** Begins the id by which the parts of an item are told apart that came without one. It is not sent back. */
export const ownId = "baton_item_"

/**
 * One reply. What is kept from the package: events and items that it does not know; figures, which it refuses where they
 * are wrong; calls, which go through it wrapped; refusals, which it passes over; and failures, which it ends like
 * success.
 */
export class Reply {
  private readonly wire: Wire
  /** The items that are open, by their place in the output. */
  private readonly items = new Map<unknown, Item>()
  /** The ids of all items that there were. */
  private readonly ids = new Set<string>()

  constructor(wire: Wire) {
    this.wire = wire
  }

  /** What the package is to see of an event. */
  read(event: unknown): ReadonlyArray<ResponseStreamEvent> {
    if (event === done) return []
    if (event instanceof Malformed) return [errorOf(event)]
    if (!isRecord(event)) return [malformed]
    const place = event["output_index"]
    switch (event["type"]) {
      case "response.created": {
        const { created_at, id, model } = record(event["response"])
        const at = typeof created_at === "number" && Math.abs(created_at) < 8.64e12 ? created_at : 0
        const response = { id: text(id), model: text(model), created_at: at }
        return [passed({ type: "response.created", response })]
      }
      case "response.output_item.added":
        return this.open(place, record(event["item"]))
      case "response.output_item.done":
        return this.close(place, record(event["item"]))
      case "response.refusal.delta":
        this.wire.reason = "content-filter"
        return this.delta(place, event, "message", "response.output_text.delta")
      case "response.output_text.delta":
        return this.delta(place, event, "message", "response.output_text.delta")
      case "response.reasoning_text.delta":
      case "response.reasoning_summary_text.delta":
        return this.delta(place, event, "reasoning", "response.reasoning_summary_text.delta")
      case "response.reasoning_summary_part.added": {
        const item = this.items.get(place)
        const summary_index = summaryIndex(event)
        if (item?.type !== "reasoning") return []
        return [passed({ type: "response.reasoning_summary_part.added", item_id: item.id, summary_index })]
      }
      case "response.function_call_arguments.delta": {
        const item = this.items.get(place)
        if (item?.type === "function_call") item.content += text(event["delta"])
        return []
      }
      case "response.completed":
      case "response.incomplete":
        return this.end(record(event["response"]))
      case "response.failed":
      case "response.cancelled":
        return [errorOf(record(event["response"])["error"])]
      case "error":
        return [errorOf(event)]
      default:
        return event["type"] === undefined && "error" in event ? [errorOf(event)] : []
    }
  }

  private open(place: unknown, item: Fields): ReadonlyArray<ResponseStreamEvent> {
    const { encrypted_content, type } = item
    if (type !== "message" && type !== "reasoning" && type !== "function_call") return []
    const id = text(item["id"]) === "" ? `${ownId}${String(place)}` : text(item["id"])
    if (this.ids.has(id) || this.items.has(place)) return [malformed]
    this.ids.add(id)
    this.items.set(place, { type, id, callId: text(item["call_id"]), name: text(item["name"]), content: "" })
    if (type === "function_call") return []
    return [
      passed({ type: "response.output_item.added", item: { type, id, encrypted_content: sealed(encrypted_content) } })
    ]
  }

  private delta(place: unknown, event: Fields, of: string, type: string): ReadonlyArray<ResponseStreamEvent> {
    const item = this.items.get(place)
    if (item === undefined || item.type !== of) return [malformed]
    const delta = text(event["delta"])
    item.content += delta
    return [passed({ type, item_id: item.id, summary_index: summaryIndex(event), delta })]
  }

  private close(told: unknown, item: Fields): ReadonlyArray<ResponseStreamEvent> {
    const place = this.items.has(told) ? told : (this.placeOf(text(item["id"])) ?? told)
    const before = this.items.has(place) ? [] : this.open(place, item)
    const known = this.items.get(place)
    if (known === undefined) return before
    this.items.delete(place)
    const { id } = known
    switch (known.type) {
      case "function_call": {
        const args = text(item["arguments"]) === "" ? known.content : text(item["arguments"])
        const name = text(item["name"]) === "" ? known.name : text(item["name"])
        const call_id = text(item["call_id"]) === "" ? known.callId : text(item["call_id"])
        const call = { type: "function_call", id: known.id, call_id, name: wrapper, arguments: wrap(name, args) }
        return [...before, passed({ type: "response.output_item.done", output_index: place, item: call })]
      }
      case "message": {
        const whole = known.content === "" ? textOf(item["content"]) : ""
        const delta = { type: "response.output_text.delta", item_id: id, delta: whole }
        const end = { type: "response.output_item.done", item: { type: "message", id } }
        return [...before, ...(whole === "" ? [] : [passed(delta)]), passed(end)]
      }
      default: {
        const encrypted_content = sealed(item["encrypted_content"])
        return [
          ...before,
          passed({ type: "response.output_item.done", item: { type: "reasoning", id, encrypted_content } })
        ]
      }
    }
  }

  private placeOf(id: string): unknown {
    for (const [place, item] of this.items) if (item.id === id) return place
    return undefined
  }

  private end(response: Fields): ReadonlyArray<ResponseStreamEvent> {
    const { error, incomplete_details, status, usage } = response
    if (status === "failed" || status === "cancelled") return [errorOf(error)]
    // A call that was cut has no end of its own.
    const open = [...this.items].flatMap(([place]) => this.close(place, {}))
    const { input_tokens, input_tokens_details, output_tokens, output_tokens_details } = record(usage)
    this.wire.ended({
      input: input_tokens,
      output: output_tokens,
      cacheRead: record(input_tokens_details)["cached_tokens"],
      reasoning: record(output_tokens_details)["reasoning_tokens"]
    })
    const reason = record(incomplete_details)["reason"]
    const why = typeof reason === "string" ? { reason } : undefined
    return [...open, passed({ type: "response.completed", response: { incomplete_details: why } })]
  }
}

const summaryIndex = (event: Fields): number => {
  const index = event["summary_index"]
  return typeof index === "number" ? index : 0
}

const sealed = (content: unknown): string | undefined => (typeof content === "string" ? content : undefined)

const textOf = (content: unknown): string =>
  Array.isArray(content)
    ? content.map((part) => text(record(part)["text"]) || text(record(part)["refusal"])).join("")
    : ""

/** The package reads of an event what is in it here, and no more. */
const passed = (event: Fields): ResponseStreamEvent => event as unknown as ResponseStreamEvent

const errorOf = (error: unknown): ResponseStreamEvent =>
  passed(isRecord(error) ? { ...error, type: "error" } : { type: "error", error })

const malformed = errorOf(new Malformed("the reply was malformed"))
