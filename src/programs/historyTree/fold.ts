/**
 * The tree of a history: a pure fold of its entries.
 */
import type { Entry } from "../../services/Entry.js"
import type { Branch, Compacted, HistoryTree, Step, Task } from "../../services/HistoryTree.js"
import type { NewSession } from "../../services/SessionStore.js"
import { oneLine } from "../tree.js"

type Of<Tag extends Entry["_tag"]> = Extract<Entry, { readonly _tag: Tag }>

/** What is told of a session without its entries. */
export type Facts = Pick<NewSession, "id" | "agent" | "createdAt" | "origin">

/**
 * The tree of a whole history. What was written last stands on its trunk; a branch hangs where it leaves, with what the
 * head moved away from. No sessions of tasks are in it.
 */
export const fold = ({ agent, createdAt, id, origin }: Facts, entries: ReadonlyArray<Entry>): HistoryTree => {
  const log = new Log(entries)
  return {
    session: oneLine(id),
    agent: oneLine(agent),
    createdAt,
    origin,
    entries: entries.length,
    head: headOf(entries),
    trunk: log.grow()
  }
}

/** The last entry that is seen. Moves and names are none. */
const headOf = (entries: ReadonlyArray<Entry>): number | null => {
  let at: Entry | undefined = entries.at(-1)
  while (at !== undefined && (at._tag === "HeadMoved" || at._tag === "Label")) {
    at = at.parentId === null ? undefined : entries[at.parentId - 1]
  }
  return at?.id ?? null
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

interface Growing extends Mutable<Omit<Step, "tasks" | "compactions" | "labels" | "branches">> {
  readonly tasks: Array<Task>
  readonly compactions: Array<Compacted>
  readonly labels: Array<{ readonly label: string; readonly entry: number }>
  readonly branches: Array<Branch>
}

type Grown = { readonly from: number | null; readonly branches: Array<Branch>; readonly steps: Array<Growing> }

/** A branch that is to grow, from its first entry on, or from what follows the place. */
interface Waiting {
  readonly branch: Grown
  readonly after: number
  readonly start: number | undefined
}

const empty = (from: number | null): Grown => ({ from, branches: [], steps: [] })

class Log {
  /** The entries that follow each, by its place; behind 0 those that follow none. */
  private readonly following: Array<Array<number>> = [[]]
  /** The last entry that was written on any way that leads on from each. */
  private readonly last: Array<number> = [0]
  /** The start that each entry's operation has, and the end that each start has. */
  private readonly starts: Array<Of<"OperationStarted"> | undefined> = [undefined]
  /** What was asked by each operation, by its start. */
  private readonly texts = new Map<number, string>()
  private readonly ends = new Map<number, Of<"OperationSettled">>()
  /** By their sessions: an operation that runs again under its id has another task of the same id. */
  private readonly taskEnds = new Map<string, Of<"TaskSettled">>()
  private readonly names = new Map<number, Array<string>>()

  constructor(private readonly entries: ReadonlyArray<Entry>) {
    const named = new Map<string, number>()
    let start: Of<"OperationStarted"> | undefined
    for (const entry of entries) {
      const { id } = entry
      this.following.push([])
      this.last.push(id)
      this.following[entry.parentId ?? 0]!.push(id)
      if (entry._tag === "OperationStarted") start = entry
      this.starts.push(start)
      if (start !== undefined && (this.texts.get(start.id) ?? "") === "")
        this.texts.set(start.id, askedIn(start, entry))
      if (entry._tag === "OperationSettled") {
        if (start !== undefined) this.ends.set(start.id, entry)
        start = undefined
      } else if (entry._tag === "TaskSettled") this.taskEnds.set(entry.child, entry)
      else if (entry._tag === "Label") {
        if (entry.entry === null) named.delete(entry.label)
        else named.set(entry.label, entry.entry)
      }
    }
    // Parents stand before what follows them.
    for (let id = entries.length; id > 0; id--) {
      const parent = entries[id - 1]!.parentId ?? 0
      this.last[parent] = Math.max(this.last[parent]!, this.last[id]!)
    }
    for (const [label, entry] of named) this.names.set(entry, [...(this.names.get(entry) ?? []), oneLine(label)])
  }

  /** The trunk, with all that hangs on it. */
  grow(): Branch {
    const trunk = empty(null)
    // Branches may hang on branches deeper than calls can be nested.
    for (const waiting: Array<Waiting> = [{ branch: trunk, after: 0, start: undefined }]; waiting.length > 0;) {
      const { after, branch, start } = waiting.pop()!
      let step: Growing | undefined
      const leave = (from: number, left: ReadonlyArray<number>): void => {
        for (const other of left) {
          const hanging = empty(from === 0 ? null : from)
          ;(step ?? branch).branches.push(hanging)
          waiting.push({ branch: hanging, after: from, start: other })
        }
      }
      let id = start ?? this.goOn(after, leave)
      while (id !== undefined) {
        step = this.take(branch.steps, step, this.entries[id - 1]!)
        id = this.goOn(id, leave)
      }
    }
    return trunk
  }

  /** What follows an entry on the way to what was written last; what else does is left, the oldest first. */
  private goOn(from: number, leave: (from: number, left: ReadonlyArray<number>) => void): number | undefined {
    const following = this.following[from]!
    if (following.length < 2) return following[0]
    const [next, ...left] = following.toSorted((a, b) => this.last[b]! - this.last[a]!)
    leave(from, left.toReversed())
    return next
  }

  /** Adds an entry to the step that it belongs to, which it may begin. */
  private take(steps: Array<Growing>, before: Growing | undefined, entry: Entry): Growing | undefined {
    const start = this.starts[entry.id]
    const isSame =
      before !== undefined &&
      (start === undefined || (start.operationId === before.operationId && start.id <= before.to))
    if (!isSame && start === undefined) return before
    const step = isSame ? before : this.begin(start!, entry)
    if (!isSame) steps.push(step)
    step.to = entry.id
    for (const label of this.names.get(entry.id) ?? []) step.labels.push({ label, entry: entry.id })
    this.note(step, entry)
    return step
  }

  private begin(start: Of<"OperationStarted">, entry: Entry): Growing {
    const { id, kind, operationId } = start
    const end = this.ends.get(id)
    return {
      operationId,
      kind,
      from: entry.id,
      to: entry.id,
      isRest: entry.id !== id,
      at: start.at,
      text: this.texts.get(id) ?? "",
      status: end?.outcome ?? "running",
      note: end === undefined ? "" : noteOf(end),
      replies: 0,
      calls: 0,
      tasks: [],
      compactions: [],
      labels: [],
      branches: []
    }
  }

  private note(step: Growing, entry: Entry): void {
    switch (entry._tag) {
      case "Assistant": {
        step.replies++
        for (const part of entry.content) if (part.type === "tool-call") step.calls++
        return
      }
      case "TaskLink": {
        const { agent, child, description, taskId } = entry
        const end = this.taskEnds.get(child)
        step.tasks.push({
          taskId,
          entry: entry.id,
          agent: oneLine(agent),
          description: oneLine(description),
          status: end?.outcome ?? "running",
          note: end?.error === undefined ? "" : oneLine(end.error.message || end.error.tag),
          child,
          session: undefined,
          problem: undefined
        })
        return
      }
      case "Compaction": {
        const { id, tokensAfter, tokensBefore, trigger } = entry
        step.compactions.push({ entry: id, trigger, before: tokensBefore, after: tokensAfter })
        return
      }
      case "CompactionStalled": {
        step.compactions.push({ entry: entry.id, trigger: entry.trigger, before: entry.tokensBefore, after: undefined })
        return
      }
      default:
    }
  }
}

const noteOf = ({ by, error, outcome }: Of<"OperationSettled">): string => {
  if (outcome === "failed") return oneLine(error?.message || (error?.tag ?? ""))
  if (by === undefined) return ""
  return typeof by === "string" ? `by ${by}` : `by ${by.kind}`
}

/** What an entry tells of what was asked; empty where that is nothing. */
const askedIn = ({ kind, request }: Of<"OperationStarted">, entry: Entry): string => {
  if (entry._tag === "OperationStarted")
    return oneLine(request?.skill ?? request?.description ?? textOf(request?.input))
  if (entry._tag === "User") return oneLine(textOf(entry.content))
  if (kind !== "shell" || entry._tag !== "Assistant") return ""
  const call = entry.content.find((part) => part.type === "tool-call")
  return call === undefined ? "" : oneLine(commandOf(call.args))
}

/** What somebody said themselves. */
const textOf = (content: Of<"User">["content"] = []): string =>
  content.flatMap((part) => (part.type === "text" ? (part.note === true ? [] : [part.text]) : ["[image]"])).join(" ")

const commandOf = (args: unknown): string =>
  typeof args === "object" && args !== null && "command" in args && typeof args.command === "string" ? args.command : ""
