/**
 * What runs, as a tree: a pure fold of events.
 */
import { stripVTControlCharacters } from "node:util"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Event, Failure } from "../services/Event.js"
import type * as Usage from "../services/Usage.js"

export type Status = "running" | "completed" | "failed" | "interrupted"

/** An operation, a task, a tool call, or something that a model said between its calls. Its texts are one clean line. */
export interface Node {
  readonly id: string
  readonly kind: string
  readonly label: string
  readonly status: Status
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly endedAt: number | undefined
  /** What is to be said of its end, if anything. */
  readonly note: string
  readonly usage: Usage.Usage | undefined
  /** The end of the text that its model is streaming, as it came: not clean. */
  readonly text: string
  /** Which task it is of all, from 1. */
  readonly task: number | undefined
  readonly parent: string | undefined
  readonly children: ReadonlyArray<string>
}

/** What an event did to the tree. */
export interface Change {
  readonly _tag: "Started" | "Ended" | "Said"
  readonly id: string
}

export interface Tree {
  readonly nodes: HashMap.HashMap<string, Node>
  readonly roots: ReadonlyArray<string>
  /** Which node stands for an operation. */
  readonly operations: HashMap.HashMap<string, string>
  /** Which node stands for a child session. */
  readonly sessions: HashMap.HashMap<string, string>
  /** Calls that were asked for, and then the node of each that runs. */
  readonly calls: HashMap.HashMap<string, { readonly label: string; readonly node: string | undefined }>
  /** What the last event did. */
  readonly changes: ReadonlyArray<Change>
  /** How many calls, tasks, round-trips and compactions there were. */
  readonly counts: {
    readonly calls: number
    readonly tasks: number
    readonly turns: number
    readonly compactions: number
  }
}

export const empty: Tree = {
  nodes: HashMap.empty(),
  roots: [],
  operations: HashMap.empty(),
  sessions: HashMap.empty(),
  calls: HashMap.empty(),
  changes: [],
  counts: { calls: 0, tasks: 0, turns: 0, compactions: 0 }
}

export const node = (tree: Tree, id: string): Node | undefined => Option.getOrUndefined(HashMap.get(tree.nodes, id))

/** The nodes above one, the nearest first. */
export const above = (tree: Tree, id: string): ReadonlyArray<Node> => {
  const nodes: Array<Node> = []
  for (let at = node(tree, id)?.parent; at !== undefined; at = nodes.at(-1)?.parent) nodes.push(node(tree, at)!)
  return nodes
}

/** The tree after an event. */
export const step = (before: Tree, event: Event): Tree => {
  const tree = before.changes.length === 0 ? before : { ...before, changes: [] }
  switch (event._tag) {
    case "OperationStarted":
    case "OperationResumed": {
      const resumed = event._tag === "OperationResumed" ? node(tree, ownerOf(tree, event) ?? "") : undefined
      if (resumed !== undefined) {
        // What it took until then is another process's, and the time in between is nobody's.
        const { id } = resumed
        return { ...update(tree, { ...resumed, startedAt: event.at }), changes: [{ _tag: "Started", id }] }
      }
      const key = operationKey(event)
      const task = Option.getOrUndefined(HashMap.get(tree.sessions, event.session))
      // The prompt of a task's child is drawn as the task.
      if (task !== undefined) return { ...tree, operations: HashMap.set(tree.operations, key, task) }
      const id = `operation ${key}`
      const started = start(tree, undefined, { id, kind: event.kind, label: "", startedAt: event.at })
      // All others come with a message, which names them.
      const changes = event.kind === "task" || event.kind === "compact" ? started.changes : []
      return { ...started, changes, operations: HashMap.set(started.operations, key, id) }
    }
    case "OperationCompleted":
    case "OperationFailed":
    case "OperationInterrupted": {
      const id = ownerOf(tree, event)
      if (id === undefined || HashMap.has(tree.sessions, event.session)) return tree
      const note = event._tag === "OperationFailed" ? failureNote(event.error) : ""
      return end(tree, id, { status: statusOf[event._tag], endedAt: event.at, note, usage: event.usage.total })
    }
    case "UserMessage": {
      const id = ownerOf(tree, event)
      const known = id === undefined ? undefined : node(tree, id)
      if (known === undefined || known.label !== "") return tree
      const named = update(tree, { ...known, label: oneLine(event.text) })
      return { ...named, changes: [{ _tag: "Started", id: known.id }] }
    }
    case "TextDelta": {
      const id = ownerOf(tree, event)
      const known = id === undefined ? undefined : node(tree, id)
      return known === undefined ? tree : update(tree, { ...known, text: (known.text + event.text).slice(-maxText) })
    }
    case "AssistantMessage": {
      const id = ownerOf(tree, event)
      const known = id === undefined ? undefined : node(tree, id)
      if (id === undefined || known === undefined) return tree
      let next: Tree = update(tree, { ...known, text: "" })
      next = { ...next, counts: { ...next.counts, turns: next.counts.turns + 1 } }
      for (const call of event.calls) {
        const label = callLabel(call.name, call.args)
        next = { ...next, calls: HashMap.set(next.calls, callKey(event, call.id), { label, node: undefined }) }
      }
      const said = oneLine(event.text)
      if (event.calls.length === 0 || said === "") return next
      const say = `say ${operationKey(event)} ${event.seq ?? next.counts.turns}`
      return start(next, id, { id: say, kind: "say", label: said, startedAt: event.at, status: "completed" })
    }
    case "ToolStarted":
      return startCall(tree, event)
    case "ToolSettled": {
      const key = callKey(event, event.callId)
      const isKnown = Option.exists(HashMap.get(tree.calls, key), ({ node }) => node !== undefined)
      const started = isKnown ? tree : startCall(tree, event)
      const id = Option.getOrUndefined(HashMap.get(started.calls, key))?.node
      if (id === undefined) return tree
      const status =
        event.outcome === "success" ? "completed" : event.outcome === "interrupted" ? "interrupted" : "failed"
      const ended = end(started, id, { status, endedAt: event.at, note: resultNote(event) })
      return { ...ended, changes: [...started.changes.filter(() => !isKnown), ...ended.changes] }
    }
    case "TaskStarted": {
      const call = event.callId === undefined ? undefined : HashMap.get(tree.calls, callKey(event, event.callId))
      const known = call === undefined ? undefined : Option.getOrUndefined(call)?.node
      const agent = event.agent === "general" ? "" : `${oneLine(event.agent)}: `
      const label = agent + oneLine(event.description)
      const id = known ?? `task ${event.taskId}`
      const next =
        known === undefined ? start(tree, ownerOf(tree, event), { id, kind: "task", label, startedAt: event.at }) : tree
      const shown = node(next, id)
      if (shown === undefined) return tree
      const tasks = next.counts.tasks + 1
      return {
        ...update(next, { ...shown, kind: "task", label, task: tasks }),
        changes: [{ _tag: "Started", id }],
        sessions: HashMap.set(next.sessions, event.child, id),
        counts: { ...next.counts, tasks }
      }
    }
    case "TaskCompleted":
    case "TaskFailed": {
      const id = Option.getOrUndefined(HashMap.get(tree.sessions, event.child))
      if (id === undefined) return tree
      const { usage } = event
      if (event._tag === "TaskCompleted") return end(tree, id, { status: "completed", endedAt: event.at, usage })
      const status = event.error.tag === "Interrupted" ? "interrupted" : "failed"
      const note = status === "failed" ? failureNote(event.error) : ""
      return end(tree, id, { status, endedAt: event.at, note, usage })
    }
    case "ModelRetry": {
      const id = ownerOf(tree, event)
      const known = id === undefined ? undefined : node(tree, id)
      if (id === undefined || known === undefined) return tree
      const then = event.next === event.model ? `again in ${seconds(event.delay)}` : `now ${oneLine(event.next)}`
      // A summary of the same turn may have been tried as often.
      const retry = `retry ${operationKey(event)} ${event.turn} ${event.attempt} ${known.children.length}`
      const label = `${oneLine(event.error.message)} (${then})`
      // What had been said belongs to nothing.
      return start(update(tree, { ...known, text: "" }), id, {
        id: retry,
        kind: "say",
        label,
        startedAt: event.at,
        status: "failed"
      })
    }
    case "WorkspaceRead": {
      const id = ownerOf(tree, event)
      if (id === undefined || event.skipped.length === 0) return tree
      const label = oneLine(`Not used: ${event.skipped.map(({ path, reason }) => `${path} (${reason})`).join("; ")}`)
      const say = `workspace ${operationKey(event)} ${event.seq}`
      return start(tree, id, { id: say, kind: "say", label, startedAt: event.at, status: "failed" })
    }
    case "CompactionStarted": {
      const owner = ownerOf(tree, event)
      if (owner === undefined) return tree
      const id = `${compactionOf(event)}${tree.counts.compactions + 1}`
      const started = start(tree, owner, {
        id,
        kind: "summary",
        label: "Summarising the earlier part",
        startedAt: event.at
      })
      const counts = { ...started.counts, compactions: started.counts.compactions + 1 }
      return { ...started, counts }
    }
    case "CompactionCompleted":
    case "CompactionFailed": {
      const owner = ownerOf(tree, event)
      const its = compactionOf(event)
      const id = node(tree, owner ?? "")?.children.findLast((child) => child.startsWith(its))
      if (id === undefined) return tree
      const { at: endedAt, usage } = event
      if (event._tag === "CompactionCompleted") {
        const note = `${tokens(event.tokensBefore)} -> ${tokens(event.tokensAfter)} tokens`
        return end(tree, id, { status: "completed", endedAt, note, usage })
      }
      const status = event.error.tag === "Interrupted" ? "interrupted" : "failed"
      const note = status === "failed" ? failureNote(event.error) : ""
      return end(tree, id, { status, endedAt, note, usage })
    }
    case "TurnStarted":
    case "TurnCompleted":
    case "TurnFailed":
    case "Notice":
    case "HeadMoved":
    case "Labelled":
    case "ReasoningDelta":
    case "ToolLate":
    case "Idle":
    case "Synced":
      return tree
  }
}

// ------------------------------------------------------------------------------------------------ growing

const statusOf = {
  OperationCompleted: "completed",
  OperationFailed: "failed",
  OperationInterrupted: "interrupted"
} as const

/** What the id of a node begins with that stands for a compaction. */
const compactionOf = (event: Named): string => `compaction ${operationKey(event)} `

const tokens = (n: number): string => Math.round(n).toLocaleString("en-US")

const seconds = (millis: number): string => `${Math.ceil(millis / 1_000)} s`

interface Named {
  readonly session: string
  readonly operationId: string
}

const operationKey = ({ operationId, session }: Named): string => `${session} ${operationId}`

const callKey = (event: Named, callId: string): string => `${operationKey(event)} ${callId}`

const ownerOf = (tree: Tree, event: Named): string | undefined =>
  Option.getOrUndefined(HashMap.get(tree.operations, operationKey(event)))

const update = (tree: Tree, node: Node): Tree => ({ ...tree, nodes: HashMap.set(tree.nodes, node.id, node) })

const start = (
  tree: Tree,
  parent: string | undefined,
  from: Pick<Node, "id" | "kind" | "label" | "startedAt"> & { readonly status?: Status }
): Tree => {
  const owner = parent === undefined ? undefined : node(tree, parent)
  const status = from.status ?? "running"
  const endedAt = status === "running" ? undefined : from.startedAt
  const added: Node = {
    ...from,
    status,
    endedAt,
    note: "",
    usage: undefined,
    text: "",
    task: undefined,
    parent: owner?.id,
    children: []
  }
  const linked =
    owner === undefined
      ? { ...tree, roots: [...tree.roots, added.id] }
      : update(tree, { ...owner, children: [...owner.children, added.id] })
  const change: Change = { _tag: status === "running" ? "Started" : "Said", id: added.id }
  return { ...update(linked, added), changes: [change] }
}

/** Ends a node that runs. What came after the first end adds what that did not tell. */
const end = (
  tree: Tree,
  id: string,
  how: Pick<Node, "status" | "endedAt"> & { readonly note?: string; readonly usage?: Usage.Usage }
): Tree => {
  const known = node(tree, id)
  if (known === undefined || known.status !== "running") return tree
  const ended = { ...known, ...how, note: how.note ?? "", usage: how.usage ?? known.usage, text: "" }
  return { ...update(tree, ended), changes: [{ _tag: "Ended", id }] }
}

/** A call of a turn. Its id is its own within the turn only, so a later one of the same id has its own node. */
const startCall = (
  tree: Tree,
  event: Named & { readonly callId: string; readonly name: string; readonly at: number }
): Tree => {
  const key = callKey(event, event.callId)
  const known = Option.getOrUndefined(HashMap.get(tree.calls, key))?.node
  // It is run again after the process ended that ran it.
  if (known !== undefined && node(tree, known)?.status === "running") return tree
  const label = Option.getOrUndefined(HashMap.get(tree.calls, key))?.label ?? ""
  const calls = tree.counts.calls + 1
  const id = `call ${calls}`
  const started = start(tree, ownerOf(tree, event), { id, kind: oneLine(event.name), label, startedAt: event.at })
  return {
    ...started,
    // A task is numbered when its child is there.
    changes: event.name === "task" ? [] : started.changes,
    calls: HashMap.set(started.calls, key, { label, node: id }),
    counts: { ...started.counts, calls }
  }
}

// ------------------------------------------------------------------------------------------------ words

/** How much of a streaming text is kept, in UTF-16 code units. */
const maxText = 4_000

/** The longest label, in UTF-16 code units: more than any terminal is wide. */
const maxLabel = 500

/**
 * Makes text of models and tools fit to be drawn: escape sequences, control characters and what turns the direction
 * of writing are taken out. Newlines stay, tabs become spaces.
 */
export const clean = (text: string): string =>
  stripVTControlCharacters(text.toWellFormed())
    .replace(/\r\n?/g, "\n")
    .replace(/\t/g, "    ")
    // oxlint-disable-next-line no-control-regex -- They are what is taken out.
    .replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, "")

/** The text as one line. */
export const oneLine = (text: string): string =>
  clean(text.slice(0, 4 * maxLabel))
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, maxLabel)
    .toWellFormed()

const callLabel = (name: string, args: unknown): string => {
  const given = (typeof args === "object" && args !== null ? args : {}) as Record<string, unknown>
  const text = (key: string) => (typeof given[key] === "string" ? given[key] : "")
  switch (name) {
    case "bash":
      return oneLine(text("command"))
    case "read":
      return oneLine(text("path"))
    case "glob":
    case "grep": {
      const where = text("path") === "" || text("path") === "." ? "" : ` in ${text("path")}`
      return oneLine(text("pattern") + where)
    }
    case "task":
      return oneLine(text("description") === "" ? text("prompt") : text("description"))
    default: {
      const json = JSON.stringify(given)
      return json === "{}" ? "" : oneLine(json)
    }
  }
}

const failureNote = ({ message, tag }: Failure): string => oneLine(message === "" ? tag : message)

const resultNote = (event: { readonly name: string; readonly outcome: string; readonly result: string }): string => {
  if (event.outcome === "not-run") return "not run"
  if (event.outcome === "deadline") return "took longer than its deadline"
  if (event.outcome === "failure") return oneLine(event.result)
  const [, code] = (event.name === "bash" && /\[Exit code (\d+)[^\]]*\]\s*$/.exec(event.result.slice(-100))) || []
  return code === undefined || code === "0" ? "" : `exit code ${code}`
}
