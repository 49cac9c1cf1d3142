/**
 * Entries before they have their place in a history.
 *
 * Each is made with all its fields at once, and the history fills in its place: an object that grows field by field
 * takes several times the memory for as long as its session is kept.
 */
import type { AssistantPart, Entry, FinishReason, Request, ResultPart, ToolOutcome, UserPart } from "./Entry.js"
import type { Failure } from "./Event.js"
import type { OperationKind } from "./Operation.js"
import type { Usage, UsageReport } from "./Usage.js"
import type { View } from "./Workspace.js"

/** An entry without its place. Appending hands it over: the same object becomes the entry. */
export type Draft = Entry

type Place = { -readonly [K in "id" | "parentId" | "at" | "operationId"]: Entry[K] }

/** Gives a draft its place. */
export const place = (draft: Draft, id: number, parentId: number | null, at: number, operationId: string): Entry => {
  const entry: Place = draft
  entry.id = id
  entry.parentId = parentId
  entry.at = at
  entry.operationId = operationId
  return draft
}

/** `key` is a digest of the input, where the caller gave the operation its id. */
export const operationStarted = (
  kind: OperationKind,
  key: string | undefined,
  request: Request | undefined
): Draft => ({
  _tag: "OperationStarted",
  id: 0,
  parentId: null,
  at: 0,
  operationId: "",
  kind,
  key,
  request
})

export const operationResumed = (kind: OperationKind, attempt: number): Draft => ({
  _tag: "OperationResumed",
  id: 0,
  parentId: null,
  at: 0,
  operationId: "",
  kind,
  attempt
})

type Settled = Extract<Draft, { readonly _tag: "OperationSettled" }>

/** How an operation ended: `key` as its start has it. */
export const operationSettled = (
  kind: OperationKind,
  key: string | undefined,
  usage: UsageReport,
  { by, error, outcome, value }: Pick<Settled, "outcome"> & Partial<Pick<Settled, "by" | "error" | "value">>
): Settled => ({
  _tag: "OperationSettled",
  id: 0,
  parentId: null,
  at: 0,
  operationId: "",
  kind,
  key,
  value,
  outcome,
  error,
  by,
  usage
})

type User = Extract<Draft, { readonly _tag: "User" }>

/** `asked` is how the caller named an input that joins an operation. */
export const user = (content: ReadonlyArray<UserPart>, asked?: User["asked"]): Draft => ({
  _tag: "User",
  id: 0,
  parentId: null,
  at: 0,
  operationId: "",
  content,
  asked
})

/** A word of the engine to the model, where the provider knows none but the user to say it. */
export const note = (text: string): Draft => user([{ type: "text", text, note: true }])

export type Assistant = Extract<Draft, { readonly _tag: "Assistant" }>

/** `reported` tells whether the usage is what the provider told. */
export const assistant = (
  content: ReadonlyArray<AssistantPart>,
  model: string,
  finish: FinishReason,
  usage: Usage,
  reported: boolean
): Assistant => ({
  _tag: "Assistant",
  id: 0,
  parentId: null,
  at: 0,
  operationId: "",
  content,
  model,
  finish,
  usage,
  usageReported: reported
})

export const toolStarted = (callId: string, name: string): Draft => ({
  _tag: "ToolStarted",
  id: 0,
  parentId: null,
  at: 0,
  operationId: "",
  callId,
  name
})

/**
 * `cutFrom` is the length of the result before it was cut, if it was; `content` its parts, where not all are text;
 * `replayed` the entry whose result it repeats.
 */
export const toolSettled = (
  callId: string,
  name: string,
  outcome: ToolOutcome,
  result: string,
  cutFrom: number | undefined,
  content?: ReadonlyArray<ResultPart>,
  replayed?: number
): Draft => ({
  _tag: "ToolSettled",
  id: 0,
  parentId: null,
  at: 0,
  operationId: "",
  callId,
  name,
  outcome,
  result,
  cutFrom,
  content,
  replayed
})

export const taskLink = (
  taskId: string,
  child: string,
  agent: string,
  description: string,
  callId: string | undefined
): Draft => ({
  _tag: "TaskLink",
  id: 0,
  parentId: null,
  at: 0,
  operationId: "",
  taskId,
  child,
  agent,
  description,
  callId
})

export const workspaceRead = ({ files, skills, skipped }: View): Draft => ({
  _tag: "WorkspaceRead",
  id: 0,
  parentId: null,
  at: 0,
  operationId: "",
  files,
  skills,
  skipped
})

/** Goes on from an earlier entry, or from nothing. */
export const headMoved = (to: number | null): Draft => ({
  _tag: "HeadMoved",
  id: 0,
  parentId: to,
  at: 0,
  operationId: ""
})

type OfCompaction = Extract<Draft, { readonly _tag: "Compaction" }>
type OfStalled = Extract<Draft, { readonly _tag: "CompactionStalled" }>
type Own<E> = Omit<E, "_tag" | keyof Place>

export const compaction = (it: Own<OfCompaction>): OfCompaction => ({
  _tag: "Compaction",
  id: 0,
  parentId: null,
  at: 0,
  operationId: "",
  summary: it.summary,
  firstKept: it.firstKept,
  trigger: it.trigger,
  tokensBefore: it.tokensBefore,
  tokensAfter: it.tokensAfter,
  files: it.files,
  model: it.model,
  usage: it.usage
})

export const compactionStalled = (it: Own<OfStalled>): OfStalled => ({
  _tag: "CompactionStalled",
  id: 0,
  parentId: null,
  at: 0,
  operationId: "",
  reason: it.reason,
  trigger: it.trigger,
  tokensBefore: it.tokensBefore,
  model: it.model,
  usage: it.usage
})

/** Names an entry, or no longer any. */
export const label = (name: string, entry: number | null): Draft => ({
  _tag: "Label",
  id: 0,
  parentId: null,
  at: 0,
  operationId: "",
  label: name,
  entry
})

export const taskSettled = (
  taskId: string,
  child: string,
  outcome: "completed" | "failed" | "interrupted",
  error: Failure | undefined,
  usage: Usage
): Draft => ({
  _tag: "TaskSettled",
  id: 0,
  parentId: null,
  at: 0,
  operationId: "",
  taskId,
  child,
  outcome,
  error,
  usage
})
