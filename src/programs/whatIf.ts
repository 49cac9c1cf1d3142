/**
 * What a session would have become from an earlier entry on, without doing again what it did.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { AnySchema, ContextOf, ValueOf } from "../services/AnySchema.js"
import { Conversation } from "../services/Conversation.js"
import * as Draft from "../services/Draft.js"
import type { Entry, Request } from "../services/Entry.js"
import { CorruptRecord, EntryNotFound, InvalidInput, SessionNotFound } from "../services/Errors.js"
import {
  type ForkError,
  type Reply,
  type ResultError,
  SessionRef,
  type TurnOptions,
  type Unrecorded,
  type WhatIfError,
  type WhatIfOptions
} from "../services/Session.js"
import { corruptBy } from "../services/Sequence.js"
import * as SessionId from "../services/SessionId.js"
import type { SessionRow } from "../services/SessionStore.js"
import type * as Tool from "../services/Tool.js"
import { type Engine, engineOf, type Needs } from "./engine.js"
import { begin, closing, openAmong, rowOf } from "./fork.js"
import type { Operation } from "./held.js"
import { plainOptions } from "./input.js"
import { entryProblem, find, standsAt, wholeOf } from "./log.js"
import { type Moving, operation, type OperationSpec } from "./operation.js"
import { callsOf } from "./Past.js"
import { checked, looking, turns } from "./prompt.js"
import { Replay } from "./Replay.js"
import { requestOf } from "./request.js"
import { kept } from "./sessions.js"

/** What would have been: a reply, and the session in which it was given. */
export interface WhatIfRef<A, R> extends Reply<A> {
  readonly session: SessionRef<R>
}

/**
 * Forks a session at its last entry, and prompts the fork from an earlier entry on. Calls that are recorded after that
 * entry get the results that they had: no handler is run for them, nobody is asked, and a task makes no child. The
 * session itself is not asked for, and nothing is written to it. What is wrong with the options is told before there is a
 * fork; a failure or an interruption later leaves the fork, with what it had come to.
 */
export const whatIf = <
  R,
  const Tools extends ReadonlyArray<Tool.Listed> = [],
  Result extends AnySchema | undefined = undefined,
  AgentRequirements = never
>(
  ref: SessionRef<R>,
  id: string,
  given: WhatIfOptions<Tools, Result, AgentRequirements>
): Effect.Effect<
  WhatIfRef<ValueOf<Result>, R | AgentRequirements>,
  WhatIfError | ResultError<Result>,
  R | Needs | Tool.Requirements<Tools[number]> | ContextOf<Result> | AgentRequirements
> =>
  Effect.withFiberRuntime<unknown, Failure, unknown>((fiber) => {
    const wrongId = SessionId.check(id)
    if (wrongId !== undefined) return wrongId
    const plain: AnyOptions | undefined | InvalidInput = plainOptions(given)
    if (plain instanceof InvalidInput) return plain
    const { agent, from, images, input, unrecorded = "refuse", ...options } = plain ?? {}
    const problem = entryProblem(from, "from", true) ?? unrecordedProblem(unrecorded) ?? strayImages(input, images)
    if (problem !== undefined) return problem
    const engine = engineOf(fiber, ref.context)
    const clock = Context.unsafeGet(fiber.currentDefaultServices, Clock.Clock)
    const context = agent === undefined ? ref.context : kept(engine.context)
    const as = new SessionRef<unknown>(ref, agent === undefined ? ref.agent : agent, context)
    const turnOptions = { ...options, images, operationId: undefined, onBusy: undefined }
    return checked(as, input === undefined ? unsaid : input, turnOptions, false, (content, wanted, options) =>
      Effect.flatMap(planned(engine, clock, ref, from!, input !== undefined), ({ all, own, row, to }) =>
        Effect.flatMap(
          begin(engine, clock, ref, { id, row, at: row.nextSeq - 1, own, agent: as.agent, context }),
          (session) => {
            let entries = all
            const spec: OperationSpec<never, Failure> = {
              kind: "prompt",
              request: { ...requestOf(options, wanted), replay: { from: to, unrecorded: recordOf(unrecorded) } },
              first: input === undefined ? [] : [Draft.user(content)],
              moves: (it, journal) =>
                Effect.flatMap(wholeOf(it, session, journal), (now): Effect.Effect<Moving | undefined, Failure> => {
                  entries = now
                  if (standsAt(now, journal.head) === standsAt(now, to)) return Effect.succeed(undefined)
                  return Effect.map(it.history.at(journal, to, now), (moved) => ({ to, moved }))
                }),
              prepare: looking(session)
            }
            const body = (running: Operation) => {
              running.replay = new Replay(entries, to, unrecorded)
              return turns(running, options, wanted, undefined, undefined)
            }
            return Effect.map(operation(session, spec, body), (reply) => ({ ...reply, session }))
          }
        )
      )
    )
  }) as Effect.Effect<
    WhatIfRef<ValueOf<Result>, R | AgentRequirements>,
    WhatIfError | ResultError<Result>,
    R | Needs | Tool.Requirements<Tools[number]> | ContextOf<Result> | AgentRequirements
  >

type Failure = WhatIfError | ResultError<AnySchema>

/** The options, whatever their types say of them. */
type AnyOptions = Partial<WhatIfOptions<ReadonlyArray<Tool.Listed>, AnySchema | undefined, unknown>>

/** Stands for an input that is not given, where one is looked at. */
const unsaid = "-"

const recordOf = (unrecorded: Unrecorded): NonNullable<Request["replay"]>["unrecorded"] =>
  typeof unrecorded === "function" ? "ask" : unrecorded

const unrecordedProblem = (unrecorded: unknown): InvalidInput | undefined =>
  unrecorded === "run" || unrecorded === "refuse" || typeof unrecorded === "function"
    ? undefined
    : new InvalidInput({ path: "unrecorded", reason: 'it is neither "run", nor "refuse", nor a function' })

const strayImages = (input: unknown, images: TurnOptions["images"]): InvalidInput | undefined =>
  input === undefined && images !== undefined
    ? new InvalidInput({ path: "images", reason: "there is no input that they go with" })
    : undefined

/** What a fork at the last entry will hold, and where it is to go on from. */
interface Plan {
  readonly row: SessionRow
  readonly own: ReadonlyArray<Entry>
  readonly all: ReadonlyArray<Entry>
  readonly to: number | null
}

const planned = (
  engine: Engine,
  clock: Clock.Clock,
  ref: SessionRef<unknown>,
  from: number | string | null,
  isAsked: boolean
): Effect.Effect<Plan, ForkError | InvalidInput> =>
  Effect.flatMap(rowOf(engine, ref), (row) =>
    Effect.flatMap(
      engine.store.read(row.id, row.incarnation, 1, row.nextSeq - 1),
      (entries): Effect.Effect<Plan, ForkError | InvalidInput> => {
        if (entries.length < row.nextSeq - 1) return new SessionNotFound({ session: ref.id })
        const own = closing(openAmong(entries), entries.length, clock.unsafeCurrentTimeMillis())
        const all = [...entries, ...own]
        const at = find(ref.id, entries, from)
        if (at instanceof EntryNotFound) return at
        const to = at === null ? null : endOfTurn(all, at)
        if (!isAsked) {
          const conversation = conversationAt(ref.id, all, to)
          if (conversation instanceof CorruptRecord) return conversation
          const last = conversation.messages().at(-1)
          if (last === undefined || last.role === "assistant") {
            const reason =
              "the conversation does not end there with something that a model answers, and there is no input"
            return new InvalidInput({ path: "from", reason })
          }
        }
        return Effect.succeed({ row, own, all, to })
      }
    )
  )

/** The session is not held, and its history was looked at by nobody. */
const conversationAt = (
  session: string,
  entries: ReadonlyArray<Entry>,
  at: number | null
): Conversation | CorruptRecord => {
  try {
    return Conversation.at(entries, at)
  } catch (error) {
    return corruptBy(session, entries, error)
  }
}

/** Where the turn ends that an entry lies in, all its calls settled; the entry itself where it lies in none. */
const endOfTurn = (entries: ReadonlyArray<Entry>, at: number): number => {
  for (let place: number | null = at; place !== null;) {
    const entry: Entry = entries[place - 1]!
    if (entry._tag === "Assistant") {
      const open = new Set(callsOf(entry).map(({ id }) => id))
      let end = at
      for (const { id, ...it } of entries.slice(place)) {
        if (it._tag === "ToolSettled" && open.delete(it.callId)) end = Math.max(end, id)
      }
      return end
    }
    if (!ofTurn.has(entry._tag)) return at
    place = entry.parentId
  }
  return at
}

const ofTurn: ReadonlySet<Entry["_tag"]> = new Set(["ToolStarted", "ToolSettled", "TaskLink", "TaskSettled"])
