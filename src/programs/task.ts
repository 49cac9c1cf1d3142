/**
 * The operation `task`, and the tool of the same name: a prompt in a new child session, run for a parent.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { AnySchema, ContextOf, ValueOf } from "../services/AnySchema.js"
import * as Agent from "../services/Agent.js"
import * as Draft from "../services/Draft.js"
import type { Request, UserPart } from "../services/Entry.js"
import {
  AgentNotFound,
  InvalidInput,
  type RecoveryExhausted,
  SessionNotFound,
  type StoreError
} from "../services/Errors.js"
import { cleanText } from "../services/Json.js"
import type { ToolSpec } from "../services/Model.js"
import { SandboxTools } from "../services/Sandbox.js"
import * as SessionId from "../services/SessionId.js"
import {
  type PromptInput,
  type Reply,
  type ResultError,
  SessionRef,
  type TaskError,
  type TaskOptions,
  type TaskReply,
  type TurnOptions
} from "../services/Session.js"
import type { NewSession, SessionRow } from "../services/SessionStore.js"
import type { PastTask } from "../services/TaskTool.js"
import { describe, type ToolCall, type ToolProblem } from "../services/Tool.js"
import type * as Tool from "../services/Tool.js"
import * as Usage from "../services/Usage.js"
import { agentProblem } from "./agentProblem.js"
import type { Needs } from "./engine.js"
import {
  limitProblem,
  operationIdProblem,
  plainOptions,
  policyProblem,
  taskProblem,
  turnProblem,
  userParts
} from "./input.js"
import { named, once } from "./once.js"
import { type Done, failureOf, isShutdown, tellUnstored } from "./ends.js"
import type { Operation } from "./held.js"
import { operation, type OperationSpec } from "./operation.js"
import { resumed, type ResumeSpec } from "./resumed.js"
import { ended, recordedReply } from "./outcome.js"
import type { Past } from "./Past.js"
import { decodedReply, promptChild, resumePrompt } from "./prompt.js"
import { requestOf as requestOfTurns, turnOptionsOf } from "./request.js"
import { toolProblem, withFlatTools } from "./toolset.js"
import { wantedOf } from "./wanted.js"

/** Stands for the text of a task that brought none. */
export const noText = "(task completed with no text)"

/**
 * Runs a prompt in a new child session. Called in a tool call of the session it re-enters under the running
 * operation and is a part of it; otherwise it is an operation of its own. The link to the child is stored before the
 * child runs. Interruption interrupts the child, waits for its end and records it.
 */
export const task = <
  R,
  const Tools extends ReadonlyArray<Tool.Listed> = [],
  Result extends AnySchema | undefined = undefined
>(
  ref: SessionRef<R>,
  input: PromptInput,
  given?: TaskOptions<Tools, Result>,
  callId?: string,
  past?: PastTask
): Effect.Effect<
  TaskReply<ValueOf<Result>>,
  TaskError | ResultError<Result>,
  R | Needs | Tool.Requirements<Tools[number]> | ContextOf<Result>
> =>
  Effect.suspend(() => {
    const plain = plainOptions(given)
    if (plain instanceof InvalidInput) return plain
    const options = withFlatTools<AnyOptions>(plain)
    const content = userParts(input, options?.images)
    if (content instanceof InvalidInput) return content
    const wrong =
      policyProblem(options?.onBusy, false) ??
      operationIdProblem(options?.operationId) ??
      taskProblem(options) ??
      turnProblem(options)
    if (wrong !== undefined) return wrong
    const own = typeof options?.agent === "object" ? options.agent : undefined
    const problem =
      agentProblem(ref.agent) ??
      (own === undefined ? undefined : agentProblem(own)) ??
      (options?.limits === undefined ? undefined : limitProblem(options.limits, "limits")) ??
      toolProblem(own?.tools ?? [], options?.tools) ??
      wrongSchema(options?.resultSchema)
    if (problem !== undefined) return problem
    const request = requestOf(content, options)
    const name = named("task", options?.operationId, [content, request.agent, request.cwd])
    const spec: OperationSpec<never, AgentNotFound> = {
      kind: "task",
      onBusy: options?.onBusy,
      named: name,
      request,
      prepare: (engine) => {
        const agent = agentFor(ref.agent, options?.agent, Context.get(engine.context, SandboxTools))
        return agent instanceof AgentNotFound ? agent : undefined
      }
    }
    const ran = operation(ref, spec, (running) => delegate(running, input, options, callId, past))
    return once(ref, "task", name, ran, (its) => recordedTask(its, options?.resultSchema))
  }) as Effect.Effect<
    TaskReply<ValueOf<Result>>,
    TaskError | ResultError<Result>,
    R | Needs | Tool.Requirements<Tools[number]> | ContextOf<Result>
  >

/** The options of a task, whatever their types say of it. */
type AnyOptions = TaskOptions<ReadonlyArray<Tool.Any>, AnySchema | undefined>

/** What is recorded of a task that is an operation of its own. */
const requestOf = (input: ReadonlyArray<UserPart>, options: AnyOptions | undefined): Request => ({
  ...requestOfTurns(options, undefined),
  input,
  agent: cleaned(typeof options?.agent === "object" ? options.agent.name : options?.agent),
  description: cleaned(options?.description),
  cwd: cleaned(options?.cwd)
})

const cleaned = (text: string | undefined): string | undefined => (text === undefined ? undefined : cleanText(text))

/** What a task brought that was run before, with its result as this caller's schema has it. */
const recordedTask = (past: Past, schema: AnySchema | undefined): Effect.Effect<TaskReply, TaskFailure, unknown> =>
  Effect.flatMap(
    ended<TaskReply, TaskFailure>(past, ({ value }) => value as TaskReply),
    (reply): Effect.Effect<TaskReply, TaskFailure, unknown> => {
      const wanted = schema === undefined ? undefined : wantedOf(schema)
      if (wanted instanceof InvalidInput) return wanted
      return Effect.map(decodedReply(reply, wanted), ({ value }) => ({ ...reply, value }))
    }
  )

/** Goes on with a task that was an operation of its own. */
export const resumeTask = <R>(
  ref: SessionRef<R>,
  spec: ResumeSpec
): Effect.Effect<unknown, TaskError | ResultError<AnySchema> | RecoveryExhausted, R | Needs> =>
  resumed(ref, spec, (running, past): Effect.Effect<Done<TaskReply>, TaskError | ResultError<AnySchema>, R> => {
    const { agent, cwd, description, input = [] } = past.start.request ?? {}
    const options = { ...turnOptionsOf(past.start.request), agent, cwd, description }
    const delegated = delegate(running, input, options, undefined, past.taskOf(undefined))
    return delegated as Effect.Effect<Done<TaskReply>, TaskError | ResultError<AnySchema>, R>
  })

type TaskFailure = TaskError | ResultError<AnySchema>

const delegate = (
  running: Operation,
  input: PromptInput,
  options: AnyOptions | undefined,
  callId: string | undefined,
  past: PastTask | undefined
): Effect.Effect<Done<TaskReply>, TaskFailure, unknown> => {
  const { clock, engine, journal, lease, ref } = running
  const agent = agentFor(ref.agent, past?.link.agent ?? options?.agent, Context.get(engine.context, SandboxTools))
  if (agent instanceof AgentNotFound) return agent
  const problem = toolProblem(agent.tools, options?.tools) ?? wrongSchema(agent.resultSchema)
  if (problem !== undefined) return problem
  const inherited = { under: lease, call: journal.call }
  const promptWith = (child: SessionRef<unknown>) => promptChild(child, input, turnOptions(agent, options), inherited)
  if (past !== undefined) return goOn(running, agent, past, promptWith)
  const taskId = lease.operationId
  const row: NewSession = {
    id: SessionId.child(ref.id, engine.ids.unsafeNext()),
    incarnation: engine.ids.unsafeNext(),
    agent: cleanText(agent.name),
    cwd: cleaned(options?.cwd) ?? ref.cwd,
    parent: ref.id,
    depth: lease.depth,
    createdAt: clock.unsafeCurrentTimeMillis(),
    origin: null
  }
  const child = new SessionRef(row, agent, ref.context)
  const description = options?.description === undefined ? firstLine(input) : cleanText(options.description)
  const link = Draft.taskLink(taskId, row.id, row.agent, description, callId)
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(engine.history.append(journal, running.id, [link], { children: [row] }), () =>
      settled(running, taskId, child, restore(promptWith(child)))
    )
  )
}

/** Goes on with the child of a task that a process had begun which ended: never with a second child. */
const goOn = (
  running: Operation,
  agent: Agent.Any,
  { end, link }: PastTask,
  promptWith: (child: SessionRef<unknown>) => Effect.Effect<Reply, TaskFailure, unknown>
): Effect.Effect<Done<TaskReply>, TaskFailure, unknown> => {
  const { engine, journal, lease, ref } = running
  const found = Effect.flatMap(engine.store.get(link.child), (row): Effect.Effect<SessionRow, SessionNotFound> =>
    row === undefined ? new SessionNotFound({ session: link.child }) : Effect.succeed(row)
  )
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(found), (row) => {
      const child = new SessionRef(row, agent, ref.context)
      let before: Usage.Usage | undefined
      const used = (usage: Usage.Usage) => {
        before = usage
        // What is told by its end was counted when the operation was gone on with.
        if (end === undefined) journal.call?.budget?.spend({ tokens: Usage.tokens(usage), cost: usage.cost ?? 0 })
      }
      const outcome = Effect.suspend((): Effect.Effect<Reply, TaskFailure, unknown> => {
        if (row.nextSeq === 1) return promptWith(child)
        if (row.running === null) return recordedReply(engine, row, used)
        // Nothing is left of it where another engine has ended it since.
        return Effect.flatMap(resumePrompt(child, row.running, { under: lease, call: journal.call }), (reply) =>
          reply === undefined ? recordedReply(engine, row, used) : Effect.succeed(reply)
        )
      })
      if (end === undefined) return settled(running, link.taskId, child, restore(outcome), () => before)
      // Its end is recorded, and what it used is counted.
      return Effect.map(restore(outcome), (reply) => done(reply, link.taskId, child))
    })
  )
}

/** Waits for a child and records how it ended. `before` tells what it had used where it had ended before. */
const settled = <R>(
  running: Operation,
  taskId: string,
  child: SessionRef<unknown>,
  outcome: Effect.Effect<Reply, TaskFailure, R>,
  before?: () => Usage.Usage | undefined
): Effect.Effect<Done<TaskReply>, TaskFailure, R> =>
  Effect.matchCauseEffect(outcome, {
    onSuccess: (reply) => settleDone(running, taskId, child, reply),
    onFailure: (cause) =>
      settleFailed(running, taskId, child, before?.() ?? child.journal?.usage().total ?? Usage.zero, cause)
  })

/** What is wrong with the schema of a result, if anything: nothing is created for it. */
const wrongSchema = (schema: AnySchema | undefined): InvalidInput | undefined => {
  const wanted = schema === undefined ? undefined : wantedOf(schema)
  return wanted instanceof InvalidInput ? wanted : undefined
}

/** Records that the child completed, counts what it used, and gives its reply. */
const settleDone = (
  running: Operation,
  taskId: string,
  child: SessionRef<unknown>,
  reply: Reply
): Effect.Effect<Done<TaskReply>, StoreError> => {
  const end = Draft.taskSettled(taskId, child.id, "completed", undefined, count(running, reply.usage.total))
  return Effect.as(record(running, end), done(reply, taskId, child))
}

const done = (reply: Reply, taskId: string, child: SessionRef<unknown>): Done<TaskReply> => {
  const value = { ...reply, text: reply.text === "" ? noText : reply.text, taskId, session: child.id }
  return { value: () => value, drafts: [], recorded: { ...value, value: undefined } }
}

const settleFailed = <E>(
  running: Operation,
  taskId: string,
  child: SessionRef<unknown>,
  used: Usage.Usage,
  cause: Cause.Cause<E>
): Effect.Effect<never, E | StoreError> => {
  const usage = count(running, used)
  const wasCut = Cause.isInterrupted(cause)
  const end = wasCut
    ? Draft.taskSettled(taskId, child.id, "interrupted", undefined, usage)
    : Draft.taskSettled(taskId, child.id, "failed", failureOf(cause), usage)
  // The engine ends: the child is gone on with by its link.
  const recorded =
    wasCut && isShutdown(running.lease) ? Effect.sync(() => tellUnstored(running, [end])) : record(running, end)
  return Effect.zipRight(recorded, Effect.failCause(cause))
}

/** Where it cannot be stored, it is with the end of the operation. */
const record = (running: Operation, end: Draft.Draft): Effect.Effect<void, StoreError> =>
  Effect.tapErrorCause(running.append([end]), () =>
    Effect.sync(() => {
      running.journal.late = [...running.journal.late, end]
    })
  )

/** Counts what a child used as its parent's. */
const count = ({ journal }: Operation, usage: Usage.Usage): Usage.Usage => {
  journal.tasks = Usage.add(journal.tasks, usage)
  return usage
}

/** How the child is prompted: with the result that the call asks for, or else its agent promises. */
const turnOptions = (
  agent: Agent.Any,
  options: AnyOptions | undefined
): TurnOptions<ReadonlyArray<Tool.Any>, AnySchema> => ({
  ...options,
  resultSchema: options?.resultSchema ?? agent.resultSchema
})

/** The agent of a task: the one given, a declared subagent, or the general delegate. */
const agentFor = (
  parent: Agent.Any,
  wanted: string | Agent.Any | undefined,
  sandboxTools: ReadonlyArray<Tool.Tool>
): Agent.Any | AgentNotFound => {
  if (typeof wanted === "object") return wanted
  if (wanted === undefined && parent.delegate === "general") return general(sandboxTools)
  const named = parent.subagents.find((agent) => agent.name === wanted)
  if (named !== undefined) return named
  if (wanted === Agent.generalDelegate && parent.delegate === "general") return general(sandboxTools)
  const agent = wanted === undefined ? Agent.generalDelegate : shortened(cleanText(wanted))
  return new AgentNotFound({ agent, known: parent.subagents.map(({ name }) => name) })
}

/** The sandbox's tools, no instructions, and nobody to delegate to, so that a fan-out cannot run away. */
const general = (tools: ReadonlyArray<Tool.Tool>): Agent.Any => {
  let agent = generals.get(tools)
  if (agent === undefined) {
    agent = Agent.make(Agent.generalDelegate, { tools, delegate: "off" })
    generals.set(tools, agent)
  }
  return agent
}

const generals = new WeakMap<ReadonlyArray<Tool.Tool>, Agent.Any>()

/** As much of a name that is none as fits on a line. */
const shortened = (name: string): string => (name.length > 64 ? `${name.slice(0, 64).toWellFormed()}…` : name)

/** The longest description of a task that nobody described, in UTF-16 code units. */
const maxDescription = 80

const firstLine = (input: PromptInput): string => {
  const text = typeof input === "string" ? input : (input.find((part) => part.type === "text")?.text ?? "")
  const line = cleanText(text.trim().split("\n", 1)[0] ?? "")
  return (line.length > maxDescription ? `${line.slice(0, maxDescription - 1)}…` : line).toWellFormed()
}

// -------------------------------------------------------------------- the tool

/** The task tool as an agent's model is told of it, if the agent has anybody to delegate to. */
export const taskSpec = (agent: Agent.Any): ToolSpec | undefined => {
  if (agent.subagents.length === 0 && agent.delegate === "off") return undefined
  const named = agent.subagents.map(
    ({ description, name }) => `- ${name}${description === "" ? "" : `: ${description}`}`
  )
  const lines = [
    "Delegates a piece of work to an agent that works on its own and answers once. It sees nothing of this conversation: say in the prompt all that it needs. Several calls in one turn run at the same time.",
    ...(agent.delegate === "off" ? [] : ["Without `agent` it goes to a general agent that has the sandbox's tools."]),
    ...(named.length === 0 ? [] : ["Agents:", ...named])
  ]
  return {
    name: "task",
    description: lines.join("\n"),
    inputSchema: {
      type: "object",
      properties: {
        prompt: { type: "string", description: "The whole task." },
        description: { type: "string", description: "What it is about, in a few words." },
        agent: { type: "string", description: "The name of the agent to delegate to." },
        cwd: { type: "string", description: "The folder to work in, if not yours." }
      },
      required: agent.delegate === "off" ? ["prompt", "agent"] : ["prompt"],
      additionalProperties: false
    }
  }
}

/** Runs a task for a tool call and gives the text for the model. Whatever it fails with is told to the model. */
export const handleTask = (
  ref: SessionRef<unknown>,
  args: unknown,
  call: ToolCall,
  past?: PastTask
): Effect.Effect<string, ToolProblem, unknown> => {
  const given = taskArguments(args)
  if ("text" in given) return Effect.fail(given)
  const { prompt: input, ...options } = given
  return Effect.matchCauseEffect(task(ref, input, options, call.callId, past), {
    onSuccess: (reply) => Effect.succeed(reply.json ?? reply.text),
    onFailure: (cause) =>
      Cause.isInterrupted(cause)
        ? Effect.failCause(cause as Cause.Cause<never>)
        : Effect.fail({ text: `The task failed. ${describe(Cause.squash(cause))}` })
  })
}

interface TaskArguments {
  readonly prompt: string
  readonly description?: string
  readonly agent?: string
  readonly cwd?: string
}

/** The tool's arguments. Four optional texts need no schema, and the core loads none. */
const taskArguments = (args: unknown): TaskArguments | ToolProblem => {
  const given = args as Record<string, unknown>
  for (const key of ["prompt", "description", "agent", "cwd"]) {
    if (given[key] !== undefined && typeof given[key] !== "string") return { text: `"${key}" must be a text.` }
  }
  if (typeof given.prompt !== "string" || given.prompt.trim() === "") return { text: '"prompt" is missing.' }
  return given as unknown as TaskArguments
}
