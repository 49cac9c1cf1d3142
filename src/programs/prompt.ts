/**
 * The operation `prompt`: the input, then turns until the model asks for no more tools.
 */
import * as Effect from "effect/Effect"
import type { AnySchema, ContextOf, ValueOf } from "../services/AnySchema.js"
import { Budget } from "../services/Budget.js"
import * as Draft from "../services/Draft.js"
import type { UserPart } from "../services/Entry.js"
import {
  InvalidInput,
  ModelNotConfigured,
  type RecoveryExhausted,
  ResultUnavailable,
  type SessionStoreError,
  type StoreError,
  type ToolNameConflict
} from "../services/Errors.js"
import type { Call } from "../services/History.js"
import * as Limits from "../services/Limits.js"
import type { LimitValues, OwnLimits } from "../services/Limits.js"
import type { PromptOnBusy } from "../services/Operation.js"
import type {
  Answer,
  Delivered,
  NamedOptions,
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
import type { InboxItem } from "../services/SessionStore.js"
import * as Usage from "../services/Usage.js"
import { agentProblem } from "./agentProblem.js"
import { converse } from "./converse.js"
import type { Needs } from "./engine.js"
import { limitProblem, operationIdProblem, plainOptions, policyProblem, turnProblem, userParts } from "./input.js"
import { join } from "./join.js"
import type { Done } from "./ends.js"
import type { Operation } from "./held.js"
import { type Named, type OperationSpec, operation } from "./operation.js"
import { resumed, type ResumeSpec } from "./resumed.js"
import { named, once } from "./once.js"
import { replyOf } from "./outcome.js"
import type { Past } from "./Past.js"
import { Replay } from "./Replay.js"
import { requestOf, turnOptionsOf } from "./request.js"
import { endStrays } from "./strays.js"
import { toolProblem, withFlatTools } from "./toolset.js"
import { within } from "./wallTime.js"
import { prepare, skillsAgain } from "./workspace.js"
import { Wanted, wantedOf } from "./wanted.js"

/** How a task prompts its child: under which lease, and with what it inherits. */
export interface Inherited {
  readonly under: Lease
  /** The parent's running call, if it is a prompt. */
  readonly call: Call | undefined
}

/** The options of a prompt, whatever their types say of it. */
type GivenOptions<Tools extends Tool.Listed = Tool.Listed> = TurnOptions<ReadonlyArray<Tools>, AnySchema | undefined> &
  NamedOptions & { readonly onBusy?: PromptOnBusy | undefined }

/** The same with its tools in one list. */
type AnyOptions = GivenOptions<Tool.Any>

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
  const Tools extends ReadonlyArray<Tool.Listed> = [],
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
  checked(ref, input, options, true, (content, wanted, options) => {
    const name = named("prompt", options?.operationId, content)
    const request = requestOf(options, wanted)
    const spec = { kind: "prompt" as const, first: [Draft.user(content)], named: name, request, prepare: looking(ref) }
    const body = (running: Operation) => turns(running, options, wanted, undefined, undefined)
    return once(ref, "prompt", name, asked(ref, content, spec, options?.onBusy, body), (past) =>
      Effect.flatMap(replyOf(past), (reply) => decodedReply(reply, wanted))
    )
  }) as Effect.Effect<
    Answer<Reply<ValueOf<Result>>, Busy>,
    PromptError | ResultError<Result>,
    R | Needs | Tool.Requirements<Tools[number]> | ContextOf<Result>
  >

type Spec = Omit<OperationSpec, "instead" | "again">

/** Runs a prompt by its policy. */
const asked = <A, E, R>(
  ref: SessionRef<unknown>,
  content: ReadonlyArray<UserPart>,
  spec: Spec,
  onBusy: PromptOnBusy | undefined,
  body: (running: Operation) => Effect.Effect<Done<A>, E, R>
): Effect.Effect<A | Delivered, E | PromptError, unknown> => {
  switch (onBusy) {
    case "steer":
    case "followUp": {
      const joining = { content, when: onBusy, asked: askedAs(spec.named), id: spec.delivered?.[0] }
      return join(ref, joining, (instead, again) => operation(ref, { ...spec, onBusy: "wait", instead, again }, body))
    }
    case "rollback":
      return operation(ref, { ...spec, onBusy: "interrupt", before: rollBack }, body)
    default:
      return operation(ref, { ...spec, onBusy }, body)
  }
}

const askedAs = (name: Named | undefined) => (name === undefined ? undefined : { operationId: name.id, key: name.key })

/** A reply that was recorded, with its result as this caller's schema has it. */
export const decodedReply = (
  reply: Reply,
  wanted: Wanted | undefined
): Effect.Effect<Reply, ResultUnavailable, unknown> => {
  if (wanted === undefined) return Effect.succeed(reply)
  const { json, text } = reply
  if (json === undefined) return new ResultUnavailable({ reason: "the operation was run without one.", text })
  return Effect.matchEffect(wanted.decode(JSON.parse(json)), {
    onFailure: (reason) => new ResultUnavailable({ reason, text }),
    onSuccess: (value) => Effect.succeed({ ...reply, value })
  })
}

/**
 * Runs an input that was acknowledged, and lies in the store's inbox. Takes it out where the same was run under its id
 * without it.
 */
export const promptSubmitted = (
  ref: SessionRef<unknown>,
  { content, id, key, operationId, request, when }: InboxItem,
  takeOut: Effect.Effect<unknown, SessionStoreError>
): Effect.Effect<unknown, unknown, unknown> => {
  const name = { id: operationId, key: key ?? named("prompt", operationId, content)!.key }
  const first = [Draft.user(content)]
  const spec = { kind: "prompt" as const, first, named: name, request, delivered: [id], prepare: looking(ref) }
  const body = (running: Operation) => turns(running, turnOptionsOf(request), undefined, undefined, undefined)
  const ran = once(ref, "prompt", name, asked(ref, content, spec, when, body), (past) =>
    Effect.zipRight(takeOut, replyOf(past))
  )
  return Effect.tap(ran, (it) => (it._tag === "Delivered" ? takeOut : Effect.void))
}

/** Prompts the child of a task. */
export const promptChild = (
  child: SessionRef<unknown>,
  input: PromptInput,
  options: AnyOptions | undefined,
  inherited: Inherited
): Effect.Effect<Reply, PromptError | ResultError<AnySchema>, unknown> =>
  checked(child, input, options, false, (content, wanted, options) => {
    const first = [Draft.user(content)]
    const request = requestOf(options, wanted)
    const spec = { kind: "prompt" as const, under: inherited.under, first, request, prepare: looking(child) }
    return operation(child, spec, (running) => turns(running, options, wanted, inherited.call, undefined))
  })

/** Goes on with a prompt that a process had begun which ended. */
export const resumePrompt = <R>(
  ref: SessionRef<R>,
  spec: ResumeSpec,
  inherited?: Inherited
): Effect.Effect<Reply | undefined, PromptError | ResultError<AnySchema> | RecoveryExhausted, R | Needs> =>
  resumed(ref, { ...spec, under: inherited?.under }, (running, past) => {
    const { request } = past.start
    const wanted = wantedAgain(ref.agent.resultSchema, request?.result)
    const body = Effect.zipRight(
      Effect.zipRight(endStrays(running, past), replayAgain(running, past)),
      Effect.flatMap(skillsAgain(running.ref, running.engine, running.journal), (skills) => {
        running.skills = skills
        return turns(running, turnOptionsOf(request), wanted, inherited?.call, past)
      })
    )
    return body as Effect.Effect<Done<Reply>, PromptError | ResultError<AnySchema>, R>
  })

/** What was replayed is so again, from where that was cut. */
const replayAgain = (running: Operation, past: Past): Effect.Effect<void, StoreError> => {
  const replay = past.start.request?.replay
  if (replay === undefined) return Effect.void
  const { engine, ref } = running
  return Effect.map(engine.store.read(ref.id, ref.incarnation, 1, past.start.id - 1), (entries) => {
    running.replay = Replay.again(entries, replay, past)
  })
}

/** The result as it was asked for: by the agent's schema where that is the one. */
const wantedAgain = (own: AnySchema | undefined, result: unknown): Wanted | undefined => {
  if (typeof result !== "object" || result === null) return undefined
  const wanted = own === undefined ? undefined : wantedOf(own)
  const same = wanted instanceof Wanted && JSON.stringify(wanted.jsonSchema) === JSON.stringify(result)
  return same ? wanted : Wanted.known(result)
}

/** What the workspace of a session tells when an operation begins. */
export const looking =
  (ref: SessionRef<unknown>): NonNullable<OperationSpec["prepare"]> =>
  (engine, told) =>
    prepare(ref, engine, told)

/** What can be told to be wrong before the session is asked for. */
export const checked = <A, E, R>(
  ref: SessionRef<unknown>,
  input: PromptInput,
  given: GivenOptions | undefined,
  /** Whether it may join an operation that runs. */
  joins: boolean,
  then: (
    content: ReadonlyArray<UserPart>,
    wanted: Wanted | undefined,
    options: AnyOptions | undefined
  ) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | InvalidInput | ToolNameConflict, R> =>
  Effect.suspend((): Effect.Effect<A, E | InvalidInput | ToolNameConflict, R> => {
    const plain = plainOptions(given)
    if (plain instanceof InvalidInput) return plain
    const options = withFlatTools<AnyOptions>(plain)
    const content = userParts(input, options?.images)
    if (content instanceof InvalidInput) return content
    const problem =
      policyProblem(options?.onBusy, joins) ??
      operationIdProblem(options?.operationId) ??
      agentProblem(ref.agent) ??
      turnProblem(options) ??
      limitProblem(options?.limits ?? noLimits, "limits") ??
      (options?.tools === undefined ? undefined : toolProblem(ref.agent.tools, options.tools))
    if (problem !== undefined) return problem
    const schema = options?.resultSchema
    if (schema === undefined) return then(content, undefined, options)
    const wanted = wantedOf(schema)
    return wanted instanceof InvalidInput ? wanted : then(content, wanted, options)
  })

/** Goes back to before the operation that this one interrupted, if it did. */
const rollBack: NonNullable<Parameters<typeof operation>[1]["before"]> = ({ lastCut, lastStart }, operationId) =>
  lastStart !== undefined && lastCut?.by === operationId && lastCut.operationId === lastStart.operationId
    ? [Draft.headMoved(lastStart.before)]
    : []

/** Runs the turns of an operation as its options, its agent and what it inherits have it. */
export const turns = (
  running: Operation,
  options: AnyOptions | undefined,
  wanted: Wanted | undefined,
  inherited: Call | undefined,
  past: Past | undefined
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
  if (past !== undefined && budget !== undefined) {
    const used = Usage.add(Usage.add(past.turns, past.compactions), past.tasks)
    budget.spend({ tokens: Usage.tokens(used), cost: used.cost ?? 0 })
  }
  const talk = () => converse(running, options?.tools, wanted, past)
  // A child stands within its parent's time.
  const wallTime = inherited === undefined ? limits.wallTime : (own?.wallTime ?? Number.POSITIVE_INFINITY)
  return wallTime === Number.POSITIVE_INFINITY ? talk() : within(wallTime, Effect.suspend(talk))
}

/** What an agent and a call set themselves; most set nothing, and what is `undefined` is not set. */
export const ownLimits = (
  agent: Partial<OwnLimits>,
  call: Partial<OwnLimits> | undefined
): Partial<OwnLimits> | undefined => {
  const own = { ...defined(agent), ...defined(call) }
  return Object.keys(own).length === 0 ? undefined : own
}

const defined = (limits: Partial<OwnLimits> | undefined): Partial<OwnLimits> =>
  Object.fromEntries(Object.entries(limits ?? {}).filter(([, value]) => value !== undefined))

export const overlay = (base: LimitValues, own: Partial<OwnLimits>): LimitValues => Limits.sane({ ...base, ...own })

/** One that is shared with the parent, within one of its own where the call or the agent sets it. */
export const budgetOf = (
  { cost, tokens }: LimitValues,
  own: Partial<OwnLimits> | undefined,
  inherited: Call | undefined
): Budget | undefined => {
  const limited = tokens !== Number.POSITIVE_INFINITY || cost !== Number.POSITIVE_INFINITY
  if (inherited !== undefined && own?.tokens === undefined && own?.cost === undefined) return inherited.budget
  return limited ? new Budget({ tokens, cost }, inherited?.budget) : inherited?.budget
}
