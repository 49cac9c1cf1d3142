/**
 * What a model sees of a history: the fold of entries to messages. Deterministic, and extended entry by entry, so that
 * the request of one turn begins with the request of the turn before.
 */
import * as Workspace from "./Workspace.js"
import type { AssistantPart, Entry, ImagePart, ResultPart, ToolCallPart, ToolOutcome, UserPart } from "./Entry.js"

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
  /** What the model is told; each image is a mark in it, as `[image 1: image/png]`. */
  readonly text: string
  readonly isError: boolean
  /** The images of the result, in the order of their marks. */
  readonly images?: ReadonlyArray<ImagePart> | undefined
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
  /** What the workspace told first, which goes with the instructions, and last; and whether it ever told of skills. */
  private told: { readonly first: Workspace.View; readonly last: Workspace.View; readonly skills: boolean } | undefined
  /** Whether a request may have gone out, with whose instructions every later one is to begin. */
  private asked = false
  /** How it stood before the last operation. */
  private before:
    | {
        readonly parent: number | null
        readonly length: number
        readonly last: Message | undefined
        readonly note: string | undefined
        readonly told: Conversation["told"]
        readonly asked: boolean
      }
    | undefined

  add(entry: Entry): void {
    switch (entry._tag) {
      case "OperationStarted": {
        this.closeTurn()
        const { asked, folded, note, told } = this
        this.before = { parent: entry.parentId, length: folded.length, last: folded.at(-1), note, told, asked }
        this.asked ||= entry.kind === "prompt" || entry.kind === "skill"
        return
      }
      case "HeadMoved": {
        this.moveTo(entry.parentId)
        return
      }
      case "User": {
        this.closeTurn()
        this.say(entry.content)
        return
      }
      case "WorkspaceRead": {
        const { before, told } = this
        // Where requests went out before there was anything to tell, they had nothing of it in their instructions.
        const known = told ?? (before?.asked === true ? noView : undefined)
        const skills = known?.skills === true || entry.skills.length > 0
        this.told = { first: known?.first ?? entry, last: entry, skills }
        const change = known === undefined ? "" : Workspace.changeOf(known.last, entry)
        if (change === "") return
        this.closeTurn()
        this.say([{ type: "text", text: change, note: true }])
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
        this.open?.results.set(entry.callId, toolResult(entry))
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
    this.told = before.told
    this.asked = before.asked
    this.folded.length = before.length
    // A message may have been joined with one that came later.
    if (before.last !== undefined) this.folded[before.length - 1] = before.last
  }

  /** Adds to what the model is told, after what is to be said of the request before; two messages of a user in a row are one. */
  private say(said: ReadonlyArray<UserPart>): void {
    const content =
      this.note === undefined ? said : [{ type: "text" as const, text: this.note, note: true as const }, ...said]
    this.note = undefined
    const last = this.folded.at(-1)
    if (last?.role === "user") {
      this.folded[this.folded.length - 1] = { role: "user", content: [...last.content, ...content] }
    } else this.folded.push({ role: "user", content })
  }

  /** What the workspace tells, as it was recorded last. */
  get workspace(): Workspace.View {
    return this.told?.last ?? Workspace.nothing
  }

  /** The same as it was before the last operation. */
  get workspaceBefore(): Workspace.View {
    return this.before?.told?.last ?? Workspace.nothing
  }

  /** Whether there were skills at any time: calls by which they are loaded may stand in the history. */
  get hadSkills(): boolean {
    return this.told?.skills === true
  }

  /** What goes with the agent's instructions: what the workspace told first. */
  get instructions(): string {
    return this.told === undefined ? "" : Workspace.instructionsOf(this.told.first)
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

const noView = { first: Workspace.nothing, last: Workspace.nothing, skills: false }

/** The messages of a whole history. */
export const fold = (entries: Iterable<Entry>): ReadonlyArray<Message> => {
  const conversation = new Conversation()
  for (const entry of entries) conversation.add(entry)
  return conversation.messages()
}

/** The result that an entry records, as the model is told it. */
export const toolResult = (entry: Extract<Entry, { readonly _tag: "ToolSettled" }>): ToolResult => {
  const { callId, content, name } = entry
  const told = { callId, name, text: entry.result, isError: entry.outcome !== "success" }
  const images = content?.filter(isImage) ?? []
  return images.length === 0 ? told : { ...told, images }
}

/**
 * The images of results as words of the user after them, each behind a line that says whose it is; empty where there are
 * none. It is the one way that every provider takes: Chat Completions and `@effect/ai` have no place for images in a
 * result. Made of the one message alone, so that a request still begins with the one before.
 */
export const imagesOf = ({ results }: ToolMessage): ReadonlyArray<UserPart> =>
  results.flatMap(({ callId, images = [], name }) =>
    images.flatMap((image, i): ReadonlyArray<UserPart> => {
      const text = `[Image ${i + 1} in the result of "${name}", call ${callId}:]`
      return [{ type: "text", text, note: true }, image]
    })
  )

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

const isImage = (part: ResultPart): part is ImagePart => part.type === "image"

const isToolCall = (part: AssistantPart): part is ToolCallPart => part.type === "tool-call"

/** Providers refuse a blank text, also beside something else. */
const isNotBlank = (part: AssistantPart): boolean => part.type !== "text" || part.text.trim() !== ""

const isVisible = (part: AssistantPart): boolean =>
  part.type === "tool-call" || (part.type === "text" && part.text.trim() !== "")
