import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, FiberId, TestClock } from "effect"
import { runSeeded, SeededScheduler } from "./SeededScheduler.js"

/** Three fibers that note when they get to run. */
const racing = Effect.gen(function* () {
  const order: Array<number> = []
  const fibers = yield* Effect.forEach([0, 1, 2], (i) =>
    Effect.fork(
      Effect.repeatN(
        Effect.zipRight(
          Effect.sync(() => order.push(i)),
          Effect.yieldNow()
        ),
        5
      )
    )
  )
  yield* Effect.forEach(fibers, Fiber.join)
  return order.join("")
})

const valueOf = <A>(exit: Exit.Exit<A> | undefined): A => {
  if (exit === undefined || Exit.isFailure(exit)) throw new Error("it did not end well")
  return exit.value
}

describe("SeededScheduler", () => {
  it.effect("a seed decides the interleaving, and another one another", () =>
    Effect.sync(() => {
      const orders = [1, 2, 3, 4, 5].map((seed) => valueOf(runSeeded(racing, { seed }).exit))
      assert.deepStrictEqual(
        [1, 2, 3, 4, 5].map((seed) => valueOf(runSeeded(racing, { seed }).exit)),
        orders
      )
      assert.isAbove(new Set(orders).size, 3)
    })
  )

  it.effect("withScheduler gives the same interleaving again inside any test", () =>
    Effect.gen(function* () {
      const under = (seed: number) => Effect.withScheduler(racing, new SeededScheduler({ seed }))
      const order = yield* under(7)
      assert.strictEqual(yield* under(7), order)
      assert.notStrictEqual(yield* under(8), order)
    })
  )

  it.effect("the test clock can be moved from within", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(Effect.zipRight(Effect.sleep("1 hour"), Clock.currentTimeMillis))
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(yield* Fiber.join(fiber), 3_600_000)
    }).pipe(Effect.withScheduler(new SeededScheduler({ seed: 1 })))
  )

  it.effect("runSeeded lets time jump to the next sleeper and tells a hang", () =>
    Effect.sync(() => {
      const slept = runSeeded(Effect.zipRight(Effect.sleep("1 hour"), Clock.currentTimeMillis), { seed: 1 })
      assert.strictEqual(valueOf(slept.exit), 3_600_000)
      assert.strictEqual(slept.time, 3_600_000)
      const hung = Effect.flatMap(Deferred.make<void>(), Deferred.await)
      assert.isUndefined(runSeeded(hung, { seed: 1 }).exit)
      assert.isUndefined(runSeeded(Effect.forever(Effect.yieldNow()), { seed: 1, maxSteps: 1000 }).exit)
    })
  )

  it.effect("a fiber can be interrupted at every step", () =>
    Effect.sync(() => {
      const ends = new Set<string>()
      let steps = 1
      for (let at = 0; at < steps; at++) {
        let fiber: Fiber.RuntimeFiber<unknown> | undefined
        const program = Effect.gen(function* () {
          fiber = yield* Effect.fork(Effect.repeatN(Effect.yieldNow(), 3))
          return (yield* Fiber.await(fiber))._tag
        })
        const run = runSeeded(program, {
          seed: 1,
          onStep: (step) => {
            if (step === at) fiber?.unsafeInterruptAsFork(FiberId.none)
          }
        })
        steps = Math.max(steps, run.steps)
        ends.add(valueOf(run.exit))
      }
      assert.deepStrictEqual([...ends].toSorted(), ["Failure", "Success"])
    })
  )
})
