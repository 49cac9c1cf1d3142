/**
 * What happened in an engine, for assertions.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { Event } from "../../services/Event.js"
import { Events } from "../../services/Events.js"

export { unpaired } from "../../services/testing/EventPairs.js"

type Of<T extends Event["_tag"]> = Extract<Event, { readonly _tag: T }>

export class Recorder extends Context.Tag("baton/testing/Recorder")<
  Recorder,
  {
    /** Everything that was published so far, in order; a copy. Waits for nothing but what is on its way already. */
    readonly events: Effect.Effect<ReadonlyArray<Event>>

    /**
     * The earliest event of a tag, and of which `where` holds, that was not taken before; waits for it where there is
     * none yet. Each event is taken once. Interruption while waiting takes nothing.
     */
    readonly take: <T extends Event["_tag"]>(tag: T, where?: (event: Of<T>) => boolean) => Effect.Effect<Of<T>>
  }
>() {}

/** Records from now on until the scope ends. */
export const make: Effect.Effect<Context.Tag.Service<Recorder>, never, Events | Scope.Scope> = Effect.gen(function* () {
  const queue = yield* (yield* Events).subscribe()
  const seen: Array<Event> = []
  const taken = new Set<Event>()
  /** Each looks at what is new; `true` when it has what it waits for. */
  const waiting = new Set<() => boolean>()
  const tell = (): void => {
    for (const look of [...waiting]) if (look()) waiting.delete(look)
  }

  // One fiber takes from the queue, so that events are seen in the order of the queue whoever waits.
  yield* Effect.forkScoped(
    Effect.forever(
      Effect.map(Queue.take(queue), (event) => {
        seen.push(event)
        tell()
      })
    )
  )

  // Less than nothing is in the queue while its taker waits: all that was published has been seen.
  const caughtUp = (): boolean => Option.getOrElse(queue.unsafeSize(), () => -1) < 0
  const catchUp: Effect.Effect<void> = Effect.suspend(() =>
    caughtUp() ? Effect.void : Effect.zipRight(Effect.yieldNow(), catchUp)
  )

  return {
    events: Effect.map(Effect.zipRight(Effect.yieldNow(), catchUp), () => [...seen]),
    take: <T extends Event["_tag"]>(tag: T, where: (event: Of<T>) => boolean = () => true) =>
      Effect.async<Of<T>>((resume) => {
        const look = (): boolean => {
          try {
            const event = seen.find((it): it is Of<T> => it._tag === tag && !taken.has(it) && where(it as Of<T>))
            if (event === undefined) return false
            taken.add(event)
            resume(Effect.succeed(event))
          } catch (defect) {
            resume(Effect.die(defect))
          }
          return true
        }
        if (!look()) waiting.add(look)
        return Effect.sync(() => {
          waiting.delete(look)
        })
      })
  }
})

/** A recorder of the engine below, for as long as the layer. */
export const layer: Layer.Layer<Recorder, never, Events> = Layer.scoped(Recorder, make)
