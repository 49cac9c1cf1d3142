/**
 * Events that wait for a Stream to be pulled.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Duration from "effect/Duration"
import type { Event } from "../services/Event.js"

export class Arrivals {
  private events: Array<Event> = []
  private wake: (() => void) | undefined
  /** When events were last taken out, by the Clock in milliseconds. */
  private taken = Number.NEGATIVE_INFINITY

  add(event: Event): void {
    this.events.push(event)
    this.wake?.()
  }

  /**
   * Waits for an event, then takes out all that there are. A chunk costs a Stream as much as dozens of events do, and
   * text comes faster than that: what follows within a millisecond of the chunk before waits for the event loop to
   * turn, and comes with what arrived until then. One reader at a time; interrupting it leaves the events where they
   * are.
   */
  readonly take: Effect.Effect<Chunk.Chunk<Event>> = Effect.zipRight(
    Effect.async<void>((resume) => {
      if (this.events.length > 0) return resume(Effect.void)
      this.wake = () => {
        this.wake = undefined
        resume(Effect.void)
      }
      return Effect.sync(() => {
        this.wake = undefined
      })
    }),
    Effect.clockWith((clock) => {
      const takeOut = Effect.sync(() => {
        this.taken = clock.unsafeCurrentTimeMillis()
        const { events } = this
        this.events = []
        return Chunk.unsafeFromArray(events)
      })
      return clock.unsafeCurrentTimeMillis() === this.taken
        ? Effect.zipRight(clock.sleep(Duration.zero), takeOut)
        : takeOut
    })
  )
}
