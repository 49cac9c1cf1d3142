/**
 * What an operation had done when it was cut, read from its entries.
 */
import { toolResult, type ToolResult } from "../services/Conversation.js"
import type { Entry, ToolCallPart, UserPart } from "../services/Entry.js"
import type { PastTask } from "../services/TaskTool.js"
import * as Usage from "../services/Usage.js"
import { finishedWith } from "./wanted.js"

type Of<Tag extends Entry["_tag"]> = Extract<Entry, { readonly _tag: Tag }>

export class Past {
  readonly start: Of<"OperationStarted">
  /** How often it was begun. */
  readonly attempts: number
  /** Its replies, in order, without those that were cut. */
  readonly replies: ReadonlyArray<Of<"Assistant">>
  /** The entries since its last reply, that reply first; those since its start where there is none. */
  readonly tail: ReadonlyArray<Entry>
  /** The links to the children that it delegated to. */
  readonly links: ReadonlyArray<Of<"TaskLink">>
  private readonly started = new Set<string>()
  private readonly settled = new Map<string, Of<"ToolSettled">>()
  private readonly taskEnds = new Map<string, Of<"TaskSettled">>()

  /** The entries of a session from the operation's start on. */
  constructor(readonly entries: ReadonlyArray<Entry>) {
    this.start = entries[0] as Of<"OperationStarted">
    let attempts = 1
    let last = 0
    const replies: Array<Of<"Assistant">> = []
    const links: Array<Of<"TaskLink">> = []
    for (const [i, entry] of entries.entries()) {
      if (entry._tag === "OperationResumed") attempts = entry.attempt
      else if (entry._tag === "ToolStarted") this.started.add(entry.callId)
      else if (entry._tag === "ToolSettled") this.settled.set(entry.callId, entry)
      else if (entry._tag === "TaskLink") links.push(entry)
      else if (entry._tag === "TaskSettled") this.taskEnds.set(entry.taskId, entry)
      else if (entry._tag === "Assistant") {
        last = i
        if (entry.finish !== "interrupted") replies.push(entry)
      }
    }
    this.attempts = attempts
    this.replies = replies
    this.links = links
    this.tail = entries.slice(last)
  }

  /** What it was asked first. */
  get input(): Of<"User"> | undefined {
    return this.entries.find((entry) => entry._tag === "User")
  }

  /** Its end, if it has one. */
  get end(): Of<"OperationSettled"> | undefined {
    const last = this.entries.at(-1)
    return last?._tag === "OperationSettled" ? last : undefined
  }

  /** Usage of its own turns, and of the attempts at them that were cut and kept. */
  get turns(): Usage.Usage {
    let usage = Usage.zero
    for (const entry of this.entries) if (entry._tag === "Assistant") usage = Usage.add(usage, entry.usage)
    return usage
  }

  /** Usage of its compactions, and of the attempts at one that came to nothing. */
  get compactions(): Usage.Usage {
    let usage = Usage.zero
    for (const entry of this.entries) if (isCompaction(entry)) usage = Usage.add(usage, entry.usage)
    return usage
  }

  /** Its last compaction or the last attempt at one, if it came to any. */
  get compaction(): Of<"Compaction" | "CompactionStalled"> | undefined {
    return this.entries.findLast(isCompaction)
  }

  /** Usage of its tasks. */
  get tasks(): Usage.Usage {
    let usage = Usage.zero
    for (const { usage: used } of this.taskEnds.values()) usage = Usage.add(usage, used)
    return usage
  }

  wasStarted(callId: string): boolean {
    return this.started.has(callId)
  }

  resultOf(callId: string): Of<"ToolSettled"> | undefined {
    return this.settled.get(callId)
  }

  /** The result of a call as the model was told it. */
  toolResultOf(callId: string): ToolResult | undefined {
    const entry = this.settled.get(callId)
    return entry === undefined ? undefined : toolResult(entry)
  }

  hasNote(text: string): boolean {
    return this.countNotes(text) > 0
  }

  /** How often the model was told something by the engine. */
  countNotes(text: string): number {
    const isThat = (part: UserPart) => part.type === "text" && part.note === true && part.text === text
    return this.entries.filter((entry) => entry._tag === "User" && entry.content.some(isThat)).length
  }

  /** The child that a call delegated to, and how that ended if it did. */
  taskOf(callId: string | undefined): PastTask | undefined {
    const link = this.links.findLast((it) => it.callId === callId)
    return link === undefined ? undefined : { link, end: this.taskEnds.get(link.taskId) }
  }

  /** Whether a call is one of the tool `task`. */
  isTaskCall(callId: string): boolean {
    return this.replies.some((reply) => callsOf(reply).some((call) => call.id === callId && call.name === "task"))
  }

  /** Children that were delegated to and have no end. */
  get openLinks(): ReadonlyArray<Of<"TaskLink">> {
    return this.links.filter(({ taskId }) => !this.taskEnds.has(taskId))
  }

  /** The text of the last turn: that of the last reply, and of those before it that paused. */
  get text(): string {
    let said = ""
    for (let i = this.replies.length - 1; i >= 0; i--) {
      const reply = this.replies[i]!
      if (i < this.replies.length - 1 && reply.finish !== "pause") break
      said = textOf(reply) + said
    }
    return said
  }

  /** The result that the model finished with, in JSON. */
  get json(): string | undefined {
    for (const reply of this.replies.toReversed()) {
      for (const call of callsOf(reply)) {
        if (call.name === "finish" && this.settled.get(call.id)?.outcome === "success")
          return finishedWith(call, this.start.request?.result)
      }
    }
    return undefined
  }
}

export const isCompaction = (entry: Entry): entry is Of<"Compaction" | "CompactionStalled"> =>
  entry._tag === "Compaction" || entry._tag === "CompactionStalled"

export const callsOf = (reply: Of<"Assistant">): ReadonlyArray<ToolCallPart> =>
  reply.content.filter((part) => part.type === "tool-call")

export const textOf = (reply: Of<"Assistant">): string =>
  reply.content.map((part) => (part.type === "text" ? part.text : "")).join("")
