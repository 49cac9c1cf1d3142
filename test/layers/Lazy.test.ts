import { describe, it } from "@effect/vitest"
import { Context, Effect, Exit, FastCheck as fc, Fiber, Layer, Scope } from "effect"
import { Lazy } from "../../src/layers/registry/Lazy.js"
import { forAll } from "../laws/support/property.js"
import { runSeeded } from "../support/SeededScheduler.js"

class Part extends Context.Tag("test/Part")<Part, void>() {}

class Service extends Context.Tag("test/Service")<Service, { isLive: boolean }>() {}

/**
 * Askers that come, and perhaps go; how long each attempt takes, and whether it fails. Times are numbers of yields, so
 * that the seed decides what happens first of what happens at the same time.
 */
interface Plan {
  readonly seed: number
  readonly askers: ReadonlyArray<{ readonly at: number; readonly leaves: number | undefined }>
  readonly attempts: ReadonlyArray<{ readonly takes: number; readonly fails: boolean }>
  /** When the scope ends, if before all have ended. */
  readonly ends: number | undefined
}

const time = fc.integer({ min: 0, max: 12 })
const plans: fc.Arbitrary<Plan> = fc.record({
  seed: fc.integer(),
  askers: fc.array(fc.record({ at: time, leaves: fc.option(time, { nil: undefined }) }), {
    minLength: 1,
    maxLength: 5
  }),
  attempts: fc.array(fc.record({ takes: time, fails: fc.boolean() }), { maxLength: 4 }),
  ends: fc.option(time, { nil: undefined, freq: 3 })
})

const wait = (yields: number) => Effect.repeatN(Effect.yieldNow(), yields)

/** What is wrong with a run of the plan, if anything is. */
const check = (plan: Plan): string | undefined => {
  let begun = 0
  let released = 0
  let parts = 0
  const handed = new Set<object>()
  const wrong: Array<string> = []
  const part = Layer.scoped(
    Part,
    Effect.acquireRelease(
      Effect.sync(() => void parts++),
      () => Effect.sync(() => parts--)
    )
  )
  const whole = Layer.scoped(
    Service,
    Effect.gen(function* () {
      const { fails, takes } = plan.attempts[begun] ?? { takes: 1, fails: false }
      const service = yield* Effect.acquireRelease(
        Effect.sync(() => {
          begun++
          return { isLive: false }
        }),
        (it) =>
          Effect.sync(() => {
            released++
            it.isLive = false
          })
      )
      yield* wait(takes)
      if (fails) return yield* Effect.fail("no")
      service.isLive = true
      return service
    })
  )
  const layer = Layer.provideMerge(whole, part)
  const program = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const lazy = new Lazy(Service, layer, { runtime: yield* Effect.runtime(), scope })
    let ended = false
    const close = Effect.zipRight(
      Effect.sync(() => (ended = true)),
      Scope.close(scope, Exit.void)
    )
    const ask = ({ at, leaves }: Plan["askers"][number]) =>
      Effect.gen(function* () {
        yield* wait(at)
        const fiber = yield* Effect.fork(lazy.get)
        let left = false
        if (leaves !== undefined) {
          yield* wait(leaves)
          left = true
          yield* Fiber.interrupt(fiber)
        }
        const exit = yield* Fiber.await(fiber)
        if (Exit.isSuccess(exit)) {
          handed.add(exit.value)
          if (!exit.value.isLive && !ended) wrong.push("a service that is not live was handed out")
        } else if (Exit.isInterrupted(exit)) {
          if (!left && !ended) wrong.push("somebody who did not leave was interrupted")
        }
      })
    const asking = yield* Effect.fork(Effect.forEach(plan.askers, ask, { concurrency: "unbounded" }))
    if (plan.ends !== undefined) yield* Effect.zipRight(wait(plan.ends), close)
    yield* Fiber.join(asking)
    const live = begun - released
    if (live > 1) wrong.push(`${live} services are held at the end`)
    if (live !== parts) wrong.push(`${live} services and ${parts} parts are held at the end`)
    if (live === 1 && lazy.built?.isLive !== true) wrong.push("what is held is not the service")
    yield* close
    if (begun !== released) wrong.push(`${begun} attempts, ${released} released`)
    if (handed.size > 1) wrong.push("different services were handed out")
  })
  const run = runSeeded(program, { seed: plan.seed, yieldProbability: 0.4, maxYields: 400 })
  if (run.exit === undefined) return "it hangs"
  if (Exit.isFailure(run.exit)) return String(run.exit.cause)
  return wrong[0]
}

describe("a service that is built at first use", () => {
  it.live("whoever comes and goes: it is built once, is live while it is held, and nothing stays behind", () =>
    forAll(plans, 300, check)
  )
})
