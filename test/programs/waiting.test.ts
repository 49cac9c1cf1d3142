/**
 * What a command shows at a terminal while it has nothing else to show.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { waiting } from "../../src/programs/cli/waiting.js"

const shown = (
  isTerminal: boolean,
  effect: Effect.Effect<unknown>,
  end: (fiber: Fiber.RuntimeFiber<unknown>) => Effect.Effect<unknown>
) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const errors = {
      isTTY: Effect.succeed(isTerminal),
      columns: Effect.succeed(80),
      display: (text: string) => Effect.sync(() => void lines.push(text))
    }
    const fiber = yield* Effect.fork(waiting(errors, "Searching", effect))
    yield* end(fiber)
    return { lines, exit: yield* Fiber.await(fiber) }
  })

const cleared = `\r${" ".repeat("Searching: 3 s".length)}\r`
const counted = ["\rSearching: 1 s", "\rSearching: 2 s", "\rSearching: 3 s", cleared]

describe("a command that takes its time", () => {
  it.effect("says for how long, and takes the line back at its end", () =>
    Effect.gen(function* () {
      const { exit, lines } = yield* shown(true, Effect.as(Effect.sleep(3_500), "found"), () => TestClock.adjust(3_500))
      assert.deepStrictEqual(lines, counted)
      assert.isTrue(exit._tag === "Success" && exit.value === "found")
    })
  )

  it.effect("takes the line back where it is interrupted", () =>
    Effect.gen(function* () {
      const { lines } = yield* shown(true, Effect.never, (fiber) =>
        Effect.zipRight(TestClock.adjust(3_500), Fiber.interrupt(fiber))
      )
      assert.deepStrictEqual(lines, counted)
    })
  )

  it.effect("says nothing where it is quick, and where no terminal is", () =>
    Effect.gen(function* () {
      const quick = yield* shown(true, Effect.sleep(999), () => TestClock.adjust(5_000))
      const piped = yield* shown(false, Effect.sleep(3_500), () => TestClock.adjust(5_000))
      assert.deepStrictEqual([quick.lines, piped.lines], [[], []])
    })
  )
})
