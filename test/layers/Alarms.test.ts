/**
 * Alarms fire when their time has come, once, and one fiber sleeps for all of them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, TestClock } from "effect"
import * as AlarmsLayer from "../../src/layers/Alarms.js"
import { Alarm, Alarms } from "../../src/services/Alarms.js"

/** Alarms that note the time at which they fire. */
const make = Effect.gen(function* () {
  const alarms = yield* Alarms
  const clock = yield* Effect.clock
  const fired: Array<readonly [name: string, at: number]> = []
  const alarm = (name: string) => new Alarm(() => fired.push([name, clock.unsafeCurrentTimeMillis()]))
  const set = (it: Alarm, due: number) => alarms.set(clock, it, due)
  const unset = (it: Alarm) => alarms.unset(clock, it)
  return { alarm, clock, fired, set, unset }
})

describe("alarms", () => {
  it.effect("fire once, each at its own time; an earlier one is not waited past", () =>
    Effect.gen(function* () {
      const { alarm, fired, set } = yield* make
      set(alarm("late"), 90_000)
      set(alarm("soon"), 700)
      set(alarm("sooner"), 300)
      set(alarm("between"), 2_500)
      yield* TestClock.adjust("300 millis")
      assert.deepStrictEqual(fired, [["sooner", 300]])
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(fired.slice(1), [
        ["soon", 700],
        ["between", 2_500],
        ["late", 90_000]
      ])
    }).pipe(Effect.provide(AlarmsLayer.layer))
  )

  it.effect("fire no more when they are unset, and then at the last time that was set", () =>
    Effect.gen(function* () {
      const { alarm, fired, set, unset } = yield* make
      const [gone, moved] = [alarm("gone"), alarm("moved")]
      set(gone, 500)
      set(moved, 600)
      unset(gone)
      set(moved, 5_000)
      assert.strictEqual(gone.due, Number.POSITIVE_INFINITY)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(fired, [["moved", 5_000]])
      set(gone, 70_000)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(fired.slice(1), [["gone", 70_000]])
    }).pipe(Effect.provide(AlarmsLayer.layer))
  )

  it.effect("may be set by one that fires", () =>
    Effect.gen(function* () {
      const { alarm, fired, set } = yield* make
      const next = alarm("next")
      set(new Alarm(() => set(next, 1_200)), 1_000)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(fired, [["next", 1_200]])
    }).pipe(Effect.provide(AlarmsLayer.layer))
  )

  it.effect("let nobody sleep where none is set, and end with their layer", () =>
    Effect.gen(function* () {
      const sleepers = Effect.map(TestClock.sleeps(), (it) => [...it].length)
      const fired = yield* Effect.gen(function* () {
        const { alarm, fired, set, unset } = yield* make
        const one = alarm("one")
        set(one, 60_000)
        assert.strictEqual(yield* sleepers, 1)
        unset(one)
        yield* TestClock.adjust("1 seconds")
        assert.strictEqual(yield* sleepers, 0)
        set(one, 60_000)
        assert.strictEqual(yield* sleepers, 1)
        return fired
      }).pipe(Effect.provide(AlarmsLayer.layer))
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(fired, [])
    })
  )

  it.effect("an old alarm that is unset keeps a program no longer than a new one", () =>
    Effect.gen(function* () {
      const alarms = yield* Alarms
      const clock = yield* Effect.clock
      const fired: Array<string> = []
      const old = new Alarm(() => fired.push("old"))
      alarms.set(clock, old, 300_000)
      for (let i = 0; i < 65; i++) yield* TestClock.adjust("1 second")
      alarms.unset(clock, old)
      yield* Effect.repeatN(Effect.yieldNow(), 10)
      // The clock remembers the sleeper that was interrupted too.
      assert.include(Chunk.toReadonlyArray(yield* TestClock.sleeps()), 66_000)
      alarms.set(clock, new Alarm(() => fired.push("next")), 65_500)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(fired, ["next"])
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(fired, ["next"])
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* TestClock.sleeps()), [])
    }).pipe(Effect.provide(AlarmsLayer.layer))
  )
})
