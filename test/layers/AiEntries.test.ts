import { assert, describe, it } from "@effect/vitest"
import { Model, Script } from "effect-baton"
import { AiModel } from "effect-baton/ai"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { anthropic, begin, refuse, send, serve } from "../support/providers.js"
import { complete, refusal, requestOf } from "../support/rounds.js"

const answerOf = (model: string) =>
  Effect.map(complete(requestOf({ model })), ({ events }) =>
    events.map((event) => ("text" in event ? event.text : "")).join("")
  )

describe("entries of a registry", () => {
  it.scopedLive("serve several providers in one run, each by its prefix, with the model of the request", () =>
    Effect.gen(function* () {
      const claude = yield* serve((response) => {
        begin(response)
        send(response, [anthropic.start, ...anthropic.text(0, "Hello"), ...anthropic.stop("end_turn", 1)])
        response.end()
      })
      const gpt = yield* serve((response) => refuse(response, 401, { error: { message: "wrong key" } }))
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* answerOf("fast"), "Hello")
        assert.strictEqual(yield* answerOf("anthropic/claude-x"), "Hello")
        assert.strictEqual(yield* answerOf("work/claude-y"), "Hello")
        assert.strictEqual(yield* answerOf("scripted"), "said")
        const { error } = yield* refusal(requestOf({ model: "openai/gpt-5" }))
        assert.strictEqual(error.message, 'The model "openai/gpt-5" refused the request (HTTP 401): wrong key.')
      }).pipe(
        Effect.provide(
          Model.layerRegistry({
            providers: {
              anthropic: AiModel.anthropic({ apiKey: Redacted.make("key-1"), apiUrl: claude.url }),
              work: AiModel.anthropic({ apiKey: Redacted.make("key-2"), apiUrl: claude.url, maxTokens: 7 }),
              openai: AiModel.openAi({ apiKey: Redacted.make("key-3"), apiUrl: gpt.url })
            },
            models: { fast: "anthropic/claude-haiku-4-5", scripted: Model.layerScripted([Script.always("said")]) }
          })
        )
      )
      assert.deepStrictEqual(
        claude.seen.map(({ body, headers }) => [body.model, headers["x-api-key"]]),
        [
          ["claude-haiku-4-5", "key-1"],
          ["claude-x", "key-1"],
          ["claude-y", "key-2"]
        ]
      )
      assert.strictEqual(claude.seen[2]!.body.max_tokens, 7)
      assert.deepStrictEqual(
        gpt.seen.map(({ body, headers }) => [body.model, headers.authorization]),
        [["gpt-5", "Bearer key-3"]]
      )
    })
  )

  it.effect("know the limits of well-known models, which a name may override", () =>
    Effect.gen(function* () {
      const { info } = yield* Model.Model
      const name = "anthropic/claude-haiku-4-5"
      assert.deepStrictEqual(info?.("fast"), { name, contextWindow: 200_000, maxOutput: 64_000 })
      assert.deepStrictEqual(info?.("openai/gpt-5"), { contextWindow: 1000, maxOutput: 128_000 })
      assert.strictEqual(info?.("openai/gpt-unheard-of"), undefined)
      assert.strictEqual(info?.("scripted"), undefined)
    }).pipe(
      Effect.provide(
        Model.layerRegistry({
          providers: {
            anthropic: AiModel.anthropic({ apiKey: Redacted.make("k") }),
            openai: AiModel.openAi({ apiKey: Redacted.make("k") })
          },
          models: { fast: "anthropic/claude-haiku-4-5", scripted: Model.layerScripted([]) },
          limits: { "openai/gpt-5": { contextWindow: 1000 } }
        })
      )
    )
  )

  it.effect("take a key from the configuration when they are first asked for", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* answerOf("scripted"), "said")
      const { error } = yield* refusal(requestOf({ model: "anthropic/x" }))
      assert.strictEqual(error._tag, "ModelNotConfigured")
      assert.strictEqual(error.message, 'The model "anthropic/x" cannot be used: ANTHROPIC_API_KEY is not set.')
    }).pipe(
      Effect.provide(
        Model.layerRegistry({
          providers: { anthropic: AiModel.anthropic({ apiKey: Config.redacted("ANTHROPIC_API_KEY") }) },
          models: { scripted: Model.layerScripted([Script.always("said")]) }
        })
      ),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map()))
    )
  )
})

describe("a provider's package that is not installed", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url))
  const hide = fileURLToPath(new URL("../support/hidePackages.mjs", import.meta.url))
  const program = (make: string, model: string) => `
    import { Effect, Redacted } from "effect"
    import { Model } from "./dist/index.js"
    import { AiModel } from "./dist/ai.js"
    const request = { model: ${JSON.stringify(model)}, instructions: "", messages: [], tools: [] }
    const ask = Effect.flatMap(Model.Model, (it) => it.stream(request, () => {}))
    const options = { model: "m", apiKey: Redacted.make("k") }
    const error = await Effect.runPromise(Effect.flip(Effect.provide(ask, ${make})))
    console.log(error._tag + " " + error.message)`
  const says = (hidden: string, make: string, model: string) => {
    const args = ["--import", hide, "--input-type=module", "-e", program(make, model)]
    const { stderr, stdout } = spawnSync(process.execPath, args, {
      cwd: root,
      encoding: "utf8",
      env: { PATH: process.env.PATH, HIDDEN: hidden }
    })
    assert.strictEqual(stderr, "")
    return stdout.trim()
  }

  it("is told by the layer, with the command that installs it", () => {
    assert.strictEqual(
      says("@effect/ai-anthropic", "AiModel.layerAnthropic(options)", "m"),
      'ModelNotConfigured The model "m" cannot be used: it needs packages that are not installed (npm install "@effect/ai@^0.37.0" "@effect/ai-anthropic@^0.27.0").'
    )
    assert.include(
      says("@effect/ai-openai", "AiModel.layerOpenAi(options)", "m"),
      'npm install "@effect/ai@^0.37.0" "@effect/ai-openai@^0.41.0"'
    )
  })

  it("fails the call of a registry that asks for it", () => {
    assert.match(
      says("@effect/ai-openai", "Model.layerRegistry({ providers: { o: AiModel.openAi(options) } })", "o/gpt-5"),
      /^ModelNotConfigured The model "o\/gpt-5" cannot be used: it needs packages that are not installed \(npm install /
    )
  })
})
