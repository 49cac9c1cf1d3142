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
  const [first, ...others] = log.below(0)
  return {
    session: oneLine(id),
    agent: oneLine(agent),
    createdAt,
    origin,
    entries: entries.length,
    head: headOf(entries),
    trunk: first === undefined ? { from: null, steps: [] } : log.grow(first),
    branches: others.toReversed().map((start) => log.grow(start))
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

class Log {
  /** The entries that follow each, by its place; behind 0 those that follow none. */
  private readonly following: Array<Array<number>> = [[]]
  /** The last entry that was written on any way that leads on from each. */
  private readonly last: Array<number> = [0]
  /** The start that each entry's operation has, and the end that each start has. */
  private readonly starts: Array<Of<"OperationStarted"> | undefined> = [undefined]
  private readonly ends = new Map<number, Of<"OperationSettled">>()
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
      if (entry._tag === "OperationSettled") {
        if (start !== undefined) this.ends.set(start.id, entry)
        start = undefined
      } else if (entry._tag === "TaskSettled") this.taskEnds.set(entry.taskId, entry)
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

  /** What follows an entry: first where the last of all was written, then the others, the newest first. */
  below(id: number): ReadonlyArray<number> {
    return this.following[id]!.toSorted((a, b) => this.last[b]! - this.last[a]!)
  }

  /** The branch that begins with an entry, with all that hangs on it. */
  grow(start: number): Branch {
    const root: { readonly branch: Branch & { readonly steps: Array<Growing> }; readonly start: number } = {
      branch: this.empty(start),
      start
    }
    // Branches may hang on branches deeper than calls can be nested.
    for (const waiting = [root]; waiting.length > 0;) {
      const { branch, start } = waiting.pop()!
      let step: Growing | undefined
      for (let id: number | undefined = start; id !== undefined;) {
        step = this.take(branch.steps, step, this.entries[id - 1]!)
        const [next, ...left]: ReadonlyArray<number> = this.below(id)
        for (const other of left.toReversed()) {
          const hanging = this.empty(other)
          if (step !== undefined) step.branches.push(hanging)
          waiting.push({ branch: hanging, start: other })
        }
        id = next
      }
    }
    return root.branch
  }

  private empty(start: number): Branch & { readonly steps: Array<Growing> } {
    return { from: this.entries[start - 1]!.parentId, steps: [] }
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
    const { id, kind, operationId, request } = start
    const end = this.ends.get(id)
    return {
      operationId,
      kind,
      from: entry.id,
      to: entry.id,
      isRest: entry.id !== id,
      at: start.at,
      text: kind === "skill" ? oneLine(request?.skill ?? "") : oneLine(request?.description ?? textOf(request?.input)),
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
      case "User": {
        if (step.text === "") step.text = oneLine(textOf(entry.content))
        return
      }
      case "Assistant": {
        step.replies++
        for (const part of entry.content) {
          if (part.type !== "tool-call") continue
          step.calls++
          if (step.kind === "shell" && step.text === "") step.text = oneLine(commandOf(part.args))
        }
        return
      }
      case "TaskLink": {
        const { agent, child, description, taskId } = entry
        const end = this.taskEnds.get(taskId)
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

/** What somebody said themselves. */
const textOf = (content: Of<"User">["content"] = []): string =>
  content.flatMap((part) => (part.type === "text" ? (part.note === true ? [] : [part.text]) : ["[image]"])).join(" ")

const commandOf = (args: unknown): string =>
  typeof args === "object" && args !== null && "command" in args && typeof args.command === "string" ? args.command : ""
