/**
 * Who hears what happens.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { Event } from "./Event.js"

export class Events extends Context.Tag("baton/Events")<
  Events,
  {
    /** Hands an event to everyone who follows its session or the engine. Synchronous; never waits and never fails. */
    readonly publish: (event: Event) => void

    /** Whether anyone would hear an event of the session. */
    readonly heard: (session: string) => boolean

    /**
     * Follows one session, or all of the engine's where none is named, from now on. The queue is unbounded: a slow
     * reader delays nobody else. It ends with the scope.
     */
    readonly subscribe: (session?: string) => Effect.Effect<Queue.Dequeue<Event>, never, Scope.Scope>
  }
>() {}
