/**
 * Spent and reserved together never pass a budget, nor that of anyone above.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, FastCheck as fc, Fiber, FiberId } from "effect"
import { Budget, type Wish } from "../../src/services/Budget.js"
import { runSeeded } from "../support/SeededScheduler.js"

const wish = (least: number, output: number, price = 0): Wish => ({
  least: { tokens: least, cost: least * price },
  price,
  output
})

describe("Budget", () => {
  it.effect("grants what is left, and refuses by name what is not there", () =>
    Effect.gen(function* () {
      const budget = new Budget({ tokens: 100, cost: Number.POSITIVE_INFINITY })
      const first = yield* budget.reserve(wish(10, 1_000))
      assert.strictEqual(first.output, 90)
      first.settle({ tokens: 60, cost: 0 })
      first.settle({ tokens: 60, cost: 0 })
      assert.deepStrictEqual(budget.spent, { tokens: 60, cost: 0 })
      assert.deepStrictEqual(budget.reserved, { tokens: 0, cost: 0 })
      const error = yield* Effect.flip(budget.reserve(wish(40, 1)))
      assert.deepInclude(error, { _tag: "LimitReached", limit: "tokens", value: 100 })
    })
  )

  it.effect("waits for what others hold and may give back", () =>
    Effect.gen(function* () {
      const parent = new Budget({ tokens: 100, cost: 1_000 })
      const child = new Budget({ tokens: 1_000, cost: 100 }, parent)
      const held = yield* parent.reserve(wish(10, 90, 1))
      const waiting = yield* Effect.fork(child.reserve(wish(20, 50, 1)))
      yield* Effect.yieldNow()
      assert.strictEqual((yield* Fiber.poll(waiting))._tag, "None")
      held.settle({ tokens: 30, cost: 30 })
      assert.strictEqual((yield* Fiber.join(waiting)).output, 50)
      const other = yield* Effect.fork(child.reserve(wish(1, 1)))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(other)
      assert.deepStrictEqual(parent.reserved, { tokens: 70, cost: 70 })
    })
  )

  it.effect("keeps nobody waiting for what a rounding has left", () =>
    Effect.gen(function* () {
      const budget = new Budget({ tokens: 100, cost: 1 })
      const tenth = yield* budget.reserve({ least: { tokens: 0, cost: 0.1 }, price: 0, output: 1 })
      const fifth = yield* budget.reserve({ least: { tokens: 0, cost: 0.2 }, price: 0, output: 1 })
      tenth.settle({ tokens: 0, cost: 0 })
      fifth.settle({ tokens: 0, cost: 0.5 })
      // There is less than would be of use, and nobody who would give anything back.
      const last = yield* Effect.fork(budget.reserve({ least: { tokens: 0, cost: 0.1 }, price: 0.01, output: 90 }))
      yield* Effect.yieldNow()
      assert.strictEqual((yield* Fiber.poll(last))._tag, "Some")
      assert.deepStrictEqual(budget.reserved.tokens, 40)
    })
  )

  it("loses no grant to an interruption, at whatever step it comes", () => {
    for (const busy of [false, true]) {
      let steps = 1
      for (let at = 0; at < steps; at++) {
        const budget = new Budget({ tokens: 100, cost: 100 })
        const use = Effect.uninterruptible(
          Effect.flatMap(budget.reserve(wish(10, 60)), (grant) =>
            Effect.sync(() => grant.settle({ tokens: 0, cost: 0 }))
          )
        )
        const program = Effect.gen(function* () {
          const held = busy ? yield* budget.reserve(wish(10, 60)) : undefined
          const using = yield* Effect.fork(use)
          yield* Effect.yieldNow()
          held?.settle({ tokens: 0, cost: 0 })
          yield* Fiber.await(using)
        })
        const run = runSeeded(Effect.uninterruptible(program), {
          seed: at,
          yieldProbability: 0,
          onStep: (step, fiber) => {
            if (step === at) fiber.unsafeInterruptAsFork(FiberId.none)
            return step === at
          }
        })
        steps = run.steps
        assert.isTrue(run.exit !== undefined, "nobody waits for ever")
        assert.strictEqual(budget.reserved.tokens, 0, `step ${at}`)
      }
    }
  })

  it.effect("lets go who waits, where nothing else can be interrupted", () =>
    Effect.gen(function* () {
      const budget = new Budget({ tokens: 100, cost: 100 })
      yield* budget.reserve(wish(10, 80))
      const waiting = yield* Effect.fork(Effect.uninterruptible(budget.reserve(wish(10, 50))))
      yield* Effect.yieldNow()
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(waiting)))
      assert.strictEqual(budget.reserved.tokens, 90)
    })
  )

  it.effect("serves in order of arrival; who goes away while it waits lets those behind it go on", () =>
    Effect.gen(function* () {
      const budget = new Budget({ tokens: 100, cost: Number.POSITIVE_INFINITY })
      yield* budget.reserve(wish(0, 60))
      const large = yield* Effect.fork(budget.reserve(wish(50, 20)))
      const small = yield* Effect.fork(budget.reserve(wish(5, 5)))
      yield* Effect.yieldNow()
      assert.deepStrictEqual(budget.reserved, { tokens: 60, cost: 0 })
      yield* Fiber.interrupt(large)
      yield* Effect.yieldNow()
      assert.strictEqual((yield* Fiber.poll(small))._tag, "Some")
      assert.deepStrictEqual(budget.reserved, { tokens: 70, cost: 0 })
    })
  )

  it.effect("takes back what it grants in the instant in which the asker is interrupted", () =>
    Effect.gen(function* () {
      for (const interruptedFirst of [true, false]) {
        const budget = new Budget({ tokens: 100, cost: Number.POSITIVE_INFINITY })
        const held = yield* budget.reserve(wish(0, 100))
        const asking = yield* Effect.fork(budget.reserve(wish(10, 40)))
        yield* Effect.yieldNow()
        if (interruptedFirst) asking.unsafeInterruptAsFork(FiberId.none)
        held.settle({ tokens: 20, cost: 0 })
        assert.deepStrictEqual(budget.reserved, { tokens: 50, cost: 0 })
        if (!interruptedFirst) asking.unsafeInterruptAsFork(FiberId.none)
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(asking)))
        assert.deepStrictEqual(budget.reserved, { tokens: 0, cost: 0 })
        assert.strictEqual((yield* budget.reserve(wish(10, 200))).output, 70)
      }
    })
  )

  it("over random interleavings and cancellations of a tree", () => {
    const round = fc.record({
      least: fc.integer({ min: 0, max: 30 }),
      output: fc.integer({ min: 1, max: 60 }),
      used: fc.double({ min: 0, max: 1, noNaN: true }),
      cut: fc.boolean()
    })
    const worker = fc.record({
      own: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined }),
      rounds: fc.array(round, { maxLength: 6 })
    })
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 400 }),
        fc.array(worker, { minLength: 1, maxLength: 6 }),
        (seed, tokens, workers) => {
          const root = new Budget({ tokens, cost: tokens })
          const budgets = [root]
          const check = () => {
            for (const { limits, reserved, spent } of budgets) {
              assert.isAtMost(spent.tokens + reserved.tokens, limits.tokens)
              assert.isAtMost(spent.cost + reserved.cost, limits.cost + 1e-6)
            }
          }
          let spent = 0
          const work = ({ own, rounds }: (typeof workers)[number], above: Budget) => {
            const budget = own === undefined ? above : new Budget({ tokens: own, cost: own }, above)
            budgets.push(budget)
            return Effect.forEach(
              rounds,
              ({ cut, least, output, used }) =>
                Effect.gen(function* () {
                  const gate = yield* Deferred.make<void>()
                  const attempt = Effect.acquireUseRelease(
                    budget.reserve(wish(least, output, 0.5)),
                    (reservation) =>
                      Effect.gen(function* () {
                        check()
                        yield* Deferred.succeed(gate, undefined)
                        yield* Effect.yieldNow()
                        const tokens = Math.floor((least + reservation.output) * used)
                        spent += tokens
                        reservation.settle({ tokens, cost: tokens * 0.5 })
                      }),
                    (reservation) => Effect.sync(() => reservation.settle({ tokens: 0, cost: 0 }))
                  )
                  const fiber = yield* Effect.fork(attempt)
                  yield* cut ? Effect.zipRight(Effect.yieldNow(), Fiber.interrupt(fiber)) : Fiber.await(fiber)
                  check()
                }),
              { discard: true }
            )
          }
          const program = Effect.gen(function* () {
            const [first, ...rest] = workers
            yield* Effect.forEach(rest, (it) => Effect.fork(work(it, root)), { concurrency: 1 }).pipe(
              Effect.flatMap((fibers) => Effect.zipRight(work(first!, root), Fiber.awaitAll(fibers)))
            )
          })
          const { exit } = runSeeded(program, { seed })
          assert.isTrue(exit !== undefined && Exit.isSuccess(exit), "nobody waits for ever")
          assert.deepStrictEqual(root.reserved.tokens, 0)
          assert.strictEqual(root.spent.tokens, spent)
        }
      ),
      { numRuns: 1_000 }
    )
  })
})
