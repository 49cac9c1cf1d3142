/**
 * What a model sees of a history: the fold of entries to messages. Deterministic, and extended entry by entry, so that
 * the request of one turn begins with the request of the turn before.
 */
import type { AssistantPart, Entry, ToolCallPart, ToolOutcome, UserPart } from "./Entry.js"

export interface UserMessage {
  readonly role: "user"
  readonly content: ReadonlyArray<UserPart>
}

export interface AssistantMessage {
  readonly role: "assistant"
  readonly content: ReadonlyArray<AssistantPart>
}

/** The results of the calls of the assistant message before it: one for each call, in the order of the calls. */
export interface ToolMessage {
  readonly role: "tool"
  readonly results: ReadonlyArray<ToolResult>
}

export interface ToolResult {
  readonly callId: string
  readonly name: string
  readonly text: string
  readonly isError: boolean
}

export type Message = UserMessage | AssistantMessage | ToolMessage

interface OpenTurn {
  readonly calls: ReadonlyArray<ToolCallPart>
  readonly results: Map<string, ToolResult>
  readonly started: Set<string>
}

/** The fold so far. */
export class Conversation {
  private readonly folded: Array<Message> = []
  /** Calls of the last assistant message that wait for their results. */
  private open: OpenTurn | undefined
  private note: string | undefined
  private callIds: Set<string> | undefined
  /** How it stood before the last operation. */
  private before:
    | {
        readonly parent: number | null
        readonly length: number
        readonly last: Message | undefined
        readonly note: string | undefined
      }
    | undefined

  add(entry: Entry): void {
    switch (entry._tag) {
      case "OperationStarted": {
        this.closeTurn()
        const { folded, note } = this
        this.before = { parent: entry.parentId, length: folded.length, last: folded.at(-1), note }
        return
      }
      case "HeadMoved": {
        this.moveTo(entry.parentId)
        return
      }
      case "User": {
        this.closeTurn()
        const content =
          this.note === undefined
            ? entry.content
            : [{ type: "text" as const, text: this.note, note: true as const }, ...entry.content]
        this.note = undefined
        const last = this.folded.at(-1)
        if (last?.role === "user") {
          this.folded[this.folded.length - 1] = { role: "user", content: [...last.content, ...content] }
        } else this.folded.push({ role: "user", content })
        return
      }
      case "Assistant": {
        this.closeTurn()
        // An empty reply is nothing a provider would take back.
        if (!entry.content.some(isVisible)) return
        const content = entry.content.every(isNotBlank) ? entry.content : entry.content.filter(isNotBlank)
        const last = this.folded.at(-1)
        // A reply that paused and the one that went on are one message.
        if (last?.role === "assistant") {
          this.folded[this.folded.length - 1] = { role: "assistant", content: [...last.content, ...content] }
        } else this.folded.push({ role: "assistant", content })
        if (content.some(isToolCall)) {
          const calls = content.filter(isToolCall)
          const ids = (this.callIds ??= new Set())
          for (const call of calls) ids.add(call.id)
          this.open = { calls, results: new Map(), started: new Set() }
        }
        return
      }
      case "ToolStarted": {
        this.open?.started.add(entry.callId)
        return
      }
      case "ToolSettled": {
        this.open?.results.set(entry.callId, {
          callId: entry.callId,
          name: entry.name,
          text: entry.result,
          isError: entry.outcome !== "success"
        })
        return
      }
      case "OperationSettled": {
        this.closeTurn()
        if (entry.outcome !== "completed" && entry.kind !== "shell") {
          const why = entry.outcome === "failed" ? `failed (${entry.error?.tag ?? "unknown"})` : "was interrupted"
          this.note = `[The request above ${why} before it was answered.]`
        }
        return
      }
    }
  }

  /** Goes back to how it stood at an entry: before the last operation, which is where a head is moved to. */
  private moveTo(to: number | null): void {
    const { before } = this
    if (before?.parent !== to) throw new Error(`the head moved to ${to}, which is not before the last operation`)
    this.open = undefined
    this.note = before.note
    this.folded.length = before.length
    // A message may have been joined with one that came later.
    if (before.last !== undefined) this.folded[before.length - 1] = before.last
  }

  /** The ids of all calls that there ever were, also of those that the head has moved away from. */
  get calls(): ReadonlySet<string> {
    return this.callIds ?? noIds
  }

  /** The result of a call of the last reply, if it has one. */
  resultOf(callId: string): ToolResult | undefined {
    return this.open?.results.get(callId)
  }

  /** The calls of the last reply that have no end yet, and whether they were started. */
  unsettled(): ReadonlyArray<{ readonly call: ToolCallPart; readonly started: boolean }> {
    if (this.open === undefined) return []
    const { calls, results, started } = this.open
    return calls.flatMap((call) => (results.has(call.id) ? [] : [{ call, started: started.has(call.id) }]))
  }

  /** The messages for a request, as they are now; later entries do not change the array. */
  messages(): ReadonlyArray<Message> {
    this.closeTurn()
    return this.folded.slice()
  }

  /** Gives every call that has no result one that says so: a provider takes no call without its result. */
  private closeTurn(): void {
    if (this.open === undefined) return
    const { calls, results, started } = this.open
    this.open = undefined
    this.folded.push({
      role: "tool",
      results: calls.map((call) => results.get(call.id) ?? absent(call, started.has(call.id) ? "unknown" : "not-run"))
    })
  }
}

const noIds: ReadonlySet<string> = new Set()

/** The messages of a whole history. */
export const fold = (entries: Iterable<Entry>): ReadonlyArray<Message> => {
  const conversation = new Conversation()
  for (const entry of entries) conversation.add(entry)
  return conversation.messages()
}

/** What the model is told of a call that brought no result of its own. */
export const explain = (outcome: Exclude<ToolOutcome, "success" | "failure">): string => {
  switch (outcome) {
    case "deadline":
      return "The call took longer than its deadline and may still be running; its effects are possible."
    case "interrupted":
      return "The call was interrupted before it ended; its effects are possible."
    case "unknown":
      return "The call was started and its end was not recorded; its effects are possible."
    case "not-run":
      return "The call was not run."
  }
}

const absent = (call: ToolCallPart, outcome: "unknown" | "not-run"): ToolResult => ({
  callId: call.id,
  name: call.name,
  text: explain(outcome),
  isError: true
})

const isToolCall = (part: AssistantPart): part is ToolCallPart => part.type === "tool-call"

/** Providers refuse a blank text, also beside something else. */
const isNotBlank = (part: AssistantPart): boolean => part.type !== "text" || part.text.trim() !== ""

const isVisible = (part: AssistantPart): boolean =>
  part.type === "tool-call" || (part.type === "text" && part.text.trim() !== "")
