import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Agent, Script, Sessions, SessionStore } from "effect-baton"
import { engine } from "../support/engine.js"

const worker = Agent.make("worker", { description: "Does one thing", delegate: "off" })
const lead = Agent.make("lead", { subagents: [worker], delegate: "off" })

describe("removal", () => {
  it.effect("takes the whole tree; the name is free again and old handles do not find the new session", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const { Memory } = SessionStore
      const session = yield* sessions.open({ id: "default", agent: lead })
      yield* session.prompt("delegate")
      assert.strictEqual((yield* Memory).size, 2)
      yield* sessions.remove("default")
      assert.strictEqual((yield* Memory).size, 0)
      assert.strictEqual((yield* Effect.flip(sessions.remove("default")))._tag, "SessionNotFound")
      const anew = yield* sessions.create({ id: "default", agent: lead })
      assert.deepStrictEqual(yield* anew.history, [])
      assert.strictEqual((yield* Effect.flip(session.prompt("x")))._tag, "SessionNotFound")
      assert.strictEqual((yield* anew.prompt("x")).text, "ok")
    }).pipe(
      Effect.provide(
        engine([
          Script.on("delegate", Script.calls(Script.task("sub", { agent: "worker" })), "done"),
          Script.always("ok")
        ])
      )
    )
  )

  it.effect("is refused while a child session of the tree is held", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const session = yield* sessions.open({ id: "default", agent: lead })
      yield* session.prompt("delegate")
      const [row] = yield* sessions.list("default")
      const child = yield* sessions.get({ id: row!.id, agent: worker })
      yield* Effect.fork(child.prompt("for ever"))
      yield* Effect.yieldNow()
      const error = yield* Effect.flip(sessions.remove("default"))
      assert.strictEqual(error._tag === "SessionBusy" ? error.session : "", row!.id)
      assert.strictEqual((yield* session.prompt("x")).text, "ok")
    }).pipe(
      Effect.provide(
        engine([
          Script.on("delegate", Script.calls(Script.task("sub", { agent: "worker" })), "done"),
          Script.on("for ever", { before: Effect.never }),
          Script.always("ok")
        ])
      )
    )
  )
})
