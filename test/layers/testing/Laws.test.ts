import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Ref, Schema } from "effect"
import { Agent, Errors, Script, Tool } from "effect-baton"
import { Laws } from "effect-baton/testing"

/** What is kept by a tool, and what it kept. */
class Ledger extends Context.Tag("Ledger")<Ledger, Ref.Ref<ReadonlyArray<string>>>() {
  static readonly layer = Layer.effect(Ledger, Ref.make<ReadonlyArray<string>>([]))
}

const Line = Schema.Struct({ line: Schema.String })

const write = Tool.make("write", {
  description: "Writes a line",
  parameters: Line,
  run: ({ line }) => Effect.flatMap(Ledger, (ledger) => Ref.update(ledger, (lines) => [...lines, line]))
})

/** Two calls of a tool in one turn, then one in the next. */
const thrice = (name: string): Script.Script => [
  Script.on(
    "go",
    { text: "First.", calls: [Script.call(name, { line: "one" }), Script.call(name, { line: "two" })] },
    Script.calls(Script.call(name, { line: "three" })),
    "Done."
  )
]

/** A scribe whose one tool is `write`, or another of the kind. */
const scribe = <R>(tool: Tool.Tool<R>) => ({
  agent: Agent.make("scribe", { tools: [tool], delegate: "off" }),
  script: thrice(tool.name)
})

/** What a subject breaks, which it should. */
const broken = <R = never, I = never>(
  subject: Laws.Subject<R, I> | (() => Laws.Subject<R, I>),
  options?: Laws.Options
) => Effect.flip(Laws.check(subject, options))

const keeps = ["write", "count"]

/** Every call that is told to have succeeded has left its line, once. */
const complete = (outcome: Laws.Outcome) =>
  Effect.gen(function* () {
    const lines = yield* Effect.flatMap(Ledger, Ref.get)
    const told = [...outcome.histories.values()]
      .flat()
      .filter(
        (entry) => entry._tag === "ToolSettled" && entry.outcome === "success" && keeps.includes(entry.name)
      ).length
    return lines.length >= told ? undefined : `${told} calls succeeded and ${lines.length} lines are there`
  })

describe("a correct agent", () => {
  it.effect("keeps every law: its tools run at once, some are wrong, and it delegates", () =>
    Effect.gen(function* () {
      const child = Agent.make("child", { tools: [write], delegate: "off" })
      const later = Tool.make("later", { description: "Takes a second", run: () => Effect.sleep("1 second") })
      const plain = Tool.make("plain", {
        description: "A plain async function",
        parameters: Line,
        run: async ({ line }) => {
          await Promise.resolve()
          return line
        }
      })
      const report = yield* Laws.check(
        {
          agent: Agent.make("a", { tools: [write, later, plain], subagents: [child], delegate: "off" }),
          layer: Ledger.layer,
          script: [
            Script.on(
              "go",
              Script.calls(
                Script.call("write", { line: "a" }),
                Script.task("look", { agent: "child" }),
                Script.call("write", { line: 3 }),
                Script.call("missing"),
                Script.call("plain", { line: "b" })
              ),
              Script.calls(Script.call("later"), Script.call("write", { line: "c" })),
              "Done."
            ),
            Script.on("look", Script.calls(Script.call("write", { line: "child" })), "Looked."),
            Script.on("more", "More.")
          ],
          prompts: ["go", "more"],
          invariant: complete
        },
        { schedules: 40 }
      )
      assert.strictEqual(report.schedules, 40)
      assert.strictEqual(report.runs, 80)
      assert.isAbove(report.interrupted, 30)
      assert.strictEqual(report.crashes, 40)
    })
  )

  it.effect("at every step of an interleaving, and after every write", () =>
    Effect.gen(function* () {
      const subject = {
        ...scribe(write),
        script: [Script.on("go", Script.calls(Script.call("write", { line: "one" })), "Done.")],
        layer: Ledger.layer,
        invariant: complete
      }
      const report = yield* Laws.check(subject, { schedules: 1, interrupt: "every", crash: "every" })
      assert.isAbove(report.interrupted, 100)
      assert.isAbove(report.crashes, 5)
    })
  )

  it.effect("a failure of the model by name is an answer", () =>
    Laws.check(
      {
        agent: Agent.make("a"),
        script: [Script.on("go", { fail: new Errors.ModelRejected({ model: "m", reason: "no" }) })],
        prompts: ["go"]
      },
      { schedules: 3 }
    )
  )
})

describe("a planted fault is found", () => {
  it.effect("a script that does not take the prompt, with which nothing is tried", () =>
    Effect.gen(function* () {
      const error = yield* broken({ agent: Agent.make("a"), script: [], prompts: ["nobody takes this"] })
      assert.strictEqual(error.law, "scripted")
    })
  )

  it.effect("a write that is lost when it is interrupted", () =>
    Effect.gen(function* () {
      /** The line is on disk only after the flush, and what is interrupted between is half a transfer. */
      const transfer = Tool.make("transfer", {
        description: "Moves 10 from one account to the other",
        parameters: Line,
        run: () =>
          Effect.gen(function* () {
            const accounts = yield* Accounts
            yield* Ref.update(accounts, ({ from, to }) => ({ from: from - 10, to }))
            yield* Effect.yieldNow()
            yield* Ref.update(accounts, ({ from, to }) => ({ from, to: to + 10 }))
          })
      })
      const subject = {
        ...scribe(transfer),
        layer: Accounts.layer,
        invariant: () =>
          Effect.gen(function* () {
            const { from, to } = yield* Effect.flatMap(Accounts, Ref.get)
            return from + to === 100 ? undefined : `${100 - from - to} is gone`
          })
      }
      const error = yield* broken(subject)
      assert.strictEqual(error._tag, "LawBroken")
      assert.strictEqual(error.law, "invariant")
      assert.match(error.detail, /^\d0 is gone$/)
      assert.isDefined(error.step)
      assert.include(error.message, `interrupted at step ${error.step}`)
      assert.include(error.message, `Laws.replay(subject, { seed: ${error.seed}, step: ${error.step} })`)
      const again = yield* Effect.flip(Laws.replay(subject, { seed: error.seed, step: error.step }))
      assert.strictEqual(again.message, error.message)
      yield* Laws.replay(subject, { seed: error.seed })
      yield* Laws.check(subject, { interrupt: "never", schedules: 10 })
    })
  )

  it.effect("a read-modify-write that races with itself", () =>
    Effect.gen(function* () {
      const racing = Tool.make("count", {
        description: "Counts",
        parameters: Line,
        run: ({ line }) =>
          Effect.gen(function* () {
            const ledger = yield* Ledger
            const lines = yield* Ref.get(ledger)
            yield* Effect.yieldNow()
            yield* Ref.set(ledger, [...lines, line])
          })
      })
      const error = yield* broken({ ...scribe(racing), layer: Ledger.layer, invariant: complete })
      assert.strictEqual(error.law, "invariant")
      assert.isUndefined(error.step, "it shows without an interruption")
      assert.match(error.detail, /3 calls succeeded and 2 lines are there/)
      assert.isDefined(error.outcome)
      assert.notInclude(Object.keys(error), "outcome")
    })
  )

  it.effect("the same in plain async functions, whose state lies outside of layers", () =>
    Effect.gen(function* () {
      const error = yield* broken(() => {
        let lines: ReadonlyArray<string> = []
        const racing = Tool.make("count", {
          description: "Counts",
          parameters: Line,
          run: async ({ line }) => {
            const before = lines
            await Promise.resolve()
            lines = [...before, line]
          }
        })
        return { ...scribe(racing), invariant: ({ step }) => step !== undefined || lines.length === 3 }
      })
      assert.strictEqual(error.law, "invariant")
      assert.strictEqual(error.detail, "it gave false.")
    })
  )

  it.effect("a fiber that is left behind", () =>
    Effect.gen(function* () {
      const leaking = Tool.make("leak", {
        description: "Leaks",
        parameters: Line,
        run: () => Effect.asVoid(Effect.forkDaemon(Effect.forever(Effect.sleep("1 second"))))
      })
      const error = yield* broken(scribe(leaking))
      assert.strictEqual(error.law, "left")
      assert.strictEqual(
        error.detail,
        '3 fibers have not ended; the first was begun in the prompt of session "session".'
      )
    })
  )

  it.effect("a tool that never ends", () =>
    Effect.gen(function* () {
      const endless = (run: Effect.Effect<void>) =>
        scribe(Tool.make("endless", { description: "Never ends", parameters: Line, run: () => run }))
      const asleep = yield* broken(endless(Effect.never))
      assert.strictEqual(asleep.law, "deadline")
      assert.match(asleep.detail, /^endless \(call_\d_0\) was given up at its deadline\.$/)
      yield* Laws.check(endless(Effect.never), { without: ["deadline"], schedules: 5 })
      const deaf = yield* broken(endless(Effect.uninterruptible(Effect.never)), { without: ["deadline"] })
      assert.strictEqual(deaf.law, "left")
      const busy = yield* broken(endless(Effect.forever(Effect.void)), { maxSteps: 5_000 })
      assert.strictEqual(busy.law, "ends")
      assert.match(busy.detail, /Calls without an end: endless \(call_1_0\), endless \(call_1_1\)\./)
    })
  )

  it.effect("a script that waits for ever", () =>
    Effect.gen(function* () {
      const agent = Agent.make("a", { limits: { modelIdle: Number.POSITIVE_INFINITY } })
      const error = yield* broken({ agent, script: [Script.on("go", { before: Effect.never })] })
      assert.strictEqual(error.law, "ends")
    })
  )

  it.effect("an invariant that throws, fails or dies", () =>
    Effect.gen(function* () {
      const subject = (invariant: Laws.Subject["invariant"]) => ({
        agent: Agent.make("a"),
        script: thrice("x"),
        invariant
      })
      const details = yield* Effect.forEach(
        [
          () => assert.fail("thrown"),
          () => Effect.fail("failed"),
          () => Effect.die(new Error("died")),
          () => "told",
          () => Effect.succeed(false)
        ],
        (it) => Effect.map(broken(subject(it)), (error) => `${error.law} ${error.detail}`)
      )
      assert.deepStrictEqual(details, [
        "invariant thrown",
        "invariant failed",
        "invariant died",
        "invariant told",
        "invariant it gave false."
      ])
    })
  )

  it.effect("a session that does not open again after a crash", () =>
    Effect.gen(function* () {
      // Each run builds it twice: for the prompts, and for the engine that comes after.
      let built = 0
      const once = Layer.unwrapEffect(
        Effect.sync(() => (built++ % 2 === 0 ? Ledger.layer : Layer.fail("it is locked")))
      )
      const subject = { ...scribe(write), layer: once }
      const error = yield* broken(subject, { interrupt: "never", seed: 3 })
      assert.strictEqual(error.law, "crash")
      assert.include(error.detail, "it is locked")
      assert.include(error.message, `crashed after write ${error.crash}`)
      built = 0
      const again = yield* Effect.flip(Laws.replay(subject, { seed: 3, crash: error.crash }))
      assert.strictEqual(again.message, error.message)
    })
  )

  it.effect("a layer that does not build", () =>
    Effect.gen(function* () {
      const error = yield* broken({ ...scribe(write), layer: Layer.fail("no ledger") })
      assert.strictEqual(error.law, "opens")
      assert.include(error.detail, "no ledger")
    })
  )
})

it("a check is a promise too, and ends when it is interrupted", async () => {
  const report = await Effect.runPromise(Laws.check({ ...scribe(write), layer: Ledger.layer }, { schedules: 2 }))
  assert.strictEqual(report.schedules, 2)
  const controller = new AbortController()
  let runs = 0
  const subject = () => {
    if (++runs === 3) controller.abort()
    return { ...scribe(write), layer: Ledger.layer }
  }
  const exit = await Effect.runPromiseExit(Laws.check(subject), { signal: controller.signal })
  assert.isTrue(Exit.isInterrupted(exit))
  const then = runs
  for (let i = 0; i < 20; i++) await new Promise((resume) => setImmediate(resume))
  assert.strictEqual(runs, then)
})

class Accounts extends Context.Tag("Accounts")<Accounts, Ref.Ref<{ readonly from: number; readonly to: number }>>() {
  static readonly layer = Layer.effect(Accounts, Ref.make({ from: 100, to: 0 }))
}
