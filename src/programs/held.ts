/**
 * An operation that holds its session: what it writes and tells, and what is on its way.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import { Alarm } from "../services/Alarms.js"
import type * as Draft from "../services/Draft.js"
import type { CompactionTrigger } from "../services/Entry.js"
import type { StoreError } from "../services/Errors.js"
import {
  type CompactionFailed,
  type CompactionStarted,
  type Failure,
  interrupted,
  type ModelRetry,
  type Notice,
  type TurnCompleted,
  type TurnFailed,
  type TurnStarted
} from "../services/Event.js"
import type { Journal } from "../services/History.js"
import { cleanText } from "../services/Json.js"
import type { SessionRef } from "../services/Session.js"
import { none as noSkills, type Skills } from "../services/Skill.js"
import type { Lease } from "../services/SessionLock.js"
import * as Usage from "../services/Usage.js"
import type { Engine } from "./engine.js"
import type { Replay } from "./Replay.js"

/** An operation that holds its session. */
export class Operation {
  readonly engine: Engine
  readonly ref: SessionRef<unknown>
  readonly lease: Lease
  readonly journal: Journal
  /** The id under which entries are written: that of the operation, or of the one that a task re-entered. */
  readonly id: string
  readonly clock: Clock.Clock
  /** The place of its first entry. */
  from = 0
  /** The skills that its model may load, as they were when it was accepted. */
  skills: Skills = noSkills
  /** The reply that is streaming, or was and is not stored. */
  reply: { readonly said: string; readonly used: () => Usage.Usage; readonly quiet: boolean } | undefined
  /** The fiber of the model that is asked, and how long it may take to end when it is interrupted. */
  asking:
    | {
        readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
        readonly grace: number
        /** Called when it was ended from outside, or given up. */
        readonly onEnd: () => void
      }
    | undefined
  /** How fibers of the operation are started. */
  runtime: Runtime.Runtime<never> = Runtime.defaultRuntime
  /** The digest of its input, where its caller gave it its id. */
  key: string | undefined
  /** The recorded results that stand for calls, where there are any. */
  replay: Replay | undefined
  /** The turn that was begun last, and whether it has not ended. */
  turn = 0
  private inTurn = false
  /** What was left behind and is being ended: it ends before the operation does. */
  readonly leaving = new Set<Fiber.RuntimeFiber<void>>()
  private alarm: Alarm | undefined
  /** The compaction that has begun and has no end yet. */
  private compacting: Compacting | undefined
  /** When what had arrived of a reply was stored last, whether any of it is, and whether that is being stored. */
  private partialAt = Number.NEGATIVE_INFINITY
  private partialKept = false
  private partialStoring = false

  constructor(
    engine: Engine,
    clock: Clock.Clock,
    ref: SessionRef<unknown>,
    lease: Lease,
    journal: Journal,
    id: string
  ) {
    this.engine = engine
    this.clock = clock
    this.ref = ref
    this.lease = lease
    this.journal = journal
    this.id = id
  }

  append(drafts: ReadonlyArray<Draft.Draft>): Effect.Effect<void, StoreError> {
    return this.engine.history.append(this.journal, this.id, drafts)
  }

  /** Stores a reply with what goes with it, and counts it as a turn. */
  keep(drafts: ReadonlyArray<Draft.Draft>): Effect.Effect<void, StoreError> {
    return this.engine.history.append(this.journal, this.id, drafts, { onStored: this.count })
  }

  /** The reply is stored, or is about to be with the operation's end: what it used is that of a turn. */
  readonly count = (): void => {
    // It was stored with the reply's own entry.
    this.partialKept = false
    if (this.reply !== undefined) this.journal.turns = Usage.add(this.journal.turns, this.reply.used())
    this.drop()
  }

  /** An attempt at a turn failed. */
  countRetry(usage: Usage.Usage): void {
    this.journal.retries = Usage.add(this.journal.retries, usage)
  }

  /** A summary was asked for. */
  countSummary(usage: Usage.Usage): void {
    this.journal.compactions = Usage.add(this.journal.compactions, usage)
    if (this.compacting !== undefined) this.compacting.usage = Usage.add(this.compacting.usage, usage)
  }

  /** The reply is none: nothing of it is kept. */
  drop(): void {
    this.reply = undefined
    if (this.partialKept) this.storePartial("")
  }

  /** A reply begins to stream. */
  startPartial(): void {
    this.partialAt = this.clock.unsafeCurrentTimeMillis()
  }

  /** Stores what has arrived of the reply, now and then: that much survives the process. */
  keepPartial(said: string): void {
    const now = this.clock.unsafeCurrentTimeMillis()
    if (this.partialStoring || now - this.partialAt < partialEvery) return
    this.partialAt = now
    this.storePartial(said)
  }

  private storePartial(said: string): void {
    const { engine, id, journal } = this
    this.partialKept = said !== ""
    this.partialStoring = true
    const append = engine.history.append(journal, id, [], { partial: cleanText(said) })
    // What is wrong with the store will be told by the write that stores the reply.
    const fiber = Runtime.runFork(this.runtime, Effect.ignore(append))
    this.leaving.add(fiber)
    fiber.addObserver(() => {
      this.partialStoring = false
      this.leaving.delete(fiber)
    })
  }

  /** Begins a turn. */
  startTurn(model: string): void {
    this.turn++
    this.inTurn = true
    this.tell({ _tag: "TurnStarted", turn: this.turn, model })
  }

  /** Ends the turn, if it has not ended: with the operation's failure where there was one. */
  endTurn(error?: Failure): void {
    if (!this.inTurn) return
    this.inTurn = false
    const { turn } = this
    this.tell(error === undefined ? { _tag: "TurnCompleted", turn } : { _tag: "TurnFailed", turn, error })
  }

  /** Begins a compaction. */
  startCompaction(trigger: CompactionTrigger, tokens: number, model: string): void {
    const { compacted, stalled } = this.journal.conversation
    this.compacting = { trigger, usage: Usage.zero, compacted, stalled }
    this.tell({ _tag: "CompactionStarted", trigger, tokens, model })
  }

  /** What the compaction has used that was begun last and has no end yet. */
  get summaryUsage(): Usage.Usage {
    return this.compacting?.usage ?? Usage.zero
  }

  /** Ends the compaction, if it has not ended: where no entry tells of its end, as one that failed. */
  endCompaction(error: Failure = interrupted): void {
    const { compacting, journal } = this
    if (compacting === undefined) return
    this.compacting = undefined
    const { compacted, stalled } = journal.conversation
    if (compacted !== compacting.compacted || stalled !== compacting.stalled) return
    const { trigger, usage } = compacting
    this.tell({ _tag: "CompactionFailed", seq: undefined, trigger, error, usage })
  }

  /** Ends what is open in it with the operation's own end: a compaction, and then the turn. */
  endOpen(error?: Failure): void {
    this.endCompaction(error)
    this.endTurn(error)
  }

  /** Tells that the model failed and what is done about it. */
  retry(attempt: number, model: string, error: Failure, delay: number, next: string): void {
    this.tell({ _tag: "ModelRetry", turn: this.turn, attempt, model, error, delay, next })
  }

  notice(message: string): void {
    this.tell({ _tag: "Notice", message: cleanText(message) })
  }

  private tell(event: Untold): void {
    const { clock, engine, id, ref } = this
    if (!engine.events.heard(ref.id)) return
    engine.events.publish({ ...event, session: ref.id, at: clock.unsafeCurrentTimeMillis(), operationId: id })
  }

  /** Calls `then` at a time, in milliseconds since the epoch, in place of what was asked for before. */
  watch(time: number, then: () => void): void {
    if (this.alarm === undefined) this.alarm = new Alarm(then)
    else this.alarm.fire = then
    if (time === Number.POSITIVE_INFINITY) this.unwatch()
    else this.engine.alarms.set(this.clock, this.alarm, time)
  }

  /** Stores its end. The turn that is open is closed before. */
  appendEnd(drafts: ReadonlyArray<Draft.Draft>): Effect.Effect<void, StoreError> {
    const onStored = () => this.endOpen(turnError(drafts.at(-1)))
    return this.engine.history.append(this.journal, this.id, drafts, { onStored })
  }

  /** Lets go of what it ran in, which whoever keeps a part of it would keep too. */
  release(): void {
    this.runtime = Runtime.defaultRuntime
  }

  /** Interrupts the fiber of the model that is asked, and calls `late` where it does not end within the grace. */
  endAsking(late: () => void): void {
    const { fiber, grace } = this.asking!
    fiber.unsafeInterruptAsFork(fiber.id())
    this.watch(this.clock.unsafeCurrentTimeMillis() + grace, late)
  }

  /** Nothing is called any more. */
  unwatch(): void {
    if (this.alarm !== undefined && this.alarm.due !== Number.POSITIVE_INFINITY) {
      this.engine.alarms.unset(this.clock, this.alarm)
    }
  }
}

/** How often what has arrived of a reply is stored, in milliseconds: so much of it may be lost with the process. */
const partialEvery = 1_000

/** What a compaction has used, and how the conversation stood when it began. */
interface Compacting {
  readonly trigger: CompactionTrigger
  usage: Usage.Usage
  readonly compacted: unknown
  readonly stalled: unknown
}

type Live = CompactionStarted | CompactionFailed | TurnStarted | TurnCompleted | TurnFailed | ModelRetry | Notice
type WithoutBase<E> = E extends unknown ? Omit<E, "session" | "at" | "operationId"> : never
type Untold = WithoutBase<Live>

/** How a turn ended that the operation's end found open. */
export const turnError = (end: Draft.Draft | undefined): Failure | undefined => {
  if (end?._tag !== "OperationSettled" || end.outcome === "completed") return undefined
  return end.outcome === "interrupted" ? interrupted : end.error
}
