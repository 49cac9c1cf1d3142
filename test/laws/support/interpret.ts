/**
 * Runs a random program against a lock of its own, and says what went wrong, if anything.
 */
import { Effect, Fiber, FiberRef } from "effect"
import { makeLock } from "../../../src/layers/SessionLock.js"
import type { LockError } from "../../../src/services/Errors.js"
import { currentMark, type Lease, type LeaseRequest, type Mark } from "../../../src/services/SessionLock.js"
import { runSeeded } from "../../support/SeededScheduler.js"
import type { Action, Call, Case, Program } from "./program.js"
import { type Attempt, Trace } from "./trace.js"

const depthLimit = 4

/** Where an action stands in its program. */
interface Here {
  readonly lease: Lease | undefined
  readonly mark: Mark | undefined
}

type Run = Effect.Effect<void, "failed" | LockError>

/** `undefined` where every law held. */
export const check = (sample: Case): string | undefined => {
  const lock = makeLock({ taskWidth: sample.width, taskDepth: depthLimit })
  const trace = new Trace(depthLimit, !sample.callers.some((program) => some(program, disturbs)))

  const run = (program: Program, here: Here): Run =>
    Effect.forEach(program, (action) => step(action, here), { discard: true })

  const step = (action: Action, here: Here): Run => {
    switch (action.do) {
      case "leaf":
        return Effect.void
      case "fail":
        return Effect.fail("failed" as const)
      case "die":
        return Effect.die("died")
      case "yield":
        return Effect.repeatN(Effect.yieldNow(), action.n)
      case "sleep":
        return Effect.sleep(action.n)
      case "tool":
        return here.lease === undefined ? run(action.body, here) : tool(action.body, here.lease)
      case "parallel":
        return together(action.bodies.map((body) => run(body, here)))
      case "daemon":
        return Effect.asVoid(Effect.forkDaemon(run(action.body, here)))
      case "interrupt":
        return Effect.flatMap(Effect.fork(run(action.body, here)), (fiber) =>
          Effect.zipRight(Effect.repeatN(Effect.yieldNow(), action.n), Effect.asVoid(Fiber.interrupt(fiber)))
        )
      case "call":
        // What a call is answered is recorded; the program goes on whatever it is.
        return Effect.asVoid(Effect.exit(call(action, here)))
    }
  }

  const tool = (body: Program, lease: Lease): Run =>
    lock.delegate(lease)(Effect.flatMap(FiberRef.get(currentMark), (mark) => run(body, { lease, mark })))

  const call = (action: Call, here: Here): Run =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const under = action.how === "under" ? here.lease : undefined
        const from = under === undefined ? here.mark : { lease: under, delegation: undefined }
        const attempt = trace.attempt(action, action.session ?? here.lease?.session ?? "A", from)
        const request: LeaseRequest = {
          session: attempt.session,
          kind: action.kind,
          operationId: attempt.id,
          onBusy: action.onBusy,
          under,
          // The lock reads this in the step in which it decides, which is the only moment at which the lineage and
          // the place in the line can be told for certain.
          get baseDepth() {
            trace.asks(attempt)
            return undefined
          }
        }
        const operation = (lease: Lease) => operationOf(action, attempt, lease)
        const asked =
          action.how === "acquire"
            ? byAcquire(request, operation)
            : lock.hold(request, operation, { onIdle: () => trace.toldIdle(attempt) })
        return Effect.onExit(
          restore(under === undefined ? asked : Effect.locally(asked, currentMark, undefined)),
          (exit) => Effect.sync(() => trace.answers(attempt, exit))
        )
      })
    )

  const operationOf = (action: Call, attempt: Attempt, lease: Lease): Run =>
    Effect.acquireUseRelease(
      Effect.sync(() => trace.begins(attempt, lease)),
      () => run(action.body, { lease, mark: { lease, delegation: undefined } }),
      () => Effect.sync(() => trace.ends(attempt))
    )

  /** In a fiber of its own, since that is what another operation interrupts. */
  const byAcquire = (request: LeaseRequest, operation: (lease: Lease) => Run): Run =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        Effect.fork(
          restore(
            Effect.scoped(
              Effect.flatMap(lock.acquire(request), (lease) =>
                Effect.locally(operation(lease), currentMark, { lease, delegation: undefined })
              )
            )
          )
        ),
        (fiber) =>
          Effect.flatten(
            Effect.onInterrupt(restore(Fiber.await(fiber)), () =>
              // A finalizer of `restore` runs uninterruptibly: the caller is answered after its operation has ended.
              Fiber.interrupt(fiber)
            )
          )
      )
    )

  const callers = sample.callers.map((program) => Effect.exit(run(program, { lease: undefined, mark: undefined })))
  const { exit } = runSeeded(together(callers), { seed: sample.seed })
  const allHold = !sample.callers.some((program) =>
    some(program, (action) => action.do === "call" && action.how === "acquire")
  )
  return trace.finish(exit !== undefined, lock.size(), allHold)
}

/**
 * Runs effects at the same time and interrupts the others when one fails. `Effect.all` would be the word for it, but in
 * effect 3.22.4 it hangs when it is interrupted at certain ops, with no lock in sight.
 */
const together = <E>(effects: ReadonlyArray<Effect.Effect<unknown, E>>): Effect.Effect<void, E> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.forEach(effects, (effect) => Effect.fork(restore(effect))),
      (fibers) =>
        Effect.onExit(restore(Effect.forEach(fibers, Fiber.join, { discard: true })), () => Fiber.interruptAll(fibers))
    )
  )

const some = (program: Program, is: (action: Action) => boolean): boolean =>
  program.some(
    (action) =>
      is(action) ||
      ("body" in action && some(action.body, is)) ||
      (action.do === "parallel" && action.bodies.some((body) => some(body, is)))
  )

const disturbs = (action: Action): boolean =>
  action.do === "fail" ||
  action.do === "die" ||
  action.do === "daemon" ||
  action.do === "interrupt" ||
  (action.do === "call" && action.onBusy === "interrupt")
