/**
 * A secret is told nowhere, also when a model or a tool repeats it.
 */
import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { Agent, Errors, Model, Script, Secrets, SessionStore, Tool } from "effect-baton"
import { engine, engineOver, open, recorder } from "../support/engine.js"
import { recording, wordsOf } from "../support/tracer.js"

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

  it.scoped("are in no error, retry, notice, span, command or description", () => {
    const { started, tracer } = recording()
    const stream: Model.Model["Type"]["stream"] = (_, emit) =>
      Effect.suspend(() => {
        emit({ _tag: "Notice", message: `I used ${canary}` })
        const cause = new Error(canary)
        return Effect.fail(new Errors.ModelUnavailable({ model: "m", reason: `no ${canary}`, cause }))
      })
    const model = Layer.succeed(Model.Model, { defaultModel: "m", stream })
    return Effect.gen(function* () {
      yield* Secrets.keep(Redacted.make(canary))
      const events = yield* recorder
      const session = yield* open(Agent.make("a"))
      const limits = { retries: 1, retryDelay: 0 }
      const error = yield* Effect.flip(Effect.withTracer(session.prompt("go", { limits }), tracer))
      yield* Effect.flip(session.shell(`echo ${canary}`, { cwd: canary, env: { [canary]: "" } }))
      yield* Effect.flip(session.task(`${"-".repeat(70)}${canary}`, { limits }))
      assert.strictEqual(error.message, 'The model "m" is not available: no <redacted> (2 attempts).')
      assert.strictEqual(started.length, 3)
      const tags = new Set((yield* events).map((event) => event._tag))
      for (const tag of ["ModelRetry", "Notice", "TurnFailed", "TaskStarted"] as const) assert.include([...tags], tag)
      for (const told of [error, started.map(wordsOf), yield* events, yield* session.history]) {
        const text = `${JSON.stringify(told)}${inspect(told, { depth: 9 })}`
        assert.notInclude(text, canary.slice(0, 8))
      }
    }).pipe(Effect.provide(engineOver(Layer.merge(SessionStore.layerMemory, model))))
  })

  it.scoped("are in nothing that a provider wants back", () => {
    const stream: Model.Model["Type"]["stream"] = (_, emit) =>
      Effect.sync(() => {
        const metadata = { compatible: { details: [{ type: "reasoning.text", text: canary, signature: "s" }] } }
        emit({ _tag: "ReasoningDelta", text: "I know it" })
        emit({ _tag: "ReasoningEnd", metadata })
        emit({ _tag: "ReasoningDelta", text: "I am done" })
        emit({ _tag: "ReasoningEnd", metadata: { compatible: { field: "reasoning" } } })
        emit({ _tag: "TextDelta", text: "Done." })
        emit({ _tag: "TextEnd", metadata })
        return { reason: "stop", usage: undefined }
      })
    const model = Layer.succeed(Model.Model, { defaultModel: "m", stream })
    return Effect.gen(function* () {
      yield* Secrets.keep(Redacted.make(canary))
      const events = yield* recorder
      const session = yield* open(Agent.make("a"))
      yield* session.prompt("go")
      const contents = (yield* session.history).flatMap((it) => (it._tag === "Assistant" ? [it.content] : []))
      assert.deepStrictEqual(contents, [
        [
          { type: "reasoning", text: "I am done", metadata: { compatible: { field: "reasoning" } } },
          { type: "text", text: "Done." }
        ]
      ])
      assert.include(JSON.stringify(yield* events), "Reasoning that is not clean text was left out")
    }).pipe(Effect.provide(engineOver(Layer.merge(SessionStore.layerMemory, model))))
  })

  it.scoped("are in no result that was cut in the middle of one", () =>
    Effect.gen(function* () {
      yield* Secrets.keep(Redacted.make(canary))
      for (let before = 30; before < 80; before++) {
        const long = Tool.make("leak", {
          description: "",
          run: () => `${"x".repeat(before)}${canary}${"y".repeat(200)}`
        })
        const session = yield* open(Agent.make("a", { tools: [long, fail] }), `s${before}`)
        yield* session.prompt("go", { limits: { toolResult: 120 } })
        const results = (yield* session.history).filter((entry) => entry._tag === "ToolSettled")
        assert.notInclude(JSON.stringify(results), canary.slice(0, 4))
      }
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("are in no JSON, where they look different", () =>
    Effect.gen(function* () {
      const secret = 'first "line"\nand \\ the second'
      yield* Secrets.keep(Redacted.make(secret))
      const leak = Tool.make("leak", { description: "", run: () => ({ deep: [secret, { [secret]: 1 }] }) })
      const session = yield* open(Agent.make("a", { tools: [leak, fail] }))
      yield* session.prompt("go")
      const [settled] = (yield* session.history).filter((entry) => entry._tag === "ToolSettled")
      assert.strictEqual(settled?.result, '{"deep":["<redacted>",{"<redacted>":1}]}')
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
