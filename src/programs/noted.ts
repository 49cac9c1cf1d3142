/**
 * The frame of what holds a session and is no operation: it stores one write, and gives the session back.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Conversation } from "../services/Conversation.js"
import type { Draft } from "../services/Draft.js"
import type { StoreError } from "../services/Errors.js"
import type { Journal } from "../services/History.js"
import type { HoldKind, OnBusy } from "../services/Operation.js"
import type { SessionRef } from "../services/Session.js"
import { type Engine, engineOf, type Needs } from "./engine.js"
import { isBehind } from "./log.js"
import { firstPause, type FrameError, leftOf, tryAgain } from "./operation.js"

/** What is to be written, if anything is. */
export interface Note<A, E> {
  readonly drafts: ReadonlyArray<Draft>
  /** The conversation that the drafts move the head to (`History.at`). */
  readonly moved?: Conversation | undefined
  /** Run when it is stored, or at once where nothing is to be; the session is held meanwhile. */
  readonly after: Effect.Effect<A, E>
}

export interface NoteSpec {
  readonly kind: Extract<HoldKind, "move" | "label">
  readonly onBusy?: OnBusy | undefined
}

/**
 * Asks for the session, finds out what is to be written, writes it, and gives the session back. What another engine left
 * unfinished there is resumed before it. `look` is asked anew each time that the write is tried. Interruption before the
 * write leaves nothing behind; the write itself is not interrupted.
 */
export const noted = <A, E>(
  ref: SessionRef<unknown>,
  spec: NoteSpec,
  look: (engine: Engine, journal: Journal) => Effect.Effect<Note<A, E>, E | StoreError>
): Effect.Effect<A, E | FrameError, Needs> =>
  Effect.withFiberRuntime<A, E | FrameError, Needs>((caller) => {
    const engine = engineOf(caller, ref.context)
    const clock = Context.unsafeGet(caller.currentDefaultServices, Clock.Clock)
    const operationId = engine.ids.unsafeNext()
    const asked = clock.unsafeCurrentTimeMillis()
    const { history } = engine
    type Ended = Effect.Effect<A | Unfinished, E | FrameError>
    const use = Effect.uninterruptibleMask((restore) => {
      const start = (pause: number): Ended =>
        Effect.matchCauseEffect(restore(Effect.suspend(() => history.begin(ref.id, ref.incarnation, ref.journal))), {
          onFailure: (cause) => tryAgain(engine, clock, spec, asked, restore, cause, pause, start),
          onSuccess: (journal): Ended => {
            ref.journal = journal
            if (journal.running !== null) return Effect.succeed(unfinished)
            return Effect.matchCauseEffect(restore(look(engine, journal)), {
              onFailure: (cause) => (isBehind(cause) ? start(pause) : Effect.failCause(cause)),
              onSuccess: (note) => write(journal, note, pause)
            })
          }
        })
      const write = (journal: Journal, { drafts, moved, after }: Note<A, E>, pause: number): Ended => {
        if (drafts.length === 0) return restore(after)
        journal.start(operationId)
        return Effect.matchCauseEffect(history.note(journal, operationId, drafts, { moved }), {
          onFailure: (cause) => tryAgain(engine, clock, spec, asked, restore, cause, pause, start),
          onSuccess: () => restore(after)
        })
      }
      return start(firstPause)
    })
    const held = engine.lock.hold(
      { session: ref.id, kind: spec.kind, operationId, onBusy: spec.onBusy, baseDepth: ref.depth },
      () => use,
      { onIdle: () => engine.events.publish({ _tag: "Idle", session: ref.id, at: clock.unsafeCurrentTimeMillis() }) }
    )
    return Effect.flatMap(held, (result): Effect.Effect<A, E | FrameError, Needs> => {
      if (result !== unfinished) return Effect.succeed(result as A)
      const { started } = engine.recovery.resume(ref, ref.journal!.running!, "wait")
      return Effect.flatMap(started, () => {
        const onBusy = leftOf(spec.onBusy, clock.unsafeCurrentTimeMillis() - asked)
        return noted(ref, { ...spec, onBusy }, look)
      })
    })
  })

/** An operation is unfinished in the session, and nobody runs it. */
const unfinished = Symbol("baton/noted/unfinished")
type Unfinished = typeof unfinished
