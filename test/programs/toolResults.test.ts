import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Schema, Fiber } from "effect"
import { Agent, Limits, Script, Tool } from "effect-baton"
import { echo, engine, messagesOf, open } from "../support/engine.js"
import { problems } from "../support/validMessages.js"

/** What the model was told of each call of the first turn. */
const results = (tools: ReadonlyArray<Tool.Tool>, ...calls: ReadonlyArray<Script.Call>) =>
  Effect.gen(function* () {
    const session = yield* open(Agent.make("a", { tools, delegate: "off" }))
    yield* session.prompt("go")
    assert.deepStrictEqual(problems(yield* messagesOf(session)), [])
    return (yield* messagesOf(session)).flatMap((message) =>
      message.role === "tool"
        ? message.results.map((result) => `${result.isError ? "failure" : "success"}: ${result.text}`)
        : []
    )
  }).pipe(Effect.provide(engine([Script.on("go", Script.calls(...calls), "done")])))

describe("what a model is told of a call", () => {
  it.effect("a value as text, JSON as JSON, nothing as nothing", () =>
    Effect.gen(function* () {
      const json = Tool.make("json", { description: "", run: () => ({ a: [1, "ü"] }) })
      const nothing = Tool.make("nothing", { description: "", run: () => Effect.void })
      const date = Tool.make("date", {
        description: "",
        success: Schema.Struct({ at: Schema.Date }),
        run: () => Promise.resolve({ at: new Date(0) })
      })
      assert.deepStrictEqual(
        yield* results(
          [echo, json, nothing, date],
          Script.call("echo", { text: "x" }),
          Script.call("json"),
          Script.call("nothing"),
          Script.call("date")
        ),
        ["success: x", 'success: {"a":[1,"ü"]}', "success: ", 'success: {"at":"1970-01-01T00:00:00.000Z"}']
      )
    })
  )

  it.effect("bad arguments name the place, an unknown tool lists the known ones", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* results([echo], Script.call("echo", { text: 1 }), Script.call("ecko"), Script.call("echo", "text")),
        [
          "failure: The arguments do not fit the tool's parameters.\ntext: Expected string, actual 1",
          'failure: There is no tool "ecko". The tools are: echo.',
          'failure: The arguments of "echo" are not a JSON object. You sent: "text"'
        ]
      )
    })
  )

  it.effect("failures, defects, rejections and thrown nothings", () =>
    Effect.gen(function* () {
      class Missing extends Schema.TaggedError<Missing>()("Missing", { id: Schema.String }) {
        override get message() {
          return `There is no ${this.id}`
        }
      }
      const tool = (name: string, run: () => unknown) => Tool.make(name, { description: "", run })
      const tools = [
        Tool.make("fails", { description: "", run: () => new Missing({ id: "x" }) }),
        tool("dies", () => Effect.die(new TypeError("broken"))),
        tool("throws", () => {
          throw new Error("thrown")
        }),
        tool("rejects", () => Promise.reject(new Error("rejected"))),
        tool("null", () => Promise.reject(null)),
        tool("string", () => Effect.fail("just words"))
      ]
      assert.deepStrictEqual(yield* results(tools, ...tools.map(({ name }) => Script.call(name))), [
        "failure: Missing: There is no x",
        "failure: TypeError: broken",
        "failure: thrown",
        "failure: rejected",
        "failure: The tool failed with null.",
        "failure: just words"
      ])
    })
  )

  it.effect("what is not JSON", () =>
    Effect.gen(function* () {
      const cyclic: Record<string, unknown> = {}
      cyclic.self = cyclic
      const getter = Object.defineProperty({}, "x", {
        enumerable: true,
        get() {
          throw new Error("no")
        }
      })
      const tools = ([cyclic, 1n, getter, () => 1, Symbol("s")] as const).map((value, i) =>
        Tool.make(`t${i}`, { description: "", run: () => Effect.succeed<unknown>(value) })
      )
      const told = yield* results(tools, ...tools.map(({ name }) => Script.call(name)))
      assert.strictEqual(told.length, 5)
      for (const text of told) assert.match(text, /^failure: The tool gave a .*not JSON/)
    })
  )

  it.effect("a long result is cut in the middle, never within a character; halves and NUL are replaced", () =>
    Effect.gen(function* () {
      const long = Tool.make("long", { description: "", run: () => "😀".repeat(60_000) })
      const odd = Tool.make("odd", { description: "", run: () => "a\ud800b\0c" })
      const [cut, cleaned] = yield* results([long, odd], Script.call("long"), Script.call("odd"))
      assert.isBelow(cut!.length, 50_100)
      assert.match(cut!, /^success: (😀)+\n\[… \d+ characters left out …\]\n(😀)+$/u)
      assert.strictEqual(cleaned, "success: a\ufffdb\ufffdc")
    })
  )

  it.effect("calls over the limit of a turn get an error result and the operation goes on", () =>
    Effect.gen(function* () {
      const told = yield* results(
        [echo],
        ...Array.from({ length: 200 }, (_, i) => Script.call("echo", { text: `${i}` }))
      )
      assert.strictEqual(told.filter((text) => text.startsWith("success")).length, 128)
      assert.strictEqual(told.filter((text) => text.startsWith("failure: Only the first 128 calls")).length, 72)
    })
  )

  it.effect("ids that are empty, doubled or too long are re-keyed", () =>
    Effect.gen(function* () {
      const call = (id: string) => Script.call("echo", { text: id.slice(0, 5) }, id)
      const told = yield* results([echo], call("a"), call("a"), call(""), call("x".repeat(100)), call("call_1"))
      assert.deepStrictEqual(told, ["success: a", "success: a", "success: ", "success: xxxxx", "success: call_"])
    })
  )

  it.effect("ids are unique in the whole history, and such as every provider takes back", () =>
    Effect.gen(function* () {
      const turn = Script.calls(
        ...["call_0", "", "functions.echo:0", "x".repeat(41), "a"].map((id) => Script.call("echo", { text: id }, id))
      )
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [echo], limits: { repeats: 9 } }))
        yield* session.prompt("go")
        yield* session.prompt("go")
        const ids = (yield* messagesOf(session)).flatMap((message) =>
          message.role === "assistant"
            ? message.content.flatMap((part) => (part.type === "tool-call" ? [part.id] : []))
            : []
        )
        assert.strictEqual(ids.length, 20)
        assert.strictEqual(new Set(ids).size, 20)
        for (const id of ids) assert.match(id, /^[a-zA-Z0-9_-]{1,40}$/)
        assert.deepStrictEqual([ids[0], ids[4]], ["call_0", "a"], "an id that is good is kept")
      }).pipe(Effect.provide(engine([Script.on("go", turn, turn, "done")])))
    })
  )
})

describe("width", () => {
  it.effect("tool calls of a turn run at the same time up to a width, results in call order", () =>
    Effect.gen(function* () {
      let now = 0
      let most = 0
      const gates = yield* Effect.forEach([0, 1, 2, 3, 4], () => Deferred.make<void>())
      const tool = Tool.make("t", {
        description: "",
        parameters: Schema.Struct({ i: Schema.Number }),
        run: ({ i }) =>
          Effect.gen(function* () {
            most = Math.max(most, ++now)
            yield* Deferred.await(gates[i]!)
            now--
            return i
          })
      })
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [tool], limits: { toolWidth: 2 } }))
        const running = yield* Effect.fork(session.prompt("go"))
        for (const i of [1, 0, 2, 4, 3]) {
          yield* Effect.yieldNow()
          yield* Deferred.succeed(gates[i]!, undefined)
        }
        assert.strictEqual((yield* Fiber.join(running)).text, "0,1,2,3,4")
        assert.strictEqual(most, 2)
      }).pipe(
        Effect.provide(
          engine([
            Script.on("go", Script.calls(...gates.map((_, i) => Script.call("t", { i }))), (view) =>
              view.results.map((result) => result.text).join(",")
            )
          ])
        )
      )
    })
  )
})

describe("limits of an engine that nothing could happen under", () => {
  it.effect("are raised to the least that works, and what is not a number is the default", () =>
    Effect.gen(function* () {
      for (const limits of [{ toolWidth: 0 }, { toolWidth: Number.NaN, turns: Number.NaN, toolDeadline: Number.NaN }]) {
        const reply = yield* Effect.flatMap(open(Agent.make("a", { tools: [echo] })), (it) => it.prompt("go")).pipe(
          Effect.provide(engine([Script.on("go", Script.calls(Script.call("echo", { text: "x" })), "done")])),
          Effect.provideService(Limits.Limits, { ...Limits.defaults, ...limits })
        )
        assert.strictEqual(reply.text, "done")
      }
    })
  )
})
