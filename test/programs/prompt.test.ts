import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Schema, Stream, TestClock } from "effect"
import { Agent, Errors, type Event, Model, Script, Sessions, SessionStore, Tool } from "effect-baton"
import { engine, engineOver, messagesOf, recorder } from "../support/engine.js"
import { problems } from "../support/validMessages.js"

const open = (agent: Agent.Agent, id = "s") =>
  Effect.flatMap(Sessions.Sessions, (sessions) => sessions.open({ id, agent }))

const echo = Tool.make("echo", {
  description: "Gives the text back",
  parameters: Schema.Struct({ text: Schema.String }),
  run: ({ text }) => Effect.succeed(text)
})

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
})

describe("deadlines", () => {
  const deaf = Tool.make("deaf", {
    description: "Looks at no signal",
    deadline: 1_000,
    run: () => Effect.uninterruptible(Effect.never)
  })
  const promise = Tool.make("promise", { description: "", deadline: 2_000, run: () => new Promise(() => {}) })
  const script = [Script.on("go", Script.calls(Script.call("deaf"), Script.call("promise")), "went on")]

  it.effect("a handler that never ends is left behind at its deadline", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: [deaf, promise] }))
      const running = yield* Effect.fork(session.prompt("go"))
      yield* TestClock.adjust("1999 millis")
      const entries = yield* session.history
      assert.deepStrictEqual(
        entries.flatMap((entry) => (entry._tag === "ToolSettled" ? [[entry.name, entry.outcome]] : [])),
        [["deaf", "deadline"]]
      )
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(running)).text, "went on")
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("interruption waits five seconds for a deaf handler and no longer", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: [deaf, promise] }))
      const running = yield* Effect.fork(session.prompt("go"))
      yield* Effect.yieldNow()
      const stopping = yield* Effect.fork(Fiber.interrupt(running))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual((yield* Fiber.poll(stopping))._tag, "None")
      yield* TestClock.adjust("1 millis")
      const exit = yield* Fiber.join(stopping)
      assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
      assert.deepStrictEqual(problems(yield* messagesOf(session)), [])
      assert.strictEqual((yield* session.prompt("x")).text, "")
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("a late result is dropped and noted", () =>
    Effect.gen(function* () {
      const late = yield* Deferred.make<string>()
      const slow = Tool.make("slow", {
        description: "",
        deadline: 100,
        run: () => Effect.uninterruptible(Deferred.await(late))
      })
      yield* Effect.gen(function* () {
        const events = yield* recorder
        const session = yield* open(Agent.make("a", { tools: [slow] }))
        const running = yield* Effect.fork(session.prompt("go"))
        yield* TestClock.adjust("100 millis")
        const reply = yield* Fiber.join(running)
        assert.match(reply.text, /may still be running/)
        yield* TestClock.adjust("5 seconds")
        yield* Deferred.succeed(late, "too late")
        yield* Effect.repeat(events, { until: (all) => all.some((event) => event._tag === "ToolLate") })
        assert.isFalse(JSON.stringify(yield* session.history).includes("too late"))
      }).pipe(
        Effect.provide(engine([Script.on("go", Script.calls(Script.call("slow")), (view) => view.results[0]!.text)]))
      )
    })
  )

  it.effect("the signal of a call is aborted with it", () =>
    Effect.gen(function* () {
      const aborted = yield* Deferred.make<void>()
      const tool = Tool.make("listens", {
        description: "",
        run: (_, { signal }) =>
          new Promise(() => {
            signal.addEventListener("abort", () => Effect.runSync(Deferred.succeed(aborted, undefined)))
          })
      })
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [tool] }))
        const running = yield* Effect.fork(session.prompt("go"))
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(running)
        yield* Deferred.await(aborted)
      }).pipe(Effect.provide(engine([Script.on("go", Script.calls(Script.call("listens")))])))
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

describe("refusals", () => {
  const names = (tools: ReadonlyArray<Tool.Tool>) =>
    Effect.flatMap(open(Agent.make("a", { tools })), (session) => Effect.flip(session.prompt("x"))).pipe(
      Effect.provide(engine([Script.always("ok")]))
    )

  it.effect("reserved and doubled tool names, before anything is written", () =>
    Effect.gen(function* () {
      const named = (name: string) => Tool.make(name, { description: "", run: () => "" })
      for (const name of ["task", "finish", "give_up", "activate_skill", "read_skill_resource"]) {
        const error = yield* names([named(name)])
        assert.strictEqual(error.message, `A tool may not be named "${name}": that name is reserved.`)
      }
      assert.strictEqual((yield* names([echo, echo])).message, 'Two tools are named "echo".')
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
        const error = yield* Effect.flip(session.prompt("first"))
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
            { type: "text", text: "[The request above failed (ModelUnavailable) before it was answered.]" },
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

describe("events", () => {
  it.scoped("every start has one end, before the end of what it is part of", () =>
    Effect.gen(function* () {
      const child = Agent.make("child", { tools: [echo], delegate: "off" })
      const agent = Agent.make("a", { tools: [echo], subagents: [child] })
      yield* Effect.gen(function* () {
        const events = yield* recorder
        const session = yield* open(agent)
        yield* session.prompt("go")
        yield* session.task("sub")
        const all = yield* events
        pairs(all)
        assert.strictEqual(all.filter((event) => event._tag === "Idle" && event.session === "s").length, 2)
      }).pipe(
        Effect.provide(
          engine([
            Script.on(
              "go",
              Script.calls(
                Script.task("sub", { agent: "child" }),
                Script.task("sub"),
                Script.call("echo", { text: "x" })
              ),
              "done"
            ),
            Script.on("sub", Script.calls(Script.call("echo", { text: "y" }), Script.call("no")), "done")
          ])
        )
      )
    })
  )

  it.scoped("replay brings the past, Synced, then what happens: no gap, nothing twice", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      yield* session.prompt("one")
      const seen: Array<Event.Event> = []
      yield* Effect.forkScoped(Stream.runForEach(session.replay(2), (event) => Effect.sync(() => seen.push(event))))
      yield* Effect.repeat(Effect.yieldNow(), { until: () => seen.some((event) => event._tag === "Synced") })
      yield* session.prompt("two")
      yield* Effect.repeat(Effect.yieldNow(), { until: () => seen.at(-1)?._tag === "Idle" })
      assert.deepStrictEqual(
        seen.flatMap((event) => ("seq" in event ? [event.seq] : [])),
        [3, 4, 5, 6, 7, 8]
      )
      assert.strictEqual(
        seen.findIndex((event) => event._tag === "Synced"),
        2
      )
    }).pipe(Effect.provide(engine([Script.always("ok")])))
  )
})

/** Fails unless starts and ends match and nest. */
const pairs = (events: ReadonlyArray<Event.Event>): void => {
  const open: Array<string> = []
  const ended = (key: string) => {
    assert.include(open, key)
    open.splice(open.indexOf(key), 1)
  }
  for (const event of events) {
    switch (event._tag) {
      case "OperationStarted":
        open.push(`operation ${event.session}`)
        break
      case "ToolStarted":
        open.push(`tool ${event.session} ${event.callId}`)
        break
      case "TaskStarted":
        open.push(`task ${event.session} ${event.child}`)
        break
      case "ToolSettled":
        if (open.includes(`tool ${event.session} ${event.callId}`)) ended(`tool ${event.session} ${event.callId}`)
        break
      case "TaskCompleted":
      case "TaskFailed":
        assert.notInclude(open, `operation ${event.child}`)
        ended(`task ${event.session} ${event.child}`)
        break
      case "OperationCompleted":
      case "OperationFailed":
      case "OperationInterrupted":
        ended(`operation ${event.session}`)
        assert.deepStrictEqual(
          open.filter((key) => key.split(" ")[1] === event.session),
          []
        )
    }
  }
  assert.deepStrictEqual(open, [])
}
