import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, FiberId, Layer, Random, TestClock } from "effect"
import { Seeded } from "effect-baton/testing"

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

describe("Seeded", () => {
  it.effect("a seed decides the interleaving, and another one another", () =>
    Effect.sync(() => {
      const orders = [1, 2, 3, 4, 5].map((seed) => valueOf(Seeded.run(racing, { seed }).exit))
      assert.deepStrictEqual(
        [1, 2, 3, 4, 5].map((seed) => valueOf(Seeded.run(racing, { seed }).exit)),
        orders
      )
      assert.isAbove(new Set(orders).size, 3)
    })
  )

  it.effect("withScheduler gives the same interleaving again inside any test", () =>
    Effect.gen(function* () {
      const under = (seed: number) => Effect.withScheduler(racing, new Seeded.SeededScheduler({ seed }))
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
    }).pipe(Effect.withScheduler(new Seeded.SeededScheduler({ seed: 1 })))
  )

  it.effect("run lets time jump to the next sleeper and tells a hang", () =>
    Effect.sync(() => {
      const slept = Seeded.run(Effect.zipRight(Effect.sleep("1 hour"), Clock.currentTimeMillis), { seed: 1 })
      assert.strictEqual(valueOf(slept.exit), 3_600_000)
      assert.strictEqual(slept.time, 3_600_000)
      const hung = Effect.flatMap(Deferred.make<void>(), Deferred.await)
      assert.isUndefined(Seeded.run(hung, { seed: 1 }).exit)
      assert.isUndefined(Seeded.run(Effect.forever(Effect.yieldNow()), { seed: 1, maxSteps: 1000 }).exit)
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
        const run = Seeded.run(program, {
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

  it.effect("concurrent combinators that are interrupted as they begin end all the same", () =>
    Effect.sync(() => {
      const both = <A, B>(a: Effect.Effect<A, string>, b: Effect.Effect<B, string>) =>
        Effect.zip(a, b, { concurrent: true })
      const few = Effect.repeatN(Effect.yieldNow(), 3)
      const programs: Record<string, Effect.Effect<unknown, string>> = {
        nested: both(both(Effect.void, Effect.never), Effect.fail("no")),
        deeper: both(both(both(few, few), few), both(Effect.fail("no"), Effect.never)),
        interrupted: Effect.flatMap(Effect.fork(both(Effect.void, few)), Fiber.interrupt),
        bounded: Effect.race(
          Effect.forEach([1, 2, 3, 4], () => few, { concurrency: 2 }),
          few
        ),
        layers: Effect.void.pipe(
          Effect.provide(
            Layer.mergeAll(Layer.merge(Layer.effectDiscard(few), Layer.scopedDiscard(few)), Layer.fail("no"))
          )
        )
      }
      for (const [name, program] of Object.entries(programs)) {
        for (let seed = 0; seed < 300; seed++) {
          for (const yieldProbability of [0, 0.05, 0.2]) {
            const { exit } = Seeded.run(program, { seed, yieldProbability })
            assert.isDefined(exit, `${name} hung under seed ${seed} with ${yieldProbability}`)
          }
        }
      }
    })
  )

  it.effect("randomness is the seed's as well", () =>
    Effect.sync(() => {
      const drawn = (seed: number) => valueOf(Seeded.run(Random.nextInt, { seed }).exit)
      assert.strictEqual(drawn(1), drawn(1))
      assert.notStrictEqual(drawn(1), drawn(2))
    })
  )

  it.effect("stopAtEnd leaves time as it is when the effect has ended", () =>
    Effect.sync(() => {
      const heart = Effect.forkDaemon(Effect.forever(Effect.sleep("1 second")))
      const stopped = Seeded.run(heart, { seed: 1, stopAtEnd: true })
      assert.strictEqual(stopped.time, 0)
      assert.isBelow(stopped.steps, 300)
      assert.isAbove(Seeded.run(heart, { seed: 1, maxSteps: 1000 }).time, 0)
    })
  )
})

describe("runPromise", () => {
  const wait = async (turns: number) => {
    for (let i = 0; i < turns; i++) await Promise.resolve()
    return turns
  }

  it("waits for promises, which the synchronous run reports as hung", async () => {
    const waiting = Effect.promise(() => wait(100))
    assert.isUndefined(Seeded.run(waiting, { seed: 1 }).exit)
    assert.strictEqual(valueOf((await Seeded.runPromise(waiting, { seed: 1 })).exit), 100)
  })

  it("promises go on before time does, and a seed decides between them and fibers", async () => {
    const race = Effect.gen(function* () {
      const order: Array<string> = []
      const note = (name: string) => Effect.sync(() => order.push(name))
      yield* Effect.all(
        [
          Effect.zipRight(Effect.sleep("1 second"), note("sleeper")),
          Effect.zipRight(
            Effect.promise(() => wait(50)),
            note("promise")
          ),
          Effect.zipRight(Effect.repeatN(Effect.yieldNow(), 3), note("fiber"))
        ],
        { concurrency: "unbounded" }
      )
      return order.join(" ")
    })
    const orders: Array<string> = []
    for (let seed = 0; seed < 20; seed++) {
      const order = valueOf((await Seeded.runPromise(race, { seed })).exit)
      assert.strictEqual(valueOf((await Seeded.runPromise(race, { seed })).exit), order)
      orders.push(order)
    }
    assert.sameMembers([...new Set(orders)], ["promise fiber sleeper", "fiber promise sleeper"])
  })

  it("tells a promise that never settles", async () => {
    const never = Effect.promise(() => new Promise<void>(() => {}))
    assert.isUndefined((await Seeded.runPromise(never, { seed: 1 })).exit)
  })

  it("waits for the world outside as long as it is told to", async () => {
    const outside = Effect.async<string>((resume) => {
      setImmediate(() => setImmediate(() => setImmediate(() => resume(Effect.succeed("here")))))
    })
    const timed = Effect.timeout(outside, "1 second")
    assert.isTrue(valueOf((await Seeded.runPromise(Effect.isFailure(timed), { seed: 1 })).exit))
    assert.strictEqual(
      valueOf((await Seeded.runPromise(Effect.orDie(timed), { seed: 1, patience: 10_000 })).exit),
      "here"
    )
  })

  it("ends at once when its signal does", async () => {
    const controller = new AbortController()
    const program = Effect.forever(
      Effect.sync(() => {
        controller.abort()
      })
    )
    const run = await Seeded.runPromise(program, { seed: 1, signal: controller.signal, maxSteps: 1e9 })
    assert.isUndefined(run.exit)
  })
})
