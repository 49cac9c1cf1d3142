/**
 * Deadlines: something is called when its time has come.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"

/** Something to be called when its time has come, once for each time that it is set. */
export class Alarm {
  /** In milliseconds since the epoch; never, while it is not set. */
  due = Number.POSITIVE_INFINITY
  /** When it was set. */
  since = 0
  /** Synchronous; must not throw. */
  fire: () => void

  constructor(fire: () => void) {
    this.fire = fire
  }
}

export class Alarms extends Context.Tag("baton/Alarms")<
  Alarms,
  {
    /**
     * Sets an alarm for a time of the clock, in milliseconds since the epoch, in place of the time that it had.
     * Setting costs next to nothing, so that every model request and tool call can have a deadline: one fiber of the
     * engine sleeps for all of them. A time in the past comes at the next chance, not at once.
     */
    readonly set: (clock: Clock.Clock, alarm: Alarm, due: number) => void

    /** The alarm does not fire any more. */
    readonly unset: (clock: Clock.Clock, alarm: Alarm) => void
  }
>() {}
