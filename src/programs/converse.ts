/**
 * The turns of a prompt.
 */
import * as Effect from "effect/Effect"
import type { AnySchema } from "../services/AnySchema.js"
import * as Draft from "../services/Draft.js"
import type { ToolCallPart } from "../services/Entry.js"
import {
  type ContextOverflow,
  LimitReached,
  NoProgress,
  ResultUnavailable,
  type StoreError
} from "../services/Errors.js"
import type { PromptError, Reply, ResultError } from "../services/Session.js"
import type * as Tool from "../services/Tool.js"
import { Compactor } from "./compaction.js"
import { dispatcher } from "./dispatch.js"
import type { Done } from "./ends.js"
import type { Operation } from "./held.js"
import { deliver, takeIn } from "./takeIn.js"
import { instructionsOf } from "./instructions.js"
import { callsOf, isCompaction, type Past, textOf } from "./Past.js"
import { Progress } from "./Progress.js"
import { skillSpecs } from "./skillTools.js"
import { toolCalls } from "./toolCalls.js"
import { toolset } from "./toolset.js"
import { turn } from "./turn.js"
import { reminder, type Wanted } from "./wanted.js"

type Failure = PromptError | ResultError<AnySchema>

/** What a model is told whose reply was cut when its process ended. */
const cutOff = "[Your reply was cut off here and is lost from this point on. Go on with the work.]"

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
  wanted: Wanted | undefined,
  past: Past | undefined
): Effect.Effect<Done<Reply>, Failure, unknown> => {
  const { engine, journal, lease, ref } = running
  const { agent } = ref
  const { limits, thinking } = journal.call!
  const mayDelegate = lease.depth < engine.limits.taskDepth
  const more = [...skillSpecs(running), ...(wanted?.specs ?? [])]
  const tools = toolset(agent, extra, engine.taskTool, mayDelegate, more.length === 0 ? undefined : more)
  const framed = () => ({ thinking, instructions: instructionsOf(agent, journal.conversation), tools: tools.specs })
  let frame = framed()
  const compactor = new Compactor(running, () => frame, past?.compaction)
  // Of the turn that is next.
  let overflowed = past?.tail.some((entry) => entry._tag === "Compaction" && entry.trigger === "overflow") ?? false
  const dispatch = dispatcher(running, tools, wanted, past)
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
        const stored = Effect.forEach(inputs, ({ storing }) => storing ?? Effect.void, { discard: true })
        return Effect.matchCauseEffect(
          Effect.flatMap(stored, () => deliver(running, drafts, inputs)),
          {
            onFailure: (cause) => {
              engine.inbox.giveBack(ref.incarnation, inputs)
              return Effect.failCause(cause)
            },
            onSuccess: (delivered) => {
              for (const input of delivered) input.onDelivered(running.id)
              return Effect.void
            }
          }
        )
      })
    )
  }

  /** Takes over what was put into the store's inbox, by this engine before it was started or by another. */
  const look = (): Effect.Effect<void, StoreError> | undefined =>
    journal.inbox === journal.inboxSeen ? undefined : takeIn(running)

  const next = (turns: number, said = ""): Effect.Effect<Done<Reply>, Failure, unknown> => {
    if (turns >= limits.turns) return new LimitReached({ limit: "turns", value: limits.turns })
    const go = () => {
      running.startTurn(journal.call!.model)
      return ask(turns, said)
    }
    const due = compactor.due()
    if (due === undefined) return go()
    return Effect.flatMap(due, (isCompacted) => {
      if (isCompacted) frame = framed()
      return go()
    })
  }

  /** Asks for the reply of the turn that was begun. */
  const ask = (turns: number, said: string): Effect.Effect<Done<Reply>, Failure, unknown> =>
    Effect.matchEffect(turn(running, frame), {
      onFailure: (error) => (error._tag === "ContextOverflow" ? refused(turns, said, error) : Effect.fail(error)),
      onSuccess: (outcome): Effect.Effect<Done<Reply>, Failure, unknown> => {
        const { assistant, text } = outcome
        overflowed = false
        switch (outcome._tag) {
          case "Final":
            return stopped(turns, said + text, assistant, false)
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
      }
    })

  /** The conversation is too long for the model: it is asked once more, if that can be made shorter. */
  const refused = (
    turns: number,
    said: string,
    error: ContextOverflow
  ): Effect.Effect<Done<Reply>, Failure, unknown> => {
    if (overflowed) return error
    overflowed = true
    return Effect.flatMap(compactor.overflow(), (isCompacted) => {
      if (!isCompacted) return error
      frame = framed()
      return ask(turns, said)
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
    const goOn = () => Effect.flatMap(append(drafts, "steer"), () => next(turns + 1))
    const looked = look()
    return looked === undefined ? goOn() : Effect.flatMap(looked, goOn)
  }

  /** The model asks for nothing more. */
  const stopped = (
    turns: number,
    text: string,
    assistant: Draft.Assistant,
    isStored: boolean
  ): Effect.Effect<Done<Reply>, Failure, unknown> => {
    const looked = look()
    if (looked !== undefined) return Effect.flatMap(looked, () => stopped(turns, text, assistant, isStored))
    const last = turns + 1 >= limits.turns
    const own = isStored ? [] : [assistant]
    const keep = (drafts: ReadonlyArray<Draft.Draft>) => (drafts.length === 0 ? Effect.void : running.keep(drafts))
    const goOn = (drafts: ReadonlyArray<Draft.Draft>) =>
      Effect.flatMap(keep(drafts), () =>
        Effect.flatMap(last ? Effect.void : append([], "all"), () => {
          running.endTurn()
          return next(turns + 1)
        })
      )
    if (last ? engine.inbox.owes(ref.incarnation) : engine.inbox.waits(ref.incarnation)) return goOn(own)
    if (wanted === undefined) {
      // Nobody looks again: what comes from now on waits for the session.
      engine.inbox.close(ref.incarnation)
      return Effect.succeed(done(text, assistant, own))
    }
    if (wanted.reminders < limits.reminders) {
      wanted.reminders++
      return goOn([...own, Draft.note(reminder)])
    }
    const reason = `the model stopped without one (${limits.reminders} reminders).`
    return Effect.zipRight(keep(own), new ResultUnavailable({ reason, text }))
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
      entries: { from, to: journal.nextSeq + journal.late.length + drafts.length }
    }),
    drafts
  })

  /** Goes on where a process was that ended: no reply is asked for again that is recorded. */
  const resume = (past: Past): Effect.Effect<Done<Reply>, Failure, unknown> => {
    const turns = past.replies.length
    const [last, ...after] = past.tail
    const answered = last?._tag === "Assistant"
    // What the model was told since belongs to its next turn, and a compaction is made before one.
    const isToldSince = after.some((entry) => entry._tag === "User")
    const isLast = answered && !isToldSince && !after.some(isCompaction)
    const wasCut = isLast && last.finish === "interrupted"
    const isOpen = isLast && !wasCut
    const before = isOpen ? past.replies.slice(0, -1) : past.replies
    for (const reply of before) progress.add(callsOf(reply), (id) => past.toolResultOf(id))
    warned = past.hasNote(noProgress)
    if (wanted !== undefined) wanted.reminders = past.countNotes(reminder)
    // A request that ends with the model's own words would ask it to go on with them as they stand.
    if (wasCut) return Effect.flatMap(running.append([Draft.note(cutOff)]), () => next(turns))
    const paused = answered && !isToldSince && last.finish === "pause"
    if (!isOpen) return next(turns, paused ? past.text : "")
    const calls = callsOf(last)
    if (calls.length === 0) {
      return last.finish === "pause" ? next(turns, past.text) : stopped(turns - 1, past.text, last, true)
    }
    running.turn = turns - 1
    running.startTurn(last.model)
    const open = calls.filter((call) => past.resultOf(call.id) === undefined)
    const ran = open.length === 0 ? Effect.void : toolCalls(running, open, limits, dispatch)
    return Effect.flatMap(decideAgain(past, calls), () =>
      Effect.flatMap(ran, () => called(turns - 1, calls, textOf(last), last))
    )
  }

  /** What the model had finished with stands. */
  const decideAgain = (past: Past, calls: ReadonlyArray<ToolCallPart>): Effect.Effect<void, never, unknown> => {
    const decision = calls.find((call) => wanted?.takes(call) === true && past.resultOf(call.id)?.outcome === "success")
    return decision === undefined ? Effect.void : Effect.ignore(wanted!.handle(decision))
  }

  return past === undefined ? next(0) : resume(past)
}
