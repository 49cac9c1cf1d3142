/**
 * Reads one streamed reply of Chat Completions, of servers that each leave something else out.
 */
import * as Effect from "effect/Effect"
import type { ModelError } from "../../services/Errors.js"
import type { ModelEvent, ModelFinish } from "../../services/Model.js"
import { argsOf } from "../ai/calls.js"
import { type Asked, fromErrorPart, unavailable } from "../ai/errors.js"
import { done, Malformed } from "../ai/http.js"
import { type Fields, isRecord, record, text } from "../ai/json.js"
import { Wire } from "../ai/Wire.js"
import { Details } from "./Details.js"

/** What a stretch of reasoning is sent back with, under the name `compatible`. */
export interface Metadata {
  /** The field that the reasoning came in. */
  readonly field?: "reasoning" | "reasoning_content"
  /** OpenRouter's blocks, with the signatures and the encrypted content of the provider behind it. */
  readonly details?: ReadonlyArray<unknown>
}

interface Call {
  readonly index: unknown
  id: string
  name: string
  args: string
}

/** One reply. It is complete with a finish reason or with `[DONE]`, whichever the server sends. */
export class Reply {
  private readonly emit: (event: ModelEvent) => void
  private readonly asked: Asked
  private readonly wire: Wire
  private readonly calls: Array<Call> = []
  private readonly details = new Details()
  /** The field of the reasoning that is arriving. */
  private field: Metadata["field"]
  private reason: string | undefined
  private refused = false
  private isDone = false

  constructor(emit: (event: ModelEvent) => void, asked: Asked) {
    this.emit = emit
    this.asked = asked
    this.wire = new Wire(emit)
  }

  /** Reads what has arrived. Fails with the error that the server put into its reply. */
  read(events: Iterable<unknown>): Effect.Effect<void, ModelError> {
    for (const event of events) {
      if (event === done) this.isDone = true
      else if (event instanceof Malformed || !isRecord(event)) {
        return Effect.fail(
          unavailable(event instanceof Malformed ? event.message : "the reply was malformed", this.asked)
        )
      } else {
        const { error } = event
        if (error !== undefined && error !== null) return Effect.fail(fromErrorPart(event, this.asked))
        this.chunk(event)
      }
    }
    return Effect.void
  }

  /** What the reply came to, when there is no more of it. */
  end(): Effect.Effect<ModelFinish, ModelError> {
    if (this.reason === undefined && !this.isDone) {
      return Effect.fail(unavailable("the reply ended before it was complete", this.asked))
    }
    if (this.reason === "error") {
      return Effect.fail(unavailable("the provider ended the reply as failed", this.asked))
    }
    this.endReasoning()
    const reason = this.finish()
    this.calls.forEach(({ args, id, name }, index) => {
      const cut = reason === "length" && index === this.calls.length - 1 && args.trim() === ""
      this.emit({ _tag: "ToolCall", id, name, ...(cut ? { args: {}, raw: args } : argsOf(args)) })
    })
    return Effect.succeed({ reason, usage: this.wire.usage })
  }

  private chunk(chunk: Fields): void {
    const [first] = Array.isArray(chunk["choices"]) ? chunk["choices"] : []
    const choice = record(first)
    // A server that does not stream sends the message as a whole.
    const delta = record(choice["delta"] ?? choice["message"])
    this.reasoning(delta)
    this.text(contentOf(delta["content"]))
    if (text(delta["refusal"]) !== "") {
      this.refused = true
      this.text(text(delta["refusal"]))
    }
    if (Array.isArray(delta["tool_calls"])) for (const call of delta["tool_calls"]) this.call(record(call))
    if (text(choice["finish_reason"]) !== "") this.reason = text(choice["finish_reason"])
    if (isRecord(chunk["usage"])) this.usage(chunk["usage"])
  }

  private reasoning(delta: Fields): void {
    // Some servers send both, the one for the sake of clients that know only the other.
    const field = text(delta["reasoning_content"]) === "" ? "reasoning" : "reasoning_content"
    const arrived = text(delta[field])
    if (arrived !== "") {
      this.field ??= field
      this.emit({ _tag: "ReasoningDelta", text: arrived })
    }
    if (Array.isArray(delta["reasoning_details"])) this.details.add(delta["reasoning_details"])
  }

  private text(arrived: string): void {
    if (arrived === "") return
    this.endReasoning()
    this.emit({ _tag: "TextDelta", text: arrived })
  }

  private endReasoning(): void {
    const details = this.details.take()
    if (this.field === undefined && details.length === 0) return
    const compatible: Metadata = {
      ...(this.field === undefined ? undefined : { field: this.field }),
      ...(details.length === 0 ? undefined : { details })
    }
    this.field = undefined
    this.emit({ _tag: "ReasoningEnd", metadata: { compatible } })
  }

  /** A piece of a call belongs to the one with its index, or with its id, or to the last. */
  private call(delta: Fields): void {
    const called = record(delta["function"])
    const id = text(delta["id"])
    const name = text(called["name"])
    const { index } = delta
    let call =
      index === undefined || index === null
        ? this.calls.findLast((it) => id === "" || it.id === id)
        : this.calls.findLast((it) => it.index === index)
    // Some servers give every call the index 0.
    const isOther = call !== undefined && id !== "" && call.id !== "" && id !== call.id && name !== ""
    if (call === undefined || isOther) {
      call = { index, id: "", name: "", args: "" }
      this.calls.push(call)
    }
    if (call.id === "") call.id = id
    if (call.name === "") call.name = name
    const args = called["arguments"]
    call.args += isRecord(args) ? JSON.stringify(args) : text(args)
  }

  private usage(usage: Fields): void {
    const input = record(usage["prompt_tokens_details"])
    const figures = {
      input: usage["prompt_tokens"],
      output: usage["completion_tokens"],
      cacheRead: input["cached_tokens"] ?? usage["prompt_cache_hit_tokens"],
      cacheWrite: input["cache_write_tokens"],
      reasoning: record(usage["completion_tokens_details"])["reasoning_tokens"]
    }
    if (this.reason === undefined) this.wire.soFar(figures)
    else this.wire.ended(figures)
  }

  private finish(): ModelFinish["reason"] {
    if (this.refused) return "content-filter"
    switch (this.reason) {
      case "length":
        return "length"
      case "content_filter":
        return "content-filter"
      default:
        if (this.calls.length > 0) return "tool-calls"
        return this.reason === undefined || this.reason === "stop" ? "stop" : "other"
    }
  }
}

/** Text, also where it comes in parts. */
const contentOf = (content: unknown): string =>
  Array.isArray(content) ? content.map((part) => text(record(part)["text"])).join("") : text(content)
