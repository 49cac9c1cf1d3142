/**
 * Virtual time.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** A clock that stands still until it is told to go on. */
export class SteppedClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  private now = 0
  private readonly sleepers: Array<{ readonly at: number; readonly wake: () => void }> = []

  unsafeCurrentTimeMillis(): number {
    return this.now
  }

  unsafeCurrentTimeNanos(): bigint {
    return BigInt(this.now) * 1_000_000n
  }

  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.unsafeCurrentTimeMillis())
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.unsafeCurrentTimeNanos())

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const sleeper = { at: this.now + Duration.toMillis(duration), wake: () => resume(Effect.void) }
      this.sleepers.push(sleeper)
      return Effect.sync(() => {
        const index = this.sleepers.indexOf(sleeper)
        if (index >= 0) this.sleepers.splice(index, 1)
      })
    })
  }

  /** Goes on to the earliest sleeper and wakes it; `false` if nobody sleeps. */
  jump(): boolean {
    let first = 0
    for (let i = 1; i < this.sleepers.length; i++) if (this.sleepers[i]!.at < this.sleepers[first]!.at) first = i
    const [sleeper] = this.sleepers.splice(first, 1)
    if (sleeper === undefined) return false
    this.now = Math.max(this.now, sleeper.at)
    sleeper.wake()
    return true
  }
}
