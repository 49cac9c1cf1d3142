/**
 * A text that joins the prompt that runs in its session.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type { UserPart } from "../services/Entry.js"
import type { SessionDeadlock } from "../services/Errors.js"
import type { Input, When } from "../services/Inbox.js"
import type { Delivered, SessionRef } from "../services/Session.js"
import { engineOf, type Needs } from "./engine.js"

/**
 * Puts a text into the inbox of its session and stands in line with it at the same time. Whichever comes first: a prompt
 * that runs takes it out, or the session is free and the text is prompted by itself. So it is never lost, and never
 * said twice.
 *
 * Where standing in line would be waiting for oneself, it completes when a prompt is sure to look into the inbox again.
 */
export const join = <A, E, R>(
  ref: SessionRef<unknown>,
  content: ReadonlyArray<UserPart>,
  when: When,
  prompt: (instead: () => Effect.Effect<Delivered> | undefined) => Effect.Effect<A | Delivered, E | SessionDeadlock, R>
): Effect.Effect<A | Delivered, E | SessionDeadlock, R | Needs> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime<A | Delivered, E | SessionDeadlock, R | Needs>((fiber) => {
      const { inbox } = engineOf(fiber, ref.context)
      let delivered: Delivered | undefined
      let tell: (() => void) | undefined
      const input: Input = {
        content,
        when,
        promised: false,
        onDelivered: (operationId) => {
          delivered = { _tag: "Delivered", operationId }
          tell?.()
        }
      }
      const withdraw = () => inbox.withdraw(ref.incarnation, input)
      // Whoever took it out before was done with it before it gave the session back.
      const alone = prompt(() =>
        withdraw() ? undefined : delivered === undefined ? Effect.interrupt : Effect.succeed(delivered)
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
      const answer = (exit: Exit.Exit<A | Delivered, E | SessionDeadlock>) => {
        if (delivered !== undefined) return Effect.succeed(delivered)
        if (exit._tag === "Failure") {
          const reader = inbox.reader(ref.incarnation)
          // It stays in the inbox.
          if (reader !== undefined && isDeadlock(exit.cause)) {
            input.promised = true
            return Effect.succeed<Delivered>({ _tag: "Delivered", operationId: reader })
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
