/**
 * One model round-trip: the request is the fold of history, the reply becomes one entry.
 */
import * as Effect from "effect/Effect"
import * as Draft from "../services/Draft.js"
import type { AssistantPart, ToolCallPart } from "../services/Entry.js"
import type { ModelError } from "../services/Errors.js"
import * as Json from "../services/Json.js"
import type { ModelEvent, ModelFinish, ModelRequest } from "../services/Model.js"
import * as Usage from "../services/Usage.js"
import type { Operation } from "./operation.js"
import { wellFormed } from "./toolset.js"

/** What a reply asks for. */
export type TurnOutcome =
  /** The model is done. */
  | { readonly _tag: "Final"; readonly assistant: Draft.Assistant; readonly text: string }
  /** The model wants these calls run. */
  | { readonly _tag: "Calls"; readonly assistant: Draft.Assistant; readonly calls: ReadonlyArray<ToolCallPart> }
  /** The model wants to be asked again as things stand. */
  | { readonly _tag: "Pause"; readonly assistant: Draft.Assistant; readonly text: string }

/** Sends the request and gathers the reply. Writes nothing; deltas go to those who listen as they arrive. */
export const turn = (
  operation: Operation,
  request: Omit<ModelRequest, "messages">
): Effect.Effect<TurnOutcome, ModelError> =>
  Effect.suspend(() => {
    const reply = new Reply(operation)
    const messages = operation.journal.conversation.messages()
    const whole: ModelRequest = {
      model: request.model,
      thinking: request.thinking,
      instructions: request.instructions,
      tools: request.tools,
      messages
    }
    return Effect.map(
      operation.engine.model.stream(whole, (event) => reply.take(event)),
      (finish) => reply.end(request.model, finish)
    )
  })

/** A reply as it arrives. */
class Reply {
  private readonly operation: Operation
  private readonly parts: Array<AssistantPart> = []
  private text = ""
  private reasoning = ""

  constructor(operation: Operation) {
    this.operation = operation
    operation.partial = ""
    operation.reply = this
  }

  take(event: ModelEvent): void {
    // A model that speaks after its end is not heard.
    if (this.operation.reply !== this) return
    switch (event._tag) {
      case "TextDelta":
        this.closeReasoning()
        this.text += event.text
        this.operation.partial += event.text
        return this.publish("TextDelta", event.text)
      case "TextEnd":
        return this.closeText(event.metadata)
      case "ReasoningDelta":
        this.closeText()
        this.reasoning += event.text
        return this.publish("ReasoningDelta", event.text)
      case "ReasoningEnd":
        return this.closeReasoning(event.metadata)
      case "ToolCall": {
        this.closeText()
        this.closeReasoning()
        this.parts.push(toolCall(event, this.parts))
        return
      }
      case "UsageSoFar":
      case "Notice":
        return
    }
  }

  end(model: string, finish: ModelFinish): TurnOutcome {
    this.closeText()
    this.closeReasoning()
    this.operation.partial = ""
    this.operation.reply = undefined
    const { journal } = this.operation
    if (finish.usage !== undefined) journal.turns = Usage.add(journal.turns, finish.usage)
    const assistant = Draft.assistant(this.parts, model, finish.reason, finish.usage)
    const calls = this.parts.filter((part) => part.type === "tool-call")
    if (calls.length > 0) return { _tag: "Calls", assistant, calls }
    let text = ""
    for (const part of this.parts) if (part.type === "text") text += part.text
    return { _tag: finish.reason === "pause" ? "Pause" : "Final", assistant, text }
  }

  private closeText(metadata?: unknown): void {
    if (this.text === "") return
    const text = Json.cleanText(this.text)
    this.parts.push({ type: "text", text, ...(metadata === undefined ? undefined : { metadata }) })
    this.text = ""
  }

  private closeReasoning(metadata?: unknown): void {
    if (this.reasoning === "" && metadata === undefined) return
    const text = Json.cleanText(this.reasoning)
    // What a provider has signed goes back as it came or not at all.
    const altered = metadata !== undefined && text !== this.reasoning
    if (!altered) this.parts.push({ type: "reasoning", text, ...(metadata === undefined ? undefined : { metadata }) })
    this.reasoning = ""
  }

  private publish(_tag: "TextDelta" | "ReasoningDelta", text: string): void {
    const { clock, engine, id, ref } = this.operation
    if (!engine.events.heard(ref.id)) return
    engine.events.publish({ _tag, session: ref.id, at: clock.unsafeCurrentTimeMillis(), operationId: id, text })
  }
}

/** The longest call id that providers take back. */
const maxCallId = 64

/** The longest text of unparsed arguments that is kept. */
const maxRaw = 4_000

/** A call as the history keeps it: with an id that is unique in its turn, and arguments that went through the gate. */
const toolCall = (
  event: Extract<ModelEvent, { readonly _tag: "ToolCall" }>,
  before: ReadonlyArray<AssistantPart>
): ToolCallPart => {
  const taken = (id: string) => before.some((part) => part.type === "tool-call" && part.id === id)
  let id = event.id !== "" && event.id.length <= maxCallId && event.id.isWellFormed() ? event.id : ""
  for (let n = before.length; id === "" || taken(id); n++) id = `call_${n}`
  const args = Json.clean(event.args)
  const isObject = typeof event.args === "object" && event.args !== null && !Array.isArray(event.args)
  const usable = isObject && "value" in args
  const raw = event.raw ?? (usable ? undefined : rawOf(event.args))
  return {
    type: "tool-call",
    id,
    name: wellFormed.test(event.name) ? event.name : "invalid_tool",
    args: usable && event.raw === undefined ? args.value : {},
    ...(raw === undefined ? undefined : { raw: Json.cleanText(raw.slice(0, maxRaw)) }),
    ...(event.metadata === undefined ? undefined : { metadata: event.metadata })
  }
}

const rawOf = (args: unknown): string => {
  try {
    return JSON.stringify(args) ?? String(args)
  } catch {
    return String(args)
  }
}
