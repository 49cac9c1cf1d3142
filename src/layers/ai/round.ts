/**
 * Reads the parts of one streamed reply.
 */
import type * as AiError from "@effect/ai/AiError"
import type * as Response from "@effect/ai/Response"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import type { ModelError } from "../../services/Errors.js"
import type { ModelEvent, ModelFinish, ModelRequest } from "../../services/Model.js"
import type { Usage } from "../../services/Usage.js"
import { argsOf, type Call, unwrap, wrapper } from "./calls.js"
import { type Asked, fromAiError, fromErrorPart, unavailable } from "./errors.js"
import { record } from "./json.js"
import { figure, usageOf } from "./usage.js"
import type { Wire } from "./Wire.js"

type Part = Response.StreamPartEncoded
type Metadata = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>

/** One reply as it arrives. `wire` is there where the provider's stream is read by Baton before `@effect/ai` reads it. */
export class Round {
  private readonly names: ReadonlySet<string>
  private readonly emit: (event: ModelEvent) => void
  readonly asked: Asked
  private readonly wire: Wire | undefined
  /** What the stretch of text that is arriving has brought so far. */
  private text: Metadata = {}
  /** The stretches of reasoning that have begun and not ended, and what their parts brought so far. */
  private readonly reasoning = new Set<string>()
  private metadata: Metadata = {}
  /** A call without arguments, until it is known whether it was cut there. */
  private bare: (Call & { readonly id: string; readonly metadata: Metadata | undefined }) | undefined
  /** Calls whose arguments are arriving. */
  private readonly calls = new Map<string, { readonly name: string; text: string }>()
  private finish: Response.FinishPartEncoded | undefined
  private error: ModelError | undefined
  /** A call was put together from a reply that could not be read to its end. */
  private mended = false

  constructor(request: ModelRequest, emit: (event: ModelEvent) => void, asked: Asked, wire?: Wire) {
    this.names = new Set(request.tools.map((tool) => tool.name))
    this.emit = emit
    this.asked = asked
    this.wire = wire
  }

  /** Reads what has arrived. Fails with the error that the provider put into its reply. */
  read(parts: Iterable<unknown>): Effect.Effect<void, ModelError> {
    for (const part of parts) {
      this.part(part as Part)
      if (this.error !== undefined) return Effect.fail(this.error)
    }
    return Effect.void
  }

  /** What the reply came to, when there is no more of it. */
  end(): Effect.Effect<ModelFinish, ModelError> {
    if (this.reasoning.size > 0) this.endReasoning()
    const { finish, wire } = this
    if (finish === undefined) {
      return this.mended
        ? Effect.succeed({ reason: "tool-calls", usage: undefined })
        : Effect.fail(unavailable("the reply ended before it was complete", this.asked))
    }
    this.endBare(finish.reason === "length")
    const usage = wire === undefined ? figuresOf(finish) : wire.usage
    // `@effect/ai-openai` ends a failed response as it ends a complete one, without figures.
    const failed = wire === undefined && usage === undefined && finish.metadata?.["openai"] !== undefined
    if (finish.reason === "error" || failed) {
      return Effect.fail(unavailable("the provider ended the reply as failed", this.asked))
    }
    return Effect.succeed({ reason: wire?.reason ?? reasonOf(finish.reason), usage })
  }

  /**
   * A failure of the stream. Where the stream is that of a `LanguageModel` which Baton did not make, calls that
   * `@effect/ai` cannot read, of a tool that was not given or with arguments that are not JSON, are read here instead;
   * what came after them is lost with the stream, and so are the figures.
   */
  failed(error: AiError.AiError): Effect.Effect<void, ModelError> {
    if (this.finish !== undefined) return Effect.void
    if (error._tag === "MalformedOutput") {
      const chunk = ParseResult.isParseError(error.cause) ? actualOf(error.cause.issue) : undefined
      if (Chunk.isChunk(chunk) && Chunk.some(chunk, (part) => this.isUnknownCall(part))) {
        this.mended = true
        return this.read(chunk)
      }
      const last = [...this.calls].at(-1)
      if (last !== undefined && error.description?.includes("parse tool call parameters") === true) {
        const [id, { name, text }] = last
        this.mended = true
        this.emit({ _tag: "ToolCall", id, name, args: {}, raw: text })
        return Effect.void
      }
    }
    return Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.fail(fromAiError(error, this.asked, now)))
  }

  private part(part: Part): void {
    if (part.type !== "finish" && part.type !== "error") this.endBare(false)
    switch (part.type) {
      case "text-start":
        this.text = merged({}, part.metadata)
        return
      case "text-delta":
        if (part.delta !== "") this.emit({ _tag: "TextDelta", text: part.delta })
        return
      case "text-end": {
        const { metadata } = told(merged(this.text, part.metadata))
        if (metadata !== undefined) this.emit({ _tag: "TextEnd", metadata })
        return
      }
      case "reasoning-start":
        // A summary of several parts is one stretch: what its provider wants back comes once, at the end.
        if (this.reasoning.size > 0) this.emit({ _tag: "ReasoningDelta", text: "\n\n" })
        this.reasoning.add(part.id)
        this.keep(part.metadata)
        return
      case "reasoning-delta":
        this.keep(part.metadata)
        if (part.delta !== "") this.emit({ _tag: "ReasoningDelta", text: part.delta })
        return
      case "reasoning-end":
        this.keep(part.metadata)
        if (this.reasoning.delete(part.id) && this.reasoning.size === 0) this.endReasoning()
        return
      case "tool-params-start":
        if (part.providerExecuted !== true) this.calls.set(part.id, { name: this.nameOf(part), text: "" })
        return
      case "tool-params-delta": {
        const call = this.calls.get(part.id)
        if (call !== undefined) call.text += part.delta
        return
      }
      case "tool-call": {
        this.calls.delete(part.id)
        if (part.providerExecuted === true) return
        const call = this.wire !== undefined && part.name === wrapper ? unwrap(part.params) : undefined
        if (call !== undefined) {
          this.bare = { ...call, id: part.id, metadata: part.metadata }
          if (call.args !== "") this.endBare(false)
          return
        }
        const metadata = told(part.metadata)
        this.emit({ _tag: "ToolCall", id: part.id, name: this.nameOf(part), args: part.params, ...metadata })
        return
      }
      case "finish":
        this.finish = part
        return
      case "error":
        this.error = fromErrorPart(part.error, this.asked)
        return
    }
  }

  private keep(metadata: Metadata | undefined): void {
    this.metadata = merged(this.metadata, metadata)
  }

  private endBare(cut: boolean): void {
    if (this.bare === undefined) return
    const { id, name, args, metadata } = this.bare
    this.bare = undefined
    const read = cut ? { args: {}, raw: args } : argsOf(args)
    this.emit({ _tag: "ToolCall", id, name, ...read, ...told(metadata) })
  }

  private endReasoning(): void {
    this.reasoning.clear()
    this.emit({ _tag: "ReasoningEnd", ...told(this.metadata) })
    this.metadata = {}
  }

  /** The name that the model used, where the provider's package put one of its own in its place. */
  private nameOf(part: { readonly name: string; readonly providerName?: string | undefined }): string {
    return this.names.has(part.name) ? part.name : (part.providerName ?? part.name)
  }

  private isUnknownCall(part: unknown): boolean {
    const it = part as Part
    return it.type === "tool-call" && it.providerExecuted !== true && !this.names.has(it.name)
  }
}

const merged = (before: Metadata, more: Metadata | undefined): Metadata => {
  let all = before
  for (const [provider, own] of Object.entries(more ?? {})) {
    if (own !== undefined) all = { ...all, [provider]: { ...all[provider], ...known(own) } }
  }
  return all
}

/** Metadata that says something. */
const told = (metadata: Metadata | undefined): { readonly metadata?: Metadata } => {
  const entries = Object.entries(metadata ?? {}).flatMap(([provider, own]) => {
    const values = own === undefined ? {} : known(own)
    return Object.keys(values).length === 0 ? [] : [[provider, values] as const]
  })
  return entries.length === 0 ? {} : { metadata: Object.fromEntries(entries) }
}

const known = (own: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined && value !== null))

const actualOf = (issue: ParseResult.ParseIssue): unknown => ("actual" in issue ? issue.actual : undefined)

const reasonOf = (reason: Exclude<Response.FinishReason, "error">): ModelFinish["reason"] =>
  reason === "unknown" ? "other" : reason

/**
 * A provider's figures, where it told any. `input` is everything that was sent, with what was read from or written to
 * a cache; `output` everything that came, with the reasoning.
 */
const figuresOf = (finish: Response.FinishPartEncoded): Usage | undefined => {
  const { cachedInputTokens, inputTokens, outputTokens, reasoningTokens } = finish.usage
  const anthropic = finish.metadata?.["anthropic"]?.["usage"]
  const cacheRead = figure(cachedInputTokens) ?? 0
  const cacheWrite = figure(record(anthropic)["cache_creation_input_tokens"]) ?? 0
  const input = figure(inputTokens)
  // Anthropic counts the cache apart, OpenAI and Google with the rest.
  const apart = anthropic !== undefined || cacheRead > (input ?? 0)
  return usageOf({
    input: input !== undefined && apart ? input + cacheRead + cacheWrite : input,
    output: outputTokens,
    cacheRead,
    cacheWrite,
    reasoning: reasoningTokens
  })
}
