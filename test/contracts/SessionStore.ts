/**
 * The contract of stores as tests. Each case gets a store of its own.
 */
import { describe, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import type { SessionStore } from "effect-baton"
import { StoreContract } from "effect-baton/testing"

export { row } from "../support/storeWrites.js"

/** Stores whose clock is Effect's: time is that of the test. */
const testTime = Layer.succeed(StoreContract.Time, (millis) => TestClock.adjust(millis))

/** `time` is "real" for a store that counts its leases by a clock of its own. */
export const contract = (
  name: string,
  layer: () => Layer.Layer<SessionStore.SessionStore, unknown>,
  time: "test" | "real" = "test"
): void => {
  describe(`${name} holds to the contract of stores`, () => {
    for (const { name: sentence, run } of StoreContract.cases) {
      it.effect(sentence, () => run.pipe(Effect.provide(time === "test" ? Layer.merge(layer(), testTime) : layer())))
    }
  })
}
