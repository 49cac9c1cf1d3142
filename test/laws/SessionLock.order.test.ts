/**
 * Who is next: liveness and fairness, which no property of safety sees.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FiberId, TestClock } from "effect"
import { runSeeded } from "../support/SeededScheduler.js"
import { answer, answered, call, lockOf, occupy, settle, stateOf } from "./support/lock.js"

/** Forks calls one after another, each standing in line before the next one comes. */
const inLine = <A, E>(calls: ReadonlyArray<Effect.Effect<A, E>>) =>
  Effect.forEach(calls, (effect) => Effect.zipLeft(Effect.fork(effect), settle))

describe("L8", () => {
  it.effect("L8 order: waiters are granted in the order in which they came, less those that went away", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const order: Array<string> = []
      const first = yield* occupy(lock, "prompt A", "0")
      const waiters = yield* inLine(
        ["1", "2", "3", "4", "5"].map((id) =>
          call(lock, "prompt A", id, "wait", () =>
            Effect.zipRight(
              Effect.sync(() => order.push(id)),
              Effect.yieldNow()
            )
          )
        )
      )
      yield* Fiber.interrupt(waiters[1]!)
      yield* Fiber.interrupt(waiters[4]!)
      yield* first.end
      yield* Effect.forEach(waiters, Fiber.await)
      assert.deepStrictEqual(order, ["1", "3", "4"])
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L8 order: 100 callers at once all run, in order", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const order: Array<number> = []
      const fibers = yield* Effect.forEach(Array.from({ length: 100 }), (_, i) =>
        Effect.fork(
          call(lock, "prompt A", `${i}`, "wait", () =>
            Effect.zipRight(
              Effect.sync(() => order.push(i)),
              Effect.yieldNow()
            )
          )
        )
      )
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(
        order,
        order.toSorted((a, b) => a - b)
      )
      assert.strictEqual(order.length, 100)
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L8 order: one that releases and takes again at once does not overtake the line", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const order: Array<string> = []
      const use = (id: string) => () =>
        Effect.zipRight(
          Effect.sync(() => order.push(id)),
          Effect.repeatN(Effect.yieldNow(), 10)
        )
      const greedy = yield* Effect.fork(
        Effect.forEach(["g1", "g2", "g3", "g4"], (id) => call(lock, "prompt A", id, "wait", use(id)))
      )
      const waiters = yield* Effect.forEach(["w1", "w2"], (id) =>
        Effect.fork(call(lock, "prompt A", id, "wait", use(id)))
      )
      yield* Effect.forEach(waiters, Fiber.join)
      yield* Fiber.join(greedy)
      assert.deepStrictEqual(order, ["g1", "w1", "w2", "g2", "g3", "g4"])
    })
  )

  it.effect("L8 order: a newcomer with reject does not overtake those who wait", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const first = yield* occupy(lock, "prompt A", "1")
      const [second] = yield* inLine([call(lock, "prompt A", "2", "wait", () => Effect.never)])
      const answers: Array<string> = []
      yield* first.end
      answers.push(yield* answered(call(lock, "prompt A", "3")))
      assert.deepStrictEqual(answers, ["SessionBusy"])
      yield* Fiber.interrupt(second!)
    })
  )

  it.effect("L8 order: the time limit of a waiter fails its place and leaves the others theirs", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const order: Array<string> = []
      const first = yield* occupy(lock, "prompt A", "0")
      const use = (id: string) => () => Effect.sync(() => order.push(id))
      const [one, two, three] = yield* inLine([
        call(lock, "prompt A", "1", "wait", use("1")),
        call(lock, "prompt A", "2", { _tag: "wait", timeout: 100 }, use("2")),
        call(lock, "prompt A", "3", { _tag: "wait", timeout: 200 }, use("3"))
      ])
      yield* TestClock.adjust(99)
      assert.strictEqual(stateOf(two!), "running")
      yield* TestClock.adjust(1)
      const error = yield* Effect.flip(Fiber.join(two!))
      assert.deepInclude(error, {
        _tag: "SessionBusy",
        requested: "prompt",
        running: "prompt",
        operationId: "0",
        since: 0
      })
      assert.strictEqual(stateOf(three!), "running")
      yield* first.end
      yield* Fiber.join(one!)
      yield* Fiber.join(three!)
      assert.deepStrictEqual(order, ["1", "3"])
      yield* TestClock.adjust(1000)
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L8 order: a time limit bounds the wait and not the operation", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const first = yield* occupy(lock, "prompt A", "1")
      const [second] = yield* inLine([
        call(lock, "prompt A", "2", { _tag: "wait", timeout: 100 }, (lease) =>
          Effect.zipRight(Effect.sleep(1000), Effect.succeed(lease.since))
        )
      ])
      yield* TestClock.adjust(50)
      yield* first.end
      yield* TestClock.adjust(1000)
      // It holds the session since it was granted, not since it asked.
      assert.strictEqual(yield* Fiber.join(second!), 50)
    })
  )

  it.effect("L8 order: a full line refuses at once", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const first = yield* occupy(lock, "prompt A", "0")
      const capped = (id: string, cap: number) => call(lock, "prompt A", id, { _tag: "wait", cap })
      assert.strictEqual(yield* answered(capped("none", 0)), "SessionBusy")
      const [one, two] = yield* inLine([capped("1", 2), capped("2", 2)])
      assert.strictEqual(yield* answered(capped("3", 2)), "SessionBusy")
      yield* Fiber.interrupt(one!)
      const [four] = yield* inLine([capped("4", 2)])
      yield* first.end
      assert.deepStrictEqual((yield* Effect.forEach([two!, four!], Fiber.await)).map(answer), ["success", "success"])
      // A cap says nothing about a session that is free.
      assert.strictEqual(yield* answered(capped("5", 0)), "success")
    })
  )

  it.effect("L8 order: interrupt ends what runs, tells it by whom, and goes ahead of the line", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const order: Array<string> = []
      const first = yield* occupy(lock, "prompt A", "1")
      const use = (id: string) => () => Effect.sync(() => order.push(id))
      const [waiting] = yield* inLine([call(lock, "prompt A", "2", "wait", use("2"))])
      yield* call(lock, "prompt A", "3", "interrupt", use("3"))
      yield* Fiber.join(waiting!)
      assert.strictEqual(answer(yield* Fiber.await(first.fiber)), "interrupted")
      assert.deepStrictEqual(first.lease.interruptedBy, { session: "A", kind: "prompt", operationId: "3" })
      assert.deepStrictEqual(order, ["3", "2"])
    })
  )

  it.effect("L8 order: interrupt waits until what it interrupted has ended", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const cleaned = yield* Deferred.make<void>()
      const first = yield* Effect.fork(
        call(lock, "prompt A", "1", "reject", () => Effect.onInterrupt(Effect.never, () => Deferred.await(cleaned)))
      )
      yield* settle
      const [second, third] = yield* inLine([
        call(lock, "prompt A", "2", "interrupt", () => Effect.never),
        call(lock, "prompt A", "3", "interrupt")
      ])
      assert.strictEqual(stateOf(second!), "running")
      yield* Deferred.succeed(cleaned, undefined)
      // The third interrupts the second in its turn.
      assert.deepStrictEqual((yield* Effect.forEach([first, second!, third!], Fiber.await)).map(answer), [
        "interrupted",
        "interrupted",
        "success"
      ])
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L8 order: an operation may be interrupted at any step of its beginning", () =>
    Effect.sync(() => {
      let steps = 1
      for (let at = 0; at < steps; at++) {
        const lock = lockOf()
        let ended = false
        const program = Effect.gen(function* () {
          const first = yield* Effect.fork(
            call(lock, "prompt A", "1", "wait", () =>
              Effect.onExit(Effect.repeatN(Effect.yieldNow(), 3), () =>
                Effect.sync(() => {
                  ended = true
                })
              )
            )
          )
          const second = yield* Effect.fork(call(lock, "prompt A", "2", "interrupt", () => Effect.sync(() => ended)))
          return [answer(yield* Fiber.await(first)), answer(yield* Fiber.await(second))]
        })
        // Every fiber yields at the step, so the second comes in between any two ops of the first.
        const run = runSeeded(program, { seed: at, onStep: (step) => step >= at && step < at + 3 })
        steps = Math.max(steps, run.steps)
        const answers = run.exit !== undefined && Exit.isSuccess(run.exit) ? run.exit.value : ["hang"]
        assert.isTrue(
          ["success", "interrupted"].includes(answers[0]!) && answers[1] === "success",
          `step ${at}: ${answers.join()}`
        )
        assert.strictEqual(lock.size(), 0)
      }
    })
  )

  it.effect("L8 order: nobody starves behind callers who keep coming back", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const crowd = yield* Effect.forEach(Array.from({ length: 10 }), (_, i) =>
        Effect.fork(Effect.forever(call(lock, "prompt A", `crowd ${i}`, "wait", () => Effect.sleep(10))))
      )
      yield* settle
      const patient = yield* Effect.fork(call(lock, "prompt A", "patient", "wait"))
      yield* settle
      yield* TestClock.adjust(10 * 10)
      assert.strictEqual(stateOf(patient), "success")
      yield* Fiber.interruptAll(crowd)
      assert.strictEqual(lock.size(), 0)
    })
  )
})

describe("L11", () => {
  it.effect("L11 idle after release: whoever is told can start the next operation", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const next = yield* Deferred.make<string>()
      const request = { session: "A", kind: "prompt" } as const
      yield* lock.hold({ ...request, operationId: "1" }, () => Effect.void, {
        onIdle: () => {
          assert.strictEqual(lock.size(), 0)
          Effect.runFork(Deferred.complete(next, answered(call(lock, "prompt A", "2"))))
        }
      })
      assert.strictEqual(yield* Deferred.await(next), "success")
    })
  )

  it.effect("L11 idle after release: it is told before the caller has its result", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      let told = false
      yield* lock.hold({ session: "A", kind: "prompt", operationId: "1" }, () => Effect.void, {
        onIdle: () => {
          told = true
        }
      })
      assert.isTrue(told)
    })
  )

  it.effect("L11 idle after release: nothing is told while somebody is in line", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const told: Array<string> = []
      const hold = (operationId: string, onBusy: "wait" | "interrupt") =>
        lock.hold({ session: "A", kind: "prompt", operationId, onBusy }, () => Effect.sleep(10), {
          onIdle: () => told.push(operationId)
        })
      const fibers = yield* inLine([hold("1", "wait"), hold("2", "wait"), hold("3", "interrupt")])
      yield* TestClock.adjust(20)
      assert.deepStrictEqual(fibers.map(stateOf), ["interrupted", "success", "success"])
      assert.deepStrictEqual(told, ["2"])
    })
  )

  it.effect("L11 idle after release: a waiter that is interrupted at any step never swallows it", () =>
    Effect.sync(() => {
      let steps = 1
      for (let at = 0; at < steps; at++) {
        for (const seed of [1, 2]) {
          const lock = lockOf()
          let idle = false
          let waiter: Fiber.RuntimeFiber<unknown, unknown> | undefined
          const hold = (operationId: string) =>
            lock.hold(
              { session: "A", kind: "prompt", operationId, onBusy: "wait" },
              () =>
                Effect.sync(() => {
                  idle = false
                }),
              {
                onIdle: () => {
                  idle = true
                }
              }
            )
          const program = Effect.gen(function* () {
            const first = yield* Effect.fork(hold("1"))
            waiter = yield* Effect.fork(hold("2"))
            yield* Fiber.await(first)
            yield* Fiber.await(waiter)
          })
          const run = runSeeded(program, {
            seed,
            onStep: (step) => {
              if (step === at) waiter?.unsafeInterruptAsFork(FiberId.none)
            }
          })
          steps = Math.max(steps, run.steps)
          assert.isTrue(run.exit !== undefined && idle, `seed ${seed}, interrupted at step ${at}`)
        }
      }
    })
  )
})
