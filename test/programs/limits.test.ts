/**
 * What a prompt may use, and that it gets somewhere.
 */
import * as OldSchema from "@effect/schema/Schema"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, FiberId, Layer, Schema, TestClock } from "effect"
import { Agent, Errors, Model, Prices, Script, Sessions, SessionStore, Tool } from "effect-baton"
import { echo, engine, engineOver, messagesOf, open } from "../support/engine.js"
import { problems } from "../support/validMessages.js"

const usage = (input: number, output: number) => ({ input, output, cacheRead: 0, cacheWrite: 0, reasoning: 0 })
const say = (n: number): Script.Turn => ({
  calls: [Script.call("echo", { text: String(n) })],
  usage: usage(40, 10)
})

describe("limits", () => {
  const turns = [1, 2, 3, 4, 5, 6, 7, 8].map(say)
  const script = [Script.on("go", ...turns, "done")]

  it.effect("of tokens: the turn that would pass it is not begun, and the error names it", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: [echo], delegate: "off" }))
      const error = yield* Effect.flip(session.prompt("go", { limits: { tokens: 200 } }))
      assert.strictEqual(error.message, "The operation reached its limit of 200 tokens.")
      const settled = (yield* session.history).at(-1)!
      assert.isTrue(
        settled._tag === "OperationSettled" && settled.usage.total.input + settled.usage.total.output <= 200
      )
      assert.isTrue(settled._tag === "OperationSettled" && settled.usage.total.input >= 40)
      assert.deepStrictEqual(problems(yield* messagesOf(session)), [])
      assert.strictEqual((yield* session.prompt("go", { limits: { tokens: 100_000 } })).text, "done")
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("of cost: counted by the price table, and refused where no price is known", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: [echo] }))
      const error = yield* Effect.flip(session.prompt("go", { limits: { cost: 0.001 } }))
      assert.deepInclude(error, { _tag: "LimitReached", limit: "cost", value: 0.001 })
      const reply = yield* session.prompt("go", { limits: { cost: 10 } })
      // 8 turns of 40 and 10 tokens, and the last one.
      const { cost, input, output } = reply.usage.total
      assert.closeTo(cost!, (input * 2 + output * 8) / 1_000_000, 1e-12)
    }).pipe(
      Effect.provide(Layer.provide(engine(script), Layer.succeed(Prices.Prices, { scripted: { input: 2, output: 8 } })))
    )
  )

  it.effect("of cost without a price", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: [echo] }))
      const error = yield* Effect.flip(session.prompt("go", { limits: { cost: 1 } }))
      assert.strictEqual(error.message, 'Invalid input at limits.cost: no price of the model "scripted" is known.')
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("of time: a failure and no interruption; the calls are settled", () =>
    Effect.gen(function* () {
      const hang = Tool.make("hang", { description: "", run: () => Effect.never })
      const session = yield* open(Agent.make("a", { tools: [hang] }))
      const running = yield* Effect.fork(Effect.flip(session.prompt("go", { limits: { wallTime: 30_000 } })))
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual((yield* Fiber.poll(running))._tag, "None")
      yield* TestClock.adjust("1 seconds")
      const error = yield* Fiber.join(running)
      assert.strictEqual(error.message, "The operation reached its limit of time, 30000 ms.")
      const history = yield* session.history
      assert.deepStrictEqual(
        history.flatMap((it) => (it._tag === "ToolSettled" || it._tag === "OperationSettled" ? [it.outcome] : [])),
        ["interrupted", "failed"]
      )
    }).pipe(Effect.provide(engine([Script.on("go", Script.calls(Script.call("hang")))])))
  )

  it.effect("a tree shares its parent's budget; a child may have less of it", () =>
    Effect.gen(function* () {
      const child = Agent.make("child", { tools: [echo], delegate: "off", limits: { tokens: 120 } })
      const session = yield* open(Agent.make("a", { subagents: [child], delegate: "off" }))
      const reply = yield* session.prompt("top", { limits: { tokens: 10_000 } })
      assert.strictEqual(reply.text, "The task failed. LimitReached: The operation reached its limit of 120 tokens.")
      const error = yield* Effect.flip(session.prompt("top", { limits: { tokens: 700 } }))
      assert.strictEqual(error.message, "The operation reached its limit of 700 tokens.")
      // However much of its own a child may have, it is within its parent's.
      const wide = Agent.make("child", { tools: [echo], delegate: "off", limits: { tokens: 10_000 } })
      const other = yield* open(Agent.make("b", { subagents: [wide], delegate: "off" }), "t")
      yield* Effect.exit(other.prompt("top", { limits: { tokens: 850 } }))
      const end = (yield* other.history).at(-1)!
      const used = end._tag === "OperationSettled" ? end.usage.total : usage(0, 0)
      assert.isTrue(used.input >= 540 && used.input + used.output <= 850, JSON.stringify(used))
    }).pipe(
      Effect.provide(
        engine([
          Script.on("top", { calls: [Script.task("go", { agent: "child" })], usage: usage(500, 100) }, (seen) => ({
            text: seen.results[0]!.text.replace(/^Error: /, ""),
            usage: usage(10, 10)
          })),
          ...script
        ])
      )
    )
  )

  it.effect("what an attempt that failed had been granted comes back before the next", () => {
    let attempts = 0
    const fail = new Errors.ModelUnavailable({ model: "m", reason: "overloaded" })
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { delegate: "off" }))
      const running = yield* Effect.fork(session.prompt("flaky", { limits: { tokens: 9_000, retryDelay: 0 } }))
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.poll(running))._tag, "Some")
      assert.strictEqual((yield* Fiber.join(running)).text, "done")
    }).pipe(Effect.provide(engine([Script.on("flaky", () => (attempts++ === 0 ? { fail } : "done"))])))
  })

  it.effect("tasks that run at once wait for what the others hold, and all are served", () => {
    const asked: Array<Model.ModelRequest> = []
    const gate = Deferred.unsafeMake<void>(FiberId.none)
    const model = Layer.succeed(Model.Model, {
      defaultModel: "m",
      info: () => ({ maxOutput: 100 }),
      stream: (request, emit) =>
        Effect.suspend((): Effect.Effect<Model.ModelFinish> => {
          const top = JSON.stringify(request.messages[0]).includes("top")
          if (top && request.messages.length === 1) {
            for (const n of [1, 2, 3])
              emit({ _tag: "ToolCall", id: String(n), name: "task", args: { prompt: "sub", agent: "c" } })
            return Effect.succeed({ reason: "tool-calls" as const, usage: usage(10, 10) })
          }
          emit({ _tag: "TextDelta", text: "ok" })
          const end = Effect.succeed({ reason: "stop" as const, usage: usage(10, 10) })
          if (top) return end
          asked.push(request)
          return Effect.zipRight(Deferred.await(gate), end)
        })
    })
    return Effect.gen(function* () {
      const child = Agent.make("c", { delegate: "off" })
      const session = yield* open(Agent.make("a", { subagents: [child], delegate: "off" }))
      const running = yield* Effect.fork(session.prompt("top", { limits: { tokens: 300 } }))
      for (let i = 0; i < 50; i++) yield* Effect.yieldNow()
      // There is room for two of them with 100 tokens of reply, and for no more than a scrap of the third.
      assert.strictEqual(asked.length, 2)
      yield* Deferred.succeed(gate, undefined)
      const reply = yield* Fiber.join(running)
      assert.strictEqual(asked.length, 3)
      assert.deepInclude(reply.usage.total, usage(50, 50))
    }).pipe(Effect.provide(engineOver(Layer.merge(SessionStore.layerMemory, model))))
  })
})

describe("progress", () => {
  const states: Array<string> = []
  const poll = Tool.make("poll", { description: "Asks again", polling: true, run: () => "not yet" })
  const tick = Tool.make("tick", {
    description: "Gives another text each time",
    run: () => {
      states.push("x")
      return String(states.length)
    }
  })
  const agent = Agent.make("a", { tools: [echo, poll, tick], delegate: "off", limits: { turns: 12 } })
  const same = Script.calls(Script.call("echo", { text: "same" }))
  const other = (text: string) => Script.calls(Script.call("echo", { text }))

  it.effect("the same call with the same result three times: the model is told once, then it fails", () =>
    Effect.gen(function* () {
      const session = yield* open(agent)
      const error = yield* Effect.flip(session.prompt("go"))
      assert.deepInclude(error, { _tag: "NoProgress", tools: ["echo"], period: 1 })
      const messages = yield* messagesOf(session)
      assert.deepStrictEqual(problems(messages), [])
      const told = messages.filter((it) => it.role === "user").map((it) => JSON.stringify(it.content))
      assert.strictEqual(told.filter((text) => text.includes("You have made the same calls")).length, 1)
      assert.strictEqual(messages.filter((it) => it.role === "assistant").length, 4)
    }).pipe(Effect.provide(engine([Script.on("go", same)])))
  )

  for (const period of [2, 3, 4]) {
    it.effect(`a cycle of ${period} turns`, () => {
      const cycle = Array.from({ length: 40 }, (_, i) => other(`step ${i % period}`))
      return Effect.gen(function* () {
        const session = yield* open(agent)
        const error = yield* Effect.flip(session.prompt("go", { limits: { turns: 40 } }))
        assert.deepInclude(error, { _tag: "NoProgress", period })
        const replies = (yield* messagesOf(session)).filter((it) => it.role === "assistant")
        assert.strictEqual(replies.length, 3 * period + 1)
      }).pipe(Effect.provide(engine([Script.on("go", ...cycle)])))
    })
  }

  it.effect("a tool that polls is exempt, a call with other results is progress, and so is heeding the word", () =>
    Effect.gen(function* () {
      const session = yield* open(agent)
      for (const [text, tag] of [
        ["polls", "LimitReached"],
        ["ticks", "LimitReached"]
      ] as const) {
        assert.strictEqual((yield* Effect.flip(session.prompt(text)))._tag, tag)
      }
      assert.strictEqual((yield* session.prompt("heeds")).text, "done")
    }).pipe(
      Effect.provide(
        engine([
          Script.on("polls", Script.calls(Script.call("poll"))),
          Script.on("ticks", Script.calls(Script.call("tick"))),
          Script.on("heeds", same, same, same, other("2"), other("3"), "done")
        ])
      )
    )
  )
})

describe("a structured result", () => {
  const Verdict = Schema.Struct({ severity: Schema.Literal("low", "high"), seen: Schema.DateFromString })

  it.effect("is decoded from the first valid call of finish; a mistake is told with its path", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: [echo], delegate: "off" }))
      const reply = yield* session.prompt("judge", { resultSchema: Verdict })
      assert.deepStrictEqual(reply.value, { severity: "high", seen: new Date("2026-01-02T00:00:00.000Z") })
      const results = (yield* messagesOf(session)).flatMap((it) => (it.role === "tool" ? it.results : []))
      assert.match(results[0]!.text, /severity/)
      assert.deepStrictEqual(
        results.slice(1).map(({ isError, text }) => [isError, text]),
        [
          [false, "Accepted."],
          [false, "late"],
          [true, "The work is finished already."]
        ]
      )
      assert.deepStrictEqual(problems(yield* messagesOf(session)), [])
      assert.strictEqual((yield* session.prompt("plain")).value, undefined)
    }).pipe(
      Effect.provide(
        engine([
          Script.on(
            "judge",
            Script.calls(Script.call("finish", { severity: "none", seen: "2026-01-02" })),
            Script.calls(
              Script.call("finish", { severity: "high", seen: "2026-01-02" }),
              Script.call("echo", { text: "late" }),
              Script.call("give_up", { reason: "no" })
            ),
            "never asked for"
          ),
          Script.on("plain", "ok")
        ])
      )
    )
  )

  it.effect("that is no object is wrapped; giving up and never finishing are typed failures", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { delegate: "off" }))
      assert.deepStrictEqual(
        (yield* session.prompt("list", { resultSchema: Schema.Array(Schema.Number) })).value,
        [1, 2]
      )
      const given = yield* Effect.flip(session.prompt("give", { resultSchema: Verdict }))
      assert.deepInclude(given, { _tag: "ResultUnavailable", reason: "nothing to judge", text: "Sorry." })
      const never = yield* Effect.flip(session.prompt("talk", { resultSchema: Verdict, limits: { reminders: 3 } }))
      assert.deepInclude(never, { _tag: "ResultUnavailable", text: "Just talk." })
      assert.deepStrictEqual(problems(yield* messagesOf(session)), [])
      const bad = yield* Effect.flip(
        session.prompt("x", { resultSchema: Schema.declare((it): it is symbol => typeof it === "symbol") })
      )
      assert.deepInclude(bad, { _tag: "InvalidInput", path: "resultSchema" })
    }).pipe(
      Effect.provide(
        engine([
          Script.on("list", Script.calls(Script.call("finish", { result: [1, 2] }))),
          Script.on("give", { text: "Sorry.", calls: [Script.call("give_up", { reason: "nothing to judge" })] }),
          Script.on("talk", "Just talk.")
        ])
      )
    )
  )

  it.effect("is the first that was decoded, not the first that was called", () =>
    Effect.gen(function* () {
      const later = yield* Deferred.make<void>()
      const slow = Schema.transformOrFail(Schema.String, Schema.String, {
        strict: true,
        decode: (text) => Effect.as(text === "slow" ? Deferred.await(later) : Deferred.succeed(later, undefined), text),
        encode: (text) => Effect.succeed(text)
      })
      const session = yield* open(Agent.make("a", { delegate: "off" }))
      const { value } = yield* session.prompt("go", { resultSchema: slow })
      assert.strictEqual(value, "fast")
      const results = (yield* messagesOf(session)).flatMap((it) => (it.role === "tool" ? it.results : []))
      assert.deepStrictEqual(
        results.map(({ text }) => text),
        ["The work is finished already.", "Accepted."]
      )
    }).pipe(
      Effect.provide(
        engine([
          Script.on(
            "go",
            Script.calls(Script.call("finish", { result: "slow" }), Script.call("finish", { result: "fast" }))
          )
        ])
      )
    )
  )

  it.effect("of a schema of @effect/schema", () =>
    Effect.gen(function* () {
      const schema = OldSchema.Struct({ at: OldSchema.DateFromString, n: OldSchema.Number.pipe(OldSchema.int()) })
      const session = yield* open(Agent.make("a", { delegate: "off" }))
      const { value } = yield* session.prompt("judge", { resultSchema: schema })
      assert.deepStrictEqual(value, { at: new Date("2026-01-02T00:00:00.000Z"), n: 3 })
      const results = (yield* messagesOf(session)).flatMap((it) => (it.role === "tool" ? it.results : []))
      assert.match(results[0]!.text, /^The result is not of the kind asked for\.\nn: /)
    }).pipe(
      Effect.provide(
        engine([
          Script.on(
            "judge",
            Script.calls(Script.call("finish", { at: "2026-01-02", n: 3.5 })),
            Script.calls(Script.call("finish", { at: "2026-01-02", n: 3 }))
          )
        ])
      )
    )
  )

  it.effect("from a task, and from the model's own task tool by what its agent promises", () =>
    Effect.gen(function* () {
      const judge = Agent.make("judge", { resultSchema: Verdict, delegate: "off" })
      const session = yield* open(Agent.make("a", { subagents: [judge], delegate: "off" }))
      const reply = yield* session.task("judge", { agent: "judge", resultSchema: Verdict })
      assert.strictEqual(reply.value.severity, "low")
      const told = yield* session.prompt("ask")
      assert.strictEqual(told.text, '{"severity":"low","seen":"2026-01-02"}')
    }).pipe(
      Effect.provide(
        engine([
          Script.on("ask", Script.calls(Script.task("judge", { agent: "judge" })), (seen) => seen.results[0]!.text),
          Script.on("judge", Script.calls(Script.call("finish", { severity: "low", seen: "2026-01-02" })))
        ])
      )
    )
  )

  it.effect("calls beyond the width are not run once it is finished", () =>
    Effect.gen(function* () {
      const session = yield* (yield* Sessions.Sessions).open({ id: "s", agent: Agent.make("a", { tools: [echo] }) })
      yield* session.prompt("go", { resultSchema: Verdict, limits: { toolWidth: 1 } })
      const settled = (yield* session.history).flatMap((it) => (it._tag === "ToolSettled" ? [it.outcome] : []))
      assert.deepStrictEqual(settled, ["success", "not-run"])
    }).pipe(
      Effect.provide(
        engine([
          Script.on(
            "go",
            Script.calls(
              Script.call("finish", { severity: "low", seen: "2026-01-02" }),
              Script.call("echo", { text: "x" })
            )
          )
        ])
      )
    )
  )
})
