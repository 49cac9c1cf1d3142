/**
 * The operation `prompt`: the input, then turns until the model asks for no more tools.
 */
import * as Effect from "effect/Effect"
import type { AnySchema, ContextOf, ValueOf } from "../services/AnySchema.js"
import { Budget } from "../services/Budget.js"
import * as Draft from "../services/Draft.js"
import type { UserPart } from "../services/Entry.js"
import { InvalidInput, ModelNotConfigured, type ToolNameConflict } from "../services/Errors.js"
import type { Call } from "../services/History.js"
import * as Limits from "../services/Limits.js"
import type { LimitValues, OwnLimits } from "../services/Limits.js"
import type { OnBusy, PromptOnBusy } from "../services/Operation.js"
import type {
  Answer,
  PromptError,
  PromptInput,
  PromptOptions,
  Reply,
  ResultError,
  SessionRef,
  TurnOptions
} from "../services/Session.js"
import type { Lease } from "../services/SessionLock.js"
import type * as Tool from "../services/Tool.js"
import { converse } from "./converse.js"
import type { Needs } from "./engine.js"
import { limitProblem, policyProblem, userParts } from "./input.js"
import { join } from "./join.js"
import { type Done, type Operation, operation } from "./operation.js"
import { toolProblem } from "./toolset.js"
import { within } from "./wallTime.js"
import { Wanted } from "./wanted.js"

/** How a task prompts its child: under which lease, and with what it inherits. */
export interface Inherited {
  readonly under: Lease
  /** The parent's running call, if it is a prompt. */
  readonly call: Call | undefined
}

/** The options of a prompt, whatever their types say of it. */
type AnyOptions = TurnOptions<ReadonlyArray<Tool.Any>, AnySchema | undefined> & { readonly onBusy?: unknown }

const noLimits = {}

/**
 * Prompts a session. The input is stored before the first request, a reply before its tools run, and the last reply
 * together with the operation's end. Interrupted at any instant it leaves a history that a provider accepts, and the
 * next prompt works.
 *
 * With `steer` and `followUp` it completes when the text was stored as an input of the prompt that runs, and when
 * it is called within that prompt, as soon as it is sure to be. Interrupting it before takes the text back.
 */
export const prompt = <
  R,
  const Tools extends ReadonlyArray<Tool.Any> = [],
  Result extends AnySchema | undefined = undefined,
  const Busy extends PromptOnBusy = "reject"
>(
  ref: SessionRef<R>,
  input: PromptInput,
  options?: PromptOptions<Tools, Result, Busy>
): Effect.Effect<
  Answer<Reply<ValueOf<Result>>, Busy>,
  PromptError | ResultError<Result>,
  R | Needs | Tool.Requirements<Tools[number]> | ContextOf<Result>
> =>
  checked(ref, input, options, (content, wanted) => {
    const first = [Draft.user(content)]
    const body = (running: Operation) => run(running, options, wanted, undefined)
    switch (options?.onBusy) {
      case "steer":
      case "followUp":
        return join(ref, content, options.onBusy, (instead) =>
          operation(ref, { kind: "prompt", onBusy: "wait", first, instead }, body)
        )
      case "rollback":
        return operation(ref, { kind: "prompt", onBusy: "interrupt", first, before: rollBack }, body)
      default:
        return operation(ref, { kind: "prompt", onBusy: options?.onBusy as OnBusy | undefined, first }, body)
    }
  }) as Effect.Effect<
    Answer<Reply<ValueOf<Result>>, Busy>,
    PromptError | ResultError<Result>,
    R | Needs | Tool.Requirements<Tools[number]> | ContextOf<Result>
  >

/** Prompts the child of a task. */
export const promptChild = (
  child: SessionRef<unknown>,
  input: PromptInput,
  options: AnyOptions | undefined,
  inherited: Inherited
): Effect.Effect<Reply, PromptError | ResultError<AnySchema>, unknown> =>
  checked(child, input, options, (content, wanted) =>
    operation(child, { kind: "prompt", under: inherited.under, first: [Draft.user(content)] }, (running) =>
      run(running, options, wanted, inherited.call)
    )
  )

/** What can be told to be wrong before the session is asked for. */
const checked = <A, E, R>(
  ref: SessionRef<unknown>,
  input: PromptInput,
  options: AnyOptions | undefined,
  then: (content: ReadonlyArray<UserPart>, wanted: Wanted | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | InvalidInput | ToolNameConflict, R> =>
  Effect.suspend((): Effect.Effect<A, E | InvalidInput | ToolNameConflict, R> => {
    const content = userParts(input, options?.images)
    if (content instanceof InvalidInput) return content
    const problem =
      policyProblem(options?.onBusy, true) ??
      limitProblem(ref.agent.limits, "agent.limits") ??
      limitProblem(options?.limits ?? noLimits, "limits") ??
      toolProblem(ref.agent.tools, options?.tools)
    if (problem !== undefined) return problem
    const schema = options?.resultSchema
    if (schema === undefined) return then(content, undefined)
    const wanted = wantedOf(schema)
    return wanted instanceof InvalidInput ? wanted : then(content, wanted)
  })

/** The result that is asked for, or what is wrong with its schema: it has no JSON Schema that a model could be told. */
export const wantedOf = (schema: AnySchema): Wanted | InvalidInput => {
  if (!isSchema(schema)) return new InvalidInput({ path: "resultSchema", reason: "it is not a schema" })
  try {
    return new Wanted(schema)
  } catch (error) {
    return new InvalidInput({ path: "resultSchema", reason: error instanceof Error ? error.message : String(error) })
  }
}

const isSchema = (it: unknown): boolean =>
  (typeof it === "object" || typeof it === "function") && it !== null && "ast" in it

/** Goes back to before the operation that this one interrupted, if it did. */
const rollBack: NonNullable<Parameters<typeof operation>[1]["before"]> = ({ lastCut, lastStart }, operationId) =>
  lastStart !== undefined && lastCut?.by === operationId && lastCut.operationId === lastStart.operationId
    ? [Draft.headMoved(lastStart.before)]
    : []

const run = (
  running: Operation,
  options: AnyOptions | undefined,
  wanted: Wanted | undefined,
  inherited: Call | undefined
): Effect.Effect<Done<Reply>, PromptError | ResultError<AnySchema>, unknown> => {
  const { engine, journal, ref } = running
  const { agent } = ref
  const model = options?.model ?? agent.model ?? inherited?.model ?? engine.model.defaultModel
  if (model === undefined) return new ModelNotConfigured({ model })
  const own = ownLimits(agent.limits, options?.limits)
  const limits =
    own === undefined ? (inherited?.limits ?? engine.limits) : overlay(inherited?.limits ?? engine.limits, own)
  const fallbacks = options?.fallbacks ?? agent.fallbacks ?? inherited?.fallbacks ?? engine.model.fallbacks ?? []
  const thinking = options?.thinking ?? agent.thinking ?? inherited?.thinking
  const budget = budgetOf(limits, own, inherited)
  journal.call = { model, fallbacks: fallbacks.filter((it) => it !== model), thinking, limits, budget }
  const turns = () => converse(running, options?.tools, wanted)
  // A child stands within its parent's time.
  const wallTime = inherited === undefined ? limits.wallTime : (own?.wallTime ?? Number.POSITIVE_INFINITY)
  return wallTime === Number.POSITIVE_INFINITY ? turns() : within(wallTime, Effect.suspend(turns))
}

/** What an agent and a call set themselves; most set nothing, and what is `undefined` is not set. */
const ownLimits = (agent: Partial<OwnLimits>, call: Partial<OwnLimits> | undefined): Partial<OwnLimits> | undefined => {
  const own = { ...defined(agent), ...defined(call) }
  return Object.keys(own).length === 0 ? undefined : own
}

const defined = (limits: Partial<OwnLimits> | undefined): Partial<OwnLimits> =>
  Object.fromEntries(Object.entries(limits ?? {}).filter(([, value]) => value !== undefined))

const overlay = (base: LimitValues, own: Partial<OwnLimits>): LimitValues => Limits.sane({ ...base, ...own })

/** One that is shared with the parent, within one of its own where the call or the agent sets it. */
const budgetOf = (
  { cost, tokens }: LimitValues,
  own: Partial<OwnLimits> | undefined,
  inherited: Call | undefined
): Budget | undefined => {
  const limited = tokens !== Number.POSITIVE_INFINITY || cost !== Number.POSITIVE_INFINITY
  if (inherited !== undefined && own?.tokens === undefined && own?.cost === undefined) return inherited.budget
  return limited ? new Budget({ tokens, cost }, inherited?.budget) : inherited?.budget
}
