/**
 * What a model sees of a history: the fold of entries to messages. Deterministic, and extended entry by entry, so that
 * the request of one turn begins with the request of the turn before.
 */
import { Misplaced } from "./Sequence.js"
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

/** What the provider told of a request's size: that of the first so many messages, with what goes before them. */
export interface Measured {
  readonly tokens: number
  readonly messages: number
}

type Compaction = Extract<Entry, { readonly _tag: "Compaction" }>
type Stalled = Extract<Entry, { readonly _tag: "CompactionStalled" }>

/** How it stood before the last operation. */
interface Before {
  readonly parent: number | null
  readonly folded: Array<Message>
  readonly begun: Array<number>
  readonly length: number
  readonly last: Message | undefined
  /** How many parts the last message had. */
  readonly parts: number
  readonly note: string | undefined
  readonly told: Conversation["told"]
  readonly asked: boolean
  readonly latest: Conversation["latest"]
  readonly measured: Measured | undefined
  readonly compacted: Compaction | undefined
  readonly stalled: Stalled | undefined
}

/** The fold so far. */
export class Conversation {
  private folded: Array<Message> = []
  /** The entry that began each message; 0 for results, which go with their calls. */
  private begun: Array<number> = []
  /** The parts of the last message, where it is a user's that nobody was handed yet: what is said next is added to them. */
  private tail: Array<UserPart> | undefined
  /** Calls of the last assistant message that wait for their results. */
  private open: OpenTurn | undefined
  private note: string | undefined
  private callIds: Set<string> | undefined
  /** What the workspace told first, which goes with the instructions, and last; and whether it ever told of skills. */
  private told: { readonly first: Workspace.View; readonly last: Workspace.View; readonly skills: boolean } | undefined
  /** Whether a request may have gone out, with whose instructions every later one is to begin. */
  private asked = false
  /** What the user said last, and the message that it stands in. */
  private latest: { readonly content: ReadonlyArray<UserPart>; readonly message: number } | undefined
  /** Whether what is said next is a request, whoever's words it is in: that of a skill. */
  private isRequest = false
  private measured_: Measured | undefined
  private compacted_: Compaction | undefined
  private stalled_: Stalled | undefined
  private before: Before | undefined

  /**
   * The conversation that leads to an entry, or to none, by the parents from there; of a history from its first entry on.
   * Throws `Misplaced` where an entry on the way does not go with those before it.
   */
  static at(entries: ReadonlyArray<Entry>, head: number | null): Conversation {
    const conversation = new Conversation()
    for (const entry of wayTo(entries, head)) {
      // What was left behind by the move is not on the way.
      if (entry._tag === "HeadMoved") conversation.leave()
      else conversation.add(entry)
    }
    for (const entry of entries) if (entry._tag === "Assistant") conversation.know(entry.content)
    return conversation
  }

  /** The same for a head that moves to the entry: a turn that was open there is not gone on with. */
  static from(entries: ReadonlyArray<Entry>, head: number | null): Conversation {
    const conversation = Conversation.at(entries, head)
    conversation.leave()
    return conversation
  }

  add(entry: Entry): void {
    switch (entry._tag) {
      case "OperationStarted": {
        this.closeTurn()
        this.before = this.state(entry.parentId)
        this.isRequest = entry.kind === "skill"
        this.asked ||= entry.kind === "prompt" || entry.kind === "skill"
        return
      }
      case "HeadMoved": {
        this.moveTo(entry.id, entry.parentId)
        return
      }
      case "User": {
        this.closeTurn()
        this.say(entry.id, entry.content)
        if (this.isRequest || entry.content.some(isOwn)) {
          this.latest = { content: entry.content, message: this.folded.length - 1 }
          this.isRequest = false
        }
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
        this.say(entry.id, [{ type: "text", text: change, note: true }])
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
        } else this.push(entry.id, { role: "assistant", content })
        const tokens = entry.usage.input + entry.usage.output
        if (tokens > 0 && entry.finish !== "interrupted") this.measured_ = { tokens, messages: this.folded.length }
        if (content.some(isToolCall)) {
          const calls = content.filter(isToolCall)
          this.know(calls)
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
        if (entry.outcome !== "completed" && entry.kind !== "shell" && entry.kind !== "compact") {
          const why = entry.outcome === "failed" ? `failed (${entry.error?.tag ?? "unknown"})` : "was interrupted"
          this.note = `[The request above ${why} before it was answered.]`
        }
        return
      }
      case "Compaction": {
        this.closeTurn()
        this.compact(entry)
        return
      }
      case "CompactionStalled": {
        this.stalled_ = entry
        return
      }
    }
  }

  /** How it stands, for when the head moves back to before an operation that follows. */
  private state(parent: number | null): Before {
    const { asked, begun, compacted_, folded, latest, measured_, note, stalled_, told } = this
    const { length } = folded
    const last = folded.at(-1)
    return {
      parent,
      folded,
      begun,
      length,
      last,
      parts: last?.role === "user" ? last.content.length : 0,
      note,
      told,
      asked,
      latest,
      measured: measured_,
      compacted: compacted_,
      stalled: stalled_
    }
  }

  /** Whether the head can be moved to an entry by what is known here: to before the last operation. */
  goesBackTo(to: number | null): boolean {
    return this.before !== undefined && this.before.parent === to
  }

  private moveTo(entry: number, to: number | null): void {
    const { before } = this
    if (before?.parent !== to) {
      throw new Misplaced(entry, `the head moved to ${to}, which is not before the last operation`)
    }
    this.open = undefined
    this.isRequest = false
    this.note = before.note
    this.told = before.told
    this.asked = before.asked
    this.latest = before.latest
    this.measured_ = before.measured
    this.compacted_ = before.compacted
    this.stalled_ = before.stalled
    this.folded = before.folded
    this.begun = before.begun
    this.folded.length = before.length
    this.begun.length = before.length
    // A message may have been joined with one that came later.
    const { last, parts } = before
    if (last === undefined) return
    const isGrown = last.role === "user" && last.content.length > parts
    this.folded[before.length - 1] = isGrown ? { role: "user", content: last.content.slice(0, parts) } : last
  }

  /** What the head was moved into the middle of is not gone on with. */
  private leave(): void {
    this.closeTurn()
    this.isRequest = false
  }

  /** Puts a summary in place of what lies before the first message that is kept. How it stood before stays as it was. */
  private compact(entry: Compaction): void {
    const { begun, folded, latest } = this.compactedBy(entry)
    this.folded = folded
    this.begun = begun
    this.latest = latest
    // What was told of changes is summarised too: the instructions tell anew how it is.
    if (this.told !== undefined) this.told = { ...this.told, first: this.told.last }
    this.measured_ = undefined
    this.compacted_ = entry
    this.stalled_ = undefined
  }

  private compactedBy(
    entry: Pick<Compaction, "id" | "summary" | "firstKept" | "files">
  ): Pick<Before, "folded" | "begun" | "latest"> {
    const { begun, folded, latest } = this
    const cut = entry.firstKept === null ? folded.length : begun.lastIndexOf(entry.firstKept)
    if (cut < 0) throw new Misplaced(entry.id, `no message began with entry ${entry.firstKept}`)
    const isBehind = latest !== undefined && latest.message < cut
    const head: Array<UserPart> = [{ type: "text", text: summaryNote(entry), note: true }]
    if (isBehind) head.push({ type: "text", text: latestNote, note: true }, ...latest.content)
    const [first, ...rest] = folded.slice(cut)
    const isJoined = first?.role === "user"
    const own: UserMessage = { role: "user", content: isJoined ? [...head, ...first.content] : head }
    return {
      folded: first === undefined || isJoined ? [own, ...rest] : [own, first, ...rest],
      begun: [entry.id, ...begun.slice(isJoined ? cut + 1 : cut)],
      latest: latest && {
        content: latest.content,
        message: isBehind ? 0 : latest.message - cut + (isJoined ? 0 : 1)
      }
    }
  }

  private push(entry: number, message: Message): void {
    this.folded.push(message)
    this.begun.push(entry)
  }

  /** Adds to what the model is told, after what is to be said of the request before; two messages of a user in a row are one. */
  private say(entry: number, said: ReadonlyArray<UserPart>): void {
    const content =
      this.note === undefined ? said : [{ type: "text" as const, text: this.note, note: true as const }, ...said]
    this.note = undefined
    const last = this.folded.at(-1)
    if (last?.role !== "user") return this.push(entry, { role: "user", content })
    if (last.content !== this.tail) {
      this.tail = [...last.content]
      this.folded[this.folded.length - 1] = { role: "user", content: this.tail }
    }
    for (const part of content) this.tail.push(part)
  }

  private know(content: ReadonlyArray<AssistantPart>): void {
    for (const part of content) if (part.type === "tool-call") (this.callIds ??= new Set()).add(part.id)
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

  /** What goes with the agent's instructions: what the workspace told first, or when the conversation was compacted last. */
  get instructions(): string {
    return this.told === undefined ? "" : Workspace.instructionsOf(this.told.first)
  }

  /** The ids of all calls that there ever were, also of those that the head has moved away from. */
  get calls(): ReadonlySet<string> {
    return this.callIds ?? noIds
  }

  /** What was told of the size of the request before the last reply, with that reply; `undefined` after a compaction. */
  get measured(): Measured | undefined {
    return this.measured_
  }

  /** The last compaction, which the first message tells of. */
  get compacted(): Compaction | undefined {
    return this.compacted_
  }

  /** The last attempt at a compaction that came to nothing, unless one succeeded since. */
  get stalled(): Stalled | undefined {
    return this.stalled_
  }

  /**
   * The entries that began the messages, one for each of `messages()`: a compaction may keep what begins with one. 0 for
   * results, which are not parted from their calls.
   */
  starts(): ReadonlyArray<number> {
    this.closeTurn()
    return this.begun.slice()
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

  /** The messages for a request, as they are now, or those from a place on; later entries do not change the array. */
  messages(from = 0): ReadonlyArray<Message> {
    this.closeTurn()
    this.tail = undefined
    return this.folded.slice(from)
  }

  /** The messages as a compaction would leave them. */
  preview(compaction: Pick<Compaction, "summary" | "firstKept" | "files">): ReadonlyArray<Message> {
    this.closeTurn()
    this.tail = undefined
    return this.compactedBy({ id: 0, ...compaction }).folded
  }

  /** What the user said last: it stays as it is, whatever is summarised. */
  get request(): ReadonlyArray<UserPart> {
    return this.latest?.content ?? []
  }

  /** Gives every call that has no result one that says so: a provider takes no call without its result. */
  private closeTurn(): void {
    if (this.open === undefined) return
    const { calls, results, started } = this.open
    this.open = undefined
    this.push(0, {
      role: "tool",
      results: calls.map((call) => results.get(call.id) ?? absent(call, started.has(call.id) ? "unknown" : "not-run"))
    })
  }
}

/** What stands in the place of what was summarised. The lists are those of the whole history before. */
const summaryNote = ({ files, summary }: Pick<Compaction, "files" | "summary">): string => {
  const parts = [
    "[The earlier part of this conversation is not shown. This summary stands for it; what it says is done is done. Go on from there.]",
    summary
  ]
  if (files.read.length > 0) parts.push(`Files read: ${files.read.join(", ")}`)
  if (files.changed.length > 0) parts.push(`Files changed: ${files.changed.join(", ")}`)
  return parts.join("\n\n")
}

const latestNote = "[The latest request of the user, in their own words:]"

/** The entries that lead to one, that one included, in order. `entries` is a history from its first entry on. */
export const wayTo = (entries: ReadonlyArray<Entry>, head: number | null): ReadonlyArray<Entry> => {
  const way: Array<Entry> = []
  for (let at = head; at !== null;) {
    const entry = entries[at - 1]!
    way.push(entry)
    at = entry.parentId
  }
  return way.toReversed()
}

/** Whether a part of an input is the user's own, and no word of the engine. */
export const isOwn = (part: UserPart): boolean => part.type === "image" || part.note !== true

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
