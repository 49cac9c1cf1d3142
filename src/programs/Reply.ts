/**
 * A reply of a model as it arrives.
 */
import type { AssistantPart, ToolCallPart } from "../services/Entry.js"
import * as Json from "../services/Json.js"
import type { ModelEvent } from "../services/Model.js"
import type { Usage } from "../services/Usage.js"
import { heldBack, redact } from "../services/Secrets.js"
import type { Operation } from "./held.js"
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
  /** How much more is taken, in UTF-16 code units. */
  private room = maxReply
  /** Reasoning was cut for want of room. */
  private isCut = false
  /** What was told once and need not be told again. */
  private readonly noticed = new Set<string>()
  private readonly callIds = new Set<string>()
  /** The end of what has arrived, not told yet. */
  private held = ""
  private text = ""
  private reasoning = ""

  constructor(
    private readonly operation: Operation,
    private readonly price: (usage: Usage | undefined) => Usage,
    /** It is none of the conversation: only its text is gathered, and told to nobody. */
    readonly quiet: boolean
  ) {
    this.heardAt = operation.clock.unsafeCurrentTimeMillis()
    operation.reply = this
    if (!quiet) operation.startPartial()
  }

  /** What it used; as far as the provider told, where it did not come to its end. */
  used(): Usage {
    return this.final ?? this.price(this.usage)
  }

  take(event: ModelEvent): void {
    // A model that speaks after its end is not heard.
    if (this.ended) return
    this.heardAt = this.operation.clock.unsafeCurrentTimeMillis()
    if (!isEvent(event)) return this.noticeOnce("The model said something that is no event; it was left out.")
    if (this.quiet && isOfConversation(event)) return
    switch (event._tag) {
      case "TextDelta": {
        this.closeReasoning()
        const text = this.fit(event.text, leftOut)
        this.text += text
        this.said += text
        if (this.quiet) return
        this.operation.keepPartial(this.said)
        return this.publish("TextDelta", text)
      }
      case "TextEnd":
        return this.closeText(event.metadata)
      case "ReasoningDelta": {
        this.closeText()
        const text = this.fit(event.text, "")
        if (text.length < event.text.length) this.isCut = true
        this.reasoning += text
        return this.publish("ReasoningDelta", text)
      }
      case "ReasoningEnd":
        // It may have no text of its own, and what came before it stands before it.
        this.closeText()
        return this.closeReasoning(event.metadata)
      case "ToolCall": {
        this.closeText()
        this.closeReasoning()
        if (this.room <= 0) return this.noticeOnce(tooLong)
        const call = toolCall(event, this.callIds, this.operation.journal.conversation.calls)
        this.room -= call.size
        this.callIds.add(call.part.id)
        this.parts.push(call.part)
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

  /** As much of a text as there is room for; `mark` stands in the place of the rest. */
  private fit(text: string, mark: string): string {
    if (text.length <= this.room) {
      this.room -= text.length
      return text
    }
    const { room } = this
    this.room = 0
    this.noticeOnce(tooLong)
    return room > 0 ? text.slice(0, room).toWellFormed() + mark : ""
  }

  private noticeOnce(message: string): void {
    if (this.noticed.has(message)) return
    this.noticed.add(message)
    this.operation.notice(message)
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
    const altered = metadata !== undefined && (this.isCut || text !== this.reasoning || !isClean(metadata))
    this.isCut = false
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

/** The longest reply that is kept, in UTF-16 code units: several times what the largest models can say in one. */
const maxReply = 4_000_000

/** What a call takes of that besides its arguments. */
const callSize = 200

const leftOut = "\n[… the rest of the reply was left out …]"
const tooLong = `The reply is longer than ${maxReply} characters; the rest was left out.`

/** Whether an event is one that only a reply of the conversation has use for. */
const isOfConversation = ({ _tag }: ModelEvent): boolean =>
  _tag === "ReasoningDelta" || _tag === "ReasoningEnd" || _tag === "ToolCall"

/** Whether an adapter's event is one. */
const isEvent = (event: ModelEvent): boolean => {
  try {
    switch (event._tag) {
      case "TextDelta":
      case "ReasoningDelta":
        return typeof event.text === "string"
      case "ToolCall":
        return (
          typeof event.id === "string" &&
          typeof event.name === "string" &&
          (event.raw === undefined || typeof event.raw === "string")
        )
      case "UsageSoFar":
        return typeof event.usage === "object" && event.usage !== null
      case "Notice":
        return typeof event.message === "string"
      case "TextEnd":
      case "ReasoningEnd":
        return true
      default:
        return false
    }
  } catch {
    return false
  }
}

/**
 * A call as the history keeps it: with arguments that went through the gate, and an id that no call has had before. Some
 * servers count from 0 in every reply, and Anthropic refuses a history in which two calls have one id.
 */
const toolCall = (
  event: Extract<ModelEvent, { readonly _tag: "ToolCall" }>,
  before: ReadonlySet<string>,
  earlier: ReadonlySet<string>
): { readonly part: ToolCallPart; readonly size: number } => {
  const taken = (id: string) => earlier.has(id) || before.has(id)
  let id = callId.test(event.id) ? event.id : ""
  for (let n = earlier.size + before.size; id === "" || taken(id); n++) id = `call_${n}`
  const bounds = { room: Json.maxSize }
  const args = Json.clean(event.args, bounds)
  const usable = "value" in args && typeof args.value === "object" && args.value !== null && !Array.isArray(args.value)
  const raw = event.raw ?? (usable ? undefined : rawOf(event.args))
  const part = {
    type: "tool-call" as const,
    id,
    name: wellFormed.test(event.name) ? event.name : "invalid_tool",
    args: usable && event.raw === undefined ? args.value : {},
    ...(raw === undefined ? undefined : { raw: Json.cleanText(raw).slice(0, maxRaw).toWellFormed() }),
    ...kept(event.metadata)
  }
  return { part, size: callSize + (usable ? Json.maxSize - bounds.room : maxRaw) }
}

/** The largest metadata that is kept: sealed reasoning is about as long as the reasoning. */
const maxMetadata = 4_000_000

/** Whether what a provider wants back may be kept as it is: some of it is text that the model has written. */
const isClean = (metadata: unknown): boolean => {
  const clean = Json.clean(metadata, { room: maxMetadata, gaps: true })
  return "value" in clean && clean.value === metadata
}

/** What a provider wants back with a text or a call, which it takes without it too. */
const kept = (metadata: unknown): { readonly metadata?: unknown } | undefined =>
  metadata === undefined || !isClean(metadata) ? undefined : { metadata }

const rawOf = (args: unknown): string => {
  const printed = Json.print(args)
  return "json" in printed ? printed.json : `(what cannot be shown: ${printed.problem})`
}
