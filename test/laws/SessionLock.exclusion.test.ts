/**
 * One operation holds a session at a time, whoever asks, and the session is free when it has ended, however it ended.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, FastCheck as fc, Fiber, FiberId, Option, Scope } from "effect"
import { layer } from "../../src/layers/SessionLock.js"
import { SessionBusy } from "../../src/services/Errors.js"
import type { OnBusy } from "../../src/services/Operation.js"
import { SessionLock } from "../../src/services/SessionLock.js"
import { runSeeded } from "../support/SeededScheduler.js"
import { answer, answered, call, lockOf, occupy, settle, stateOf } from "./support/lock.js"
import { forAll, runs, timeout } from "./support/property.js"

describe("L1", () => {
  it.effect(
    "L1 exclusion: never two operations of a session at a time, whatever their policies",
    () =>
      forAll(
        fc.record({
          seed: fc.nat(0xffffff),
          callers: fc.array(
            fc.record({
              onBusy: fc.constantFrom<OnBusy>("wait", "reject", "interrupt", { _tag: "wait", timeout: 3, cap: 2 }),
              yields: fc.integer({ min: 0, max: 5 })
            }),
            { minLength: 2, maxLength: 6 }
          )
        }),
        Math.ceil(runs / 10),
        ({ callers, seed }) => {
          const lock = lockOf()
          let inside = 0
          let most = 0
          const use = (yields: number) =>
            Effect.acquireUseRelease(
              Effect.sync(() => {
                most = Math.max(most, ++inside)
              }),
              () => Effect.repeatN(Effect.yieldNow(), yields),
              () => Effect.sync(() => inside--)
            )
          const all = Effect.gen(function* () {
            const fibers = yield* Effect.forEach(callers, ({ onBusy, yields }, i) =>
              Effect.fork(call(lock, "prompt A", `${i}`, onBusy, () => use(yields)))
            )
            for (const fiber of fibers) yield* Fiber.await(fiber)
          })
          const { exit } = runSeeded(all, { seed })
          if (exit === undefined) return "hang"
          return most > 1 || lock.size() > 0 ? `${most} at a time, ${lock.size()} left` : undefined
        }
      ),
    timeout
  )

  it.effect("L1 exclusion: holder names who holds the session, since when, and under whom", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const outer = yield* occupy(lock, "prompt A", "a")
      const inner = yield* Effect.fork(
        lock.delegate(outer.lease)(call(lock, "task B", "b", "reject", () => Effect.never))
      )
      yield* settle
      const holder = Option.getOrThrow(yield* lock.holder("B"))
      assert.deepStrictEqual(holder, {
        session: "B",
        kind: "task",
        operationId: "b",
        since: 0,
        lineage: [{ session: "A", kind: "prompt", operationId: "a" }]
      })
      yield* Fiber.interrupt(inner)
      assert.isTrue(Option.isNone(yield* lock.holder("B")))
      yield* outer.end
    })
  )
})

describe("L2", () => {
  it.effect("L2 reject: the refusal tells who holds the session, and changes nothing", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      let idle = 0
      let ran = false
      const gate = yield* Deferred.make<void>()
      const holder = yield* Effect.fork(
        lock.hold({ session: "default", kind: "prompt", operationId: "p" }, () => Deferred.await(gate), {
          onIdle: () => idle++
        })
      )
      yield* settle
      const before = yield* lock.holder("default")
      const error = yield* Effect.flip(
        call(lock, "shell default", "s", "reject", () =>
          Effect.sync(() => {
            ran = true
          })
        )
      )
      assert.instanceOf(error, SessionBusy)
      assert.deepInclude(error, {
        session: "default",
        requested: "shell",
        running: "prompt",
        operationId: "p",
        since: 0,
        message:
          'Session "default" is already running prompt. Start another session for parallel conversation branches.'
      })
      assert.deepStrictEqual(yield* lock.holder("default"), before)
      assert.strictEqual(lock.size(), 1)
      assert.isFalse(ran)
      assert.strictEqual(idle, 0)
      assert.strictEqual(stateOf(holder), "running")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(holder)
      // Nobody stood in line because of the refused call.
      assert.strictEqual(idle, 1)
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L2 reject: of 100 callers at once one wins and 99 are refused", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const gate = yield* Deferred.make<void>()
      const fibers = yield* Effect.forEach(Array.from({ length: 100 }), (_, i) =>
        Effect.fork(call(lock, "prompt default", `${i}`, "reject", () => Deferred.await(gate)))
      )
      yield* settle
      const refused = yield* Effect.forEach(
        fibers.filter((fiber) => fiber.unsafePoll() !== null),
        (fiber) => Effect.flip(Fiber.join(fiber))
      )
      assert.strictEqual(refused.length, 99)
      for (const error of refused) {
        assert.strictEqual(
          error.message,
          'Session "default" is already running prompt. Start another session for parallel conversation branches.'
        )
      }
      yield* Deferred.succeed(gate, undefined)
      const answers = (yield* Effect.forEach(fibers, Fiber.await)).map(answer)
      assert.strictEqual(answers.filter((name) => name === "success").length, 1)
      assert.strictEqual(lock.size(), 0)
    })
  )
})

describe("L7", () => {
  const ends: ReadonlyArray<readonly [string, Effect.Effect<void, string>, string]> = [
    ["success", Effect.void, "success"],
    ["failure", Effect.fail("no"), "failure"],
    ["defect", Effect.die("no"), "failure"],
    ["interruption from inside", Effect.interrupt, "interrupted"]
  ]
  for (const [name, use, expected] of ends) {
    it.effect(`L7 release: the session is free after ${name}`, () =>
      Effect.gen(function* () {
        const lock = lockOf()
        assert.strictEqual(yield* answered(call(lock, "prompt A", "1", "reject", () => use)), expected)
        assert.strictEqual(lock.size(), 0)
        const scoped = Effect.scoped(
          Effect.zipRight(lock.acquire({ session: "A", kind: "prompt", operationId: "2" }), use)
        )
        assert.strictEqual(yield* answered(scoped), expected)
        assert.strictEqual(lock.size(), 0)
        yield* call(lock, "prompt A", "3")
      })
    )
  }

  it.effect(
    "L7 release: the session is free after its caller was interrupted, and not before the operation has ended",
    () =>
      Effect.gen(function* () {
        const lock = lockOf()
        const cleaned = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(
          call(lock, "prompt A", "1", "reject", () => Effect.onInterrupt(Effect.never, () => Deferred.await(cleaned)))
        )
        yield* settle
        const interruption = yield* Effect.fork(Fiber.interrupt(fiber))
        yield* settle
        assert.strictEqual(yield* answered(call(lock, "prompt A", "2")), "SessionBusy")
        yield* Deferred.succeed(cleaned, undefined)
        yield* Fiber.join(interruption)
        assert.strictEqual(lock.size(), 0)
        yield* call(lock, "prompt A", "3")
      })
  )

  it.effect("L7 release: an interrupted waiter leaves the holder and the line as they were", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const first = yield* occupy(lock, "prompt A", "1")
      const second = yield* Effect.fork(call(lock, "prompt A", "2", "wait"))
      yield* settle
      const third = yield* Effect.fork(call(lock, "prompt A", "3", "wait"))
      yield* settle
      yield* Fiber.interrupt(second)
      assert.strictEqual(Option.getOrThrow(yield* lock.holder("A")).operationId, "1")
      assert.strictEqual(yield* answered(call(lock, "prompt A", "4")), "SessionBusy")
      yield* first.end
      yield* Fiber.join(third)
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L7 release: a lease given to a scope that is closed already is taken back at once", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const scope = yield* Scope.make()
      yield* Scope.close(scope, Exit.void)
      const lease = yield* Scope.extend(lock.acquire({ session: "A", kind: "prompt", operationId: "1" }), scope)
      assert.isFalse(lease.live)
      assert.strictEqual(lock.size(), 0)
    })
  )

  for (const how of ["hold", "acquire"] as const) {
    for (const onBusy of [
      "wait",
      "interrupt",
      { _tag: "wait", timeout: 1000 }
    ] as const satisfies ReadonlyArray<OnBusy>) {
      const policy = typeof onBusy === "string" ? onBusy : "wait with a time limit"
      it.effect(
        `L7 release: a waiter (${how}, ${policy}) interrupted at any step, the instant of the grant included`,
        () =>
          Effect.sync(() => {
            let steps = 1
            const seen = new Set<string>()
            for (let at = 0; at < steps; at++) {
              for (const seed of [1, 2]) {
                const lock = lockOf()
                let victim: Fiber.RuntimeFiber<unknown, unknown> | undefined
                const fork = (id: string, policy: OnBusy, way: "hold" | "acquire" = "hold") =>
                  Effect.fork(
                    way === "hold"
                      ? call(lock, "prompt A", id, policy, () => Effect.yieldNow())
                      : Effect.scoped(
                          Effect.zipRight(
                            lock.acquire({ session: "A", kind: "prompt", operationId: id, onBusy: policy }),
                            Effect.yieldNow()
                          )
                        )
                  )
                const program = Effect.gen(function* () {
                  const first = yield* fork("1", "wait")
                  const second = yield* fork("2", onBusy, how)
                  victim = second
                  const third = yield* fork("3", "wait")
                  const answers: Array<string> = []
                  for (const fiber of [first, second, third]) answers.push(answer(yield* Fiber.await(fiber)))
                  return answers
                })
                const run = runSeeded(program, {
                  seed,
                  onStep: (step) => {
                    if (step === at) victim?.unsafeInterruptAsFork(FiberId.none)
                  }
                })
                steps = Math.max(steps, run.steps)
                const answers = run.exit !== undefined && Exit.isSuccess(run.exit) ? run.exit.value : ["hang"]
                seen.add(answers[1] ?? "")
                assert.isTrue(
                  answers.length === 3 &&
                    (onBusy === "interrupt" || (answers[0] === "success" && answers[2] === "success")),
                  `seed ${seed}, interrupted at step ${at}: ${answers.join(", ")}`
                )
                assert.strictEqual(lock.size(), 0, `seed ${seed}, interrupted at step ${at}`)
              }
            }
            assert.isTrue(seen.has("interrupted") && seen.has("success"), "both happened")
          })
      )
    }
  }
})

describe("L12", () => {
  it.effect("L12 same answer across handles: one lock behind every handle of a process", () =>
    Effect.gen(function* () {
      const one = yield* SessionLock
      const two = yield* SessionLock
      const gate = yield* Deferred.make<void>()
      const request = { session: "A", kind: "prompt" } as const
      const holder = yield* Effect.fork(one.hold({ ...request, operationId: "1" }, () => Deferred.await(gate)))
      yield* settle
      const refused = (lock: typeof one) => answered(lock.hold({ ...request, operationId: "2" }, () => Effect.void))
      assert.deepStrictEqual([yield* refused(one), yield* refused(two)], ["SessionBusy", "SessionBusy"])
      assert.deepStrictEqual(yield* one.holder("A"), yield* two.holder("A"))
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(holder)
      assert.strictEqual(yield* refused(two), "success")
    }).pipe(Effect.provide(layer))
  )
})
