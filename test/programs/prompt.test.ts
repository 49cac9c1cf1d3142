import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { Agent, Errors, Model, Script, Sessions, SessionStore, Tool } from "effect-baton"
import { echo, engine, engineOver, messagesOf, open } from "../support/engine.js"
import { problems } from "../support/validMessages.js"

/** What the model was told of each call of the first turn. */

describe("order of records", () => {
  /** A model and a tool that look at the store while they run. */
  it.effect("the input is stored before the request, the reply before its tools, a start before its effect", () =>
    Effect.gen(function* () {
      const seen: Array<ReadonlyArray<string>> = []
      const tags = Effect.map(SessionStore.Memory, (sessions) =>
        seen.push(sessions.get("s")!.entries.map((entry) => entry._tag))
      )
      const memory = yield* Layer.build(SessionStore.layerMemory)
      const look = Effect.asVoid(Effect.provide(tags, memory))
      const tool = Tool.make("look", { description: "", run: () => look })
      const script = [Script.on("go", { before: look, calls: [Script.call("look")] }, { before: look, text: "done" })]
      yield* Effect.gen(function* () {
        yield* (yield* open(Agent.make("a", { tools: [tool] }))).prompt("go")
      }).pipe(Effect.provide(engineOver(Layer.merge(Layer.succeedContext(memory), Model.layerScripted(script)))))
      const start = ["OperationStarted", "User"]
      const called = [...start, "Assistant", "ToolStarted"]
      assert.deepStrictEqual(seen, [start, called, [...called, "ToolSettled"]])
    }).pipe(Effect.scoped)
  )
})

describe("a reply", () => {
  it.effect("keeps the order of text and of reasoning that has no text", () => {
    const stream: Model.Model["Type"]["stream"] = (_, emit) =>
      Effect.sync(() => {
        emit({ _tag: "TextDelta", text: "first" })
        emit({ _tag: "ReasoningEnd", metadata: { redacted: "secret thoughts" } })
        emit({ _tag: "TextDelta", text: "second" })
        return { reason: "stop", usage: undefined }
      })
    const model = Layer.succeed(Model.Model, { defaultModel: "m", stream })
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      yield* session.prompt("go")
      const contents = (yield* session.history).flatMap((it) => (it._tag === "Assistant" ? [it.content] : []))
      assert.deepStrictEqual(contents, [
        [
          { type: "text", text: "first" },
          { type: "reasoning", text: "", metadata: { redacted: "secret thoughts" } },
          { type: "text", text: "second" }
        ]
      ])
    }).pipe(Effect.provide(engineOver(Layer.merge(SessionStore.layerMemory, model))))
  })
})

describe("refusals", () => {
  const names = (tools: ReadonlyArray<Tool.Tool>) =>
    Effect.flip(open(Agent.make("a", { tools }))).pipe(Effect.provide(engine([Script.always("ok")])))

  it.effect("reserved and doubled tool names, before anything is written", () =>
    Effect.gen(function* () {
      const named = (name: string) => Tool.make(name, { description: "", run: () => "" })
      for (const name of ["task", "finish", "give_up", "activate_skill", "read_skill_resource"]) {
        const error = yield* names([named(name)])
        assert.strictEqual(error.message, `A tool may not be named "${name}" (agent.tools[0]): that name is reserved.`)
      }
      assert.strictEqual((yield* names([echo, echo])).message, 'Two tools are named "echo" (agent.tools[1]).')
      assert.strictEqual(
        (yield* names([named("my tool")])).message,
        'A tool may not be named "my tool" (agent.tools[0]): a name has 1 to 64 letters, digits, underscores or hyphens.'
      )
    })
  )

  it.effect("inputs that are wrong in themselves, before the lock is asked for", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const session = yield* sessions.open({ id: "s", agent: Agent.make("a") })
      yield* Effect.fork(session.prompt("for ever"))
      yield* Effect.yieldNow()
      const wrong: ReadonlyArray<readonly [Sessions.PromptInput, string]> = [
        ["", "Invalid input at input: it is empty."],
        [" \n", "Invalid input at input: it is empty."],
        ["x".repeat(1_000_001), "Invalid input at input: it is longer than 1000000 characters."],
        [[], "Invalid input at input: it is empty."],
        [[{ type: "text", text: "" }], "Invalid input at input[0].text: it is empty."],
        [
          [{ type: "image", mediaType: "text/html", data: "AAAA" }],
          "Invalid input at input[0].mediaType: it is not the media type of an image."
        ],
        [
          [{ type: "image", mediaType: "image/png", data: "not base64!!" }],
          "Invalid input at input[0].data: it is not base64."
        ]
      ]
      for (const [input, message] of wrong) {
        assert.strictEqual((yield* Effect.flip(session.prompt(input))).message, message)
        assert.strictEqual((yield* Effect.flip(session.task(input))).message, message)
      }
      assert.strictEqual((yield* Effect.flip(session.shell(" "))).message, "Invalid input at command: it is empty.")
      assert.strictEqual((yield* session.history).length, 2)
    }).pipe(Effect.provide(engine([Script.on("for ever", { before: Effect.never })])))
  )

  it.effect("no model: a typed failure that is recorded", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      const error = yield* Effect.flip(session.prompt("x"))
      assert.strictEqual(error._tag, "ModelNotConfigured")
      const last = (yield* session.history).at(-1)
      assert.deepStrictEqual(last?._tag === "OperationSettled" ? last.error?.tag : "", "ModelNotConfigured")
    }).pipe(
      Effect.provide(
        engineOver(
          Layer.merge(
            SessionStore.layerMemory,
            Layer.succeed(Model.Model, { defaultModel: undefined, stream: () => Effect.die("not asked") })
          )
        )
      )
    )
  )

  it.effect("the limit of turns", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: [echo], limits: { turns: 3 } }))
      const error = yield* Effect.flip(session.prompt("go"))
      assert.strictEqual(error.message, "The operation reached its limit of 3 turns.")
      assert.deepStrictEqual(problems(yield* messagesOf(session)), [])
      assert.strictEqual((yield* session.history).filter((entry) => entry._tag === "Assistant").length, 3)
    }).pipe(Effect.provide(engine([Script.on("go", Script.calls(Script.call("echo", { text: "x" })))])))
  )
})

describe("a failed prompt", () => {
  it.effect("stays in view with a note; what it had said is not shown to the model", () =>
    Effect.gen(function* () {
      const requests: Array<Model.ModelRequest> = []
      const seen = (view: Script.View): Script.Turn => {
        requests.push(view.request)
        return { text: "fine" }
      }
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a"))
        const error = yield* Effect.flip(session.prompt("first", { limits: { retries: 0 } }))
        assert.strictEqual(error._tag, "ModelUnavailable")
        yield* session.prompt("second")
      }).pipe(
        Effect.provide(
          engine([
            Script.on("first", {
              text: "half a rep",
              fail: new Errors.ModelUnavailable({ model: "scripted", reason: "the connection was reset" })
            }),
            Script.on("second", seen)
          ])
        )
      )
      assert.deepStrictEqual(requests[0]?.messages, [
        {
          role: "user",
          content: [
            { type: "text", text: "first" },
            { type: "text", text: "[The request above failed (ModelUnavailable) before it was answered.]", note: true },
            { type: "text", text: "second" }
          ]
        }
      ])
    })
  )

  it.effect("interrupted while it streamed: what had arrived is kept, marked", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const model = Layer.succeed(Model.Model, {
        defaultModel: "half",
        stream: (_, emit) =>
          Effect.suspend(() => {
            emit({ _tag: "TextDelta", text: "half a " })
            emit({ _tag: "TextDelta", text: "reply" })
            return Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)
          })
      } satisfies typeof Model.Model.Service)
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a"))
        const running = yield* Effect.fork(session.prompt("x"))
        yield* Deferred.await(begun)
        yield* Fiber.interrupt(running)
        const reply = (yield* session.history).find((entry) => entry._tag === "Assistant")
        assert.deepStrictEqual(reply?.content, [{ type: "text", text: "half a reply" }])
        assert.strictEqual(reply?.finish, "interrupted")
      }).pipe(Effect.provide(engineOver(Layer.merge(SessionStore.layerMemory, model))))
    })
  )
})

describe("requests", () => {
  it.effect("each extends the one before it", () =>
    Effect.gen(function* () {
      const requests: Array<ReadonlyArray<unknown>> = []
      const turn = (reply: Script.Turn) => (view: Script.View) => {
        requests.push(view.request.messages)
        return reply
      }
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [echo], instructions: "Be brief." }))
        yield* session.prompt("one")
        yield* session.prompt("two")
      }).pipe(
        Effect.provide(
          engine([Script.always(turn(Script.calls(Script.call("echo", { text: "x" }))), turn({ text: "done" }))])
        )
      )
      assert.strictEqual(requests.length, 4)
      for (const [i, next] of requests.slice(1).entries()) {
        assert.deepStrictEqual(next.slice(0, requests[i]!.length), requests[i])
      }
    })
  )

  it.effect("model and thinking: the call's over the agent's over the engine's", () =>
    Effect.gen(function* () {
      const asked: Array<readonly [string, Model.Thinking | undefined]> = []
      const script = [
        Script.always((view) => {
          asked.push([view.request.model, view.request.thinking])
          return "ok"
        })
      ]
      yield* Effect.gen(function* () {
        const plain = yield* open(Agent.make("a"), "a")
        const own = yield* open(Agent.make("b", { model: "own", thinking: "low" }), "b")
        yield* plain.prompt("x")
        yield* own.prompt("x")
        assert.strictEqual((yield* own.prompt("x", { model: "call", thinking: "high" })).model, "call")
      }).pipe(Effect.provide(engine(script)))
      assert.deepStrictEqual(asked, [
        ["scripted", undefined],
        ["own", "low"],
        ["call", "high"]
      ])
    })
  )
})
