import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import { Agent, Script, Sessions, Tool } from "effect-baton"
import { engine } from "../support/engine.js"

const agent = Agent.make("a")
const run = <A, E, R>(effect: Effect.Effect<A, E, R | Sessions.Sessions>) =>
  Effect.provide(effect, engine([Script.always("ok")])) as Effect.Effect<A, E, Exclude<R, Sessions.Sessions>>

describe("Sessions", () => {
  it.effect("open gets or creates; get and create do one of them", () =>
    run(
      Effect.gen(function* () {
        const sessions = yield* Sessions.Sessions
        assert.strictEqual((yield* Effect.flip(sessions.get({ id: "s", agent }))).message, 'There is no session "s".')
        yield* sessions.create({ id: "s", agent, cwd: "sub" })
        assert.strictEqual(
          (yield* Effect.flip(sessions.create({ id: "s", agent }))).message,
          'Session "s" exists already.'
        )
        const session = yield* sessions.open({ id: "s", agent, cwd: "elsewhere" })
        assert.strictEqual(session.cwd, "sub")
        yield* session.prompt("x")
        assert.strictEqual((yield* (yield* sessions.get({ id: "s", agent })).history).length, 4)
        yield* sessions.open({ id: "t", agent })
        assert.deepStrictEqual(
          (yield* sessions.list()).map(({ id }) => id),
          ["s", "t"]
        )
      })
    )
  )

  it.effect("a hundred opens of one id at once give one session", () =>
    run(
      Effect.gen(function* () {
        const sessions = yield* Sessions.Sessions
        yield* Effect.forEach(
          Array.from({ length: 100 }, (_, i) => i),
          (i) => Effect.flatMap(sessions.open({ id: "s", agent }), (it) => it.prompt(`${i}`, { onBusy: "wait" })),
          { concurrency: "unbounded" }
        )
        assert.strictEqual((yield* sessions.list()).length, 1)
        assert.strictEqual((yield* (yield* sessions.get({ id: "s", agent })).history).length, 400)
      })
    )
  )

  it.effect("ids that are none are refused with the reason, and nothing is written", () =>
    run(
      Effect.gen(function* () {
        const sessions = yield* Sessions.Sessions
        const wrong: ReadonlyArray<readonly [unknown, string]> = [
          ["", "it is empty"],
          ["x".repeat(257), "it is longer than 256 characters"],
          ["x".repeat(1_000_000), "it is longer than 256 characters"],
          ["task:s:1", 'ids that begin with "task:" belong to child sessions'],
          ["a\u0000b", "it holds a control character"],
          ["a\nb", "it holds a control character"],
          ["a\u202eb", "it holds a control character"],
          ["a\ud800", "it holds half of a surrogate pair"],
          [7, "it is not a text"],
          [undefined, "it is not a text"]
        ]
        for (const [id, reason] of wrong) {
          const options = { id: id as string, agent }
          for (const refused of [sessions.open(options), sessions.create(options)]) {
            const error = yield* Effect.flip(refused)
            assert.strictEqual(error.message, `Not a session id: ${reason}.`)
          }
        }
        assert.deepStrictEqual(yield* sessions.list(), [])
        for (const id of ["__proto__", "constructor", "../x", "'; --", "e\u0301", "\u00e9", "🙂", "x".repeat(256)]) {
          assert.strictEqual((yield* (yield* sessions.create({ id, agent })).prompt("x")).text, "ok")
        }
      })
    )
  )

  it.effect("a handle is plain: what its tools need was met when it was opened", () => {
    class Tickets extends Context.Tag("Tickets")<Tickets, { readonly find: (id: string) => Effect.Effect<string> }>() {}
    const ticket = Tool.make("ticket", {
      description: "Looks a ticket up",
      parameters: Schema.Struct({ id: Schema.String }),
      run: ({ id }) => Effect.flatMap(Tickets, (tickets) => tickets.find(id))
    })
    const script = [
      Script.on("go", Script.calls(Script.call("ticket", { id: "7" }), Script.task("sub", { agent: "b" })), (view) =>
        view.results.map((result) => result.text).join(" and ")
      ),
      Script.on("sub", Script.calls(Script.call("ticket", { id: "8" })), (view) => view.results[0]!.text)
    ]
    return Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const session = yield* sessions
        .open({
          id: "s",
          agent: Agent.make("a", { tools: [ticket], subagents: [Agent.make("b", { tools: [ticket] })] })
        })
        .pipe(Effect.provideService(Tickets, { find: (id) => Effect.succeed(`ticket ${id}`) }))
      const reply = yield* session.prompt("go")
      assert.strictEqual(reply.text, "ticket 7 and ticket 8")
    }).pipe(Effect.provide(engine(script)))
  })
})
