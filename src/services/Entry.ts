/**
 * The record format: one immutable entry of a session's history, as it is stored.
 *
 * These schemas are the format. The core imports only their types, so that a program which decodes nothing does not
 * load `effect/Schema`; a store that keeps text decodes with `Entry` from `effect-baton/schema`.
 */
import * as Schema from "effect/Schema"

/**
 * Format of the entries below. A store that holds a newer one is refused, one of format 2 or 3 is taken over. 2 added
 * `OperationResumed`, what an operation was asked (`key`, `request`, `asked`), and the value of a `shell`; 3 added
 * `WorkspaceRead`, the skill of a request, and the content of a tool's result; 4 added `Compaction`, `CompactionStalled`
 * and `Label`, heads that move to any entry, what a fork and an import interrupted, and results that were replayed.
 */
export const formatVersion = 4

const Count = Schema.NonNegative.pipe(Schema.finite())

export const Usage = Schema.Struct({
  input: Count,
  output: Count,
  cacheRead: Count,
  cacheWrite: Count,
  reasoning: Count,
  cost: Schema.optional(Schema.UndefinedOr(Count))
})

export const OperationKind = Schema.Literal("prompt", "task", "skill", "shell", "compact")

export const HoldKind = Schema.Literal("prompt", "task", "skill", "shell", "compact", "move", "label", "remove")

export const OperationRef = Schema.Struct({ session: Schema.String, kind: HoldKind, operationId: Schema.String })

export const TextPart = Schema.Struct({
  type: Schema.Literal("text"),
  text: Schema.String,
  /** Set where the words are the engine's own and nobody's request. */
  note: Schema.optional(Schema.Literal(true))
})

export const ImagePart = Schema.Struct({
  type: Schema.Literal("image"),
  mediaType: Schema.String,
  /** Base64. */
  data: Schema.String
})

export const UserPart = Schema.Union(TextPart, ImagePart)

export const ReasoningPart = Schema.Struct({
  type: Schema.Literal("reasoning"),
  text: Schema.String,
  /** What the provider wants back with the text, untouched. */
  metadata: Schema.optional(Schema.UndefinedOr(Schema.Unknown))
})

export const ToolCallPart = Schema.Struct({
  type: Schema.Literal("tool-call"),
  /** Unique in the session, as Baton keyed it. */
  id: Schema.String,
  name: Schema.String,
  /** The arguments as JSON. */
  args: Schema.Unknown,
  /** The text that the model sent, where it was not a JSON object. */
  raw: Schema.optional(Schema.UndefinedOr(Schema.String)),
  metadata: Schema.optional(Schema.UndefinedOr(Schema.Unknown))
})

export const AssistantPart = Schema.Union(
  Schema.Struct({
    type: Schema.Literal("text"),
    text: Schema.String,
    metadata: Schema.optional(Schema.UndefinedOr(Schema.Unknown))
  }),
  ReasoningPart,
  ToolCallPart
)

/** Why a reply ended. `interrupted`: the reply was cut by Baton's side and is kept as far as it came. */
export const FinishReason = Schema.Literal(
  "stop",
  "tool-calls",
  "length",
  "content-filter",
  "pause",
  "other",
  "interrupted"
)

/** How a tool call ended: anything but `success` is told to the model as an error. */
export const ToolOutcome = Schema.Literal("success", "failure", "deadline", "interrupted", "unknown", "not-run")

/** The place of an entry in its session, from 1. */
const Place = Schema.Positive.pipe(Schema.int())

const entry = <Tag extends string, Fields extends Schema.Struct.Fields>(tag: Tag, fields: Fields) =>
  Schema.Struct({
    _tag: Schema.Literal(tag),
    /** Its place in the session, from 1. */
    id: Place,
    /** The entry before it in the conversation; `null` for the first. */
    parentId: Schema.NullOr(Place),
    /** Milliseconds since the epoch. */
    at: Schema.Finite,
    operationId: Schema.String,
    ...fields
  })

/** What an operation was asked besides its first entries, as far as it is data: enough to go on with it elsewhere. */
export const Request = Schema.Struct({
  model: Schema.optional(Schema.UndefinedOr(Schema.String)),
  fallbacks: Schema.optional(Schema.UndefinedOr(Schema.Array(Schema.String))),
  thinking: Schema.optional(Schema.UndefinedOr(Schema.Literal("off", "low", "medium", "high"))),
  /** `null`: without limit. */
  limits: Schema.optional(
    Schema.UndefinedOr(Schema.Record({ key: Schema.String, value: Schema.NullOr(Schema.Number) }))
  ),
  /** The JSON Schema of the result that was asked for. */
  result: Schema.optional(Schema.UndefinedOr(Schema.Unknown)),
  /** The skill that was asked for. */
  skill: Schema.optional(Schema.UndefinedOr(Schema.String)),
  /** What a task was told, by whom it is done, and where; `input` also what a compaction is to heed. */
  input: Schema.optional(Schema.UndefinedOr(Schema.Array(UserPart))),
  agent: Schema.optional(Schema.UndefinedOr(Schema.String)),
  description: Schema.optional(Schema.UndefinedOr(Schema.String)),
  cwd: Schema.optional(Schema.UndefinedOr(Schema.String)),
  /** Results that are recorded after this entry stand for the calls that they were of; and what becomes of other calls. */
  replay: Schema.optional(
    Schema.UndefinedOr(
      Schema.Struct({ from: Schema.NullOr(Place), unrecorded: Schema.Literal("run", "refuse", "ask") })
    )
  )
})
export type Request = typeof Request.Type

export const OperationStarted = entry("OperationStarted", {
  kind: OperationKind,
  /** A digest of the input, where the caller gave the operation its id. */
  key: Schema.optional(Schema.UndefinedOr(Schema.String)),
  request: Schema.optional(Schema.UndefinedOr(Request))
})

/** The operation goes on after the process that ran it ended. */
export const OperationResumed = entry("OperationResumed", {
  kind: OperationKind,
  /** How often it was begun, the first run included: 2 for the first time that it is resumed. */
  attempt: Schema.Positive.pipe(Schema.int())
})

export const OperationSettled = entry("OperationSettled", {
  kind: OperationKind,
  outcome: Schema.Literal("completed", "failed", "interrupted"),
  key: Schema.optional(Schema.UndefinedOr(Schema.String)),
  /** What it brought, where that is not in its entries: the output of a `shell` whose caller gave it its id. */
  value: Schema.optional(Schema.UndefinedOr(Schema.Unknown)),
  /** The error's tag and message, where it failed, and what else it says. */
  error: Schema.optional(
    Schema.UndefinedOr(
      Schema.Struct({
        tag: Schema.String,
        message: Schema.String,
        data: Schema.optional(Schema.UndefinedOr(Schema.Unknown))
      })
    )
  ),
  /**
   * Who interrupted it: the caller, the engine that ended, or the operation that took its place; a fork or an import
   * where it ran on elsewhere, and here it is as far as it had come.
   */
  by: Schema.optional(
    Schema.UndefinedOr(Schema.Union(Schema.Literal("caller", "shutdown", "fork", "import"), OperationRef))
  ),
  usage: Schema.Struct({ turns: Usage, retries: Usage, compactions: Usage, tasks: Usage, total: Usage })
})

export const User = entry("User", {
  content: Schema.Array(UserPart),
  /** How its caller named it, where it joined an operation that ran: by which id, and a digest of the input. */
  asked: Schema.optional(Schema.UndefinedOr(Schema.Struct({ operationId: Schema.String, key: Schema.String })))
})

export const Assistant = entry("Assistant", {
  content: Schema.Array(AssistantPart),
  model: Schema.String,
  finish: FinishReason,
  usage: Usage,
  /** `false` where the provider said nothing and the figures are estimated, or said what cannot be and they are cut. */
  usageReported: Schema.Boolean
})

/** Durable before the call's effect. */
export const ToolStarted = entry("ToolStarted", { callId: Schema.String, name: Schema.String })

export const JsonPart = Schema.Struct({ type: Schema.Literal("json"), value: Schema.Unknown })

/** A part of what a tool gave. In `result` an image is a mark, and a JSON value its text. */
export const ResultPart = Schema.Union(
  Schema.Struct({ type: Schema.Literal("text"), text: Schema.String }),
  ImagePart,
  JsonPart
)

export const ToolSettled = entry("ToolSettled", {
  callId: Schema.String,
  name: Schema.String,
  outcome: ToolOutcome,
  /** What the model is told. */
  result: Schema.String,
  /** How long the result was before it was cut, where it was. */
  cutFrom: Schema.optional(Schema.UndefinedOr(Count)),
  /** The parts that `result` tells of, where not all of them are text. */
  content: Schema.optional(Schema.UndefinedOr(Schema.Array(ResultPart))),
  /** The entry whose result it repeats, where the call was not run. */
  replayed: Schema.optional(Schema.UndefinedOr(Place))
})

/** Durable before the child runs. */
export const TaskLink = entry("TaskLink", {
  taskId: Schema.String,
  child: Schema.String,
  agent: Schema.String,
  description: Schema.String,
  /** The tool call that asked for it, where one did. */
  callId: Schema.optional(Schema.UndefinedOr(Schema.String))
})

export const TaskSettled = entry("TaskSettled", {
  taskId: Schema.String,
  child: Schema.String,
  outcome: Schema.Literal("completed", "failed", "interrupted"),
  error: Schema.optional(Schema.UndefinedOr(Schema.Struct({ tag: Schema.String, message: Schema.String }))),
  usage: Usage
})

/** What the workspace tells, where that is not what it told before. */
export const WorkspaceRead = entry("WorkspaceRead", {
  files: Schema.Array(Schema.Struct({ path: Schema.String, text: Schema.String })),
  skills: Schema.Array(Schema.Struct({ name: Schema.String, description: Schema.String })),
  skipped: Schema.Array(Schema.Struct({ path: Schema.String, reason: Schema.String }))
})

/** From here on the history goes on from an earlier entry, its parent; what lies between is kept and not seen. */
export const HeadMoved = entry("HeadMoved", {})

/** What made a compaction: the context's size, a provider that refused it, or a caller. */
export const CompactionTrigger = Schema.Literal("threshold", "overflow", "manual")

/** From here on a summary stands for the older part of the conversation. The entries of that part are kept. */
export const Compaction = entry("Compaction", {
  summary: Schema.String,
  /** The entry that began the first message which is kept as it was; `null` where none is but the user's latest. */
  firstKept: Schema.NullOr(Place),
  trigger: CompactionTrigger,
  /** The tokens of a request before and after, as far as they can be told: the second figure is an estimate. */
  tokensBefore: Count,
  tokensAfter: Count,
  /** The files that the agent has read and changed up to `firstKept`, by the paths that it named. */
  files: Schema.Struct({ read: Schema.Array(Schema.String), changed: Schema.Array(Schema.String) }),
  model: Schema.String,
  usage: Usage
})

/** A compaction came to nothing: its summary was none, or did not make the context smaller. */
export const CompactionStalled = entry("CompactionStalled", {
  reason: Schema.String,
  trigger: CompactionTrigger,
  tokensBefore: Count,
  model: Schema.String,
  usage: Usage
})

/** An entry has a name from here on, which no other has then; `null` takes the name away. */
export const Label = entry("Label", { label: Schema.String, entry: Schema.NullOr(Place) })

/** One immutable record of a session's history. */
export const Entry = Schema.Union(
  OperationStarted,
  OperationResumed,
  OperationSettled,
  User,
  Assistant,
  ToolStarted,
  ToolSettled,
  TaskLink,
  TaskSettled,
  WorkspaceRead,
  HeadMoved,
  Compaction,
  CompactionStalled,
  Label
)
export type Entry = typeof Entry.Type

export type UserPart = typeof UserPart.Type
export type AssistantPart = typeof AssistantPart.Type
export type ToolCallPart = typeof ToolCallPart.Type
export type FinishReason = typeof FinishReason.Type
export type ToolOutcome = typeof ToolOutcome.Type
export type ImagePart = typeof ImagePart.Type
export type ResultPart = typeof ResultPart.Type
export type CompactionTrigger = typeof CompactionTrigger.Type
