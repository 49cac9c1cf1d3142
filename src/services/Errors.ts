/**
 * Everything a caller can meet, by name. The class owns the wording of its message.
 *
 * These are `Data.TaggedError`s and not `Schema.TaggedError`s: loading `effect/Schema` takes as long as loading the
 * rest of the core, and a program that never decodes anything should not pay for it.
 */
import * as Data from "effect/Data"
import type { Entry } from "./Entry.js"
import type { HoldKind, OperationRef, Running } from "./Operation.js"

const plural = (n: number, noun: string) => `${n} ${noun}${n === 1 ? "" : "s"}`

/** The session is held by another operation. Nothing was written and the running operation is unharmed. */
export class SessionBusy extends Data.TaggedError("SessionBusy")<{
  readonly session: string
  /** What was asked for. */
  readonly requested: HoldKind
  /** What holds the session. */
  readonly running: HoldKind
  /** The id of the operation that holds the session. */
  readonly operationId: string
  /** When that operation was admitted, in milliseconds since the epoch. */
  readonly since: number
  /** The engine that holds it, where it is another one than the caller's. */
  readonly owner?: string | undefined
}> {
  override get message() {
    const where = this.owner === undefined ? "" : ` in another process (${this.owner})`
    return `Session "${this.session}" is already running ${this.running}${where}. Start another session for parallel conversation branches.`
  }
}

/** Waiting would never end: the operations of `cycle` wait for each other, the last for the first. */
export class SessionDeadlock extends Data.TaggedError("SessionDeadlock")<{
  readonly cycle: ReadonlyArray<OperationRef>
}> {
  override get message() {
    const steps = this.cycle.map((step) => `${step.kind} on session "${step.session}" (${step.operationId})`)
    return `Waiting would never end: ${steps.join(" waits for ")} waits for the first.`
  }
}

/** A task would stand deeper than the limit. It was refused before anything was created. */
export class TaskDepthExceeded extends Data.TaggedError("TaskDepthExceeded")<{
  readonly session: string
  readonly depth: number
  readonly limit: number
}> {
  override get message() {
    return `A task at depth ${this.depth} was refused: tasks may be nested ${plural(this.limit, "level")} deep.`
  }
}

/** The session has no such entry, or none of its entries has that name. Nothing was written. */
export class EntryNotFound extends Data.TaggedError("EntryNotFound")<{
  readonly session: string
  /** Its place, or the name that was given. */
  readonly entry: number | string
}> {
  override get message() {
    return typeof this.entry === "number"
      ? `Session "${this.session}" has no entry ${this.entry}.`
      : `No entry of session "${this.session}" is named "${this.entry}".`
  }
}

/** A compaction brought no smaller context. The session is as it was. */
export class CompactionStalled extends Data.TaggedError("CompactionStalled")<{
  readonly session: string
  readonly reason: string
  /** What was to become smaller, in tokens. */
  readonly tokensBefore: number
}> {
  override get message() {
    return `The conversation of session "${this.session}" was not compacted: ${this.reason}.`
  }
}

/** A text is no export of a session. Nothing was written. */
export class InvalidExport extends Data.TaggedError("InvalidExport")<{
  /** From 1. */
  readonly line: number
  readonly reason: string
}> {
  override get message() {
    return `Line ${this.line} of the export cannot be taken: ${this.reason}.`
  }
}

/** The text given as a session id is not one. */
export class InvalidSessionId extends Data.TaggedError("InvalidSessionId")<{
  readonly id: string
  readonly reason: string
}> {
  override get message() {
    return `Not a session id: ${this.reason}.`
  }
}

/** No session of that name exists, or it was removed. */
export class SessionNotFound extends Data.TaggedError("SessionNotFound")<{ readonly session: string }> {
  override get message() {
    return `There is no session "${this.session}".`
  }
}

/** `create` was asked for a name that is taken. */
export class SessionAlreadyExists extends Data.TaggedError("SessionAlreadyExists")<{ readonly session: string }> {
  override get message() {
    return `Session "${this.session}" exists already.`
  }
}

/** An argument is wrong in itself. Nothing was written. */
export class InvalidInput extends Data.TaggedError("InvalidInput")<{
  /** Where in the input, for instance `parts[1].data`. */
  readonly path: string
  readonly reason: string
}> {
  override get message() {
    return `Invalid input at ${this.path}: ${this.reason}.`
  }
}

/** Two tools of one prompt have the same name, or a tool has one that Baton keeps for itself or no provider takes. */
export class ToolNameConflict extends Data.TaggedError("ToolNameConflict")<{
  readonly tool: string
  readonly reason: "duplicate" | "reserved" | "malformed"
  /** Where it stands, if not among the tools of the call. */
  readonly path?: string | undefined
}> {
  override get message() {
    const where = this.path === undefined ? "" : ` (${this.path})`
    if (this.reason === "duplicate") return `Two tools are named "${this.tool}"${where}.`
    const why =
      this.reason === "reserved"
        ? "that name is reserved"
        : "a name has 1 to 64 letters, digits, underscores or hyphens"
    return `A tool may not be named ${JSON.stringify(this.tool)}${where}: ${why}.`
  }
}

/** The agent has no subagent of that name. */
export class AgentNotFound extends Data.TaggedError("AgentNotFound")<{
  readonly agent: string
  readonly known: ReadonlyArray<string>
}> {
  override get message() {
    const known = this.known.length === 0 ? "none is declared" : `known agents: ${this.known.join(", ")}`
    return `There is no agent "${this.agent}" (${known}).`
  }
}

/** There is no skill of that name: neither has the agent one, nor the workspace. Nothing was written. */
export class SkillNotFound extends Data.TaggedError("SkillNotFound")<{
  readonly skill: string
  readonly known: ReadonlyArray<string>
  /** Why a skill of that name is not used, where one was found. */
  readonly reason?: string | undefined
}> {
  override get message() {
    const known = this.known.length === 0 ? "there is none" : `known skills: ${this.known.join(", ")}`
    const why = this.reason === undefined ? "" : ` What was found under that name is not used: ${this.reason}.`
    return `There is no skill "${this.skill}" (${known}).${why}`
  }
}

/** A folder is no skill; `path` is the file, and its line where one is to blame. */
export class InvalidSkill extends Data.TaggedError("InvalidSkill")<{
  readonly path: string
  readonly reason: string
}> {
  override get message() {
    return `${this.path} is not usable as a skill: ${this.reason}.`
  }
}

/**
 * Neither the call, nor the agent, nor the engine names a model, or no layer serves that name, or the layer that does
 * lacks something: a package, or a setting.
 */
export class ModelNotConfigured extends Data.TaggedError("ModelNotConfigured")<{
  readonly model: string | undefined
  /** The names that are served, where that is known; `anthropic/<id>` stands for all that begin so. */
  readonly known?: ReadonlyArray<string> | undefined
  /** What a model lacks that has a layer. */
  readonly reason?: string | undefined
  readonly cause?: unknown
}> {
  override get message() {
    if (this.model === undefined) {
      return "No model is configured: name one in the call, in the agent or in the model layer."
    }
    if (this.reason !== undefined) return `The model "${this.model}" cannot be used: ${this.reason}.`
    if (this.known === undefined) return `No layer serves the model "${this.model}".`
    const known = this.known.length === 0 ? "none is declared" : `known models: ${this.known.join(", ")}`
    return `No layer serves the model "${this.model}" (${known}).`
  }
}

/** The model could not answer now; the same request may succeed later. */
export class ModelUnavailable extends Data.TaggedError("ModelUnavailable")<{
  readonly model: string
  readonly reason: string
  /** How long the provider asks to wait before the next attempt, in milliseconds. */
  readonly retryAfter?: number | undefined
  /** How many attempts were made, where it was more than one. */
  readonly attempts?: number | undefined
  readonly cause?: unknown
}> {
  override get message() {
    const wait = this.retryAfter === undefined ? "" : `, retry after ${Math.ceil(this.retryAfter / 1000)} s`
    const tried = this.attempts === undefined ? "" : ` (${plural(this.attempts, "attempt")})`
    return `The model "${this.model}" is not available: ${this.reason}${wait}${tried}.`
  }
}

/** The provider refused the request for good; sending it again changes nothing. */
export class ModelRejected extends Data.TaggedError("ModelRejected")<{
  readonly model: string
  readonly reason: string
  readonly status?: number | undefined
  readonly cause?: unknown
}> {
  override get message() {
    const status = this.status === undefined ? "" : ` (HTTP ${this.status})`
    return `The model "${this.model}" refused the request${status}: ${this.reason}.`
  }
}

/** The history does not fit into the model's context window. */
export class ContextOverflow extends Data.TaggedError("ContextOverflow")<{
  readonly model: string
  readonly reason: string
}> {
  override get message() {
    return `The history does not fit into the context window of "${this.model}": ${this.reason}.`
  }
}

/** A limit of the operation, or of the tree of tasks that it stands in, was reached. */
export class LimitReached extends Data.TaggedError("LimitReached")<{
  readonly limit: "turns" | "tokens" | "cost" | "wallTime"
  /** What the limit is: a count, tokens, money, or milliseconds. */
  readonly value: number
}> {
  override get message() {
    switch (this.limit) {
      case "turns":
        return `The operation reached its limit of ${plural(this.value, "turn")}.`
      case "tokens":
        return `The operation reached its limit of ${plural(this.value, "token")}.`
      case "cost":
        return `The operation reached its limit of cost, ${this.value}.`
      case "wallTime":
        return `The operation reached its limit of time, ${this.value} ms.`
    }
  }
}

/** The model went round in circles, and did so again after it was told. */
export class NoProgress extends Data.TaggedError("NoProgress")<{
  /** The tools that were called, in one round. */
  readonly tools: ReadonlyArray<string>
  /** How many turns one round has. */
  readonly period: number
}> {
  override get message() {
    const names = this.tools.map((name) => `"${name}"`).join(", ")
    return this.period === 1
      ? `The model made no progress: it repeated the same call of ${names} with the same result.`
      : `The model made no progress: it went round in a cycle of ${this.period} turns, calling ${names} with the same results.`
  }
}

/** The model gave no result of the kind that was asked for. */
export class ResultUnavailable extends Data.TaggedError("ResultUnavailable")<{
  /** Why, in the model's words where it gave up. */
  readonly reason: string
  /** The text of its last turn. */
  readonly text: string
}> {
  override get message() {
    return `There is no result: ${this.reason}`
  }
}

/** The operation id stands for another input: it names one piece of work for good. Nothing was written. */
export class OperationConflict extends Data.TaggedError("OperationConflict")<{
  readonly session: string
  readonly operationId: string
}> {
  override get message() {
    return `Operation "${this.operationId}" of session "${this.session}" was started with another input.`
  }
}

/** An operation was cut off as often as it may be: it is not resumed any more. */
export class RecoveryExhausted extends Data.TaggedError("RecoveryExhausted")<{
  readonly session: string
  readonly operationId: string
  /** How often it was begun, the first run included. */
  readonly attempts: number
}> {
  override get message() {
    return `The operation was cut off ${plural(this.attempts, "time")} and is not resumed any more.`
  }
}

/** Another engine owns the session, and its lease holds. */
export class SessionOwned extends Data.TaggedError("SessionOwned")<{
  readonly session: string
  readonly owner: string
  /** What runs there, if anything does. */
  readonly running: Running | null
}> {
  override get message() {
    return `Session "${this.session}" is owned by another process (${this.owner}).`
  }
}

/**
 * The writer no longer owns the session: another process claimed it, it was removed, or it has moved on; or somebody
 * else delivered what it was to deliver.
 */
export class StaleLease extends Data.TaggedError("StaleLease")<{
  readonly session: string
  readonly reason: "epoch" | "sequence" | "removed" | "delivered"
}> {
  override get message() {
    const why = {
      epoch: "another owner has claimed it",
      sequence: "its history has moved on",
      removed: "it was removed",
      delivered: "an input that it was to deliver is not in the inbox any more"
    }[this.reason]
    return `A write to session "${this.session}" was refused: ${why}.`
  }
}

/** The store failed. `cause` is what it said. */
export class SessionStoreError extends Data.TaggedError("SessionStoreError")<{
  readonly operation: string
  readonly reason: string
  readonly cause?: unknown
}> {
  override get message() {
    return `The session store failed to ${this.operation}: ${this.reason}.`
  }
}

/** A stored record cannot be read. The session takes no operation any more; what comes before the record can be read. */
export class CorruptRecord extends Data.TaggedError("CorruptRecord")<{
  readonly session: string
  /** The place of the record in the session's history. */
  readonly seq: number
  readonly reason: string
  /** The entries before it, from where reading began. */
  readonly readable: ReadonlyArray<Entry>
}> {
  override get message() {
    return `Entry ${this.seq} of session "${this.session}" cannot be read: ${this.reason}.`
  }
}

/** The store was written by a newer version, or is none. It was left as it is. */
export class UnsupportedFormat extends Data.TaggedError("UnsupportedFormat")<{
  /** The format that was found, if it has a number. */
  readonly found: number | undefined
  /** The newest that this version knows. */
  readonly supported: number
  readonly reason: string
}> {
  override get message() {
    return `The session store cannot be opened: ${this.reason}.`
  }
}

/** The sandbox refused or failed. */
export class SandboxError extends Data.TaggedError("SandboxError")<{
  readonly operation: "read" | "list" | "stat" | "write" | "exec"
  readonly path: string
  readonly reason: string
  readonly cause?: unknown
}> {
  override get message() {
    return `Cannot ${this.operation} ${this.path}: ${this.reason}.`
  }
}

/** What the lock answers when it does not admit a call. */
export type LockError = SessionBusy | SessionDeadlock | TaskDepthExceeded

/** What a model answers when it does not complete a round-trip. */
export type ModelError = ModelNotConfigured | ModelUnavailable | ModelRejected | ContextOverflow

/** What a write can answer. */
export type StoreError = StaleLease | SessionStoreError | CorruptRecord

/** The errors that an operation can have ended with. */
const recorded = {
  AgentNotFound,
  CompactionStalled,
  ContextOverflow,
  CorruptRecord,
  InvalidInput,
  LimitReached,
  ModelNotConfigured,
  ModelRejected,
  ModelUnavailable,
  NoProgress,
  RecoveryExhausted,
  ResultUnavailable,
  SandboxError,
  SessionBusy,
  SessionDeadlock,
  SessionNotFound,
  SessionStoreError,
  SkillNotFound,
  StaleLease,
  TaskDepthExceeded,
  ToolNameConflict
}

/** An error as it was recorded with the end of an operation; `undefined` where it was none of these. */
export const revive = (tag: string, data: unknown): Error | undefined => {
  if (!Object.hasOwn(recorded, tag) || typeof data !== "object" || data === null) return undefined
  const Recorded = recorded[tag as keyof typeof recorded] as new (fields: object) => Error
  return new Recorded(data)
}
