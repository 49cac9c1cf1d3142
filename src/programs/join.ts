/**
 * A text that joins the prompt that runs in its session.
 */
import * as Effect from "effect/Effect"
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
  Effect.withFiberRuntime<A | Delivered, E | SessionDeadlock, R | Needs>((fiber) => {
    const { inbox } = engineOf(fiber, ref.context)
    let by: string | undefined
    let tell: ((by: string) => void) | undefined
    const input: Input = {
      content,
      when,
      onDelivered: (operationId) => {
        by = operationId
        tell?.(operationId)
      }
    }
    const withdraw = () => inbox.withdraw(ref.incarnation, input)
    const delivered = Effect.async<Delivered>((resume) => {
      tell = (operationId) => resume(Effect.succeed({ _tag: "Delivered", operationId }))
      if (by !== undefined) tell(by)
    })
    // Whoever took it out before was done with it before it gave the session back.
    const alone = prompt(() => (withdraw() ? undefined : delivered))
    return Effect.suspend(() => {
      inbox.put(ref.incarnation, input)
      return Effect.raceFirst(delivered, alone)
    }).pipe(
      Effect.catchIf(isDeadlock, (error) => {
        const reader = inbox.reader(ref.incarnation)
        // It stays in the inbox.
        if (reader !== undefined) return Effect.succeed<Delivered>({ _tag: "Delivered", operationId: reader })
        withdraw()
        return Effect.fail(error)
      }),
      Effect.onError(() => Effect.sync(withdraw))
    )
  })

const isDeadlock = (error: unknown): error is SessionDeadlock =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "SessionDeadlock"
