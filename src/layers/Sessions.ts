/**
 * Sessions over a store, a history and a lock.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import { compact } from "../programs/compact.js"
import { type Engine, engineOf, type Needs } from "../programs/engine.js"
import { edit } from "../programs/edit.js"
import { follow, replay } from "../programs/follow.js"
import { fork } from "../programs/fork.js"
import { label, labels } from "../programs/labels.js"
import { moveTo, rewind } from "../programs/move.js"
import { historyTree } from "../programs/historyTree/read.js"
import { prompt } from "../programs/prompt.js"
import { prune } from "../programs/prune.js"
import { search } from "../programs/search.js"
import * as programs from "../programs/sessions.js"
import { shell } from "../programs/shell.js"
import { skill } from "../programs/skill.js"
import { submit, withdraw } from "../programs/submit.js"
import { task } from "../programs/task.js"
import { whatIf } from "../programs/whatIf.js"
import { transcript } from "../programs/transcript/read.js"
import type { AnySchema } from "../services/AnySchema.js"
import type { Entry } from "../services/Entry.js"
import type { CorruptRecord, SessionNotFound, SessionStoreError } from "../services/Errors.js"
import type { Event } from "../services/Event.js"
import type { PromptOnBusy } from "../services/Operation.js"
import type { TreeOptions } from "../services/HistoryTree.js"
import type { Resuming } from "../services/Resuming.js"
import {
  type EditOptions,
  type LabelOptions,
  type MoveOptions,
  type CompactOptions,
  type PromptInput,
  type PromptOptions,
  type RewindOptions,
  type Session,
  type SessionRef,
  Sessions,
  type ShellOptions,
  type SkillOptions,
  type SubmitOptions,
  type TaskOptions,
  type WhatIfOptions
} from "../services/Session.js"
import { SessionStore } from "../services/SessionStore.js"
import type * as Tool from "../services/Tool.js"
import type { TranscriptOptions } from "../services/Transcript.js"

export type * from "../services/HistoryTree.js"
export type * from "../services/Retention.js"
export type * from "../services/Search.js"
export type * from "../services/Transcript.js"
export * from "../services/Session.js"

/** The sessions of an engine that is made of the services around it. */
export const layer: Layer.Layer<Sessions, never, Needs> = Layer.effect(
  Sessions,
  Effect.withFiberRuntime<Context.Tag.Service<Sessions>, never, Needs>((fiber) =>
    Effect.succeed(make(engineOf(fiber, fiber.currentContext)))
  )
)

const make = (engine: Engine): Context.Tag.Service<Sessions> => {
  const { context, events } = engine
  const handle = <R, E>(ref: Effect.Effect<SessionRef<R>, E, R | Needs>): Effect.Effect<Session, E, R> =>
    Effect.map(ref as Effect.Effect<SessionRef, E, R>, (it) => new Handle(it, engine))
  const told = new Set<string>()
  return {
    open: (options) => handle(programs.open(options, context)),
    get: (options) => handle(programs.get(options, context)),
    create: (options) => handle(programs.create(options, context)),
    list: (parent) => met(programs.list(parent, context)),
    recover: (agents) =>
      Effect.map(met(programs.recover(agents, context, told)), (refs) =>
        refs.map((ref) => new Handle(ref as SessionRef, engine))
      ),
    remove: (id) => met(programs.remove(id, context)),
    prune: (options) => met(prune(options, context)),
    search: (text, options) => Effect.provideService(search(text, options), SessionStore, engine.store),
    events: follow(events)
  }
}

/** The engine's services come with the engine, and what is left is what the effect itself asks for. */
const met = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Needs>> =>
  effect as Effect.Effect<A, E, Exclude<R, Needs>>

/** An open session. What its agent's tools need came with its context. */
class Handle implements Session {
  readonly id: string
  readonly agent: string
  readonly cwd: string
  readonly resumed: Resuming | undefined

  constructor(
    private readonly ref: SessionRef,
    private readonly engine: Engine
  ) {
    this.resumed = ref.resumed
    this.id = ref.id
    this.agent = ref.agent.name
    this.cwd = ref.cwd
  }

  prompt<
    const Tools extends ReadonlyArray<Tool.Listed> = [],
    Result extends AnySchema | undefined = undefined,
    const Busy extends PromptOnBusy = "reject"
  >(input: PromptInput, options?: PromptOptions<Tools, Result, Busy>) {
    return met(prompt(this.ref, input, options))
  }

  task<const Tools extends ReadonlyArray<Tool.Listed> = [], Result extends AnySchema | undefined = undefined>(
    input: PromptInput,
    options?: TaskOptions<Tools, Result>
  ) {
    return met(task(this.ref, input, options))
  }

  skill<const Tools extends ReadonlyArray<Tool.Listed> = [], Result extends AnySchema | undefined = undefined>(
    name: string,
    options?: SkillOptions<Tools, Result>
  ) {
    return met(skill(this.ref, name, options))
  }

  submit(input: PromptInput, options?: SubmitOptions) {
    return met(submit(this.ref, input, options))
  }

  withdraw(operationId: string) {
    return met(withdraw(this.ref, operationId))
  }

  shell(command: string, options?: ShellOptions) {
    return met(shell(this.ref, command, options))
  }

  fork(id: string, entry?: number | string) {
    return Effect.map(met(fork(this.ref, id, entry)), (ref) => new Handle(ref, this.engine))
  }

  moveTo(target: number | string | null, options?: MoveOptions) {
    return met(moveTo(this.ref, target, options))
  }

  rewind(options?: RewindOptions) {
    return met(rewind(this.ref, options))
  }

  edit<const Tools extends ReadonlyArray<Tool.Listed> = [], Result extends AnySchema | undefined = undefined>(
    entry: number,
    input: PromptInput,
    options?: EditOptions<Tools, Result>
  ) {
    return met(edit(this.ref, entry, input, options))
  }

  whatIf<
    const Tools extends ReadonlyArray<Tool.Listed> = [],
    Result extends AnySchema | undefined = undefined,
    AgentRequirements = never
  >(id: string, options: WhatIfOptions<Tools, Result, AgentRequirements>) {
    return Effect.map(met(whatIf(this.ref, id, options)), (it) => ({
      ...it,
      session: new Handle(it.session as SessionRef, this.engine)
    }))
  }

  label(name: string, entry?: number | null, options?: LabelOptions) {
    return met(label(this.ref, name, entry, options))
  }

  get labels(): Effect.Effect<ReadonlyMap<string, number>, SessionNotFound | CorruptRecord | SessionStoreError> {
    return met(labels(this.ref))
  }

  compact(options?: CompactOptions) {
    return met(compact(this.ref, options))
  }

  get history(): Effect.Effect<ReadonlyArray<Entry>, SessionNotFound | CorruptRecord | SessionStoreError> {
    return this.engine.history.read(this.id, this.ref.incarnation)
  }

  tree(options?: TreeOptions) {
    return Effect.provideService(historyTree(this.id, options, this.ref.incarnation), SessionStore, this.engine.store)
  }

  transcript(options?: TranscriptOptions) {
    return Effect.provideService(transcript(this.id, options, this.ref.incarnation), SessionStore, this.engine.store)
  }

  get events(): Stream.Stream<Event> {
    return follow(this.engine.events, this.id)
  }

  replay(after = 0): Stream.Stream<Event, SessionNotFound | CorruptRecord | SessionStoreError> {
    return replay(this.engine.events, this.engine.history, this.id, this.ref.incarnation, after)
  }
}
