/**
 * The turns of a prompt.
 */
import * as Effect from "effect/Effect"
import type { AnySchema } from "../services/AnySchema.js"
import * as Draft from "../services/Draft.js"
import type { ToolCallPart } from "../services/Entry.js"
import { LimitReached, NoProgress, ResultUnavailable, type StoreError } from "../services/Errors.js"
import type { PromptError, Reply, ResultError } from "../services/Session.js"
import type * as Tool from "../services/Tool.js"
import { dispatcher } from "./dispatch.js"
import type { Done, Operation } from "./operation.js"
import { Progress } from "./Progress.js"
import { toolCalls } from "./toolCalls.js"
import { toolset } from "./toolset.js"
import { turn } from "./turn.js"
import { reminder, type Wanted } from "./wanted.js"

type Failure = PromptError | ResultError<AnySchema>

/** What a model is told that goes round in circles. */
const noProgress =
  "[You have made the same calls with the same results several times. Try another way, or say what keeps you from going on.]"

/**
 * Runs turns until the model asks for nothing more and nothing waits in the inbox, or until it has finished with the
 * result that is wanted. What its next turn must have seen is stored before it.
 */
export const converse = (
  running: Operation,
  extra: ReadonlyArray<Tool.Any> | undefined,
  wanted: Wanted | undefined
): Effect.Effect<Done<Reply>, Failure, unknown> => {
  const { engine, journal, lease, ref } = running
  const { agent } = ref
  const { limits, thinking } = journal.call!
  const mayDelegate = lease.depth < engine.limits.taskDepth
  const tools = toolset(agent, extra, engine.taskTool, mayDelegate, wanted?.specs)
  const frame = { thinking, instructions: agent.instructions, tools: tools.specs }
  const dispatch = dispatcher(running, tools, wanted)
  const progress = new Progress(limits.repeats, (tool) => tools.byName.get(tool)?.polling === true)
  let warned = false
  if (wanted !== undefined) {
    wanted.mayEnd = () => {
      if (engine.inbox.owes(ref.incarnation)) return false
      engine.inbox.close(ref.incarnation)
      return true
    }
  }

  /** Stores drafts and what waits in the inbox, and tells whose it was. */
  const append = (drafts: ReadonlyArray<Draft.Draft>, when: "steer" | "all"): Effect.Effect<void, StoreError> => {
    if (!engine.inbox.waits(ref.incarnation)) return drafts.length === 0 ? Effect.void : running.append(drafts)
    // What was taken out is given back or told to be delivered, whoever interrupts.
    return Effect.uninterruptible(
      Effect.suspend(() => {
        const inputs = engine.inbox.take(ref.incarnation, when)
        if (drafts.length + inputs.length === 0) return Effect.void
        return Effect.matchCauseEffect(
          running.append([...drafts, ...inputs.map(({ content }) => Draft.user(content))]),
          {
            onFailure: (cause) => {
              engine.inbox.giveBack(ref.incarnation, inputs)
              return Effect.failCause(cause)
            },
            onSuccess: () => {
              for (const input of inputs) input.onDelivered(running.id)
              return Effect.void
            }
          }
        )
      })
    )
  }

  const next = (turns: number, said = ""): Effect.Effect<Done<Reply>, Failure, unknown> => {
    if (turns >= limits.turns) return new LimitReached({ limit: "turns", value: limits.turns })
    running.startTurn(journal.call!.model)
    return Effect.flatMap(turn(running, frame), (outcome): Effect.Effect<Done<Reply>, Failure, unknown> => {
      const { assistant, text } = outcome
      switch (outcome._tag) {
        case "Final":
          return stopped(turns, said + text, assistant)
        case "Pause":
          return Effect.flatMap(running.keep([assistant]), () => {
            running.endTurn()
            return next(turns + 1, said + text)
          })
        case "Calls":
          return Effect.flatMap(running.keep([assistant]), () =>
            Effect.flatMap(toolCalls(running, outcome.calls, limits, dispatch), () =>
              called(turns, outcome.calls, text, assistant)
            )
          )
      }
    })
  }

  /** The calls of a turn are settled. */
  const called = (
    turns: number,
    calls: ReadonlyArray<ToolCallPart>,
    text: string,
    assistant: Draft.Assistant
  ): Effect.Effect<Done<Reply>, Failure, unknown> => {
    const cycle = progress.add(calls, (id) => journal.conversation.resultOf(id))
    if (wanted?.verdict !== undefined) return decided(text, assistant)
    if (cycle !== undefined && warned) return new NoProgress(cycle)
    running.endTurn()
    const drafts = cycle === undefined ? [] : [Draft.note(noProgress)]
    if (cycle !== undefined) warned = true
    // No input is taken that could not be answered.
    if (turns + 1 >= limits.turns) return next(turns + 1)
    return Effect.flatMap(append(drafts, "steer"), () => next(turns + 1))
  }

  /** The model asks for nothing more. */
  const stopped = (
    turns: number,
    text: string,
    assistant: Draft.Assistant
  ): Effect.Effect<Done<Reply>, Failure, unknown> => {
    const last = turns + 1 >= limits.turns
    const goOn = (drafts: ReadonlyArray<Draft.Draft>) =>
      Effect.flatMap(running.keep(drafts), () =>
        Effect.flatMap(last ? Effect.void : append([], "all"), () => {
          running.endTurn()
          return next(turns + 1)
        })
      )
    if (last ? engine.inbox.owes(ref.incarnation) : engine.inbox.waits(ref.incarnation)) return goOn([assistant])
    if (wanted === undefined) {
      // Nobody looks again: what comes from now on waits for the session.
      engine.inbox.close(ref.incarnation)
      return Effect.succeed(done(text, assistant, [assistant]))
    }
    if (wanted.reminders < limits.reminders) {
      wanted.reminders++
      return goOn([assistant, Draft.note(reminder)])
    }
    const reason = `the model stopped without one (${limits.reminders} reminders).`
    return Effect.zipRight(running.keep([assistant]), new ResultUnavailable({ reason, text }))
  }

  /** The model has finished with the result, or given it up. */
  const decided = (text: string, assistant: Draft.Assistant): Effect.Effect<Done<Reply>, Failure> => {
    const verdict = wanted!.verdict!
    return verdict._tag === "GivenUp"
      ? new ResultUnavailable({ reason: verdict.reason, text })
      : Effect.succeed(done(text, assistant, [], verdict))
  }

  // The operation's start and its input are written.
  const from = running.from

  const done = (
    text: string,
    assistant: Draft.Assistant,
    drafts: ReadonlyArray<Draft.Draft>,
    result?: { readonly value: unknown; readonly json: string }
  ): Done<Reply> => ({
    value: () => ({
      _tag: "Reply",
      text,
      value: result?.value,
      json: result?.json,
      finish: assistant.finish,
      usage: journal.usage(),
      model: assistant.model,
      // What is left to record and the operation's end are still to be written.
      entries: { from, to: journal.nextSeq + drafts.length }
    }),
    drafts
  })

  return next(0)
}
