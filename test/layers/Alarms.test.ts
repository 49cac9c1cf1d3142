import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, TestClock } from "effect"
import * as AlarmsLayer from "../../src/layers/Alarms.js"
import { Alarm, Alarms } from "../../src/services/Alarms.js"

describe("Alarms", () => {
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
