/**
 * What happens in a session, as others see it.
 *
 * Durable events are the history's entries and carry their place in it as `seq`; the others are live only. Every start
 * has exactly one end, and the end of what was started within an operation comes before the operation's own.
 */
import type { CompactionTrigger, Entry, FinishReason, ToolOutcome } from "./Entry.js"
import { copy } from "./Json.js"
import type { OperationKind, OperationRef } from "./Operation.js"
import type { Usage, UsageReport } from "./Usage.js"

interface Base {
  readonly session: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

interface Durable extends Base {
  readonly operationId: string
  /** Place in the session's history; `undefined` where the entry could not be stored. */
  readonly seq: number | undefined
}

interface Live extends Base {
  readonly operationId: string
}

export interface Failure {
  readonly tag: string
  readonly message: string
}

export interface OperationStarted extends Durable {
  readonly _tag: "OperationStarted"
  readonly kind: OperationKind
}

/** The operation goes on after the process that ran it ended. What was open when it was cut has its end after this. */
export interface OperationResumed extends Durable {
  readonly _tag: "OperationResumed"
  readonly kind: OperationKind
  /** How often it was begun, the first run included. */
  readonly attempt: number
}

export interface OperationCompleted extends Durable {
  readonly _tag: "OperationCompleted"
  readonly kind: OperationKind
  readonly usage: UsageReport
}

export interface OperationFailed extends Durable {
  readonly _tag: "OperationFailed"
  readonly kind: OperationKind
  readonly error: Failure
  readonly usage: UsageReport
}

export interface OperationInterrupted extends Durable {
  readonly _tag: "OperationInterrupted"
  readonly kind: OperationKind
  /** The caller, the engine that ended, or the operation that took its place; the fork or import that it was cut for. */
  readonly by: "caller" | "shutdown" | "fork" | "import" | OperationRef
  readonly usage: UsageReport
}

/** A model round-trip begins, and with it the calls that it will ask for. */
export interface TurnStarted extends Live {
  readonly _tag: "TurnStarted"
  /** From 1 within the operation. */
  readonly turn: number
  readonly model: string
}

/** The reply came and its calls are settled. */
export interface TurnCompleted extends Live {
  readonly _tag: "TurnCompleted"
  readonly turn: number
}

/** The operation failed or was interrupted in this turn. */
export interface TurnFailed extends Live {
  readonly _tag: "TurnFailed"
  readonly turn: number
  readonly error: Failure
}

/** The model failed and is asked again; the deltas since the turn began belong to nothing. */
export interface ModelRetry extends Live {
  readonly _tag: "ModelRetry"
  readonly turn: number
  /** How many attempts at this turn have failed. */
  readonly attempt: number
  readonly model: string
  readonly error: Failure
  /** How long is waited before the next attempt, in milliseconds. */
  readonly delay: number
  /** The model that is asked next. */
  readonly next: string
}

/** Something that whoever watches should know, in a sentence. */
export interface Notice extends Live {
  readonly _tag: "Notice"
  readonly message: string
}

/** The history goes on from an earlier entry, or from nothing. */
export interface HeadMoved extends Durable {
  readonly _tag: "HeadMoved"
  readonly to: number | null
}

/** An entry has a name now, or the name is that of none. */
export interface Labelled extends Durable {
  readonly _tag: "Labelled"
  readonly label: string
  readonly entry: number | null
}

/** The older part of the conversation is being summarised. */
export interface CompactionStarted extends Live {
  readonly _tag: "CompactionStarted"
  readonly trigger: CompactionTrigger
  /** The tokens of the request that is to become smaller. */
  readonly tokens: number
  /** The model that is asked for the summary. */
  readonly model: string
}

/** A summary stands for the older part of the conversation. */
export interface CompactionCompleted extends Durable {
  readonly _tag: "CompactionCompleted"
  readonly trigger: CompactionTrigger
  readonly tokensBefore: number
  readonly tokensAfter: number
  readonly usage: Usage
}

/** The conversation is as it was. */
export interface CompactionFailed extends Durable {
  readonly _tag: "CompactionFailed"
  readonly trigger: CompactionTrigger
  readonly error: Failure
  readonly usage: Usage
}

/** The workspace tells something else than before, or tells for the first time. Of its files only the paths are here. */
export interface WorkspaceRead extends Durable {
  readonly _tag: "WorkspaceRead"
  readonly files: ReadonlyArray<string>
  readonly skills: ReadonlyArray<string>
  /** What was found and is not used, and why. */
  readonly skipped: ReadonlyArray<{ readonly path: string; readonly reason: string }>
}

/** The session is free and nobody stands in line. */
export interface Idle extends Base {
  readonly _tag: "Idle"
}

export interface UserMessage extends Durable {
  readonly _tag: "UserMessage"
  readonly text: string
  /** Images are counted; their bytes are not in events. */
  readonly images: number
  /** Whether it is a word of the engine to the model and not an input. */
  readonly note: boolean
}

export interface AssistantMessage extends Durable {
  readonly _tag: "AssistantMessage"
  readonly text: string
  readonly calls: ReadonlyArray<{ readonly id: string; readonly name: string; readonly args: unknown }>
  readonly model: string
  readonly finish: FinishReason
  readonly usage: Usage
}

export interface TextDelta extends Live {
  readonly _tag: "TextDelta"
  readonly text: string
}

export interface ReasoningDelta extends Live {
  readonly _tag: "ReasoningDelta"
  readonly text: string
}

export interface ToolStarted extends Durable {
  readonly _tag: "ToolStarted"
  readonly callId: string
  readonly name: string
}

export interface ToolSettled extends Durable {
  readonly _tag: "ToolSettled"
  readonly callId: string
  readonly name: string
  readonly outcome: ToolOutcome
  readonly result: string
  /** The entry whose result it repeats, where the call was not run. */
  readonly replayed?: number
  /** How many images the result has, where it has any; their bytes are not in events. */
  readonly images?: number
}

/** A handler that was given up ended after all; its result was dropped. */
export interface ToolLate extends Live {
  readonly _tag: "ToolLate"
  readonly callId: string
  readonly name: string
}

export interface TaskStarted extends Durable {
  readonly _tag: "TaskStarted"
  readonly taskId: string
  readonly child: string
  readonly agent: string
  readonly description: string
  readonly callId: string | undefined
}

export interface TaskCompleted extends Durable {
  readonly _tag: "TaskCompleted"
  readonly taskId: string
  readonly child: string
  readonly usage: Usage
}

/** The child failed or was interrupted. */
export interface TaskFailed extends Durable {
  readonly _tag: "TaskFailed"
  readonly taskId: string
  readonly child: string
  readonly error: Failure
  readonly usage: Usage
}

/** Between what was replayed and what follows live. */
export interface Synced extends Base {
  readonly _tag: "Synced"
}

export type Event =
  | OperationStarted
  | OperationResumed
  | OperationCompleted
  | OperationFailed
  | OperationInterrupted
  | Idle
  | TurnStarted
  | TurnCompleted
  | TurnFailed
  | ModelRetry
  | Notice
  | HeadMoved
  | Labelled
  | CompactionStarted
  | CompactionCompleted
  | CompactionFailed
  | WorkspaceRead
  | UserMessage
  | AssistantMessage
  | TextDelta
  | ReasoningDelta
  | ToolStarted
  | ToolSettled
  | ToolLate
  | TaskStarted
  | TaskCompleted
  | TaskFailed
  | Synced

export const interrupted: Failure = { tag: "Interrupted", message: "It was interrupted." }
const unknown: Failure = { tag: "Unknown", message: "It failed." }

const failureOf = (error: Failure | undefined): Failure =>
  error === undefined ? unknown : { tag: error.tag, message: error.message }

/** The event of an entry. */
export const ofEntry = (session: string, entry: Entry): Event => {
  const base = { session, at: entry.at, operationId: entry.operationId, seq: entry.id }
  switch (entry._tag) {
    case "OperationStarted":
      return { _tag: "OperationStarted", ...base, kind: entry.kind }
    case "OperationResumed":
      return { _tag: "OperationResumed", ...base, kind: entry.kind, attempt: entry.attempt }
    case "OperationSettled": {
      const { kind, usage } = entry
      if (entry.outcome === "completed") return { _tag: "OperationCompleted", ...base, kind, usage }
      if (entry.outcome === "failed") {
        return { _tag: "OperationFailed", ...base, kind, usage, error: failureOf(entry.error) }
      }
      return { _tag: "OperationInterrupted", ...base, kind, usage, by: entry.by ?? "caller" }
    }
    case "User": {
      const texts = entry.content.filter((part) => part.type === "text")
      const own = texts.filter((part) => part.note !== true)
      const images = entry.content.length - texts.length
      const note = own.length === 0 && images === 0
      // A skill that was asked for goes before what it is asked for.
      const text = (note ? texts : own).map((part) => part.text).join("\n")
      return { _tag: "UserMessage", ...base, text, images, note }
    }
    case "Assistant": {
      const text = entry.content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("")
      const calls = entry.content.flatMap((part) =>
        part.type === "tool-call" ? [{ id: part.id, name: part.name, args: copy(part.args) }] : []
      )
      const { finish, model, usage } = entry
      return { _tag: "AssistantMessage", ...base, text, calls, model, finish, usage }
    }
    case "ToolStarted":
      return { _tag: "ToolStarted", ...base, callId: entry.callId, name: entry.name }
    case "ToolSettled": {
      const { callId, content, name, outcome, replayed, result } = entry
      const ended = { _tag: "ToolSettled" as const, ...base, callId, name, outcome, result }
      const settled = replayed === undefined ? ended : { ...ended, replayed }
      const images = content?.filter((part) => part.type === "image").length ?? 0
      return images === 0 ? settled : { ...settled, images }
    }
    case "WorkspaceRead": {
      const files = entry.files.map(({ path }) => path)
      const skills = entry.skills.map(({ name }) => name)
      const skipped = entry.skipped.map(({ path, reason }) => ({ path, reason }))
      return { _tag: "WorkspaceRead", ...base, files, skills, skipped }
    }
    case "HeadMoved":
      return { _tag: "HeadMoved", ...base, to: entry.parentId }
    case "Label":
      return { _tag: "Labelled", ...base, label: entry.label, entry: entry.entry }
    case "Compaction": {
      const { tokensAfter, tokensBefore, trigger, usage } = entry
      return { _tag: "CompactionCompleted", ...base, trigger, tokensBefore, tokensAfter, usage }
    }
    case "CompactionStalled": {
      const { reason, trigger, usage } = entry
      return { _tag: "CompactionFailed", ...base, trigger, error: { tag: "CompactionStalled", message: reason }, usage }
    }
    case "TaskLink": {
      const { agent, callId, child, description, taskId } = entry
      return { _tag: "TaskStarted", ...base, taskId, child, agent, description, callId }
    }
    case "TaskSettled": {
      const { child, taskId, usage } = entry
      if (entry.outcome === "completed") return { _tag: "TaskCompleted", ...base, taskId, child, usage }
      const error = entry.outcome === "interrupted" ? interrupted : (entry.error ?? unknown)
      return { _tag: "TaskFailed", ...base, taskId, child, usage, error }
    }
  }
}
