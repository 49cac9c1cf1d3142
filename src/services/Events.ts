/**
 * Who hears what happens.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { Event } from "./Event.js"
import { copy } from "./Json.js"

export class Events extends Context.Tag("baton/Events")<
  Events,
  {
    /**
     * Hands an event to everyone who follows its session or the engine, to each a copy of its own and in the order of
     * publication. Synchronous; never waits and never fails. What a listener publishes is heard by everyone after the
     * event that it is listening to.
     */
    readonly publish: (event: Event) => void

    /** Whether anyone would hear an event of the session. */
    readonly heard: (session: string) => boolean

    /**
     * Calls a function with every event of one session, or of all where it is `undefined`, from now on until the scope
     * closes. The call is made while the event is published, so it costs least and what it does holds the publisher
     * up: slow work belongs to a queue or a Stream. One that throws, or gives a promise that is rejected, hurts nobody
     * and goes on hearing; it is told as a warning on the log of whoever listens, the 1st, 2nd, 4th, 8th … time.
     */
    readonly listen: (
      session: string | undefined,
      listener: (event: Event) => void
    ) => Effect.Effect<void, never, Scope.Scope>

    /**
     * Follows one session, or all of the engine's where none is named, from now on. A slow reader delays nobody else:
     * the queue is unbounded, or holds the newest `capacity` events (at least one), and `Lost` stands in place of those
     * that it had to let go. It is shut down when the scope closes.
     */
    readonly subscribe: {
      (session?: string): Effect.Effect<Queue.Dequeue<Event>, never, Scope.Scope>
      (
        session: string | undefined,
        options: { readonly capacity: number }
      ): Effect.Effect<Queue.Dequeue<Event | Lost>, never, Scope.Scope>
    }
  }
>() {}

/** Stands before the oldest event of a bounded queue whose reader was too slow: how many were let go before it. */
export interface Lost {
  readonly _tag: "Lost"
  readonly count: number
}

/** A copy that shares nothing which could be changed. */
export const copyOf = (event: Event): Event => {
  const own: Record<string, unknown> & Event = { ...event }
  for (const key in own) if (typeof own[key] === "object") own[key] = copy(own[key])
  return own
}
