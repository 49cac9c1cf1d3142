/**
 * What was admitted under a lease, or through a tool call, ends before it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { currentMark, type Delegation, type Lease } from "../../src/services/SessionLock.js"
import { answer, answered, call, lockOf, type Lock, settle, stateOf } from "./support/lock.js"

const lasting = (ends: Array<string>, id: string) =>
  Effect.onExit(Effect.never, (exit) => Effect.sync(() => ends.push(`${id} ${answer(exit)}`)))

/** A prompt whose tools run two tasks, one of which has a task of its own. */
const tree = (lock: Lock, ends: Array<string>) =>
  lock.hold(
    { session: "A", kind: "prompt", operationId: "p" },
    (p) =>
      Effect.onExit(
        Effect.all(
          [
            lock.delegate(p)(
              call(lock, "task A", "t1", "reject", (t1) =>
                Effect.onExit(
                  lock.delegate(t1)(call(lock, "task A", "t11", "reject", () => lasting(ends, "t11"))),
                  () => Effect.sync(() => ends.push("t1"))
                )
              )
            ),
            lock.delegate(p)(call(lock, "task A", "t2", "reject", () => lasting(ends, "t2")))
          ],
          { concurrency: "unbounded" }
        ),
        () => Effect.sync(() => ends.push("p"))
      ),
    { onIdle: () => ends.push("idle") }
  )

describe("L6", () => {
  it.effect(
    "L6 structured: interrupting an operation interrupts its tasks first, to the bottom, then frees the session",
    () =>
      Effect.gen(function* () {
        const lock = lockOf()
        const ends: Array<string> = []
        const fiber = yield* Effect.fork(tree(lock, ends))
        yield* settle
        yield* Fiber.interrupt(fiber)
        assert.isBelow(ends.indexOf("t11 interrupted"), ends.indexOf("t1"))
        assert.deepStrictEqual(ends.toSorted(), ["idle", "p", "t1", "t11 interrupted", "t2 interrupted"])
        assert.deepStrictEqual(ends.slice(-2), ["p", "idle"])
        assert.strictEqual(lock.size(), 0)
      })
  )

  it.effect("L6 structured: another operation that interrupts finds all of it ended", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const ends: Array<string> = []
      const fiber = yield* Effect.fork(tree(lock, ends))
      yield* settle
      yield* call(lock, "prompt A", "next", "interrupt", () => Effect.sync(() => ends.push("next")))
      assert.deepStrictEqual(ends.slice(-2), ["p", "next"])
      assert.strictEqual(stateOf(fiber), "interrupted")
    })
  )

  it.effect("L6 structured: a tool that forks a task and returns takes it back", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const ends: Array<string> = []
      const started = yield* Deferred.make<void>()
      const cleaned = yield* Deferred.make<void>()
      const fiber = yield* call(lock, "prompt A", "p", "reject", (lease) =>
        Effect.gen(function* () {
          const tool = yield* Effect.fork(
            lock.delegate(lease)(
              Effect.zipLeft(
                Effect.forkDaemon(
                  call(lock, "task A", "t", "reject", (t) =>
                    lock.delegate(t)(
                      call(lock, "task A", "tt", "reject", () =>
                        Effect.zipRight(
                          Deferred.succeed(started, undefined),
                          Effect.onInterrupt(lasting(ends, "tt"), () => Deferred.await(cleaned))
                        )
                      )
                    )
                  )
                ),
                Deferred.await(started)
              )
            )
          )
          yield* Deferred.await(started)
          yield* settle
          // The tool call has not ended before its task has.
          assert.strictEqual(stateOf(tool), "running")
          assert.deepStrictEqual(ends, ["tt interrupted"])
          yield* Deferred.succeed(cleaned, undefined)
          return yield* Fiber.join(tool)
        })
      )
      assert.strictEqual(answer(yield* Fiber.await(fiber)), "interrupted")
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L6 structured: a session is not given back before a task that a daemon runs", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const cleaned = yield* Deferred.make<void>()
      const ends: Array<string> = []
      const prompt = yield* Effect.fork(
        call(lock, "prompt A", "p", "reject", (lease) => {
          const delegation = lock.open(lease)
          return Effect.zipRight(
            Effect.forkDaemon(
              call(lock, "prompt B", "b", "reject", () => Effect.void).pipe(
                Effect.zipRight(taskThrough(lock, lease, delegation, ends, cleaned))
              )
            ),
            settle
          )
        })
      )
      yield* settle
      yield* settle
      assert.deepStrictEqual(ends, ["t interrupted"])
      assert.strictEqual(stateOf(prompt), "running")
      assert.strictEqual(yield* answered(call(lock, "prompt A", "next")), "SessionBusy")
      yield* Deferred.succeed(cleaned, undefined)
      yield* Fiber.join(prompt)
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L6 structured: a lease whose fiber has gone is taken back when its tool call ends", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const scope = yield* Scope.make()
      const request = { session: "A", kind: "task", operationId: "t" } as const
      const lease = yield* call(lock, "prompt A", "p", "reject", (p) =>
        lock.delegate(p)(
          Effect.flatMap(Effect.fork(Scope.extend(lock.acquire(request), scope)), (fiber) =>
            Effect.tap(Fiber.join(fiber), (lease) => Effect.sync(() => assert.isTrue(lease.live)))
          )
        )
      )
      assert.isFalse(lease.live)
      assert.strictEqual(lock.size(), 0)
      // The scope gives back what is its own, which is nothing any more.
      const next = yield* Effect.fork(call(lock, "prompt A", "next", "reject", () => Effect.never))
      yield* settle
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* answered(call(lock, "prompt A", "other")), "SessionBusy")
      yield* Fiber.interrupt(next)
    })
  )

  it.effect(
    "L6 structured: a lease whose fiber runs on without giving it back is taken back when that fiber ends",
    () =>
      Effect.gen(function* () {
        const lock = lockOf()
        const scope = yield* Scope.make()
        const request = { session: "A", kind: "task", operationId: "t" } as const
        yield* call(lock, "prompt A", "p", "reject", (p) =>
          lock.delegate(p)(
            Effect.zipRight(
              Effect.forkDaemon(Effect.zipRight(Scope.extend(lock.acquire(request), scope), Effect.never)),
              settle
            )
          )
        )
        assert.strictEqual(lock.size(), 0)
      })
  )

  it.effect(
    "L6 structured: a lease that a tool call took in its own fiber and did not give back ends with the call",
    () =>
      Effect.gen(function* () {
        const lock = lockOf()
        const scope = yield* Scope.make()
        const request = { session: "A", kind: "task", operationId: "t" } as const
        const lease = yield* call(lock, "prompt A", "p", "reject", (p) =>
          lock.delegate(p)(Scope.extend(lock.acquire(request), scope))
        )
        assert.isFalse(lease.live)
        assert.strictEqual(lock.size(), 0)
      })
  )

  it.effect("L6 structured: what re-entered through an operation that was left behind ends with the tool call", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const ends: Array<string> = []
      yield* call(lock, "prompt A", "p", "reject", (p) =>
        Effect.gen(function* () {
          const left = yield* lock.delegate(p)(
            Effect.zipLeft(
              Effect.forkDaemon(
                call(lock, "task B", "b", "reject", (b) =>
                  Effect.zipRight(
                    answered(lock.delegate(b)(call(lock, "task A", "t", "reject", () => lasting(ends, "t")))),
                    Effect.never
                  )
                )
              ),
              settle
            )
          )
          assert.deepStrictEqual(ends, ["t interrupted"])
          // The operation on the other session holds nothing of ours; it goes on.
          assert.strictEqual(stateOf(left), "running")
          yield* Fiber.interrupt(left)
        })
      )
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L6 structured: closing a tool call cannot be interrupted, and closing it twice is closing it once", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const cleaned = yield* Deferred.make<void>()
      const ends: Array<string> = []
      yield* call(lock, "prompt A", "p", "reject", (lease) =>
        Effect.gen(function* () {
          const delegation = lock.open(lease)
          yield* Effect.forkDaemon(taskThrough(lock, lease, delegation, ends, cleaned))
          yield* settle
          const closing = yield* Effect.fork(lock.close(delegation))
          const again = yield* Effect.fork(lock.close(delegation))
          yield* settle
          assert.isFalse(delegation.open)
          const interrupting = yield* Effect.fork(Fiber.interrupt(closing))
          yield* settle
          assert.deepStrictEqual([stateOf(closing), stateOf(again)], ["running", "running"])
          yield* Deferred.succeed(cleaned, undefined)
          yield* Fiber.join(interrupting)
          yield* Fiber.await(again)
          assert.deepStrictEqual(ends, ["t interrupted"])
        })
      )
    })
  )
})

/** A task that takes its time to clean up, called through a delegation that somebody else closes. */
const taskThrough = (
  lock: Lock,
  lease: Lease,
  delegation: Delegation,
  ends: Array<string>,
  cleaned: Deferred.Deferred<void>
) =>
  Effect.locally(
    call(lock, "task A", "t", "reject", () => Effect.onInterrupt(lasting(ends, "t"), () => Deferred.await(cleaned))),
    currentMark,
    { lease, delegation }
  )
