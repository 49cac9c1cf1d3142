/**
 * A secret is told nowhere, also when a model or a tool repeats it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Agent, Errors, Script, Secrets, Tool } from "effect-baton"
import { engine, open, recorder } from "../support/engine.js"

const canary = "canary-5f1c9e2a77"

describe("secrets", () => {
  const leak = Tool.make("leak", { description: "", run: () => ({ env: { KEY: canary } }) })
  const fail = Tool.make("fail", { description: "", run: () => Promise.reject(new Error(`no ${canary}`)) })
  const script = [
    Script.on(
      "go",
      {
        reasoning: `I know ${canary}, not ${canary.slice(0, 4)}`,
        text: `The key is ${canary}, and ${canary.slice(0, 9)} is no key, nor is ${canary.slice(0, 5)}`,
        chunk: 5,
        calls: [Script.call("leak", { key: `${canary} and ${canary}` }), Script.call("fail")]
      },
      canary
    ),
    Script.on("bad", { fail: new Errors.ModelRejected({ model: "m", reason: `your key ${canary} is wrong` }) })
  ]

  it.scoped("are in no record, event or reply", () =>
    Effect.gen(function* () {
      yield* Secrets.keep(Redacted.make(canary))
      yield* Secrets.keep(Redacted.make("short"))
      const events = yield* recorder
      const session = yield* open(Agent.make("a", { tools: [leak, fail] }))
      const reply = yield* session.prompt(`go, ${canary}, it is short`)
      yield* Effect.flip(session.prompt("bad"))
      const heard = yield* events
      const said = (tag: "TextDelta" | "ReasoningDelta") =>
        heard.flatMap((event) => (event._tag === tag ? [event.text] : [])).join("")
      assert.strictEqual(said("ReasoningDelta"), "I know <redacted>, not cana")
      assert.strictEqual(said("TextDelta"), "The key is <redacted>, and canary-5f is no key, nor is canar<redacted>")
      for (const told of [yield* events, yield* session.history, reply]) {
        assert.notInclude(JSON.stringify(told), canary)
        assert.include(JSON.stringify(told), "<redacted>")
      }
      assert.include(JSON.stringify(yield* session.history), "it is short")
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("are forgotten with their scope", () =>
    Effect.gen(function* () {
      const twice = Effect.zipRight(Secrets.keep(Redacted.make(canary)), Secrets.keep(Redacted.make(canary)))
      yield* Effect.scoped(
        Effect.zipRight(
          twice,
          Effect.sync(() => assert.strictEqual(Secrets.redact(canary), "<redacted>"))
        )
      )
      assert.strictEqual(Secrets.redact(canary), canary)
    })
  )
})
