/**
 * What outlives a tool call or an operation has no right of entry, though it may carry the mark for ever.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, FiberRef, Queue } from "effect"
import type { OnBusy } from "../../src/services/Operation.js"
import { currentMark, type Lease } from "../../src/services/SessionLock.js"
import { answered, call, lockOf, type Lock, occupy, settle, stateOf } from "./support/lock.js"

/** Runs `use` as a tool call of a prompt on A. */
const inTool = <A, E>(lock: Lock, use: (lease: Lease) => Effect.Effect<A, E>) =>
  call(lock, "prompt A", "p", "reject", (lease) => lock.delegate(lease)(use(lease)))

describe("L5", () => {
  it.effect("L5 the mark does not leak: a daemon that outlives its tool call is an ordinary caller", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const go = yield* Deferred.make<void>()
      const daemon = yield* call(lock, "prompt A", "p", "reject", (lease) =>
        Effect.gen(function* () {
          const fiber = yield* lock.delegate(lease)(
            Effect.forkDaemon(
              Effect.zipRight(
                Deferred.await(go),
                Effect.all([
                  answered(call(lock, "task A", "t1")),
                  answered(call(lock, "prompt A", "t2")),
                  // It waits for the prompt as anybody does, and that is no deadlock.
                  answered(call(lock, "task A", "t3", "wait"))
                ])
              )
            )
          )
          yield* Deferred.succeed(go, undefined)
          yield* settle
          assert.strictEqual(stateOf(fiber), "running")
          return fiber
        })
      )
      assert.deepStrictEqual(yield* Fiber.join(daemon), ["SessionBusy", "SessionBusy", "success"])
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L5 the mark does not leak: a daemon that outlives the operation never overlaps the next one", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const go = yield* Deferred.make<void>()
      const depths: Array<number> = []
      const asking = (id: string, onBusy: OnBusy) =>
        call(lock, "task A", id, onBusy, (lease) => Effect.sync(() => depths.push(lease.depth)))
      const daemons = yield* call(lock, "prompt A", "p", "reject", (lease) =>
        Effect.all([
          // One of the operation itself, one of a tool call that is never closed.
          Effect.forkDaemon(Effect.zipRight(Deferred.await(go), answered(asking("d1", "wait")))),
          Effect.locally(
            Effect.forkDaemon(Effect.zipRight(Deferred.await(go), answered(asking("d2", "reject")))),
            currentMark,
            { lease, delegation: lock.open(lease) }
          )
        ])
      )
      const next = yield* occupy(lock, "prompt A", "next")
      yield* Deferred.succeed(go, undefined)
      yield* settle
      assert.deepStrictEqual(daemons.map(stateOf), ["running", "success"])
      yield* next.end
      assert.deepStrictEqual(yield* Effect.forEach(daemons, Fiber.join), ["success", "SessionBusy"])
      assert.deepStrictEqual(depths, [1])
    })
  )

  it.effect(
    "L5 the mark does not leak: work handed to a queue is done by right of the worker, not of who handed it in",
    () =>
      Effect.gen(function* () {
        const lock = lockOf()
        const queue = yield* Queue.unbounded<Deferred.Deferred<string>>()
        const worker = Effect.forever(
          Effect.flatMap(Queue.take(queue), (done) => Deferred.complete(done, answered(call(lock, "task A", "w"))))
        )
        const ask = Effect.flatMap(Deferred.make<string>(), (done) =>
          Effect.zipRight(Queue.offer(queue, done), Deferred.await(done))
        )
        const outside = yield* Effect.fork(worker)
        assert.strictEqual(yield* inTool(lock, () => ask), "SessionBusy")
        yield* Fiber.interrupt(outside)
        // A worker that a tool call started has that call's mark for good, but the right ended with the call.
        const inside = yield* inTool(lock, () => Effect.forkDaemon(worker))
        assert.strictEqual(yield* inTool(lock, () => ask), "SessionBusy")
        yield* Fiber.interrupt(inside)
      })
  )

  it.effect("L5 the mark does not leak: setting it in a child leaves the parent's as it was", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const first = yield* occupy(lock, "prompt A", "1")
      const mark = { lease: first.lease, delegation: lock.open(first.lease) }
      yield* Fiber.join(yield* Effect.fork(FiberRef.set(currentMark, mark)))
      assert.isUndefined(yield* FiberRef.get(currentMark))
      yield* Effect.all([FiberRef.set(currentMark, mark), Effect.void], { concurrency: "unbounded" })
      assert.isUndefined(yield* FiberRef.get(currentMark))
      yield* first.end
    })
  )

  it.effect(
    "L5 the mark does not leak: a waiter at the gate of a tool call that ends asks again as an ordinary caller",
    () =>
      Effect.gen(function* () {
        const lock = lockOf({ taskWidth: 1 })
        const [rejecting, waiting] = yield* call(lock, "prompt A", "p", "reject", (lease) =>
          Effect.gen(function* () {
            const slot = yield* Effect.fork(
              lock.delegate(lease)(call(lock, "task A", "slot", "reject", () => Effect.never))
            )
            yield* settle
            const fibers = yield* lock.delegate(lease)(
              Effect.zipLeft(
                Effect.all([
                  Effect.forkDaemon(answered(call(lock, "task A", "t1", "reject"))),
                  Effect.forkDaemon(answered(call(lock, "task A", "t2", "wait")))
                ]),
                settle
              )
            )
            yield* settle
            assert.deepStrictEqual(fibers.map(stateOf), ["success", "running"])
            // The free place at the gate is not for it.
            yield* Fiber.interrupt(slot)
            yield* settle
            assert.strictEqual(stateOf(fibers[1]), "running")
            return fibers
          })
        )
        assert.strictEqual(yield* Fiber.join(rejecting), "SessionBusy")
        assert.strictEqual(yield* Fiber.join(waiting), "success")
      })
  )

  it.effect("L5 the mark does not leak: a waiter at the gate of an operation that ends is not let in under it", () =>
    Effect.gen(function* () {
      const lock = lockOf({ taskWidth: 1 })
      const daemons = yield* call(lock, "prompt A", "p", "reject", (lease) => {
        const mark = { lease, delegation: lock.open(lease) }
        const task = (id: string, onBusy: OnBusy) =>
          Effect.zipLeft(
            Effect.locally(
              Effect.forkDaemon(answered(call(lock, "task A", id, onBusy, () => Effect.never))),
              currentMark,
              mark
            ),
            settle
          )
        return Effect.all([task("slot", "reject"), task("t1", "reject"), task("t2", "wait")])
      })
      // The place of the first came free as the operation ended. The others asked again while it was still ending, which
      // is still their own lineage: what it awaits might be waiting for them.
      assert.deepStrictEqual(yield* Effect.forEach(daemons, Fiber.join), [
        "interrupted",
        "SessionBusy",
        "SessionDeadlock"
      ])
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L5 the mark does not leak: nor through an operation on another session that outlives the tool call", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const go = yield* Deferred.make<void>()
      const asking = yield* call(lock, "prompt A", "p", "reject", (lease) =>
        Effect.gen(function* () {
          const fiber = yield* lock.delegate(lease)(
            Effect.zipLeft(
              Effect.forkDaemon(
                call(lock, "task B", "b", "reject", (b) =>
                  lock.delegate(b)(Effect.zipRight(Deferred.await(go), answered(call(lock, "task A", "late"))))
                )
              ),
              settle
            )
          )
          yield* Deferred.succeed(go, undefined)
          yield* settle
          return fiber
        })
      )
      assert.strictEqual(yield* Fiber.join(asking), "SessionBusy")
    })
  )

  it.effect("L5 the mark does not leak: nor through one that outlives the operation in the middle", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const go = yield* Deferred.make<void>()
      const asking = yield* inTool(lock, () =>
        Effect.gen(function* () {
          // b has ended when the operation on C, which it left behind, asks for A.
          const fiber = yield* call(lock, "task B", "b", "reject", () =>
            Effect.zipLeft(
              Effect.forkDaemon(
                call(lock, "task C", "c", "reject", (c) =>
                  lock.delegate(c)(Effect.zipRight(Deferred.await(go), answered(call(lock, "task A", "late"))))
                )
              ),
              settle
            )
          )
          yield* Deferred.succeed(go, undefined)
          yield* settle
          return fiber
        })
      )
      assert.strictEqual(yield* Fiber.join(asking), "SessionBusy")
    })
  )

  it.effect("L5 the mark does not leak: nor through one that was called while its caller's operation was ending", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const [go, cleaned, ending] = yield* Effect.all([
        Deferred.make<void>(),
        Deferred.make<void>(),
        Deferred.make<void>()
      ])
      const asking = yield* inTool(lock, () =>
        Effect.gen(function* () {
          const operation = yield* Effect.fork(
            call(lock, "task B", "b", "reject", (b) => {
              const slow = Effect.onInterrupt(Effect.never, () =>
                Effect.zipRight(Deferred.succeed(ending, undefined), Deferred.await(cleaned))
              )
              const late = call(lock, "task C", "c", "reject", (c) =>
                lock.delegate(c)(Effect.zipRight(Deferred.await(go), answered(call(lock, "task A", "late"))))
              )
              return Effect.gen(function* () {
                // It is taken back when b ends, and takes its time: b is ending all the while.
                yield* Effect.locally(
                  Effect.forkDaemon(call(lock, "task B", "slow", "reject", () => slow)),
                  currentMark,
                  {
                    lease: b,
                    delegation: lock.open(b)
                  }
                )
                const daemon = yield* Effect.forkDaemon(Effect.zipRight(Deferred.await(ending), late))
                yield* settle
                return daemon
              })
            })
          )
          yield* Deferred.await(ending)
          yield* settle
          yield* Deferred.succeed(cleaned, undefined)
          const daemon = yield* Fiber.join(operation)
          yield* Deferred.succeed(go, undefined)
          yield* settle
          return daemon
        })
      )
      assert.strictEqual(yield* Fiber.join(asking), "SessionBusy")
    })
  )
})
