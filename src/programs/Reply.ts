/**
 * A reply of a model as it arrives.
 */
import type { AssistantPart, ToolCallPart } from "../services/Entry.js"
import * as Json from "../services/Json.js"
import type { ModelEvent } from "../services/Model.js"
import type { Usage } from "../services/Usage.js"
import { heldBack, redact } from "../services/Secrets.js"
import type { Operation } from "./operation.js"
import { wellFormed } from "./toolset.js"

export class Reply {
  readonly parts: Array<AssistantPart> = []
  /** When something arrived last, in milliseconds since the epoch. */
  heardAt: number
  /** What the provider told of its usage before the end. */
  usage: Usage | undefined
  /** All text so far. */
  said = ""
  /** What it used in the end. */
  final: Usage | undefined
  private ended = false
  /** The end of what has arrived, not told yet. */
  private held = ""
  private text = ""
  private reasoning = ""

  constructor(
    private readonly operation: Operation,
    private readonly price: (usage: Usage | undefined) => Usage
  ) {
    this.heardAt = operation.clock.unsafeCurrentTimeMillis()
    operation.reply = this
  }

  /** What it used; as far as the provider told, where it did not come to its end. */
  used(): Usage {
    return this.final ?? this.price(this.usage)
  }

  take(event: ModelEvent): void {
    // A model that speaks after its end is not heard.
    if (this.ended) return
    this.heardAt = this.operation.clock.unsafeCurrentTimeMillis()
    switch (event._tag) {
      case "TextDelta":
        this.closeReasoning()
        this.text += event.text
        this.said += event.text
        return this.publish("TextDelta", event.text)
      case "TextEnd":
        return this.closeText(event.metadata)
      case "ReasoningDelta":
        this.closeText()
        this.reasoning += event.text
        return this.publish("ReasoningDelta", event.text)
      case "ReasoningEnd":
        // It may have no text of its own, and what came before it stands before it.
        this.closeText()
        return this.closeReasoning(event.metadata)
      case "ToolCall": {
        this.closeText()
        this.closeReasoning()
        this.parts.push(toolCall(event, this.parts, this.operation.journal.conversation.calls))
        return
      }
      case "UsageSoFar":
        this.usage = event.usage
        return
      case "Notice":
        return this.operation.notice(event.message)
    }
  }

  /** Ends it: nothing more is taken. */
  end(): void {
    this.ended = true
    this.closeText()
    this.closeReasoning()
  }

  private closeText(metadata?: unknown): void {
    if (this.text === "") return
    this.tellHeld("TextDelta")
    const text = Json.cleanText(this.text)
    this.parts.push({ type: "text", text, ...kept(metadata) })
    this.text = ""
  }

  private closeReasoning(metadata?: unknown): void {
    if (this.reasoning === "" && metadata === undefined) return
    const text = Json.cleanText(this.reasoning)
    // What a provider has signed goes back as it came or not at all.
    const altered = metadata !== undefined && (text !== this.reasoning || !isClean(metadata))
    this.tellHeld("ReasoningDelta")
    if (altered) this.operation.notice("Reasoning that is not clean text was left out of the history.")
    else this.parts.push({ type: "reasoning", text, ...(metadata === undefined ? undefined : { metadata }) })
    this.reasoning = ""
  }

  /** Tells a delta. What may be the beginning of a secret is held until it is known not to be. */
  private publish(_tag: "TextDelta" | "ReasoningDelta", delta: string): void {
    const { engine, id, ref } = this.operation
    if (!engine.events.heard(ref.id)) return
    const clean = redact(this.held + delta)
    const held = heldBack(clean)
    this.held = held === 0 ? "" : clean.slice(-held)
    const text = held === 0 ? clean : clean.slice(0, -held)
    if (text === "") return
    engine.events.publish({ _tag, session: ref.id, at: this.heardAt, operationId: id, text })
  }

  /** Tells what was held, where nothing follows. */
  private tellHeld(_tag: "TextDelta" | "ReasoningDelta"): void {
    if (this.held === "") return
    const { engine, id, ref } = this.operation
    const text = this.held
    this.held = ""
    engine.events.publish({ _tag, session: ref.id, at: this.heardAt, operationId: id, text })
  }
}

/** A call id that every provider takes back: the characters are Anthropic's, the length is that of Chat Completions. */
const callId = /^[a-zA-Z0-9_-]{1,40}$/

/** The longest text of unparsed arguments that is kept. */
const maxRaw = 4_000

/**
 * A call as the history keeps it: with arguments that went through the gate, and an id that no call has had before. Some
 * servers count from 0 in every reply, and Anthropic refuses a history in which two calls have one id.
 */
const toolCall = (
  event: Extract<ModelEvent, { readonly _tag: "ToolCall" }>,
  before: ReadonlyArray<AssistantPart>,
  earlier: ReadonlySet<string>
): ToolCallPart => {
  const taken = (id: string) => earlier.has(id) || before.some((part) => part.type === "tool-call" && part.id === id)
  let id = callId.test(event.id) ? event.id : ""
  for (let n = earlier.size + before.length; id === "" || taken(id); n++) id = `call_${n}`
  const args = Json.clean(event.args)
  const isObject = typeof event.args === "object" && event.args !== null && !Array.isArray(event.args)
  const usable = isObject && "value" in args
  const raw = event.raw ?? (usable ? undefined : rawOf(event.args))
  return {
    type: "tool-call",
    id,
    name: wellFormed.test(event.name) ? event.name : "invalid_tool",
    args: usable && event.raw === undefined ? args.value : {},
    ...(raw === undefined ? undefined : { raw: Json.cleanText(raw).slice(0, maxRaw).toWellFormed() }),
    ...kept(event.metadata)
  }
}

/** Whether what a provider wants back may be kept as it is: some of it is text that the model has written. */
const isClean = (metadata: unknown): boolean => {
  const clean = Json.clean(metadata)
  return !("value" in clean) || clean.value === metadata
}

/** What a provider wants back with a text or a call, which it takes without it too. */
const kept = (metadata: unknown): { readonly metadata?: unknown } | undefined =>
  metadata === undefined || !isClean(metadata) ? undefined : { metadata }

const rawOf = (args: unknown): string => {
  try {
    return JSON.stringify(args) ?? String(args)
  } catch {
    return String(args)
  }
}
