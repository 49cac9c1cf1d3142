/**
 * What is wrong in itself is told by name before anything is written.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { Agent, Errors, Model, Prices, Script, SessionStore, Tool } from "effect-baton"
import { engine, engineOver, open } from "../support/engine.js"

const ok = engine([Script.always("ok")])

/** As values come that no type has looked at. */
const untyped = (it: unknown): never => it as never

describe("what is wrong in itself", () => {
  it.effect("is told with its place, and nothing is written", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      const told = (options: unknown, input: unknown = "x") =>
        Effect.map(Effect.flip(session.prompt(untyped(input), untyped(options))), (error) => error.message)
      assert.deepStrictEqual(
        yield* Effect.all([
          told({ onBusy: "stear" }),
          told({ onBusy: { _tag: "wait", timeout: "1 second" } }),
          told({ limits: { turns: -1 } }),
          told({ limits: { tokens: Number.NaN } }),
          told({ limits: { turnz: 3 } }),
          told({ limits: { taskWidth: 3 } }),
          told({ resultSchema: { type: "object" } }),
          told({ resultSchema: Schema.optional(Schema.String) }),
          told(undefined, 3),
          told(undefined, [{ type: "imag" }])
        ]),
        [
          'Invalid input at onBusy: it is none of "reject", "wait", "interrupt", "steer", "followUp", "rollback" and { _tag: "wait" }.',
          "Invalid input at onBusy.timeout: it is not a number from 0.",
          "Invalid input at limits.turns: it is not a number from 0.",
          "Invalid input at limits.tokens: it is not a number from 0.",
          "Invalid input at limits.turnz: there is no such limit.",
          "Invalid input at limits.taskWidth: it is a limit of the engine.",
          "Invalid input at resultSchema: it is not a schema.",
          "Invalid input at resultSchema: it is not a schema.",
          "Invalid input at input: it is neither a text nor a list of parts.",
          'Invalid input at input[0].type: it is neither "text" nor "image".'
        ]
      )
      const task = yield* Effect.flip(session.task("x", { onBusy: untyped("steer") }))
      assert.strictEqual(task._tag, "InvalidInput")
      const skill = yield* Effect.flip(session.skill("x", { onBusy: untyped("steer") }))
      assert.strictEqual(skill.message, task.message)
      const shell = yield* Effect.flip(session.shell("ls", { onBusy: untyped("later") }))
      assert.strictEqual(shell._tag, "InvalidInput")
      assert.deepStrictEqual(yield* session.history, [])
    }).pipe(Effect.provide(ok))
  )

  it.effect("a tool of which no model can be told is named", () =>
    Effect.gen(function* () {
      const url = Tool.make("fetch", {
        description: "",
        parameters: Schema.Struct({ u: Schema.instanceOf(URL) }),
        run: () => "x"
      })
      const bare = Tool.make("bare", { description: "", parameters: Schema.Number, run: () => "x" })
      const first = yield* Effect.flip(open(Agent.make("a", { tools: [url] })))
      assert.match(first.message, /^Invalid input at agent\.tools\.fetch\.parameters: Missing annotation/)
      const second = yield* Effect.flip((yield* open(Agent.make("a"))).prompt("x", { tools: [bare] }))
      assert.strictEqual(second.message, "Invalid input at tools.bare.parameters: it is not the schema of an object.")
    }).pipe(Effect.provide(ok))
  )

  it.effect("a mistyped policy on a held session is no policy", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const before = Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(gate))
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a"))
        const running = yield* Effect.fork(session.prompt("go"))
        yield* Deferred.await(begun)
        assert.strictEqual((yield* Effect.flip(session.prompt("x", { onBusy: untyped("Wait") })))._tag, "InvalidInput")
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(running)
      }).pipe(Effect.provide(engine([Script.on("go", { before, text: "ok" })])))
    })
  )
})

describe("a result that is no object", () => {
  const list = Schema.Array(Schema.Number)

  it.effect("is taken without the object around it too, and a mistake tells how to give it", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { delegate: "off" }))
      assert.strictEqual((yield* session.prompt("bare", { resultSchema: Schema.Number })).value, 5)
      assert.deepStrictEqual((yield* session.prompt("list", { resultSchema: list })).value, [1])
      const results = (yield* session.history).flatMap((it) => (it._tag === "ToolSettled" ? [it.result] : []))
      assert.match(results[1]!, /Give it as \{ "result": … \}\.$/)
    }).pipe(
      Effect.provide(
        engine([
          Script.on("bare", Script.calls(Script.call("finish", 5))),
          Script.on("list", Script.calls(Script.call("finish", { x: 1 })), Script.calls(Script.call("finish", [1])))
        ])
      )
    )
  )
})

describe("prices and fallbacks", () => {
  const usage = { input: 1_000_000, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
  const script = Model.layerScripted([Script.always({ text: "ok", usage })])

  it.effect("an alias costs what it stands for; a price that is none counts as none", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      assert.strictEqual((yield* session.prompt("x")).usage.total.cost, 3)
      const odd = yield* session.prompt("x", { model: "mine/odd" })
      assert.strictEqual(odd.usage.total.cost, undefined)
    }).pipe(
      Effect.provide(
        Layer.provide(
          engineOver(
            Layer.merge(
              SessionStore.layerMemory,
              Model.layerRegistry({ providers: { mine: script }, models: { fast: "mine/one" }, default: "fast" })
            )
          ),
          Layer.succeed(Prices.Prices, { "mine/one": { input: 3, output: 15 }, "mine/odd": untyped({ in: 3 }) })
        )
      )
    )
  )

  it.effect("a fallback that nobody serves does not hide why the model failed", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      const error = yield* Effect.flip(
        session.prompt("x", { model: "mine/one", fallbacks: ["nobody"], limits: { retries: 0 } })
      )
      assert.strictEqual(error.message, 'The model "mine/one" is not available: overloaded.')
    }).pipe(
      Effect.provide(
        engineOver(
          Layer.merge(
            SessionStore.layerMemory,
            Model.layerRegistry({
              providers: {
                mine: Model.layerScripted([
                  Script.always({ fail: new Errors.ModelUnavailable({ model: "one", reason: "overloaded" }) })
                ])
              }
            })
          )
        )
      )
    )
  )
})

describe("what a tool fails with", () => {
  it("is told also where it has no message", () => {
    assert.strictEqual(Tool.describe({ code: 3 }), 'The tool failed with {"code":3}.')
    assert.strictEqual(Tool.describe(Stream.empty).startsWith("The tool failed"), true)
  })
})
