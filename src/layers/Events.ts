/**
 * Events in this process: a call for each subscriber, nothing where nobody listens.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type { Event } from "../services/Event.js"
import { Events, type Lost } from "../services/Events.js"
import { Listener } from "./events/Listener.js"
import { Newest } from "./events/Newest.js"

type Service = typeof Events.Service

type Listeners = ReadonlyArray<Listener>

/** An event, and who followed when it was published. */
interface Publication {
  readonly event: Event
  readonly everyone: Listeners
  readonly own: Listeners
}

const nobody: Listeners = []

export const layer: Layer.Layer<Events> = Layer.sync(Events, () => {
  // The arrays are replaced and never changed, so that a publication keeps those that it was made for.
  let everyone = nobody
  const bySession = new Map<string, Listeners>()
  const waiting: Array<Publication> = []
  let handingOut = false

  const change = (session: string | undefined, by: (listeners: Listeners) => Listeners): void => {
    if (session === undefined) {
      everyone = by(everyone)
      return
    }
    const own = by(bySession.get(session) ?? nobody)
    if (own.length === 0) bySession.delete(session)
    else bySession.set(session, own)
  }

  const publish: Service["publish"] = (event) => {
    const own = bySession.get(event.session) ?? nobody
    if (everyone.length === 0 && own.length === 0) return
    waiting.push({ event, everyone, own })
    // A listener published it: the others are to hear first what that one heard.
    if (handingOut) return
    handingOut = true
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        for (const listener of next.everyone) listener.hear(next.event)
        for (const listener of next.own) listener.hear(next.event)
      }
    } finally {
      handingOut = false
    }
  }

  const listen: Service["listen"] = (session, call) =>
    Effect.asVoid(
      Effect.acquireRelease(
        Effect.map(Effect.runtime<never>(), (runtime) => {
          const listener = new Listener(call, runtime)
          change(session, (listeners) => [...listeners, listener])
          return listener
        }),
        (listener) =>
          Effect.sync(() => {
            listener.left = true
            change(session, (listeners) => listeners.filter((it) => it !== listener))
          })
      )
    )

  const subscribe = (session?: string, options?: { readonly capacity: number }) =>
    Effect.flatMap(
      Effect.acquireRelease(
        options === undefined
          ? Queue.unbounded<Event | Lost>()
          : Queue.make<Event | Lost>(new Newest(options.capacity), Queue.droppingStrategy()),
        Queue.shutdown
      ),
      (queue) =>
        Effect.as(
          listen(session, (event) => queue.unsafeOffer(event)),
          queue
        )
    )

  return {
    publish,
    heard: (session) => everyone.length > 0 || bySession.has(session),
    listen,
    // Only a bounded queue holds a `Lost`.
    subscribe: subscribe as Service["subscribe"]
  }
})
