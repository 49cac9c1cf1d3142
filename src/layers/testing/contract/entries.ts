/**
 * Every kind of entry, with and without what is optional, and texts that a store likes to alter.
 */
import type { Entry } from "../../../services/Entry.js"

const usage = { input: 10, output: 20, cacheRead: 3, cacheWrite: 4, reasoning: 5 }
const priced = { ...usage, cost: 0.1 + 0.2 }
const report = { turns: usage, retries: usage, compactions: usage, tasks: priced, total: priced }

const nested = (depth: number): unknown => {
  let value: unknown = "the innermost"
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? { a: value } : [value]
  return value
}

type Kind<E> = E extends Entry ? Omit<E, "id" | "parentId" | "at" | "operationId"> : never

const kinds: ReadonlyArray<Kind<Entry>> = [
  { _tag: "OperationStarted", kind: "prompt" },
  { _tag: "OperationStarted", kind: "task", key: "digest", request: {} },
  {
    _tag: "OperationStarted",
    kind: "prompt",
    key: "",
    request: {
      model: "provider/model",
      fallbacks: ["a", "b"],
      thinking: "high",
      limits: { turns: 3, tokens: null },
      result: { type: "object", properties: { "a b": { type: "string" } } },
      input: [
        { type: "text", text: "t" },
        { type: "image", mediaType: "image/png", data: "AA==" }
      ],
      agent: "x",
      description: "",
      cwd: "/a b"
    }
  },
  { _tag: "OperationResumed", kind: "shell", attempt: 2 },
  { _tag: "OperationSettled", kind: "prompt", outcome: "completed", usage: report },
  {
    _tag: "OperationSettled",
    kind: "shell",
    outcome: "completed",
    key: "k",
    value: { exitCode: 0, stdout: "" },
    usage: report
  },
  {
    _tag: "OperationSettled",
    kind: "prompt",
    outcome: "failed",
    error: { tag: "LimitReached", message: "It was reached.", data: [null, false, 0, ""] },
    usage: report
  },
  { _tag: "OperationSettled", kind: "task", outcome: "failed", error: { tag: "E", message: "" }, usage: report },
  { _tag: "OperationSettled", kind: "prompt", outcome: "interrupted", by: "caller", usage: report },
  {
    _tag: "OperationSettled",
    kind: "prompt",
    outcome: "interrupted",
    by: { session: "s", kind: "remove", operationId: "o" },
    usage: report
  },
  { _tag: "User", content: [] },
  {
    _tag: "User",
    content: [
      { type: "text", text: "x", note: true },
      { type: "image", mediaType: "image/jpeg", data: "/9j/4AAQ" }
    ]
  },
  {
    _tag: "Assistant",
    content: [
      { type: "reasoning", text: "hm", metadata: { anthropic: { signature: "s+/=" } } },
      { type: "reasoning", text: "" },
      { type: "text", text: "t", metadata: null },
      { type: "tool-call", id: "c1", name: "tool", args: nested(100), raw: "{", metadata: { itemId: "i" } },
      { type: "tool-call", id: "c2", name: "tool", args: {} }
    ],
    model: "provider/model",
    finish: "tool-calls",
    usage,
    usageReported: true
  },
  { _tag: "Assistant", content: [], model: "", finish: "interrupted", usage: priced, usageReported: false },
  { _tag: "ToolStarted", callId: "c1", name: "tool" },
  { _tag: "ToolSettled", callId: "c1", name: "tool", outcome: "success", result: "" },
  { _tag: "ToolSettled", callId: "c2", name: "tool", outcome: "not-run", result: "r", cutFrom: 123_456_789 },
  {
    _tag: "ToolSettled",
    callId: "c1",
    name: "tool",
    outcome: "success",
    result: "[image 1: image/png]\n[1]",
    content: [
      { type: "text", text: "" },
      { type: "image", mediaType: "image/png", data: "iVBORw0KGgo=" },
      { type: "json", value: nested(100) }
    ]
  },
  { _tag: "TaskLink", taskId: "t", child: "task:s:1", agent: "a", description: "d" },
  { _tag: "TaskLink", taskId: "t", child: "task:s:1", agent: "a", description: "d", callId: "c1" },
  { _tag: "TaskSettled", taskId: "t", child: "task:s:1", outcome: "completed", usage },
  {
    _tag: "TaskSettled",
    taskId: "t",
    child: "task:s:1",
    outcome: "failed",
    error: { tag: "E", message: "m" },
    usage: priced
  },
  { _tag: "HeadMoved" },
  {
    _tag: "WorkspaceRead",
    files: [{ path: "AGENTS.md", text: "Be brief." }],
    skills: [{ name: "n", description: "" }],
    skipped: [{ path: "x", reason: "y" }]
  },
  {
    _tag: "OperationStarted",
    kind: "prompt",
    key: "k",
    request: { skill: "n", replay: { from: null, unrecorded: "ask" } }
  },
  { _tag: "OperationSettled", kind: "prompt", outcome: "interrupted", by: "fork", usage: report },
  { _tag: "OperationSettled", kind: "compact", outcome: "interrupted", by: "import", usage: report },
  { _tag: "ToolSettled", callId: "c1", name: "tool", outcome: "success", result: "r", replayed: 17 },
  {
    _tag: "Compaction",
    summary: "## Goal\n",
    firstKept: 11,
    trigger: "threshold",
    tokensBefore: 100,
    tokensAfter: 10,
    files: { read: ["a"], changed: [] },
    model: "provider/model",
    usage: priced
  },
  {
    _tag: "Compaction",
    summary: "",
    firstKept: null,
    trigger: "manual",
    tokensBefore: 0,
    tokensAfter: 0,
    files: { read: [], changed: ["b", "c"] },
    model: "",
    usage
  },
  { _tag: "CompactionStalled", reason: "r", trigger: "overflow", tokensBefore: 1, model: "m", usage },
  { _tag: "Label", label: "a name 😀", entry: 3 },
  { _tag: "Label", label: "", entry: null }
]

/** One of each kind, as the first entries of a session. */
export const everyKind: ReadonlyArray<Entry> = kinds.map(
  (kind, i) =>
    ({
      ...kind,
      id: i + 1,
      parentId: i === 0 ? null : i,
      at: 1_700_000_000_000.5 + i,
      operationId: i % 2 === 0 ? "one" : "two"
    }) as Entry
)

/** Texts that come back as they went in: cleaned texts, as the engine writes them. */
export const texts: ReadonlyArray<string> = [
  "",
  " ",
  "\ufffd",
  "😀 \u{10ffff} \u{1f468}\u200d\u{1f469}",
  "\u00e9 e\u0301 \ufeff \u202e \u200b",
  "tab\tline\nreturn\r\u0001\u001f\u007f\u0085\u2028",
  "'; DROP TABLE baton_sessions; -- \" ` $1 ? :a @b \\ \\u0000 \\0 %s {}",
  "null",
  '{"__proto__":1}',
  "x".repeat(1_000_000),
  "😀".repeat(100_000)
]
