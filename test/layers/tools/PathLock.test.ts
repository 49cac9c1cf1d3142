import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { alone, lockedPlaces } from "../../../src/layers/tools/PathLock.js"
import { emptySandbox } from "../../support/emptySandbox.js"

const sandbox = () => emptySandbox(() => Effect.void)

describe("PathLock", () => {
  it.effect("lets one in at a time, in the order of arrival, by sandbox and place", () =>
    Effect.gen(function* () {
      const one = sandbox()
      const gate = yield* Deferred.make<void>()
      const seen: Array<string> = []
      const first = yield* Effect.fork(alone(one, "a", Deferred.await(gate)))
      const later = (name: string) =>
        alone(
          one,
          "a",
          Effect.sync(() => void seen.push(name))
        )
      yield* Effect.yieldNow()
      const others = yield* Effect.forEach(["1", "2", "3"], (name) => Effect.fork(later(name)))
      yield* Effect.yieldNow()
      assert.deepStrictEqual(seen, [])
      // Another place, and the same of another sandbox, are free.
      yield* alone(one, "b", Effect.void)
      yield* alone(sandbox(), "a", Effect.void)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(first)
      yield* Effect.forEach(others, Fiber.join)
      assert.deepStrictEqual(seen, ["1", "2", "3"])
      assert.strictEqual(lockedPlaces(one), 0)
    })
  )

  it.effect("is usable after failures, defects and interruption of the one inside and of one that waits", () =>
    Effect.gen(function* () {
      const one = sandbox()
      assert.isTrue(Exit.isFailure(yield* Effect.exit(alone(one, "a", Effect.fail("no")))))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(alone(one, "a", Effect.die("no")))))
      const inside = yield* Effect.fork(alone(one, "a", Effect.never))
      yield* Effect.yieldNow()
      const waits = yield* Effect.fork(alone(one, "a", Effect.never))
      const last = yield* Effect.fork(alone(one, "a", Effect.succeed("in")))
      yield* Effect.yieldNow()
      assert.strictEqual(lockedPlaces(one), 1)
      yield* Fiber.interrupt(waits)
      assert.strictEqual(lockedPlaces(one), 1)
      yield* Fiber.interrupt(inside)
      assert.strictEqual(yield* Fiber.join(last), "in")
      assert.strictEqual(lockedPlaces(one), 0)
    })
  )

  it.effect(
    "forgets 10,000 places, held at once or one after the other",
    () =>
      Effect.gen(function* () {
        const one = sandbox()
        const places = Array.from({ length: 10_000 }, (_, index) => `f${index}`)
        const gate = yield* Deferred.make<void>()
        const all = yield* Effect.fork(
          Effect.forEach(places, (place) => alone(one, place, Deferred.await(gate)), { concurrency: "unbounded" })
        )
        yield* Effect.yieldNow().pipe(Effect.repeatN(3))
        assert.strictEqual(lockedPlaces(one), 10_000)
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(all)
        assert.strictEqual(lockedPlaces(one), 0)
        yield* Effect.forEach(places, (place) => alone(one, place, Effect.void))
        assert.strictEqual(lockedPlaces(one), 0)
      }),
    30_000
  )
})
