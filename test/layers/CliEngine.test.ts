import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted } from "effect"
import { Agent, Sessions } from "effect-baton"
import { afterEach } from "vitest"
import * as CliEngine from "../../src/layers/CliEngine.js"
import { type Asked, choose } from "../../src/services/ModelChoice.js"
import { anthropic, begin, refuse, send, serve } from "../support/providers.js"
import { removeFolders, temporary } from "../support/repositories.js"

afterEach(removeFolders)

const chosen = (env: Readonly<Record<string, string>>, asked: Partial<Asked> = {}) =>
  Effect.withConfigProvider(
    choose({ model: undefined, fallbacks: [], ...asked }),
    ConfigProvider.fromMap(new Map(Object.entries(env)))
  )

describe("the models of the executable", () => {
  it.effect("are those whose keys are in the environment", () =>
    Effect.gen(function* () {
      const both = yield* chosen(
        { ANTHROPIC_API_KEY: "a", OPENAI_API_KEY: "o", OPENAI_BASE_URL: "http://localhost:1/v1/" },
        { model: "openai/x", fallbacks: ["anthropic/y", "scripted"] }
      )
      assert.deepStrictEqual(both, {
        model: "openai/x",
        reason: "as asked, at localhost:1",
        fallbacks: ["anthropic/y", "scripted"],
        providers: {
          anthropic: { apiKey: Redacted.make("a"), apiUrl: undefined },
          openai: { apiKey: Redacted.make("o"), apiUrl: "http://localhost:1/v1" },
          compatible: { apiKey: Redacted.make("o"), apiUrl: "http://localhost:1/v1" }
        }
      })
      const none = yield* chosen({ ANTHROPIC_API_KEY: " ", OPENAI_API_KEY: "" })
      assert.strictEqual(none.model, "scripted")
      assert.deepStrictEqual(none.providers, { anthropic: undefined, openai: undefined, compatible: undefined })
    })
  )

  it.effect("are named by their provider and their id", () =>
    Effect.gen(function* () {
      const env = { OPENAI_API_KEY: "o" }
      const refused = (asked: Partial<Asked>) => Effect.map(Effect.flip(chosen(env, asked)), (error) => error.message)
      for (const model of ["openai/", "/x", "openai", "openai/a b", "scripted/x", "constructor/x", "x/openai/y", ""]) {
        const says = `There is no model "${model}": it is anthropic/<id>, openai/<id>, compatible/<id> or scripted.`
        assert.strictEqual(yield* refused({ model }), says)
        assert.strictEqual(yield* refused({ model: "scripted", fallbacks: ["openai/x", model] }), says)
      }
      assert.strictEqual(
        yield* refused({ fallbacks: ["anthropic/x"] }),
        "The model anthropic/x needs ANTHROPIC_API_KEY in the environment."
      )
      assert.strictEqual(
        yield* refused({ model: "compatible/x" }),
        "The model compatible/x needs OPENAI_BASE_URL in the environment."
      )
      assert.strictEqual((yield* chosen(env, { model: "openai/org/x:1" })).model, "openai/org/x:1")
    })
  )

  it.scopedLive("serve several providers in one run, as an agent or a call names them", () =>
    Effect.gen(function* () {
      const claude = yield* serve((response) => {
        begin(response)
        send(response, [anthropic.start, ...anthropic.text(0, "I am Claude."), ...anthropic.stop("end_turn", 1)])
        response.end()
      })
      const gpt = yield* serve((response) => refuse(response, 401, { error: { message: "wrong key" } }))
      const model = yield* chosen({
        ANTHROPIC_API_KEY: "key-a",
        ANTHROPIC_BASE_URL: claude.url,
        OPENAI_API_KEY: "key-o",
        OPENAI_BASE_URL: `${gpt.url}/v1`
      })
      yield* Effect.gen(function* () {
        const subagents = [Agent.make("b", { model: "openai/gpt-x" })]
        const sessions = yield* Sessions.Sessions
        const session = yield* sessions.open({ id: "s", agent: Agent.make("a", { subagents }) })
        assert.strictEqual((yield* session.prompt("hi")).text, "I am Claude.")
        assert.include((yield* session.prompt("hi", { model: "scripted" })).text, "I am the scripted model")
        const error = yield* Effect.flip(session.task("hi", { agent: "b" }))
        assert.strictEqual(error.message, 'The model "openai/gpt-x" refused the request (HTTP 401): wrong key.')
        const unknown = yield* Effect.flip(session.prompt("hi", { model: "x" }))
        assert.include(unknown.message, "(known models: anthropic/<id>, openai/<id>, compatible/<id>, scripted)")
      }).pipe(Effect.provide(CliEngine.layer({ cwd: temporary(), store: "memory", model })))
      assert.deepStrictEqual(
        [...claude.seen, ...gpt.seen].map(({ body, path }) => [path, body.model]),
        [
          ["/v1/messages", "claude-sonnet-5"],
          ["/v1/responses", "gpt-x"]
        ]
      )
    })
  )

  it.scopedLive("serve a compatible server at the address of OpenAI, with no key where there is none", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) => refuse(response, 400, { error: { message: "no such model" } }))
      for (const key of [undefined, "key-o"]) {
        const env = {
          OPENAI_BASE_URL: `${server.url}/v1`,
          ...(key === undefined ? undefined : { OPENAI_API_KEY: key })
        }
        const model = yield* chosen(env, { model: "compatible/org/qwen:8b" })
        const error = yield* Effect.flatMap(Sessions.Sessions, (sessions) =>
          Effect.flatMap(sessions.open({ id: "s", agent: Agent.make("a") }), (session) =>
            Effect.flip(session.prompt("hi"))
          )
        ).pipe(Effect.provide(CliEngine.layer({ cwd: temporary(), store: "memory", model })))
        assert.strictEqual(
          error.message,
          'The model "compatible/org/qwen:8b" refused the request (HTTP 400): no such model.'
        )
      }
      assert.deepStrictEqual(
        server.seen.map(({ body, headers, path }) => [path, body.model, headers.authorization]),
        [
          ["/v1/chat/completions", "org/qwen:8b", undefined],
          ["/v1/chat/completions", "org/qwen:8b", "Bearer key-o"]
        ]
      )
    })
  )
})
