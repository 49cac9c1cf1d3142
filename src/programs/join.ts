/**
 * A text that joins the prompt that runs in its session.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type { SessionDeadlock, StoreError } from "../services/Errors.js"
import type { Input } from "../services/Inbox.js"
import type { Delivered, SessionRef } from "../services/Session.js"
import { type Engine, engineOf, type Needs } from "./engine.js"

/**
 * Puts a text into the inbox of its session and stands in line with it at the same time. Whichever comes first: a prompt
 * that runs takes it out, or the session is free and the text is prompted by itself. So it is never lost, and never
 * said twice.
 *
 * Where standing in line would be waiting for oneself, it completes when a prompt is sure to look into the inbox again.
 */
export const join = <A, E, R>(
  ref: SessionRef<unknown>,
  joining: Joining,
  prompt: (
    instead: () => Effect.Effect<Delivered> | undefined,
    again: () => void
  ) => Effect.Effect<A | Delivered, E | SessionDeadlock, R>
): Effect.Effect<A | Delivered, E | SessionDeadlock | StoreError, R | Needs> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime<A | Delivered, E | SessionDeadlock | StoreError, R | Needs>((fiber) => {
      const engine = engineOf(fiber, ref.context)
      const { inbox } = engine
      const { asked, content, id, when } = joining
      const clock = Context.unsafeGet(fiber.currentDefaultServices, Clock.Clock)
      let delivered: Delivered | undefined
      let tell: (() => void) | undefined
      const input: Input = {
        content,
        when,
        id,
        storing: undefined,
        asked,
        // What lies in the store's inbox was acknowledged.
        promised: id !== undefined,
        onDelivered: (operationId) => {
          delivered = { _tag: "Delivered", operationId }
          tell?.()
        }
      }
      const withdraw = () => inbox.withdraw(ref.incarnation, input)
      // Whoever took it out before was done with it before it gave the session back.
      const alone = prompt(
        () => (withdraw() ? undefined : delivered === undefined ? Effect.interrupt : Effect.succeed(delivered)),
        // A prompt is resumed before it, which it can join.
        () => inbox.put(ref.incarnation, input)
      )
      inbox.put(ref.incarnation, input)
      const runtime = Runtime.make({
        context: fiber.currentContext as typeof fiber.currentContext & Parameters<typeof Runtime.make<R>>[0]["context"],
        runtimeFlags: Runtime.defaultRuntimeFlags,
        fiberRefs: fiber.getFiberRefs()
      })
      // Begun in this very step: around a promise, only who is called in it knows where the call comes from.
      const asking = Runtime.runFork(runtime, alone)
      const first = Effect.async<void>((resume) => {
        const go = () => resume(Effect.void)
        if (delivered !== undefined) return go()
        tell = go
        asking.addObserver(go)
      })
      const answer = (
        exit: Exit.Exit<A | Delivered, E | SessionDeadlock>
      ): Effect.Effect<A | Delivered, E | SessionDeadlock | StoreError> => {
        if (delivered !== undefined) return Effect.succeed(delivered)
        if (exit._tag === "Failure") {
          const reader = inbox.reader(ref.incarnation)
          if (reader !== undefined && isDeadlock(exit.cause)) {
            return promise(engine, ref, input, clock.unsafeCurrentTimeMillis(), reader)
          }
          withdraw()
        }
        return exit
      }
      return Effect.matchCauseEffect(restore(first), {
        onSuccess: () => Effect.flatMap(ended(asking, delivered !== undefined), answer),
        onFailure: (cause) => {
          withdraw()
          return Effect.zipRight(ended(asking, true), Effect.failCause(cause))
        }
      })
    })
  )

/** An input that is to join a prompt. */
export interface Joining extends Pick<Input, "content" | "when" | "asked"> {
  /** Its id in the store's inbox, where it lies there. */
  readonly id?: string | undefined
}

/** Puts an input into the store's inbox too, where it survives this process. In the prompt's it keeps its place. */
const promise = (
  { ids, inbox, store }: Engine,
  ref: SessionRef<unknown>,
  input: Input,
  at: number,
  reader: string
): Effect.Effect<Delivered, StoreError> => {
  const { asked, content, when } = input
  const id = input.id ?? ids.unsafeNext()
  const item = { id, operationId: asked?.operationId ?? id, key: asked?.key, when, content, request: undefined, at }
  const stored = Deferred.unsafeMake<void>(FiberId.none)
  input.id = id
  input.storing = Deferred.await(stored)
  input.promised = true
  const over = (now: string | undefined): void => {
    input.id = now
    input.storing = undefined
    Deferred.unsafeDone(stored, Effect.void)
  }
  return Effect.matchCauseEffect(store.put(ref, item), {
    onFailure: (cause) => {
      over(undefined)
      inbox.withdraw(ref.incarnation, input)
      return Effect.failCause(cause)
    },
    onSuccess: () => {
      over(id)
      return Effect.succeed({ _tag: "Delivered", operationId: reader })
    }
  })
}

/** How a fiber ends, which is interrupted if it has nothing left to do. */
const ended = <A, E>(fiber: Fiber.RuntimeFiber<A, E>, interrupt: boolean): Effect.Effect<Exit.Exit<A, E>> =>
  Effect.async((resume) => {
    fiber.addObserver((exit) => resume(Effect.succeed(exit)))
    if (interrupt) fiber.unsafeInterruptAsFork(fiber.id())
  })

const isDeadlock = (cause: Cause.Cause<unknown>): boolean =>
  Option.exists(
    Cause.failureOption(cause),
    (error) => typeof error === "object" && error !== null && "_tag" in error && error._tag === "SessionDeadlock"
  )
