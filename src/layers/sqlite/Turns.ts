/**
 * Who has the connection: one at a time, first come, first served.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Line, type Place } from "../lock/Line.js"

interface Waiter extends Place {
  granted: boolean
  resume: (() => void) | undefined
}

export class Turns {
  private taken = false
  private readonly line = new Line<Waiter>()

  /** Whether somebody has it. */
  get isTaken(): boolean {
    return this.taken
  }

  /** Takes it if it is free and nobody waits. */
  tryTake(): boolean {
    if (this.taken) return false
    return (this.taken = true)
  }

  /** Hands it on to the next in line. */
  give(): void {
    const next = this.line.shift()
    if (next === undefined) {
      this.taken = false
      return
    }
    next.granted = true
    next.resume?.()
  }

  /** Waits for it. Whoever is interrupted while waiting has left the line. To be run where nothing interrupts. */
  take(restore: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.tryTake()) return Effect.void
      const waiter: Waiter = { granted: false, resume: undefined, prev: undefined, next: undefined }
      this.line.push(waiter)
      const granted = Effect.async<void>((resume) => {
        if (waiter.granted) resume(Effect.void)
        else waiter.resume = () => resume(Effect.void)
      })
      return Effect.onExit(restore(granted), (exit) =>
        Effect.sync(() => {
          if (Exit.isSuccess(exit)) return
          // An interruption in the instant of the grant: the turn goes on to the next.
          if (waiter.granted) this.give()
          else this.line.remove(waiter)
        })
      )
    })
  }

  /** Waits for it, and has it during `use`. */
  during<A, E>(use: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.zipRight(
        this.take(restore),
        Effect.ensuring(
          restore(use),
          Effect.sync(() => this.give())
        )
      )
    )
  }
}
