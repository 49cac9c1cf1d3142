/**
 * The operation `compact`: a summary in the place of the older part of a conversation, because somebody asks for it.
 */
import * as Effect from "effect/Effect"
import type { Request } from "../services/Entry.js"
import {
  CompactionStalled,
  InvalidInput,
  type LimitReached,
  ModelNotConfigured,
  type RecoveryExhausted
} from "../services/Errors.js"
import { cleanText } from "../services/Json.js"
import type { CompactError, Compaction, CompactOptions, SessionRef } from "../services/Session.js"
import * as Usage from "../services/Usage.js"
import { agentProblem } from "./agentProblem.js"
import { Compactor, type Recorded, type Wanted } from "./compaction.js"
import type { Done } from "./ends.js"
import type { Needs } from "./engine.js"
import type { Operation } from "./held.js"
import { compactProblem, operationIdProblem, plainOptions, policyProblem } from "./input.js"
import { instructionsOf } from "./instructions.js"
import { named, once } from "./once.js"
import { operation } from "./operation.js"
import { ended } from "./outcome.js"
import type { Past } from "./Past.js"
import { budgetOf, overlay, ownLimits } from "./prompt.js"
import { resumed, type ResumeSpec } from "./resumed.js"
import { toolset } from "./toolset.js"
import { within } from "./wallTime.js"

/**
 * Compacts a conversation. Where all of it is what stays as it is, nothing is done and no model is asked. Fails with
 * `CompactionStalled` where what the model gave is no summary, or the conversation would not be smaller: it is as it was
 * then, as after every failure and interruption.
 */
export const compact = <R>(
  ref: SessionRef<R>,
  given?: CompactOptions
): Effect.Effect<Compaction, CompactError, R | Needs> =>
  Effect.suspend((): Effect.Effect<Compaction, CompactError, R | Needs> => {
    const options = plainOptions(given)
    if (options instanceof InvalidInput) return options
    const problem =
      policyProblem(options?.onBusy, false) ??
      operationIdProblem(options?.operationId) ??
      compactProblem(options) ??
      agentProblem(ref.agent)
    if (problem !== undefined) return problem
    const wanted: Wanted = { model: options?.model, instructions: options?.instructions }
    const name = named("compact", options?.operationId, [wanted.instructions, wanted.model])
    const spec = { kind: "compact" as const, onBusy: options?.onBusy, named: name, request: requestOf(wanted) }
    const ran = operation(ref, spec, (running) => run(running, wanted))
    // Nothing but a prompt takes what joins it.
    return once(ref, "compact", name, ran, outcomeOf) as Effect.Effect<Compaction, CompactError, R | Needs>
  })

/** Goes on with a compaction whose process ended: it is made again where it was not recorded. */
export const resumeCompact = <R>(
  ref: SessionRef<R>,
  spec: ResumeSpec
): Effect.Effect<Compaction | undefined, CompactError | RecoveryExhausted, R | Needs> =>
  resumed(ref, spec, (running, past) => {
    if (past.compaction !== undefined) return doneOf(running, past.compaction)
    const { request } = past.start
    const hint = request?.input?.[0]
    return run(running, { model: request?.model, instructions: hint?.type === "text" ? hint.text : undefined }, past)
  })

const requestOf = ({ instructions, model }: Wanted): Request | undefined => {
  if (instructions === undefined && model === undefined) return undefined
  return {
    model,
    input: instructions === undefined ? undefined : [{ type: "text", text: cleanText(instructions) }]
  }
}

/** What a compaction brought that was made before. */
const outcomeOf = (past: Past): Effect.Effect<Compaction, CompactError> =>
  ended(past, ({ value }) => {
    const { compaction } = past
    return compaction?._tag === "Compaction" ? compactedOf(compaction) : (value as Compaction)
  })

const run = (running: Operation, wanted: Wanted, past?: Past): Effect.Effect<Done<Compaction>, CompactError> => {
  const { engine, journal, lease, ref } = running
  const { agent } = ref
  const model = agent.model ?? engine.model.defaultModel ?? wanted.model
  if (model === undefined) return new ModelNotConfigured({ model })
  const own = ownLimits(agent.limits, undefined)
  const limits = own === undefined ? engine.limits : overlay(engine.limits, own)
  const fallbacks = (agent.fallbacks ?? engine.model.fallbacks ?? []).filter((it) => it !== model)
  const budget = budgetOf(limits, own, undefined)
  journal.call = { model, fallbacks, thinking: agent.thinking, limits, budget }
  if (past !== undefined) budget?.spend({ tokens: Usage.tokens(past.compactions), cost: past.compactions.cost ?? 0 })
  const instructions = instructionsOf(agent, journal.conversation)
  const { specs } = toolset(agent, undefined, engine.taskTool, lease.depth < engine.limits.taskDepth)
  const compactor = new Compactor(running, () => ({ thinking: agent.thinking, instructions, tools: specs }), undefined)
  const compacted = Effect.flatMap(compactor.manual(wanted), (recorded) => {
    if (recorded !== undefined) return doneOf(running, recorded)
    const nothing = { _tag: "NothingToCompact" as const, tokens: compactor.tokens() }
    return Effect.succeed({ value: () => nothing, drafts: [], recorded: nothing })
  })
  return limits.wallTime === Number.POSITIVE_INFINITY
    ? compacted
    : (within(limits.wallTime, compacted) as Effect.Effect<Done<Compaction>, CompactError | LimitReached>)
}

const doneOf = ({ ref }: Operation, recorded: Recorded): Effect.Effect<Done<Compaction>, CompactionStalled> => {
  if (recorded._tag === "Compaction") return Effect.succeed({ value: () => compactedOf(recorded), drafts: [] })
  const { reason, tokensBefore } = recorded
  return new CompactionStalled({ session: ref.id, reason, tokensBefore })
}

const compactedOf = (entry: Extract<Recorded, { readonly _tag: "Compaction" }>): Compaction => {
  const { id, model, summary, tokensAfter, tokensBefore, usage } = entry
  return { _tag: "Compacted", entry: id, summary, tokensBefore, tokensAfter, usage, model }
}
