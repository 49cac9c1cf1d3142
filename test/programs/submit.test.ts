/**
 * Inputs that are acknowledged: stored before the answer, and run whatever becomes of the process.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, TestClock } from "effect"
import { Agent, Engine, Model, Script, Sessions, SessionStore, Tool } from "effect-baton"
import { problems } from "../support/recoveries.js"
import { begin, gate, linesOf, settle } from "../support/stage.js"
import { messagesOf } from "../support/engine.js"

const agent = Agent.make("lead", { delegate: "off" })

/** Engines that follow each other on one store; each knows what its model was asked. */
const processes = (...script: Script.Script) =>
  Effect.gen(function* () {
    const store = yield* Layer.build(SessionStore.layerMemory)
    const model = Model.layerScripted([...script, Script.always("ok")])
    const inner = Context.get(store, SessionStore.SessionStore)
    const puts: Array<string> = []
    const watched: typeof inner = {
      ...inner,
      put: (session, item) =>
        Effect.zipRight(
          Effect.sync(() => puts.push(item.id)),
          inner.put(session, item)
        )
    }
    const next = Effect.flatMap(
      Layer.build(Layer.provide(Engine.layer, Layer.merge(Layer.succeed(SessionStore.SessionStore, watched), model))),
      (engine) => Context.get(engine, Sessions.Sessions).open({ id: "s", agent })
    )
    return {
      next,
      puts,
      store: inner,
      memory: Context.get(store, SessionStore.Memory)
    }
  })

const said = (session: Sessions.Session) => Effect.map(messagesOf(session), linesOf)

describe("submit", () => {
  it.scoped("answers when the input is stored, and it is run in its turn", () =>
    Effect.gen(function* () {
      const model = yield* gate
      const { memory, next } = yield* processes(Script.on("first", { before: model.stop, text: "one" }))
      const session = yield* next
      const running = yield* begin(session.prompt("first"))
      const receipts = [yield* session.submit("second"), yield* session.submit("third", { operationId: "3" })]
      assert.strictEqual(receipts[1]!.operationId, "3")
      assert.strictEqual(memory.get("s")!.waiting.length, 2)
      yield* settle
      yield* model.open
      yield* Fiber.join(running)
      yield* settle
      assert.deepStrictEqual(yield* said(session), [
        "user: first",
        "assistant: one",
        "user: second",
        "assistant: ok",
        "user: third",
        "assistant: ok"
      ])
      assert.deepStrictEqual(memory.get("s")!.waiting, [])
      const { text } = yield* session.prompt("third", { operationId: "3" })
      assert.strictEqual(text, "ok")
      assert.deepStrictEqual(problems(memory), [])
    })
  )

  it.scoped("what was acknowledged by a process that ended is run by the next one", () =>
    Effect.gen(function* () {
      const model = yield* gate
      const { memory, next, puts } = yield* processes(Script.on("first", { before: model.stop, text: "one" }))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const session = yield* next
          yield* begin(session.prompt("first"))
          for (const when of ["wait", "steer", "followUp"] as const) {
            yield* session.submit(`to ${when}`, { operationId: when, when })
          }
        })
      )
      assert.strictEqual(memory.get("s")!.waiting.length, 3)
      yield* model.open
      const session = yield* next
      yield* session.resumed!.ended
      yield* settle
      const lines = yield* said(session)
      for (const when of ["wait", "steer", "followUp"]) {
        assert.strictEqual(lines.filter((line) => line.includes(`to ${when}`)).length, 1, when)
      }
      assert.deepStrictEqual(memory.get("s")!.waiting, [])
      assert.deepStrictEqual(problems(memory), [])
      // Asked again, all are known.
      const entries = memory.get("s")!.entries.length
      for (const when of ["wait", "steer", "followUp"] as const) {
        yield* session.submit(`to ${when}`, { operationId: when, when })
        assert.strictEqual(
          (yield* Effect.flip(session.submit("else", { operationId: when })))._tag,
          "OperationConflict"
        )
      }
      yield* settle
      assert.strictEqual(memory.get("s")!.entries.length, entries)
      assert.deepStrictEqual(memory.get("s")!.waiting, [], "nor does anything wait")
      assert.deepStrictEqual(puts, ["wait", "steer", "followUp"], "nor was anything stored again")
    })
  )

  it.scoped("steer joins the prompt that runs in another process, at its next boundary", () =>
    Effect.gen(function* () {
      const model = yield* gate
      const { memory, next } = yield* processes(
        Script.on("steered", "as you say"),
        Script.on(
          "first",
          { calls: [Script.call("missing")] },
          { before: model.stop, calls: [Script.call("missing")] },
          "one"
        )
      )
      const [here, there] = [yield* next, yield* next]
      const running = yield* begin(here.prompt("first"))
      yield* model.reached
      yield* there.submit("steered", { when: "steer", operationId: "x" })
      yield* model.open
      yield* settle
      assert.strictEqual((yield* Fiber.join(running)).text, "as you say")
      yield* TestClock.adjust("2 seconds")
      yield* settle
      const lines = yield* said(here)
      assert.strictEqual(lines.filter((line) => line.includes("steered")).length, 1)
      assert.deepStrictEqual(problems(memory), [])
      const delivered = yield* there.prompt("steered", { operationId: "x" })
      assert.strictEqual(delivered._tag as string, "Delivered")
      const other = yield* Effect.flip(there.prompt("something else", { operationId: "x" }))
      assert.strictEqual(other._tag, "OperationConflict")
    })
  )

  it.scoped("a message that a tool was promised to survives the process", () =>
    Effect.gen(function* () {
      const model = yield* gate
      const { memory, next, store } = yield* processes(
        Script.on("first", Script.calls(Script.call("say")), { before: model.stop, text: "never said" })
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const session = yield* next
          const say = Tool.make("say", {
            description: "Says something to its own session",
            run: () => Effect.asVoid(session.prompt("from within", { onBusy: "followUp" }))
          })
          yield* begin(session.prompt("first", { tools: [say] }))
          yield* model.reached
        })
      )
      assert.deepStrictEqual(
        (yield* store.waiting({ id: "s", incarnation: memory.get("s")!.row.incarnation })).map(({ when }) => when),
        ["followUp"]
      )
      yield* model.open
      const session = yield* next
      yield* session.resumed!.ended
      yield* settle
      assert.strictEqual((yield* said(session)).filter((line) => line.includes("from within")).length, 1)
      assert.deepStrictEqual(memory.get("s")!.waiting, [])
      assert.deepStrictEqual(problems(memory), [])
    })
  )

  it.scoped("an input is taken back while it waits, and never runs", () =>
    Effect.gen(function* () {
      const model = yield* gate
      const { memory, next } = yield* processes(Script.on("first", { before: model.stop, text: "one" }))
      const session = yield* next
      const running = yield* begin(session.prompt("first"))
      for (const when of ["wait", "steer", "followUp"] as const) {
        yield* session.submit(`to ${when}`, { operationId: when, when })
        yield* settle
        assert.isTrue(yield* session.withdraw(when))
        assert.isFalse(yield* session.withdraw(when))
      }
      yield* model.open
      yield* Fiber.join(running)
      yield* settle
      assert.deepStrictEqual(yield* said(session), ["user: first", "assistant: one"])
      assert.deepStrictEqual(problems(memory), [])
      assert.strictEqual((yield* session.prompt("next")).text, "ok")
    })
  )

  it.scoped("an input that another process takes back is not delivered, and the prompt goes on", () =>
    Effect.gen(function* () {
      const model = yield* gate
      const { memory, next } = yield* processes(
        Script.on("first", { before: model.stop, calls: [Script.call("missing")] }, "one")
      )
      const [here, there] = [yield* next, yield* next]
      const running = yield* begin(here.prompt("first"))
      yield* model.reached
      yield* here.submit("never", { when: "steer", operationId: "x" })
      yield* here.submit("but this", { when: "steer", operationId: "y" })
      yield* settle
      assert.isTrue(yield* there.withdraw("x"))
      yield* model.open
      assert.strictEqual((yield* Fiber.join(running)).text, "ok")
      yield* settle
      const lines = yield* said(here)
      assert.deepStrictEqual(
        lines.filter((line) => line.startsWith("user")),
        ["user: first", "user: but this"]
      )
      assert.deepStrictEqual(memory.get("s")!.waiting, [])
      assert.deepStrictEqual(problems(memory), [])
    })
  )

  it.scoped("an input that is none is refused, and nothing is stored", () =>
    Effect.gen(function* () {
      const { memory, next } = yield* processes()
      const session = yield* next
      const wrong = [
        yield* Effect.flip(session.submit("")),
        yield* Effect.flip(session.submit("x", { when: "now" as "wait" })),
        yield* Effect.flip(session.submit("x", { operationId: "" })),
        yield* Effect.flip(session.submit("x", { limits: { turns: -1 } }))
      ]
      assert.deepStrictEqual(
        wrong.map((it) => (it._tag === "InvalidInput" ? it.path : it._tag)),
        ["input", "when", "operationId", "limits.turns"]
      )
      assert.deepStrictEqual([memory.get("s")!.waiting, memory.get("s")!.entries], [[], []])
    })
  )
})
