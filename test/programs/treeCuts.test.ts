/**
 * Forks, moves, edits and what-ifs that are interrupted at each of their steps, one after the other.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, FiberId, Layer } from "effect"
import { Agent, Engine, Model, Script, Sessions, SessionStore } from "effect-baton"
import { echo } from "../support/engine.js"
import { linesOf } from "../support/stage.js"
import { runSeeded } from "../support/SeededScheduler.js"
import { seen, wrong } from "../support/tree.js"

const agent = Agent.make("a", { tools: [echo], delegate: "off" })

const script = [
  Script.on("use", Script.calls(Script.call("echo", { text: "once" })), "used"),
  Script.always(({ prompt }) => `about ${prompt}`)
]

const said = ["user: use", "assistant: echo()", "tool: once", "assistant: used"]

const hi = ["user: hi", "assistant: about hi"]

interface Cut {
  readonly run: (session: Sessions.Session) => Effect.Effect<unknown, unknown>
  /** What may have been said then, the last where it was not interrupted. */
  readonly outcomes: ReadonlyArray<ReadonlyArray<string>>
}

const interrupted = "user: other | [The request above was interrupted before it was answered.]"

const cuts: Record<string, Cut> = {
  moveTo: { run: (session) => session.moveTo(7), outcomes: [[...said, ...hi], said] },
  rewind: { run: (session) => session.rewind(), outcomes: [[...said, ...hi], said] },
  label: { run: (session) => session.label("x"), outcomes: [[...said, ...hi]] },
  fork: { run: (session) => session.fork("f"), outcomes: [[...said, ...hi]] },
  edit: {
    run: (session) => session.edit(9, "other"),
    outcomes: [
      [...said, ...hi],
      [...said, interrupted],
      [...said, "user: other", "assistant: about other"]
    ]
  },
  whatIf: { run: (session) => session.whatIf("f", { from: 2 }), outcomes: [[...said, ...hi]] }
}

/** Interrupts at a step of the work; tells how many steps that had. */
const cutAt = ({ outcomes, run }: Cut, at: number, seed: number): number => {
  let fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  let steps = 0
  const program = Effect.scoped(
    Effect.gen(function* () {
      const store = yield* Layer.build(SessionStore.layerMemory)
      const engine = yield* Layer.build(
        Layer.provide(Engine.layer, Layer.merge(Layer.succeedContext(store), Model.layerScripted(script)))
      )
      const session = yield* Context.get(engine, Sessions.Sessions).open({ id: "s", agent })
      yield* session.prompt("use")
      yield* session.prompt("hi")
      const memory = Context.get(store, SessionStore.Memory)
      const before = memory.get("s")!.entries.slice()
      fiber = yield* Effect.fork(run(session))
      yield* Fiber.await(fiber)
      fiber = undefined
      assert.deepStrictEqual(memory.get("s")!.entries.slice(0, before.length), before)
      for (const { entries, row } of memory.values()) {
        assert.deepStrictEqual(wrong(entries), [])
        assert.deepInclude(row, { owner: null, running: null })
      }
      const next = yield* session.prompt("next")
      assert.strictEqual(next.text, "about next")
      const lines = linesOf(seen(memory.get("s")!.entries))
      const allowed = outcomes.map((it) =>
        it.at(-1)?.startsWith("user: ") === true
          ? [...it.slice(0, -1), `${it.at(-1)} | next`, "assistant: about next"]
          : [...it, "user: next", "assistant: about next"]
      )
      if (at === Number.POSITIVE_INFINITY) assert.deepStrictEqual(lines, allowed.at(-1))
      if (!allowed.some((it) => JSON.stringify(it) === JSON.stringify(lines))) {
        assert.fail(`interrupted at ${at}: ${JSON.stringify(lines)}`)
      }
      const fork = memory.get("f")
      if (fork !== undefined) assert.deepStrictEqual(fork.entries.slice(0, before.length), before)
    })
  )
  const { exit } = runSeeded(program, {
    seed,
    onStep: () => {
      if (fiber !== undefined && steps++ === at) fiber.unsafeInterruptAsFork(FiberId.none)
    }
  })
  if (exit === undefined) assert.fail(`interrupted at ${at} it hung`)
  if (Exit.isFailure(exit)) assert.fail(`interrupted at ${at}: ${Cause.pretty(exit.cause)}`)
  return steps
}

describe("interrupted at each step", () => {
  for (const [name, cut] of Object.entries(cuts)) {
    it(`${name} is done or not, or recorded as interrupted, and the session is free`, () => {
      const steps = cutAt(cut, Number.POSITIVE_INFINITY, 1)
      assert.isAbove(steps, 5)
      for (let at = 0; at < steps; at++) cutAt(cut, at, 1)
    })
  }
})
