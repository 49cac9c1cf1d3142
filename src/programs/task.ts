/**
 * The operation `task`, and the tool of the same name: a prompt in a new child session, run for a parent.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { AnySchema, ContextOf, ValueOf } from "../services/AnySchema.js"
import * as Agent from "../services/Agent.js"
import * as Draft from "../services/Draft.js"
import { AgentNotFound, InvalidInput, type StoreError } from "../services/Errors.js"
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
import type { SessionRow } from "../services/SessionStore.js"
import { describe, type ToolCall, type ToolProblem } from "../services/Tool.js"
import type * as Tool from "../services/Tool.js"
import * as Usage from "../services/Usage.js"
import type { Needs } from "./engine.js"
import { policyProblem, userParts } from "./input.js"
import { type Done, failureOf, type Operation, operation, tellUnstored } from "./operation.js"
import { promptChild } from "./prompt.js"
import { toolProblem } from "./toolset.js"

/** Stands for the text of a task that brought none. */
export const noText = "(task completed with no text)"

/**
 * Runs a prompt in a new child session. Called in a tool call of the session it re-enters under the running
 * operation and is a part of it; otherwise it is an operation of its own. The link to the child is stored before the
 * child runs. Interruption interrupts the child, waits for its end and records it.
 */
export const task = <
  R,
  const Tools extends ReadonlyArray<Tool.Any> = [],
  Result extends AnySchema | undefined = undefined
>(
  ref: SessionRef<R>,
  input: PromptInput,
  options?: TaskOptions<Tools, Result>,
  callId?: string
): Effect.Effect<
  TaskReply<ValueOf<Result>>,
  TaskError | ResultError<Result>,
  R | Needs | Tool.Requirements<Tools[number]> | ContextOf<Result>
> =>
  Effect.suspend(() => {
    const content = userParts(input, options?.images)
    if (content instanceof InvalidInput) return content
    const named = typeof options?.agent === "object" ? options.agent.tools : []
    const problem = policyProblem(options?.onBusy, false) ?? toolProblem(named, options?.tools)
    if (problem !== undefined) return problem
    return operation(ref, { kind: "task", onBusy: options?.onBusy }, (running) =>
      delegate(running, input, options, callId)
    )
  }) as Effect.Effect<
    TaskReply<ValueOf<Result>>,
    TaskError | ResultError<Result>,
    R | Needs | Tool.Requirements<Tools[number]> | ContextOf<Result>
  >

/** The options of a task, whatever their types say of it. */
type AnyOptions = TaskOptions<ReadonlyArray<Tool.Any>, AnySchema | undefined>

const delegate = (
  running: Operation,
  input: PromptInput,
  options: AnyOptions | undefined,
  callId: string | undefined
): Effect.Effect<Done<TaskReply>, TaskError | ResultError<AnySchema>, unknown> => {
  const { clock, engine, journal, lease, ref } = running
  const agent = agentFor(ref.agent, options?.agent, Context.get(engine.context, SandboxTools))
  if (agent instanceof AgentNotFound) return agent
  const problem = toolProblem(agent.tools, options?.tools)
  if (problem !== undefined) return problem
  const taskId = lease.operationId
  const row: SessionRow = {
    id: SessionId.child(ref.id, engine.ids.unsafeNext()),
    incarnation: engine.ids.unsafeNext(),
    owner: engine.history.owner,
    epoch: 1,
    nextSeq: 1,
    agent: agent.name,
    cwd: options?.cwd ?? ref.cwd,
    parent: ref.id,
    depth: lease.depth,
    createdAt: clock.unsafeCurrentTimeMillis()
  }
  const child = new SessionRef(row, agent, ref.context)
  const link = Draft.taskLink(taskId, row.id, agent.name, cleanText(options?.description ?? firstLine(input)), callId)
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(engine.history.append(journal, running.id, [link], [row]), () =>
      Effect.matchCauseEffect(
        restore(promptChild(child, input, turnOptions(agent, options), { under: lease, call: journal.call })),
        {
          onSuccess: (reply) => settleDone(running, taskId, child, reply),
          onFailure: (cause) => settleFailed(running, taskId, child, cause)
        }
      )
    )
  )
}

/** Records that the child completed, counts what it used, and gives its reply. */
const settleDone = (
  running: Operation,
  taskId: string,
  child: SessionRef<unknown>,
  reply: Reply
): Effect.Effect<Done<TaskReply>, StoreError> => {
  const value = { ...reply, text: reply.text === "" ? noText : reply.text, taskId, session: child.id }
  const end = Draft.taskSettled(taskId, child.id, "completed", undefined, count(running, child))
  return Effect.as(record(running, end), { value: () => value, drafts: [] })
}

const settleFailed = <E>(
  running: Operation,
  taskId: string,
  child: SessionRef<unknown>,
  cause: Cause.Cause<E>
): Effect.Effect<never, E | StoreError> => {
  const usage = count(running, child)
  const end = Cause.isInterrupted(cause)
    ? Draft.taskSettled(taskId, child.id, "interrupted", undefined, usage)
    : Draft.taskSettled(taskId, child.id, "failed", failureOf(cause), usage)
  return Effect.zipRight(record(running, end), Effect.failCause(cause))
}

const record = (running: Operation, end: Draft.Draft): Effect.Effect<void, StoreError> =>
  Effect.tapErrorCause(running.append([end]), () => Effect.sync(() => tellUnstored(running, [end])))

/** Counts what a child used as its parent's. */
const count = ({ journal }: Operation, child: SessionRef<unknown>): Usage.Usage => {
  const usage = child.journal?.usage().total ?? Usage.zero
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
  return new AgentNotFound({ agent: wanted ?? Agent.generalDelegate, known: parent.subagents.map(({ name }) => name) })
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

/** The longest description of a task that nobody described, in UTF-16 code units. */
const maxDescription = 80

const firstLine = (input: PromptInput): string => {
  const text = typeof input === "string" ? input : (input.find((part) => part.type === "text")?.text ?? "")
  const line = text.trim().split("\n", 1)[0] ?? ""
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
  call: ToolCall
): Effect.Effect<string, ToolProblem, unknown> => {
  const given = taskArguments(args)
  if ("text" in given) return Effect.fail(given)
  const { prompt: input, ...options } = given
  return Effect.matchCauseEffect(task(ref, input, options, call.callId), {
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
