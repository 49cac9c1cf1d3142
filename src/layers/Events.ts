/**
 * Events in this process: a queue for each subscriber, nothing where nobody listens.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type { Event } from "../services/Event.js"
import { Events } from "../services/Events.js"

export const layer: Layer.Layer<Events> = Layer.sync(Events, () => {
  const everyone = new Set<Queue.Queue<Event>>()
  const bySession = new Map<string, Set<Queue.Queue<Event>>>()

  const join = (session: string | undefined, queue: Queue.Queue<Event>) => {
    if (session === undefined) return everyone.add(queue)
    const own = bySession.get(session)
    return own === undefined ? bySession.set(session, new Set([queue])) : own.add(queue)
  }

  const leave = (session: string | undefined, queue: Queue.Queue<Event>) => {
    if (session === undefined) return everyone.delete(queue)
    const own = bySession.get(session)
    own?.delete(queue)
    return own?.size === 0 && bySession.delete(session)
  }

  return {
    publish: (event) => {
      for (const queue of everyone) queue.unsafeOffer(event)
      const own = bySession.get(event.session)
      if (own !== undefined) for (const queue of own) queue.unsafeOffer(event)
    },
    heard: (session) => everyone.size > 0 || bySession.has(session),
    subscribe: (session) =>
      Effect.acquireRelease(
        Effect.tap(Queue.unbounded<Event>(), (queue) => Effect.sync(() => join(session, queue))),
        (queue) =>
          Effect.zipRight(
            Effect.sync(() => leave(session, queue)),
            Queue.shutdown(queue)
          )
      )
  }
})
