/**
 * The operation `prompt`: the input, then turns until the model asks for no more tools.
 */
import * as Effect from "effect/Effect"
import * as Draft from "../services/Draft.js"
import type { ToolCallPart } from "../services/Entry.js"
import { InvalidInput, LimitReached, ModelNotConfigured } from "../services/Errors.js"
import type { Call } from "../services/History.js"
import { copy } from "../services/Json.js"
import * as Limits from "../services/Limits.js"
import type { LimitValues } from "../services/Limits.js"
import type { PromptError, PromptInput, PromptOptions, Reply, SessionRef } from "../services/Session.js"
import type { Lease } from "../services/SessionLock.js"
import type * as Tool from "../services/Tool.js"
import type { ToolCall } from "../services/Tool.js"
import type { Needs } from "./engine.js"
import { userParts } from "./input.js"
import { type Done, type Operation, operation } from "./operation.js"
import { type Dispatched, toolCalls } from "./toolCalls.js"
import { nameConflict, type Toolset, toolset } from "./toolset.js"
import { turn } from "./turn.js"

/** How a task prompts its child: under which lease, and with what it inherits. */
export interface Inherited {
  readonly under: Lease
  /** The parent's running call, if it is a prompt. */
  readonly call: Call | undefined
}

/**
 * Prompts a session. The input is stored before the first request, a reply before its tools run, and the last reply
 * together with the operation's end. Interrupted at any instant it leaves a history that a provider accepts, and the
 * next prompt works.
 */
export const prompt = <R, const Tools extends ReadonlyArray<Tool.Any> = []>(
  ref: SessionRef<R>,
  input: PromptInput,
  options?: PromptOptions<Tools>,
  inherited?: Inherited
): Effect.Effect<Reply, PromptError, R | Needs | Tool.Requirements<Tools[number]>> =>
  Effect.suspend(() => {
    const content = userParts(input)
    if (content instanceof InvalidInput) return content
    const conflict = nameConflict(ref.agent.tools, options?.tools)
    if (conflict !== undefined) return conflict
    return operation(
      ref,
      {
        kind: "prompt",
        onBusy: options?.onBusy,
        under: inherited?.under,
        first: [Draft.user(content)]
      },
      (running) => converse(running, options, inherited?.call)
    )
  }) as Effect.Effect<Reply, PromptError, R | Needs | Tool.Requirements<Tools[number]>>

const converse = (
  running: Operation,
  options: PromptOptions<ReadonlyArray<Tool.Any>> | undefined,
  inherited: Call | undefined
): Effect.Effect<Done<Reply>, PromptError, unknown> => {
  const { engine, journal, lease, ref } = running
  const { agent } = ref
  const model = options?.model ?? agent.model ?? inherited?.model ?? engine.model.defaultModel
  if (model === undefined) return new ModelNotConfigured({ model })
  const thinking = options?.thinking ?? agent.thinking ?? inherited?.thinking
  const limits = overlay(inherited?.limits ?? engine.limits, agent.limits, options?.limits)
  journal.call = { model, thinking, limits }
  const tools = toolset(agent, options?.tools, engine.taskTool, lease.depth < engine.limits.taskDepth)
  const request = { model, thinking, instructions: agent.instructions, tools: tools.specs }
  const dispatch = (call: ToolCallPart) => dispatchTo(running, tools, call)
  // The operation's start and its input are written.
  const from = journal.nextSeq - 2

  const next = (turns: number, said = ""): Effect.Effect<Done<Reply>, PromptError, unknown> =>
    turns >= limits.turns
      ? new LimitReached({ limit: "turns", value: limits.turns })
      : Effect.flatMap(turn(running, request), (outcome): Effect.Effect<Done<Reply>, PromptError, unknown> => {
          switch (outcome._tag) {
            case "Final":
              return Effect.succeed(done(said + outcome.text, outcome.assistant))
            case "Pause":
              return Effect.flatMap(running.append([outcome.assistant]), () => next(turns + 1, said + outcome.text))
            case "Calls":
              return Effect.flatMap(running.append([outcome.assistant]), () =>
                Effect.flatMap(toolCalls(running, outcome.calls, limits, dispatch), () => next(turns + 1))
              )
          }
        })

  const done = (text: string, assistant: Draft.Assistant): Done<Reply> => ({
    value: () => ({
      text,
      finish: assistant.finish,
      usage: journal.usage(),
      model,
      // The reply and the operation's end are still to be written.
      entries: { from, to: journal.nextSeq + 1 }
    }),
    drafts: [assistant]
  })

  return next(0)
}

/** Most agents and calls set no limits of their own; what is `undefined` is not set. */
const overlay = (base: LimitValues, ...over: ReadonlyArray<Partial<LimitValues> | undefined>): LimitValues => {
  const set = over.flatMap((it) => Object.entries(it ?? {}).filter(([, value]) => value !== undefined))
  return set.length === 0 ? base : Limits.sane({ ...base, ...Object.fromEntries(set) })
}

/** Finds the tool of a call. */
const dispatchTo = (running: Operation, tools: Toolset, call: ToolCallPart): Dispatched<unknown> => {
  if (call.raw !== undefined) {
    return refused(`The arguments of "${call.name}" are not a JSON object. You sent: ${call.raw.slice(0, maxQuoted)}`)
  }
  if (call.name === "task") {
    // A task is bounded by what it runs, not by a time.
    const handle = (context: ToolCall) => running.engine.taskTool.handle(running.ref, call.args, context)
    return { _tag: "Handled", deadline: Number.POSITIVE_INFINITY, handle }
  }
  const tool = tools.byName.get(call.name)
  if (tool !== undefined) {
    return { _tag: "Handled", deadline: tool.deadline, handle: (context) => tool.handle(copy(call.args), context) }
  }
  const known = tools.specs.map((spec) => spec.name)
  return refused(
    known.length === 0
      ? `There is no tool "${call.name}", nor any other.`
      : `There is no tool "${call.name}". The tools are: ${known.join(", ")}.`
  )
}

/** How much of unusable arguments is quoted back, in UTF-16 code units. */
const maxQuoted = 500

const refused = (text: string): Dispatched<never> => ({ _tag: "Refused", text: text.toWellFormed() })
