/**
 * The tool calls of one turn: at the same time up to a width, each in its own delegation and with a deadline, each
 * recorded as started before its effect and as settled when it ends.
 *
 * The operation's fiber does the bookkeeping; a handler has a fiber of its own, so that one that can be neither
 * interrupted nor awaited holds nobody up.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Runtime from "effect/Runtime"
import { explain } from "../services/Conversation.js"
import * as Draft from "../services/Draft.js"
import type { ToolCallPart, ToolOutcome } from "../services/Entry.js"
import type { StoreError } from "../services/Errors.js"
import type { LimitValues } from "../services/Limits.js"
import { currentMark, type Delegation } from "../services/SessionLock.js"
import { type Content, describe, isContent, type ToolProblem } from "../services/Tool.js"
import { CallContext } from "./CallContext.js"
import { isShutdown, tellUnstored } from "./ends.js"
import type { Operation } from "./held.js"
import type { Recorded } from "./Replay.js"
import { toolSpan } from "./spans.js"
import { contentOf, fit, textOf } from "./toolResult.js"

/** What becomes of a call: it is refused with what the model is told, or a handler takes it. */
export type Dispatched<R> =
  | { readonly _tag: "Refused"; readonly text: string }
  /** It is not run: another call's result stands for its own. */
  | { readonly _tag: "Recorded"; readonly entry: Recorded }
  /** The work was finished before its turn came. */
  | { readonly _tag: "NotRun" }
  /** It was started when its process ended, and running it again may do harm. */
  | { readonly _tag: "Unknown" }
  | {
      readonly _tag: "Handled"
      /** In milliseconds; without one the engine's holds. */
      readonly deadline: number | undefined
      /** Whether it can be run again, or gone on with, after its process ended. */
      readonly again: boolean
      /** Whether it was started before, by a process that ended: that is recorded already. */
      readonly started: boolean
      readonly handle: (context: CallContext) => Effect.Effect<unknown, ToolProblem, R>
    }

/**
 * Runs the calls of a turn and records each. Completes when every call is settled, and then what they were admitted
 * for has ended. Interruption interrupts the handlers, gives them `toolGrace` to end, records every call that is not
 * settled, and leaves those that did not end behind. A handler past its deadline is left behind in the same way.
 */
export const toolCalls = <R>(
  operation: Operation,
  calls: ReadonlyArray<ToolCallPart>,
  limits: LimitValues,
  dispatch: (call: ToolCallPart) => Dispatched<R>
): Effect.Effect<void, StoreError, R> => {
  const run = Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime<void, StoreError, R>((fiber) => {
      const run = new Calls(operation, calls, limits, dispatch, operation.runtime as Runtime.Runtime<R>, fiber, restore)
      return Effect.tapErrorCause(run.step(), () => run.stop())
    })
  )
  const { replay, turn } = operation
  if (replay === undefined) return run
  // Who is interrupted while somebody is asked has begun none of them: their ends are stored with the operation's.
  const isRun = (call: ToolCallPart) => dispatch(call)._tag === "Handled"
  return Effect.zipRight(replay.decide(calls.slice(0, limits.toolCalls), turn, isRun), run)
}

/** A call whose handler is at work. */
interface Running {
  readonly call: ToolCallPart
  readonly context: CallContext
  readonly delegation: Delegation
  readonly deadline: number
  readonly again: boolean
  fiber: Fiber.RuntimeFiber<Exit.Exit<unknown, ToolProblem>> | undefined
  /** When it was told to end, in milliseconds since the epoch. */
  abortedAt: number | undefined
  /** Whether it was given up. */
  abandoned: boolean
}

interface Ready<R> {
  readonly call: ToolCallPart
  readonly handled: Extract<Dispatched<R>, { readonly _tag: "Handled" }>
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

class Calls<R> {
  private next = 0
  private unsettled: number
  private readonly running = new Set<Running>()
  /** Ends of handlers that are not recorded yet. */
  private ended: Array<readonly [Running, Exit.Exit<unknown, ToolProblem>]> = []
  private wake: (() => void) | undefined
  /** Calls that are recorded as started and never were. */
  private unbegun: ReadonlyArray<ToolCallPart> = []

  constructor(
    private readonly operation: Operation,
    private readonly calls: ReadonlyArray<ToolCallPart>,
    private readonly limits: LimitValues,
    private readonly dispatch: (call: ToolCallPart) => Dispatched<R>,
    private readonly runtime: Runtime.Runtime<R>,
    private readonly fiber: Fiber.RuntimeFiber<unknown, unknown>,
    private readonly restore: Restore
  ) {
    this.unsettled = calls.length
  }

  /** Records what has ended and what starts in one write, starts it, and waits for what happens next. */
  step(): Effect.Effect<void, StoreError> {
    const drafts = this.recordEnded()
    const ready: Array<Ready<R>> = []
    while (this.next < this.calls.length && this.running.size + ready.length < this.limits.toolWidth) {
      const call = this.calls[this.next]!
      const dispatched: Dispatched<R> =
        this.next++ < this.limits.toolCalls ? this.dispatch(call) : tooMany(this.limits.toolCalls)
      if (dispatched._tag === "Handled") {
        ready.push({ call, handled: dispatched })
        if (!dispatched.started) drafts.push(Draft.toolStarted(call.id, call.name))
      } else if (dispatched._tag === "Refused") drafts.push(this.settled(call, "failure", dispatched.text))
      else if (dispatched._tag === "Recorded") drafts.push(this.repeated(call, dispatched.entry))
      else {
        const outcome = dispatched._tag === "Unknown" ? "unknown" : "not-run"
        drafts.push(this.settled(call, outcome, explain(outcome)))
      }
    }
    if (drafts.length === 0 && ready.length === 0) return this.wait()
    const recorded = drafts.length === 0 ? Effect.void : this.operation.append(drafts)
    return Effect.flatMap(recorded, () => {
      // Interrupted while that was being written: nothing is begun any more.
      if (!Cause.isEmpty(this.fiber.getFiberRef(FiberRef.interruptedCause)))
        this.unbegun = ready.filter(({ handled }) => !handled.started).map(({ call }) => call)
      else for (const it of ready) this.start(it)
      if (this.unsettled === 0) return Effect.void
      return this.ended.length > 0 ? this.step() : this.wait()
    })
  }

  private start({ call, handled }: Ready<R>): void {
    const { clock, engine, id, lease, ref } = this.operation
    const delegation = engine.lock.open(lease)
    const updateRefs = (refs: FiberRefs.FiberRefs, fiberId: Parameters<typeof FiberRefs.updateAs>[1]["fiberId"]) =>
      FiberRefs.updateAs(refs, { fiberId, fiberRef: currentMark, value: { lease, delegation } })
    const context = new CallContext(call.id, ref.id, ref.incarnation, id, ref.cwd, this.runtime, updateRefs)
    const { deadline: own = Number.NaN } = handled
    const deadline = clock.unsafeCurrentTimeMillis() + (Number.isNaN(own) ? this.limits.toolDeadline : own)
    const running: Running = {
      call,
      context,
      delegation,
      deadline,
      again: handled.again,
      fiber: undefined,
      abortedAt: undefined,
      abandoned: false
    }
    this.running.add(running)
    const handler = toolSpan(
      this.fiber,
      call,
      Effect.withFiberRuntime<unknown, ToolProblem, R>((fiber) => {
        context.services = fiber.currentContext
        return handled.handle(context)
      })
    )
    // A fiber that fails has its cause logged, in which a secret may stand.
    running.fiber = Runtime.runFork(this.runtime, Effect.exit(handler), { updateRefs })
    running.fiber.addObserver((ended) => {
      const exit = Exit.flatten(ended)
      context.end()
      // A call has ended when what it was admitted for has.
      if (engine.lock.shut(delegation)) return this.onEnd(running, exit)
      Runtime.runFork(this.runtime, engine.lock.close(delegation)).addObserver(() => this.onEnd(running, exit))
    })
  }

  private onEnd(running: Running, exit: Exit.Exit<unknown, ToolProblem>): void {
    if (running.abandoned) return this.noteLate(running, exit)
    this.running.delete(running)
    this.ended.push([running, exit])
    this.wake?.()
  }

  /** Waits until a handler ends or passes its deadline. Interruption here is that of the operation. */
  private wait(): Effect.Effect<void, StoreError> {
    let first = Number.POSITIVE_INFINITY
    for (const { deadline } of this.running) if (deadline < first) first = deadline
    return Effect.matchCauseEffect(this.restore(this.until(first)), {
      onFailure: (cause) => this.cut(cause),
      onSuccess: () => this.step()
    })
  }

  /** Completes when a handler has ended or the time has come. */
  private until(time: number): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      if (this.ended.length > 0) return resume(Effect.void)
      this.wake = () => {
        this.wake = undefined
        resume(Effect.void)
      }
      this.operation.watch(time, () => this.wake?.())
    })
  }

  /** Entries for handlers that have ended, and for those past their deadline, which are left behind. */
  private recordEnded(): Array<Draft.Draft> {
    const drafts: Array<Draft.Draft> = []
    for (const [{ again, call }, exit] of this.ended) {
      const end = this.settledBy(call, exit)
      // The engine ends: whoever resumes the operation goes on with it.
      if (again && Exit.isInterrupted(exit) && isShutdown(this.operation.lease)) tellUnstored(this.operation, [end])
      else drafts.push(end)
    }
    this.ended = []
    if (this.running.size === 0) return drafts
    const now = this.operation.clock.unsafeCurrentTimeMillis()
    for (const running of this.running) {
      if (running.deadline > now) continue
      this.abandon(running)
      drafts.push(this.settled(running.call, "deadline", explain("deadline")))
    }
    return drafts
  }

  /** Ends a call's right of entry and stops waiting for its handler, which is interrupted all the same. */
  private abandon(running: Running): void {
    running.abandoned = true
    this.running.delete(running)
    this.abort(running)
    // What was admitted through it is interrupted now, and awaited before the operation's end is written.
    const { engine, leaving } = this.operation
    const closing = Runtime.runFork(this.runtime, engine.lock.close(running.delegation))
    leaving.add(closing)
    closing.addObserver(() => leaving.delete(closing))
  }

  /** Tells a handler to end. */
  private abort(running: Running): void {
    if (running.abortedAt !== undefined) return
    running.abortedAt = this.operation.clock.unsafeCurrentTimeMillis()
    running.context.abort()
    running.fiber?.unsafeInterruptAsFork(this.fiber.id())
  }

  /** Interrupts the handlers and gives them the grace to end. */
  stop(): Effect.Effect<void> {
    return Effect.suspend(() => {
      for (const running of this.running) this.abort(running)
      return this.drain(this.operation.clock.unsafeCurrentTimeMillis() + this.limits.toolGrace)
    })
  }

  private drain(end: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.running.size === 0) return Effect.void
      if (this.operation.clock.unsafeCurrentTimeMillis() >= end) {
        for (const running of [...this.running]) {
          this.abandon(running)
          this.ended.push([running, Exit.interrupt(this.fiber.id())])
        }
        return Effect.void
      }
      const before = this.ended
      this.ended = []
      return Effect.flatMap(this.until(end), () => {
        this.ended = [...before, ...this.ended]
        return this.drain(end)
      })
    })
  }

  /** The operation was interrupted: every call that is not settled gets an entry that says how it ended. */
  private cut(cause: Cause.Cause<never>): Effect.Effect<void, StoreError> {
    return Effect.flatMap(this.stop(), () => {
      const drafts = this.recordEnded()
      const notRun = isShutdown(this.operation.lease) ? [] : this.calls.slice(this.next)
      for (const call of [...this.unbegun, ...notRun]) {
        drafts.push(this.settled(call, "not-run", explain("not-run")))
      }
      return Effect.zipRight(drafts.length === 0 ? Effect.void : this.operation.append(drafts), Effect.failCause(cause))
    })
  }

  private settledBy(call: ToolCallPart, exit: Exit.Exit<unknown, ToolProblem>): Draft.Draft {
    if (Exit.isSuccess(exit)) {
      if (isContent(exit.value)) return this.settledWith(call, exit.value)
      const result = textOf(exit.value)
      return "text" in result
        ? this.settled(call, "success", result.text)
        : this.settled(call, "failure", result.problem)
    }
    const failure = Cause.failureOption(exit.cause)
    // A tool that was not made by `Tool.make` may fail with what is none.
    if (failure._tag === "Some") return this.settled(call, "failure", textOfProblem(failure.value))
    if (Cause.isInterrupted(exit.cause)) return this.settled(call, "interrupted", explain("interrupted"))
    return this.settled(call, "failure", describe(Cause.squash(exit.cause)))
  }

  private settledWith(call: ToolCallPart, value: Content): Draft.Draft {
    const it = contentOf(value, this.limits.toolResult)
    if ("problem" in it) return this.settled(call, "failure", it.problem)
    this.unsettled--
    return Draft.toolSettled(call.id, call.name, "success", it.text, it.cutFrom, it.content)
  }

  private repeated(
    { id, name }: ToolCallPart,
    { content, cutFrom, id: place, outcome, result }: Recorded
  ): Draft.Draft {
    this.unsettled--
    return Draft.toolSettled(id, name, outcome, result, cutFrom, content, place)
  }

  private settled(call: ToolCallPart, outcome: ToolOutcome, text: string): Draft.Draft {
    this.unsettled--
    const { cutFrom, text: result } = fit(text, this.limits.toolResult)
    return Draft.toolSettled(call.id, call.name, outcome, result, cutFrom)
  }

  /** Tells that a handler that was given up has ended, unless it did what interruption asks for, and in time. */
  private noteLate({ abortedAt = 0, call }: Running, exit: Exit.Exit<unknown, unknown>): void {
    const { clock, engine, id, ref } = this.operation
    const at = clock.unsafeCurrentTimeMillis()
    if (Exit.isInterrupted(exit) && at < abortedAt + this.limits.toolGrace) return
    engine.events.publish({ _tag: "ToolLate", session: ref.id, at, operationId: id, callId: call.id, name: call.name })
  }
}

const textOfProblem = (problem: ToolProblem | null | undefined): string => problem?.text ?? describe(problem)

const tooMany = (limit: number) => ({
  _tag: "Refused" as const,
  text: `Only the first ${limit} calls of a turn are run. Call this tool again in your next turn.`
})
