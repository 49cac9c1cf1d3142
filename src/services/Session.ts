/**
 * A session as an application holds it, and what its operations take and give.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type * as Agent from "./Agent.js"
import type { AnySchema, ContextOf, ValueOf } from "./AnySchema.js"
import type { Entry, FinishReason, ToolCallPart, UserPart } from "./Entry.js"
import type {
  AgentNotFound,
  CompactionStalled,
  CorruptRecord,
  EntryNotFound,
  InvalidInput,
  InvalidSessionId,
  LimitReached,
  LockError,
  ModelError,
  NoProgress,
  OperationConflict,
  RecoveryExhausted,
  ResultUnavailable,
  SandboxError,
  SessionAlreadyExists,
  SessionBusy,
  SessionNotFound,
  SessionStoreError,
  SkillNotFound,
  StoreError,
  ToolNameConflict
} from "./Errors.js"
import type { Event } from "./Event.js"
import type { Journal } from "./History.js"
import type { HistoryTree, TreeOptions } from "./HistoryTree.js"
import type { When } from "./Inbox.js"
import type { OwnLimits } from "./Limits.js"
import type { Thinking } from "./Model.js"
import type { OnBusy, PromptOnBusy } from "./Operation.js"
import type { Resuming } from "./Resuming.js"
import type { Pruned, PruneOptions, Removed } from "./Retention.js"
import type { ExecResult, Restored } from "./Sandbox.js"
import type { Found, SearchOptions } from "./Search.js"
import type { SessionRow } from "./SessionStore.js"
import type * as Tool from "./Tool.js"
import type { TranscriptOptions } from "./Transcript.js"
import type { Usage, UsageReport } from "./Usage.js"

/** What the operations work on: a session's name and configuration, and what this process knows of its history. */
export class SessionRef<out R = never> {
  readonly id: string
  readonly incarnation: string
  readonly agent: Agent.Agent<R>
  readonly cwd: string
  /** How many tasks stand between this session and the one that an application opened. */
  readonly depth: number
  /** Services that the operations see over those of their callers. */
  readonly context: Context.Context<never>
  /** The journal of the last operation through this handle. */
  journal: Journal | undefined
  /** What was found unfinished when it was opened, and is being resumed. */
  resumed: Resuming | undefined

  constructor(
    row: Pick<SessionRow, "id" | "incarnation" | "cwd" | "depth">,
    agent: Agent.Agent<R>,
    context: Context.Context<never> = Context.empty()
  ) {
    this.id = row.id
    this.incarnation = row.incarnation
    this.cwd = row.cwd
    this.depth = row.depth
    this.agent = agent
    this.context = context
  }
}

/** What an operation can be called. */
export interface NamedOptions {
  /**
   * Names the operation within its session, for good: asked for again with the same input it is not run a second time,
   * in whatever process, but joined where it runs, or gives what it gave. One that was interrupted runs again. 1 to
   * 256 characters; default: drawn.
   */
  readonly operationId?: string | undefined
}

export interface OperationOptions extends NamedOptions {
  /** What to do when the session is held; default `"reject"`. */
  readonly onBusy?: OnBusy | undefined
}

/** A text, or parts of text and images in order. */
export type PromptInput = string | ReadonlyArray<UserPart>

/** How turns are to be run. */
export interface TurnOptions<
  Tools extends ReadonlyArray<Tool.Listed> = [],
  Result extends AnySchema | undefined = undefined
> {
  readonly model?: string | undefined
  /** The models tried, in order, when that one is not available after its retries. */
  readonly fallbacks?: ReadonlyArray<string> | undefined
  readonly thinking?: Thinking | undefined
  /** Tools for this call, besides the agent's; as an agent's, they may be in lists and toolkits. */
  readonly tools?: Tools | undefined
  /** The kind of value that the model is to finish with. */
  readonly resultSchema?: Result | undefined
  /** Images that go with the text. */
  readonly images?: ReadonlyArray<Omit<Extract<UserPart, { readonly type: "image" }>, "type">> | undefined
  readonly limits?: Partial<OwnLimits> | undefined
}

export interface PromptOptions<
  Tools extends ReadonlyArray<Tool.Listed> = [],
  Result extends AnySchema | undefined = undefined,
  Busy extends PromptOnBusy = PromptOnBusy
>
  extends TurnOptions<Tools, Result>, NamedOptions {
  /**
   * What to do when the session is held; default `"reject"`. A text that joins a running prompt runs as that one does:
   * the other options of its own hold only where it is prompted by itself.
   */
  readonly onBusy?: Busy | undefined
}

/** How an input is to be run that is acknowledged at once: what can be kept of a prompt's options. */
export interface SubmitOptions
  extends NamedOptions, Pick<TurnOptions, "model" | "fallbacks" | "thinking" | "limits" | "images"> {
  /**
   * `wait` (the default) runs it as a prompt of its own, in its turn; `steer` and `followUp` let it join the prompt that
   * runs, if one does.
   */
  readonly when?: When | "wait" | undefined
}

/** An input was stored and will be run, whatever becomes of this process. */
export interface Receipt {
  readonly _tag: "Receipt"
  /** Asks for its outcome: `prompt` with the same input and this id. */
  readonly operationId: string
}

/** A text became an input of the prompt that was running. */
export interface Delivered {
  readonly _tag: "Delivered"
  /** The operation whose input it is. */
  readonly operationId: string
}

/** What a prompt gives, by its policy. */
export type Answer<A, Busy> = Busy extends "steer" | "followUp" ? A | Delivered : A

/** What a prompt brought; `value` where a `resultSchema` was given. */
export interface Reply<A = unknown> {
  readonly _tag: "Reply"
  /** The text of the last turn. */
  readonly text: string
  /** The structured result. */
  readonly value: A
  /** The same as the model gave it, in JSON. */
  readonly json: string | undefined
  /** Why the last turn ended. */
  readonly finish: FinishReason
  readonly usage: UsageReport
  /** The model that answered. */
  readonly model: string
  /** First and last entry that the operation wrote. */
  readonly entries: { readonly from: number; readonly to: number }
}

export interface TaskOptions<
  Tools extends ReadonlyArray<Tool.Listed> = [],
  Result extends AnySchema | undefined = undefined
>
  extends TurnOptions<Tools, Result>, OperationOptions {
  /** A declared subagent by name, or an agent given here; the general delegate where neither is. */
  readonly agent?: string | Agent.Agent | undefined
  /** What the task is about, in a few words, for people who watch. */
  readonly description?: string | undefined
  /** The folder of the child; default: the parent's. */
  readonly cwd?: string | undefined
}

export interface SkillOptions<
  Tools extends ReadonlyArray<Tool.Listed> = [],
  Result extends AnySchema | undefined = undefined
>
  extends TurnOptions<Tools, Result>, OperationOptions {
  /** What the skill is to be used for, in the words of whoever asks. */
  readonly args?: string | undefined
}

/** What a task brought: its child's reply. */
export interface TaskReply<A = unknown> extends Reply<A> {
  readonly taskId: string
  /** The child session. */
  readonly session: string
}

export interface ShellOptions extends OperationOptions {
  readonly cwd?: string | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  /** In milliseconds. */
  readonly timeout?: number | undefined
}

export interface MoveOptions {
  /** What to do when the session is held; default `"reject"`. */
  readonly onBusy?: OnBusy | undefined
  /**
   * Whether the sandbox's files that the session changed go back too, where the sandbox keeps how they were: the virtual
   * one does. Default `false`.
   */
  readonly files?: boolean | undefined
}

/** The head moved. */
export interface Moved {
  /** Where the conversation stood before: its last entry, or `null` where it had none. */
  readonly from: number | null
  readonly to: number | null
  /** The entry by which the head moved; `undefined` where it was there already, and nothing was written. */
  readonly entry: number | undefined
  /** What became of the sandbox's files, where they were to go back too. */
  readonly files?: Restored
}

export interface RewindOptions extends MoveOptions {
  /** How many prompts, skills, tasks and commands are left behind, from 1; default 1. */
  readonly steps?: number | undefined
}

/** The head moved to before something that was asked. */
export interface Rewound extends Moved {
  /** What was asked, in the words of whoever asked. */
  readonly input: ReadonlyArray<UserPart>
}

export interface LabelOptions {
  /** What to do when the session is held; default `"reject"`. */
  readonly onBusy?: OnBusy | undefined
}

/** An entry has a name; `null`: none has it any more. */
export interface Labelled {
  readonly label: string
  readonly entry: number | null
}

export interface EditOptions<
  Tools extends ReadonlyArray<Tool.Listed> = [],
  Result extends AnySchema | undefined = undefined
>
  extends TurnOptions<Tools, Result>, OperationOptions {}

/**
 * What becomes of a call in a what-if that has no record: it is run, it is refused with an answer that says so, or whoever
 * asks is asked each time. One that cannot be asked any more, because its process ended, refuses.
 */
export type Unrecorded = "run" | "refuse" | ((call: UnrecordedCall) => Effect.Effect<boolean>)

/** A call that has no record. */
export type UnrecordedCall = Pick<ToolCallPart, "id" | "name" | "args">

export interface WhatIfOptions<
  Tools extends ReadonlyArray<Tool.Listed> = [],
  Result extends AnySchema | undefined = undefined,
  AgentRequirements = never
> extends TurnOptions<Tools, Result> {
  /**
   * The entry to go on from, by its place or its name; `null`: before the first. One within a turn, a reply with calls or a
   * result of one, stands for the end of that turn.
   */
  readonly from: number | string | null
  /** What is asked there; without it the conversation has to end there with something that a model answers. */
  readonly input?: PromptInput | undefined
  /** Default `"refuse"`. */
  readonly unrecorded?: Unrecorded | undefined
  /** Answers in place of the session's own. */
  readonly agent?: Agent.Agent<AgentRequirements> | undefined
}

/** What would have been: a reply, and the session in which it was given. */
export interface WhatIf<A = unknown> extends Reply<A> {
  readonly session: Session
}

/** How a compaction is asked for. */
export interface CompactOptions extends OperationOptions {
  /** What the summary is to heed, besides what goes for all and for the agent; at most 20,000 characters. */
  readonly instructions?: string | undefined
  /** The model that writes it; default: the agent's for summaries, or the one that answers. */
  readonly model?: string | undefined
}

/** What a compaction brought. */
export type Compaction =
  | {
      readonly _tag: "Compacted"
      /** The entry from which on the summary stands for what lies before. */
      readonly entry: number
      readonly summary: string
      /** Of the next request before and after; the second is an estimate. */
      readonly tokensBefore: number
      readonly tokensAfter: number
      /** Of the requests for the summary. */
      readonly usage: Usage
      /** The model that wrote it. */
      readonly model: string
    }
  | {
      /** All of the conversation is what stays as it is: no model was asked. */
      readonly _tag: "NothingToCompact"
      readonly tokens: number
    }

export type OperationError = LockError | SessionNotFound | StoreError | OperationConflict | RecoveryExhausted

export type PromptError = OperationError | InvalidInput | ToolNameConflict | ModelError | LimitReached | NoProgress

/** What can be wrong besides, where a structured result was asked for. */
export type ResultError<Result> = Result extends AnySchema ? ResultUnavailable : never

export type ForkError = InvalidSessionId | SessionAlreadyExists | SessionNotFound | EntryNotFound | StoreError

export type MoveError = LockError | SessionNotFound | StoreError | EntryNotFound | InvalidInput | SandboxError

export type LabelError = LockError | SessionNotFound | StoreError | EntryNotFound | InvalidInput

export type EditError = PromptError | EntryNotFound

export type WhatIfError = PromptError | ForkError

export type SubmitError = InvalidInput | OperationConflict | SessionNotFound | StoreError

export type TaskError = PromptError | AgentNotFound

export type SkillError = PromptError | SkillNotFound

export type CompactError =
  | OperationError
  | InvalidInput
  | ToolNameConflict
  | ModelError
  | LimitReached
  | CompactionStalled

/** What can be wrong with an agent: the field is named. */
export type AgentProblem = InvalidInput | ToolNameConflict

export type ShellError = OperationError | InvalidInput | SandboxError

/** An open session. Plain data, and Effects that need nothing more. Each asks for the session when it is run. */
export interface Session {
  readonly id: string
  /** The agent's name. */
  readonly agent: string
  readonly cwd: string
  /**
   * What was left unfinished in the session when it was opened and is being resumed: it holds the session, as any
   * operation does. `undefined` where nothing was, or another engine is at it.
   */
  readonly resumed: Resuming | undefined
  /** Appends the input and runs turns until the model asks for no more tools, or finishes with the result. */
  readonly prompt: <
    const Tools extends ReadonlyArray<Tool.Listed> = [],
    Result extends AnySchema | undefined = undefined,
    const Busy extends PromptOnBusy = "reject"
  >(
    input: PromptInput,
    options?: PromptOptions<Tools, Result, Busy>
  ) => Effect.Effect<
    Answer<Reply<ValueOf<Result>>, Busy>,
    PromptError | ResultError<Result>,
    Tool.Requirements<Tools[number]> | ContextOf<Result>
  >
  /**
   * Runs a prompt in a new child session. Within a tool call of this session it re-enters under the running prompt;
   * otherwise it is an operation like any other.
   */
  readonly task: <
    const Tools extends ReadonlyArray<Tool.Listed> = [],
    Result extends AnySchema | undefined = undefined
  >(
    input: PromptInput,
    options?: TaskOptions<Tools, Result>
  ) => Effect.Effect<
    TaskReply<ValueOf<Result>>,
    TaskError | ResultError<Result>,
    Tool.Requirements<Tools[number]> | ContextOf<Result>
  >
  /**
   * Prompts with a skill's instructions, as they are when the operation begins: one of the agent's, or one that stands in
   * `.agents/skills` of the workspace.
   */
  readonly skill: <
    const Tools extends ReadonlyArray<Tool.Listed> = [],
    Result extends AnySchema | undefined = undefined
  >(
    name: string,
    options?: SkillOptions<Tools, Result>
  ) => Effect.Effect<
    Reply<ValueOf<Result>>,
    SkillError | ResultError<Result>,
    Tool.Requirements<Tools[number]> | ContextOf<Result>
  >
  /**
   * Stores an input and answers with a receipt. It is run in the session's turn by this engine, or by the next one that
   * opens the session. Interruption before the receipt leaves it open whether it was stored; asked again with the same
   * `operationId` it is stored once.
   */
  readonly submit: (input: PromptInput, options?: SubmitOptions) => Effect.Effect<Receipt, SubmitError>
  /**
   * Takes an input back that was submitted; `false` where it runs or has run, or was never there. Whoever runs it at the
   * same time finds that it is gone.
   */
  readonly withdraw: (operationId: string) => Effect.Effect<boolean, SessionStoreError>
  /** Runs a command in the sandbox and records it as if the model had run it. A non-zero exit is a value. */
  readonly shell: (command: string, options?: ShellOptions) => Effect.Effect<ExecResult, ShellError>
  /**
   * A new session that shares the entries up to one of them, by default the last, which may be told by its name too. What
   * was open there it has as interrupted. Asks nobody for the session, which may be at work, and writes nothing to it.
   * Children stay the original's. Interrupted, it was made or not.
   */
  readonly fork: (id: string, entry?: number | string) => Effect.Effect<Session, ForkError>
  /**
   * The next operation goes on from an entry, which may be any of the history; a name tells it too, and `null` is before
   * the first. Nothing is lost. Nothing is written where the conversation stands there.
   */
  readonly moveTo: (target: number | string | null, options?: MoveOptions) => Effect.Effect<Moved, MoveError>
  /** Moves to before the last prompts, skills, tasks and commands, and gives what was asked there. */
  readonly rewind: (options?: RewindOptions) => Effect.Effect<Rewound, MoveError>
  /**
   * Prompts with another input in place of one that was said, in one write: the conversation goes on from before it. As
   * `prompt` otherwise. What was said since is kept and not seen.
   */
  readonly edit: <
    const Tools extends ReadonlyArray<Tool.Listed> = [],
    Result extends AnySchema | undefined = undefined
  >(
    entry: number,
    input: PromptInput,
    options?: EditOptions<Tools, Result>
  ) => Effect.Effect<
    Reply<ValueOf<Result>>,
    EditError | ResultError<Result>,
    Tool.Requirements<Tools[number]> | ContextOf<Result>
  >
  /**
   * Runs turns from an earlier entry in a new session, a fork: calls that are recorded after that entry, by tool and
   * arguments, get the results that they had, and nothing is run for them. The session itself stays as it is. What
   * fails or is interrupted leaves the fork.
   */
  readonly whatIf: <
    const Tools extends ReadonlyArray<Tool.Listed> = [],
    Result extends AnySchema | undefined = undefined,
    AgentRequirements = never
  >(
    id: string,
    options: WhatIfOptions<Tools, Result, AgentRequirements>
  ) => Effect.Effect<
    WhatIf<ValueOf<Result>>,
    WhatIfError | ResultError<Result>,
    Tool.Requirements<Tools[number]> | ContextOf<Result> | AgentRequirements
  >
  /** Names an entry, by default the one that the conversation stands at, or takes a name away (`null`). */
  readonly label: (label: string, entry?: number | null, options?: LabelOptions) => Effect.Effect<Labelled, LabelError>
  /** The entries that have names. */
  readonly labels: Effect.Effect<ReadonlyMap<string, number>, SessionNotFound | CorruptRecord | SessionStoreError>
  /**
   * Puts a summary in the place of the older part of the conversation, whatever its size. The newest messages stay as they
   * are (at most 8,000 tokens, fewer where the model's window is small), and so does what the user said last; a summary
   * that stands there already is brought up to date. Interrupted, or failed, it leaves the conversation as it was. What it
   * stands for stays in the history.
   */
  readonly compact: (options?: CompactOptions) => Effect.Effect<Compaction, CompactError>
  /** The entries so far. */
  readonly history: Effect.Effect<ReadonlyArray<Entry>, SessionNotFound | CorruptRecord | SessionStoreError>
  /**
   * What happened in it as a tree: its operations, what its head moved away from, and its tasks with their sessions, to a
   * depth. As far as it is stored when it is read. `HistoryTree.draw` of `effect-baton/history` makes lines of it.
   */
  readonly tree: (
    options?: TreeOptions
  ) => Effect.Effect<HistoryTree, SessionNotFound | CorruptRecord | InvalidInput | SessionStoreError>
  /**
   * What was said and done in it as Markdown for people, up to where its head is. What a model or a user wrote cannot pass
   * for another part of the page, and no HTML or image of theirs takes effect.
   */
  readonly transcript: (
    options?: TranscriptOptions
  ) => Effect.Effect<string, SessionNotFound | CorruptRecord | SessionStoreError>
  /** What happens from now on. Never ends. */
  readonly events: Stream.Stream<Event>
  /** The durable events after an entry (all, by default), then `Synced`, then what happens. Never ends. */
  readonly replay: (after?: number) => Stream.Stream<Event, SessionNotFound | CorruptRecord | SessionStoreError>
}

export interface OpenOptions<R> {
  readonly id: string
  readonly agent: Agent.Agent<R>
  /** The folder to work in, as the sandbox names it; default: its root. Kept from the first open on. */
  readonly cwd?: string | undefined
}

/** The sessions of an engine. */
export class Sessions extends Context.Tag("baton/Sessions")<
  Sessions,
  {
    /** Gets the session or creates it. What the agent's tools need is taken from where this is run. */
    readonly open: <R>(
      options: OpenOptions<R>
    ) => Effect.Effect<Session, AgentProblem | InvalidSessionId | SessionStoreError, R>
    /** Gets a session that exists; a child session too. */
    readonly get: <R>(
      options: OpenOptions<R>
    ) => Effect.Effect<Session, AgentProblem | InvalidSessionId | SessionNotFound | SessionStoreError, R>
    /** Creates a session that does not exist. */
    readonly create: <R>(
      options: OpenOptions<R>
    ) => Effect.Effect<Session, AgentProblem | InvalidSessionId | SessionAlreadyExists | SessionStoreError, R>
    /** Every session that an application opened, oldest first; or the children of one. */
    readonly list: (parent?: string) => Effect.Effect<ReadonlyArray<SessionRow>, SessionStoreError>
    /**
     * Opens every session of the store in which something was left to do and whose agent is among these, by its name:
     * what was left unfinished is resumed, and what was acknowledged is run. Gives those sessions. What an engine that is
     * alive is at is left to it, and a child whose parent is unfinished to its parent; of sessions of other agents the
     * log is told, once. `Engine.layerRecovery` does this at the start, and from then on.
     */
    readonly recover: <const Agents extends ReadonlyArray<Agent.Any>>(
      agents: Agents
    ) => Effect.Effect<ReadonlyArray<Session>, SessionStoreError, Agent.Requirements<Agents[number]>>
    /**
     * Removes a session with all its child sessions, for good, and tells what was removed; its name is free again.
     * Refused while an operation holds one of them.
     */
    readonly remove: (
      id: string
    ) => Effect.Effect<Removed, SessionNotFound | SessionBusy | LockError | SessionStoreError>
    /**
     * Removes sessions, each with those of its tasks, that were used last too long ago, or are more or larger than may be
     * left: what was used longest ago first, and no more of them than have to go. Those in which something runs or is
     * left unfinished, in which an input waits, or which somebody holds are told and left, as is one that cannot be
     * removed; nothing is interrupted. Reads all that is stored. Where the store fails or it is interrupted, each tree is
     * whole or gone.
     */
    readonly prune: (options: PruneOptions) => Effect.Effect<Pruned, InvalidInput | SessionStoreError>
    /**
     * Finds entries, in whatever session, that have all the words of a text: in what users and models said, what tools
     * were given and gave, what tasks are about, summaries, and names of entries. Entries that the head has moved away
     * from are found as well. The newest first. `InvalidInput` where the text has no words, or an option is none.
     */
    readonly search: (text: string, options?: SearchOptions) => Effect.Effect<Found, InvalidInput | SessionStoreError>
    /** What happens in any session from now on. Never ends. */
    readonly events: Stream.Stream<Event>
  }
>() {}
