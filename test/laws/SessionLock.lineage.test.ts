/**
 * Who may re-enter a session that is held: the task of a tool call, for as long as that call lasts, and nobody else.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FiberId, FiberRef, Option, Queue } from "effect"
import type { HoldKind, OnBusy } from "../../src/services/Operation.js"
import { currentMark, type Lease, promiseLineage } from "../../src/services/SessionLock.js"
import { answer, answered, call, lockOf, type Lock, occupy, settle, stateOf } from "./support/lock.js"

/** Runs `use` as a tool call of a prompt on A. */
const inTool = <A, E>(lock: Lock, use: (lease: Lease) => Effect.Effect<A, E>) =>
  call(lock, "prompt A", "p", "reject", (lease) => lock.delegate(lease)(use(lease)))

describe("L3", () => {
  it.effect("L3 re-entry: the task of a tool call is admitted at once, whatever its policy", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const policies: ReadonlyArray<OnBusy> = ["reject", "wait", "interrupt", { _tag: "wait", timeout: 1, cap: 0 }]
      const leases = yield* inTool(lock, () =>
        Effect.forEach(policies, (onBusy, i) => call(lock, "task A", `t${i}`, onBusy, Effect.succeed))
      )
      for (const lease of leases) assert.strictEqual(lease.depth, 1)
      assert.strictEqual(lock.size(), 0)
    })
  )

  for (const width of [1, 2]) {
    it.effect(`L3 re-entry: of five parallel tasks ${width} run at a time, first come, first served`, () =>
      Effect.gen(function* () {
        const lock = lockOf({ taskWidth: width })
        const order: Array<number> = []
        let running = 0
        let most = 0
        const task = (i: number) =>
          call(lock, "task A", `t${i}`, "reject", () =>
            Effect.acquireUseRelease(
              Effect.sync(() => {
                order.push(i)
                most = Math.max(most, ++running)
              }),
              () => settle,
              () => Effect.sync(() => running--)
            )
          )
        yield* call(lock, "prompt A", "p", "reject", (lease) =>
          Effect.forEach([0, 1, 2, 3, 4], (i) => lock.delegate(lease)(task(i)), { concurrency: "unbounded" })
        )
        assert.strictEqual(most, width)
        assert.deepStrictEqual(order, [0, 1, 2, 3, 4])
      })
    )
  }

  it.effect("L3 re-entry: grandchildren never wait at a gate that their own ancestors fill", () =>
    Effect.gen(function* () {
      const lock = lockOf({ taskWidth: 1 })
      const nest =
        (level: number): ((lease: Lease) => Effect.Effect<number, unknown>) =>
        (lease) =>
          level === 4
            ? Effect.succeed(lease.depth)
            : lock.delegate(lease)(call(lock, "task A", `t${level}`, "reject", nest(level + 1)))
      assert.strictEqual(yield* call(lock, "prompt A", "p", "reject", nest(0)), 4)
    })
  )

  it.effect("L3 re-entry: a task on another session and back enters under the nearest lease of the root session", () =>
    Effect.gen(function* () {
      const lock = lockOf({ taskWidth: 1 })
      const path = yield* inTool(lock, () =>
        call(lock, "task B", "b", "reject", (b) =>
          lock.delegate(b)(call(lock, "task A", "a", "reject", (a) => Effect.succeed([a.parent?.operationId, a.depth])))
        )
      )
      assert.deepStrictEqual(path, ["b", 2])
    })
  )

  it.effect("L3 re-entry: a task that waits at its gate may be interrupted there", () =>
    Effect.gen(function* () {
      const lock = lockOf({ taskWidth: 1 })
      yield* call(lock, "prompt A", "p", "reject", (lease) =>
        Effect.gen(function* () {
          const fibers = yield* Effect.forEach(["1", "2", "3"], (id) =>
            Effect.fork(
              lock.delegate(lease)(call(lock, "task A", id, "reject", () => (id === "1" ? Effect.never : Effect.void)))
            )
          )
          yield* settle
          yield* Fiber.interrupt(fibers[1]!)
          assert.deepStrictEqual(fibers.map(stateOf), ["running", "interrupted", "running"])
          yield* Fiber.interrupt(fibers[0]!)
          yield* Fiber.join(fibers[2]!)
        })
      )
      assert.strictEqual(lock.size(), 0)
    })
  )
})

describe("L4", () => {
  const kinds: ReadonlyArray<HoldKind> = ["prompt", "skill", "shell", "compact", "remove"]
  const policies: ReadonlyArray<readonly [OnBusy, string]> = [
    ["reject", "SessionBusy"],
    ["wait", "SessionDeadlock"],
    [{ _tag: "wait", timeout: 1000 }, "SessionDeadlock"],
    [{ _tag: "wait", cap: 0 }, "SessionDeadlock"],
    ["interrupt", "SessionDeadlock"]
  ]

  for (const kind of kinds) {
    it.effect(`L4 only task: ${kind} on a session of its own lineage is refused at once`, () =>
      Effect.gen(function* () {
        const lock = lockOf()
        const asked = (session: string) =>
          Effect.forEach(policies, ([onBusy]) => answered(call(lock, `${kind} ${session}`, "own", onBusy)))
        const expected = policies.map(([, tag]) => tag)
        const all = yield* inTool(lock, () =>
          Effect.all([
            asked("A"),
            // From a task of its own, and from a task on another session.
            call(lock, "task A", "t", "reject", (t) => lock.delegate(t)(asked("A"))),
            call(lock, "task B", "t", "reject", (t) => lock.delegate(t)(asked("A")))
          ])
        )
        assert.deepStrictEqual(all, [expected, expected, expected])
        assert.strictEqual(lock.size(), 0)
      })
    )
  }

  it.effect("L4 only task: the refusals name the operation that runs and the one that asked", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      yield* inTool(lock, () =>
        call(lock, "task A", "t", "reject", (t) =>
          lock.delegate(t)(
            Effect.gen(function* () {
              const busy = yield* Effect.flip(call(lock, "prompt A", "own"))
              assert.deepInclude(busy, {
                _tag: "SessionBusy",
                running: "prompt",
                operationId: "p",
                requested: "prompt"
              })
              const deadlock = yield* Effect.flip(call(lock, "prompt A", "own", "wait"))
              assert.deepInclude(deadlock, {
                _tag: "SessionDeadlock",
                cycle: [
                  { session: "A", kind: "prompt", operationId: "own" },
                  { session: "A", kind: "task", operationId: "t" }
                ]
              })
            })
          )
        )
      )
    })
  )

  it.effect("L4 only task: not even a task re-enters outside of a tool call, or where its lease is only named", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const names = yield* call(lock, "prompt A", "p", "reject", (lease) =>
        Effect.all([
          answered(call(lock, "task A", "t1")),
          answered(call(lock, "task A", "t2", "wait")),
          answered(
            Effect.locally(
              lock.hold({ session: "A", kind: "task", operationId: "t3", under: lease }, () => Effect.void),
              currentMark,
              undefined
            )
          )
        ])
      )
      assert.deepStrictEqual(names, ["SessionBusy", "SessionDeadlock", "SessionBusy"])
    })
  )

  /** Runs a plain async function as a promise tool does. */
  const inPromise = (use: () => Promise<void>) =>
    Effect.gen(function* () {
      const mark = yield* FiberRef.get(currentMark)
      const fiber = yield* Effect.fiberId
      assert.isTrue(mark !== undefined && FiberId.isRuntime(fiber))
      if (mark !== undefined && FiberId.isRuntime(fiber)) {
        yield* Effect.promise(() => promiseLineage.run({ mark, fiber: fiber.id }, use))
      }
    })

  it.effect("L4 only task: the same around a plain promise, where not even a task enters", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const names: Array<string> = []
      yield* inTool(lock, () =>
        inPromise(async () => {
          await Promise.resolve()
          for (const kind of ["prompt", "task"] as const) {
            for (const [onBusy] of policies) {
              names.push(answer(await Effect.runPromiseExit(call(lock, `${kind} A`, "own", onBusy))))
            }
          }
        })
      )
      const expected = policies.map(([, tag]) => tag)
      assert.deepStrictEqual(names, [...expected, ...expected])
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L4 only task: a promise that outlives its tool call is an ordinary caller", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const released = yield* Deferred.make<void>()
      const late = yield* Deferred.make<string>()
      yield* inTool(lock, () =>
        inPromise(async () => {
          void (async () => {
            await Effect.runPromise(Deferred.await(released))
            await Effect.runPromise(Deferred.complete(late, answered(call(lock, "prompt A", "late", "wait"))))
          })()
          return Promise.resolve()
        })
      )
      const next = yield* occupy(lock, "prompt A", "next")
      yield* Deferred.succeed(released, undefined)
      yield* settle
      assert.isTrue(Option.isNone(yield* Deferred.poll(late)))
      yield* next.end
      assert.strictEqual(yield* Deferred.await(late), "success")
    })
  )

  it.effect("L4 only task: a fiber older than the tool call that is resumed there is an ordinary caller", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      let resume: () => void = () => undefined
      const older = yield* Effect.fork(
        Effect.zipRight(
          Effect.async<void>((done) => {
            resume = () => done(Effect.void)
          }),
          call(lock, "prompt A", "older", "wait")
        )
      )
      yield* settle
      yield* inTool(lock, () =>
        Effect.zipRight(
          inPromise(async () => {
            resume()
            await Promise.resolve()
          }),
          Effect.zipRight(
            settle,
            Effect.sync(() => assert.strictEqual(stateOf(older), "running"))
          )
        )
      )
      assert.strictEqual(answer(yield* Fiber.await(older)), "success")
    })
  )
})

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

describe("L10", () => {
  it.effect("L10 depth: a task below the limit runs, the next one is refused and leaves no trace", () =>
    Effect.gen(function* () {
      const lock = lockOf({ taskWidth: 1 })
      const sessions = ["B", "A", "C", "A"]
      let ran = 0
      const nest =
        (level: number): ((lease: Lease) => Effect.Effect<unknown, unknown>) =>
        (lease) =>
          lock.delegate(lease)(
            level < 4
              ? call(lock, `task ${sessions[level]!}`, `t${level}`, "wait", (next) =>
                  Effect.zipRight(
                    Effect.sync(() => ran++),
                    nest(level + 1)(next)
                  )
                )
              : Effect.gen(function* () {
                  const size = lock.size()
                  for (const session of ["A", "B", "new"]) {
                    const exit = yield* Effect.exit(
                      call(lock, `task ${session}`, "deep", "wait", () => Effect.sync(() => ran++))
                    )
                    assert.strictEqual(answer(exit), "TaskDepthExceeded")
                    assert.isTrue(Exit.isFailure(exit))
                    assert.strictEqual(lock.size(), size)
                    assert.isTrue(session !== "new" || Option.isNone(yield* lock.holder(session)))
                  }
                  // Another kind of operation may still be called from there.
                  yield* call(lock, "prompt new", "prompt")
                })
          )
      yield* call(lock, "prompt A", "p", "reject", nest(0))
      assert.strictEqual(ran, 4)
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L10 depth: the refusal tells the depth and the limit", () =>
    Effect.gen(function* () {
      const lock = lockOf({ taskDepth: 0 })
      const error = yield* Effect.flip(inTool(lock, () => call(lock, "task A", "t")))
      assert.deepInclude(error, { _tag: "TaskDepthExceeded", session: "A", depth: 1, limit: 0 })
    })
  )

  it.effect("L10 depth: a session that stands deep itself counts, where no lineage tells", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const task = (baseDepth: number) =>
        answered(lock.hold({ session: "child", kind: "task", operationId: "t", baseDepth }, () => Effect.void))
      assert.deepStrictEqual([yield* task(3), yield* task(4)], ["success", "TaskDepthExceeded"])
      const depth = yield* lock.hold({ session: "child", kind: "prompt", operationId: "p", baseDepth: 4 }, (lease) =>
        Effect.zipRight(lock.delegate(lease)(Effect.flip(call(lock, "task child", "t"))), Effect.succeed(lease.depth))
      )
      assert.strictEqual(depth, 4)
    })
  )
})
