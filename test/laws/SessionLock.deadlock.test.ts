/**
 * Sessions that would wait for each other: the newest is told, and nobody else.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, FastCheck as fc, Fiber } from "effect"
import type { Lease } from "../../src/services/SessionLock.js"
import { runSeeded } from "../support/SeededScheduler.js"
import { answer, answered, call, lockOf, type Lock, settle, stateOf } from "./support/lock.js"
import { forAll, runs, timeout } from "./support/property.js"

/** An operation in whose tools effects may be run from outside, as that operation's own. */
const host = (lock: Lock, what: `${"prompt" | "task"} ${string}`, id: string, inside?: Host) =>
  Effect.gen(function* () {
    const started = yield* Deferred.make<Lease>()
    const gate = yield* Deferred.make<void>()
    const operation = call(lock, what, id, "reject", (lease) =>
      Effect.zipRight(Deferred.succeed(started, lease), Deferred.await(gate))
    )
    const fiber = yield* Effect.fork(inside === undefined ? operation : inside.tool(operation))
    const lease = yield* Deferred.await(started)
    const made: Host = {
      lease,
      tool: lock.delegate(lease),
      end: Effect.zipRight(Deferred.succeed(gate, undefined), Effect.asVoid(Fiber.await(fiber)))
    }
    return made
  })

interface Host {
  readonly lease: Lease
  readonly tool: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  readonly end: Effect.Effect<void>
}

/** Starts a call that is expected to wait. */
const waiting = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* settle
    assert.strictEqual(stateOf(fiber), "running")
    return fiber
  })

describe("L9", () => {
  it.effect("L9 no deadlock between sessions: of two that wait for each other the newest fails, by name", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const a = yield* host(lock, "prompt A", "a")
      const b = yield* host(lock, "prompt B", "b")
      const first = yield* waiting(a.tool(call(lock, "prompt B", "ab", "wait")))
      const error = yield* Effect.flip(b.tool(call(lock, "prompt A", "ba", "wait")))
      assert.deepInclude(error, {
        _tag: "SessionDeadlock",
        cycle: [
          { session: "A", kind: "prompt", operationId: "ba" },
          { session: "A", kind: "prompt", operationId: "a" },
          { session: "B", kind: "prompt", operationId: "b" }
        ]
      })
      assert.include(error.message, 'prompt on session "B" (b)')
      // Whoever waited before goes on waiting, and is served.
      yield* b.end
      assert.strictEqual(answer(yield* Fiber.await(first)), "success")
      yield* a.end
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L9 no deadlock between sessions: of three likewise, whatever the time limit", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const a = yield* host(lock, "prompt A", "a")
      const b = yield* host(lock, "prompt B", "b")
      const c = yield* host(lock, "prompt C", "c")
      const ab = yield* waiting(a.tool(call(lock, "task B", "ab", "wait")))
      const bc = yield* waiting(b.tool(call(lock, "shell C", "bc", { _tag: "wait", timeout: 1000 })))
      const error = yield* Effect.flip(c.tool(call(lock, "prompt A", "ca", { _tag: "wait", timeout: 1000 })))
      assert.deepStrictEqual(
        error._tag === "SessionDeadlock" ? error.cycle.map((step) => step.operationId) : error._tag,
        ["ca", "a", "b", "c"]
      )
      // To refuse is no wait, so it is no deadlock either.
      assert.strictEqual(yield* answered(c.tool(call(lock, "prompt A", "ca"))), "SessionBusy")
      for (const { end } of [c, b, a]) yield* end
      yield* Fiber.join(ab)
      yield* Fiber.join(bc)
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L9 no deadlock between sessions: the waits of tasks count as those of the operation above them", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const a = yield* host(lock, "prompt A", "a")
      const task = yield* host(lock, "task A", "t", a)
      const below = yield* host(lock, "task C", "c", task)
      const b = yield* host(lock, "prompt B", "b")
      const fiber = yield* waiting(below.tool(call(lock, "prompt B", "cb", "wait")))
      assert.strictEqual(yield* answered(b.tool(call(lock, "prompt A", "ba", "wait"))), "SessionDeadlock")
      yield* Fiber.interrupt(fiber)
      // Nobody waits for b any more.
      const later = yield* waiting(b.tool(call(lock, "prompt A", "ba", "wait")))
      for (const { end } of [below, task, a]) yield* end
      yield* Fiber.join(later)
      yield* b.end
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect(
    "L9 no deadlock between sessions: a wait fails exactly where it closes a cycle",
    () =>
      forAll(
        fc.record({
          seed: fc.nat(0xffffff),
          sessions: fc.integer({ min: 2, max: 5 }),
          waits: fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { minLength: 1, maxLength: 8 })
        }),
        Math.ceil(runs / 20),
        ({ seed, sessions, waits }) => {
          const lock = lockOf()
          // The model: who waits for whom. The holders hold until the end.
          const edges = Array.from({ length: sessions }, () => new Set<number>())
          const reaches = (from: number, to: number): boolean =>
            from === to || [...edges[from]!].some((next) => reaches(next, to))
          const wrong: Array<string> = []
          const program = Effect.gen(function* () {
            const hosts = yield* Effect.forEach(edges, (_, i) => host(lock, `prompt ${i}`, `${i}`))
            const fibers: Array<Fiber.RuntimeFiber<string>> = []
            for (const [from, to] of waits.map(([from, to]) => [from % sessions, to % sessions] as const)) {
              const expected = reaches(to, from) ? "SessionDeadlock" : "running"
              const fiber = yield* Effect.fork(
                answered(hosts[from]!.tool(call(lock, `prompt ${to}`, `${from}-${to}`, "wait")))
              )
              yield* settle
              const exit = fiber.unsafePoll()
              const found = exit === null ? "running" : exit._tag === "Success" ? exit.value : "interrupted"
              if (found !== expected) wrong.push(`${from} waits for ${to}: ${found}, not ${expected}`)
              if (expected === "running") edges[from]!.add(to)
              fibers.push(fiber)
            }
            for (const { end } of hosts) yield* end
            for (const fiber of fibers) yield* Fiber.await(fiber)
          })
          const { exit } = runSeeded(program, { seed })
          if (wrong.length > 0) return wrong.join("; ")
          return exit === undefined || lock.size() > 0 ? "hang" : undefined
        }
      ),
    timeout
  )

  it.effect("L9 no deadlock between sessions: a gate is stuck when all its holders are, and not before", () =>
    Effect.gen(function* () {
      const lock = lockOf({ taskWidth: 2 })
      const a = yield* host(lock, "prompt A", "a")
      const one = yield* host(lock, "task A", "t1", a)
      const two = yield* host(lock, "task A", "t2", a)
      const b = yield* host(lock, "task B", "b", a)
      const oneWaits = yield* waiting(one.tool(call(lock, "prompt B", "1b", "wait")))
      // The gate of A is full, but its second holder may end.
      const first = yield* waiting(b.tool(call(lock, "task A", "ba1")))
      yield* Fiber.interrupt(first)
      const twoWaits = yield* waiting(two.tool(call(lock, "prompt B", "2b", "wait")))
      const error = yield* Effect.flip(b.tool(call(lock, "task A", "ba2")))
      assert.deepStrictEqual(
        error._tag === "SessionDeadlock" ? error.cycle.map((step) => step.operationId) : error._tag,
        ["ba2", "t1", "b"]
      )
      yield* b.end
      yield* Fiber.join(oneWaits)
      yield* Fiber.join(twoWaits)
      for (const { end } of [two, one, a]) yield* end
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L9 no deadlock between sessions: a place at a gate that comes free is taken, and no cycle", () =>
    Effect.gen(function* () {
      const lock = lockOf({ taskWidth: 2 })
      const a = yield* host(lock, "prompt A", "a")
      const one = yield* host(lock, "task A", "t1", a)
      const two = yield* host(lock, "task A", "t2", a)
      const b = yield* host(lock, "task B", "b", a)
      const oneWaits = yield* waiting(one.tool(call(lock, "prompt B", "1b", "wait")))
      const back = yield* waiting(b.tool(call(lock, "task A", "ba")))
      yield* two.end
      yield* Fiber.join(back)
      yield* b.end
      yield* Fiber.join(oneWaits)
      for (const { end } of [one, a]) yield* end
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L9 no deadlock between sessions: two gates whose holders hold each other up are a cycle", () =>
    Effect.gen(function* () {
      const lock = lockOf({ taskWidth: 2 })
      // B is prompted, a tool of it runs a task on A; from there on both gates have two places.
      const b = yield* host(lock, "prompt B", "b")
      const a = yield* host(lock, "task A", "a", b)
      const h1 = yield* host(lock, "task A", "h1", a)
      const h2 = yield* host(lock, "task B", "h2", a)
      const m1 = yield* host(lock, "task A", "m1", a)
      const m2 = yield* host(lock, "task B", "m2", m1)
      const c = yield* host(lock, "task C", "c", h1)
      // c waits for h2 or m2, h2 waits for h1 or m1; h1 waits for c, and m1 for m2.
      const cWaits = yield* waiting(c.tool(call(lock, "task B", "cb")))
      const hWaits = yield* waiting(h2.tool(call(lock, "task A", "ha")))
      // With this one nobody could ever go on.
      assert.strictEqual(yield* answered(m2.tool(call(lock, "prompt C", "mc", "wait"))), "SessionDeadlock")
      for (const { end } of [m2, m1]) yield* end
      yield* Fiber.join(cWaits)
      yield* Fiber.join(hWaits)
      for (const { end } of [c, h2, h1, a, b]) yield* end
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L9 no deadlock between sessions: who outlived its tool call holds nobody up", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const a = yield* host(lock, "prompt A", "a")
      const b = yield* host(lock, "prompt B", "b")
      // Two things that a tool call of a leaves behind: one that waits for b, and one that runs and then waits for b.
      const left = yield* a.tool(Effect.zipLeft(Effect.forkDaemon(call(lock, "prompt B", "1", "wait")), settle))
      const runs = yield* a.tool(
        Effect.zipLeft(
          Effect.forkDaemon(
            call(lock, "prompt C", "c", "reject", (c) => lock.delegate(c)(call(lock, "prompt B", "2", "wait")))
          ),
          settle
        )
      )
      const fiber = yield* waiting(b.tool(call(lock, "prompt A", "ba", "wait")))
      // That of c is still one.
      assert.strictEqual(yield* answered(b.tool(call(lock, "prompt C", "bc", "wait"))), "SessionDeadlock")
      yield* a.end
      yield* Fiber.join(fiber)
      yield* b.end
      yield* Fiber.join(left)
      yield* Fiber.join(runs)
      assert.strictEqual(lock.size(), 0)
    })
  )

  it.effect("L9 no deadlock between sessions: an operation that outlives its caller still counts as what it is", () =>
    Effect.gen(function* () {
      const lock = lockOf()
      const a = yield* host(lock, "prompt A", "a")
      const c = yield* host(lock, "prompt C", "c")
      // b runs under a and is left behind; its tool waits for c when a ends.
      const b = yield* waiting(
        lock.hold({ session: "B", kind: "task", operationId: "b", under: a.lease }, (b) =>
          lock.delegate(b)(call(lock, "prompt C", "bc", "wait"))
        )
      )
      yield* a.end
      assert.strictEqual(stateOf(b), "running")
      assert.strictEqual(yield* answered(c.tool(call(lock, "prompt B", "cb", "wait"))), "SessionDeadlock")
      yield* c.end
      yield* Fiber.join(b)
      assert.strictEqual(lock.size(), 0)
    })
  )
})
