/**
 * What a bounded queue of events holds: the newest, and how many older ones it had to let go.
 */
import * as Chunk from "effect/Chunk"
import * as MutableQueue from "effect/MutableQueue"
import * as Queue from "effect/Queue"
import type { Event } from "../../services/Event.js"
import type { Lost } from "../../services/Events.js"

export class Newest implements Queue.BackingQueue<Event | Lost> {
  readonly [Queue.BackingQueueTypeId] = { _A: (event: Event | Lost) => event }
  private readonly held: MutableQueue.MutableQueue<Event | Lost>
  private lost = 0

  constructor(capacity: number) {
    this.held = MutableQueue.bounded(Math.max(1, Math.trunc(capacity) || 1))
  }

  poll<Def>(def: Def): Event | Lost | Def {
    if (this.lost === 0) return MutableQueue.poll(this.held, def)
    const count = this.lost
    this.lost = 0
    return { _tag: "Lost", count }
  }

  pollUpTo(limit: number): Chunk.Chunk<Event | Lost> {
    const polled: Array<Event | Lost> = []
    while (polled.length < limit && this.length() > 0) {
      const next = this.poll(undefined)
      if (next !== undefined) polled.push(next)
    }
    return Chunk.unsafeFromArray(polled)
  }

  offer(event: Event | Lost): boolean {
    while (!MutableQueue.offer(this.held, event)) {
      MutableQueue.poll(this.held, undefined)
      this.lost++
    }
    return true
  }

  offerAll(events: Iterable<Event | Lost>): Chunk.Chunk<Event | Lost> {
    for (const event of events) this.offer(event)
    return Chunk.empty()
  }

  capacity(): number {
    return MutableQueue.capacity(this.held)
  }

  length(): number {
    return MutableQueue.length(this.held) + (this.lost > 0 ? 1 : 0)
  }
}
