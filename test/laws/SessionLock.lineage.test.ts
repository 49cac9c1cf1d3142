/**
 * Who may re-enter a session that is held: the task of a tool call, for as long as that call lasts, and nobody else.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FiberId, FiberRef, Option } from "effect"
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
