/**
 * Alarms by one sleeping fiber for each clock, which is there only while an alarm is set.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { type Alarm, Alarms } from "../services/Alarms.js"

/** The alarms of one engine. Its fiber ends with the layer. */
export const layer: Layer.Layer<Alarms> = Layer.scoped(
  Alarms,
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<Scope.Scope>()
    const scope = yield* Effect.scope
    const beats = new Map<Clock.Clock, Beat>()
    return {
      set: (clock, alarm, due) => {
        let beat = beats.get(clock)
        if (beat === undefined) {
          const sleep = (millis: number, then: () => void) =>
            Runtime.runFork(runtime, Effect.zipRight(clock.sleep(Duration.millis(millis)), Effect.sync(then)), {
              scope
            })
          beat = new Beat(clock, sleep, () => beats.delete(clock))
          beats.set(clock, beat)
        }
        beat.set(alarm, due)
      },
      unset: (clock, alarm) => {
        alarm.due = Number.POSITIVE_INFINITY
        beats.get(clock)?.unset(alarm)
      }
    }
  })
)

/**
 * How long the fiber sleeps at least, in milliseconds, where no alarm is due before. Alarms come and go by thousands
 * between two of its wakings, and one that is left alone ends within this time: a program that is done is not kept.
 */
const shortest = 1_000

class Beat {
  private readonly alarms = new Set<Alarm>()
  private fiber: Fiber.RuntimeFiber<void> | undefined
  private wakes = Number.POSITIVE_INFINITY
  private waking = false

  constructor(
    private readonly clock: Clock.Clock,
    private readonly sleep: (millis: number, then: () => void) => Fiber.RuntimeFiber<void>,
    private readonly stopped: () => void
  ) {}

  set(alarm: Alarm, due: number): void {
    const now = this.clock.unsafeCurrentTimeMillis()
    alarm.due = due
    alarm.since = now
    this.alarms.add(alarm)
    if (this.waking) return
    if (this.fiber === undefined) this.sleepUntil(Math.min(due, now + shortest), now)
    else if (due < this.wakes) {
      this.fiber.unsafeInterruptAsFork(FiberId.none)
      this.sleepUntil(due, now)
    }
  }

  /** Whom nothing waits for does not sleep on as long as it would have for an old alarm. */
  unset(alarm: Alarm): void {
    this.alarms.delete(alarm)
    if (this.alarms.size > 0 || this.fiber === undefined || this.wakes - alarm.since <= shortest) return
    const now = this.clock.unsafeCurrentTimeMillis()
    if (this.wakes - now <= shortest) return
    this.fiber.unsafeInterruptAsFork(FiberId.none)
    this.sleepUntil(now + shortest, now)
  }

  private sleepUntil(time: number, now: number): void {
    this.wakes = time
    this.fiber = this.sleep(Math.max(0, time - now), () => this.wake())
  }

  private wake(): void {
    this.fiber = undefined
    this.waking = true
    const now = this.clock.unsafeCurrentTimeMillis()
    try {
      for (const alarm of [...this.alarms]) {
        if (alarm.due > now) continue
        this.alarms.delete(alarm)
        alarm.due = Number.POSITIVE_INFINITY
        alarm.fire()
      }
    } finally {
      this.waking = false
    }
    if (this.alarms.size === 0) return this.stopped()
    let due = Number.POSITIVE_INFINITY
    let oldest = now
    for (const alarm of this.alarms) {
      if (alarm.due < due) due = alarm.due
      if (alarm.since < oldest) oldest = alarm.since
    }
    // Each sleep as long as the oldest alarm is old: a long wait takes few of them.
    this.sleepUntil(Math.min(due, now + Math.max(shortest, now - oldest)), now)
  }
}
