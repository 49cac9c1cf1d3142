/**
 * Reading an export line by line: what a store would take only if each line is what it must be where it stands.
 */
import * as Either from "effect/Either"
import { Conversation } from "../../services/Conversation.js"
import type { Entry } from "../../services/Entry.js"
import { InvalidExport } from "../../services/Errors.js"
import { clean, frameProblem } from "../../services/Json.js"
import { exactEntryOf } from "../../services/Record.js"
import * as SessionId from "../../services/SessionId.js"
import { isEnd, isMeant, readHeader, type Told } from "./header.js"

/** The longest line, in UTF-16 code units: the largest entry, an input with 28,000,000 of images, takes half of it. */
export const maxLine = 64_000_000

/** A session as it was read. */
export interface Read {
  /** Where its header stands. */
  readonly line: number
  readonly told: Told
  readonly entries: ReadonlyArray<Entry>
  /** The conversation as its last entry leaves it. */
  readonly conversation: Conversation
  /** The place of the start of what has not ended. */
  readonly running: number | undefined
}

export class Reading {
  private line = 0
  private blank: number | undefined
  private current: Log | undefined
  private readonly logs = new Map<string, Log>()
  /** How many sessions the export has so far that has not ended. */
  private open = 0

  /** Renaming takes one tree: its first session is then whatever it was before. */
  constructor(private readonly isRenamed: boolean) {}

  /** Takes the next line, or says what is wrong with it. */
  add(line: string): InvalidExport | undefined {
    this.line++
    const reason = this.take(line)
    if (reason === undefined) return undefined
    return new InvalidExport({ line: reason === empty ? this.blank! : this.line, reason })
  }

  /** All sessions, or what is missing. */
  end(): ReadonlyArray<Read> | InvalidExport {
    if (this.logs.size === 0) return new InvalidExport({ line: 1, reason: "there is no session" })
    if (this.open > 0) return new InvalidExport({ line: this.line + 1, reason: "it is cut off: its end is missing" })
    return [...this.logs.values()]
  }

  private take(line: string): string | undefined {
    if (typeof line !== "string") return "it is no text"
    if (line.length > maxLine) return `it is longer than ${maxLine} characters`
    const outside = frameProblem(line)
    if (outside !== undefined) return outside
    if (!/\S/.test(line)) {
      this.blank ??= this.line
      return undefined
    }
    // Blank lines are taken at the end only.
    if (this.blank !== undefined) return empty
    let parsed: unknown
    try {
      parsed = JSON.parse(line)
    } catch {
      return "it is no JSON"
    }
    const gated = clean(parsed, { room: Number.POSITIVE_INFINITY })
    if ("problem" in gated) return gated.problem.reason
    if (isEnd(gated.value)) return this.close(gated.value.sessions)
    if (isMeant(gated.value)) return this.begin(gated.value)
    if (this.current === undefined) return "an export begins with a session"
    const { current } = this
    const entry = exactEntryOf(gated.value, current.entries.length + 1)
    return Either.isLeft(entry) ? entry.left : current.add(entry.right)
  }

  /** Ends an export, behind which another one may begin. */
  private close(sessions: number): string | undefined {
    const { open } = this
    if (open === 0) return "an export begins with a session"
    if (sessions !== open) return `it ends an export of ${sessions} sessions, and has ${open}`
    this.open = 0
    this.current = undefined
    return undefined
  }

  private begin(value: { readonly baton: unknown }): string | undefined {
    const read = readHeader(value)
    if (Either.isLeft(read)) return read.left
    const told = read.right
    const problem = this.problemOf(told)
    if (problem !== undefined) return problem
    this.open++
    this.current = new Log(this.line, told)
    this.logs.set(told.id, this.current)
    return undefined
  }

  /** What is wrong with the place of a session in its tree, if anything. */
  private problemOf({ depth, id, parent }: Told): string | undefined {
    if (this.logs.has(id)) return "a session of that name stands before it"
    const isFirst = this.logs.size === 0
    if (isFirst && this.isRenamed) return undefined
    if (parent === null) {
      if (id.startsWith(SessionId.childPrefix)) return "it is named as a child and is none"
      if (depth !== 0) return "it is no child and tells of a depth"
      if (this.open > 0) return "the export before it has not ended"
      return this.isRenamed ? "a second tree of sessions cannot be renamed with the first" : undefined
    }
    const above = this.open === 0 ? undefined : this.logs.get(parent)
    if (above === undefined) {
      return isFirst
        ? "it is the session of a task, which needs a name of its own"
        : "its parent does not stand before it"
    }
    const prefix = SessionId.child(parent, "")
    if (!id.startsWith(prefix) || id.length === prefix.length) return "it is not named as a child of its parent"
    return depth > above.told.depth ? undefined : "it is no deeper than its parent"
  }
}

const empty = "it is empty"

/** A session that is being read. */
class Log implements Read {
  readonly entries: Array<Entry> = []
  conversation = new Conversation()
  running: number | undefined
  private readonly calls = new Set<string>()
  /** By their sessions: an operation that runs again under its id has another task of the same id. */
  private readonly tasks = new Set<string>()

  constructor(
    readonly line: number,
    readonly told: Told
  ) {}

  /** Takes an entry that is of the format and has its place, or says what is wrong with it behind those before. */
  add(entry: Entry): string | undefined {
    const reason = this.problemOf(entry)
    if (reason !== undefined) return reason
    this.entries.push(entry)
    return this.fold(entry)
  }

  private problemOf(entry: Entry): string | undefined {
    const { calls, tasks } = this
    switch (entry._tag) {
      case "OperationStarted":
        return this.running === undefined ? undefined : "an operation begins before the one before it has ended"
      case "OperationResumed":
      case "OperationSettled":
        return this.isRunning(entry.operationId) ? undefined : "the operation does not run"
      case "HeadMoved":
        return this.running === undefined ? undefined : "the head moves while an operation runs"
      case "Assistant": {
        const own = entry.content.flatMap((part) => (part.type === "tool-call" ? [part.id] : []))
        return own.some((id) => calls.has(id)) || new Set(own).size < own.length
          ? "a call of the same id stands before it"
          : undefined
      }
      case "ToolStarted":
      case "ToolSettled":
        return calls.has(entry.callId) ? undefined : "there is no such call"
      case "TaskLink":
        if (tasks.has(entry.child)) return "a task in the same session stands before it"
        return SessionId.isId(entry.child) && entry.child.startsWith(SessionId.childPrefix)
          ? undefined
          : "the name of its session is none"
      case "TaskSettled":
        return tasks.has(entry.child) ? undefined : "there is no such task"
      default:
        return undefined
    }
  }

  private isRunning(operationId: string): boolean {
    return this.running !== undefined && this.entries[this.running - 1]!.operationId === operationId
  }

  private fold(entry: Entry): string | undefined {
    try {
      if (entry._tag === "HeadMoved" && !this.conversation.goesBackTo(entry.parentId)) {
        this.conversation = Conversation.at(this.entries, entry.id)
      } else this.conversation.add(entry)
    } catch (error) {
      return error instanceof Error ? error.message : "it does not go with those before it"
    }
    if (entry._tag === "OperationStarted") this.running = entry.id
    else if (entry._tag === "OperationSettled") this.running = undefined
    else if (entry._tag === "TaskLink") this.tasks.add(entry.child)
    else if (entry._tag === "Assistant") {
      for (const part of entry.content) if (part.type === "tool-call") this.calls.add(part.id)
    }
    return undefined
  }
}
