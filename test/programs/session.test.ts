import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Agent, Engine, Model, Script, Session, SessionStore } from "effect-baton"

describe("Session", () => {
  it.effect("the operations as functions over services of one's own", () =>
    Effect.gen(function* () {
      const ref = yield* Session.open({ id: "s", agent: Agent.make("a") })
      const reply = yield* Session.prompt(ref, "go")
      assert.strictEqual(reply.text, "it said ok")
      assert.strictEqual((yield* Session.task(ref, "sub")).text, "ok")
      assert.strictEqual((yield* Session.list()).length, 1)
      assert.strictEqual((yield* Session.list("s")).length, 2)
      yield* Session.remove("s")
      assert.strictEqual((yield* SessionStore.Memory).size, 0)
    }).pipe(
      Effect.provide(
        Layer.provideMerge(
          Engine.layerMemory,
          Model.layerScripted([
            Script.on("go", Script.calls(Script.task("sub")), (seen) => `it said ${seen.results[0]!.text}`),
            Script.always("ok")
          ])
        )
      )
    )
  )
})
