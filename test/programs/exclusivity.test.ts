/**
 * The case that started it: a model that delegates during a prompt of its own session.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, FiberRef, Option } from "effect"
import { Agent, Errors, Script, SessionLock, Sessions, Tool } from "effect-baton"
import { engine, messagesOf, recorder } from "../support/engine.js"
import { problems } from "../support/validMessages.js"

const busyMessage =
  'Session "default" is already running prompt. Start another session for parallel conversation branches.'

const worker = Agent.make("worker", { description: "Does one thing", delegate: "off" })
const lead = Agent.make("lead", { subagents: [worker], delegate: "off" })

/** Runs an Effect until a gate in its script has been reached. */
const reached = (gate: Deferred.Deferred<void>) => Deferred.await(gate)

describe("a task under its own prompt", () => {
  it.scoped("(a) the model calls task: the child runs, its answer is used, the parent has one operation", () => {
    const script: Script.Script = [
      Script.on(
        "delegate",
        Script.calls(Script.task("add up", { agent: "worker" })),
        (view) => `got ${view.results[0]?.text}`
      ),
      Script.on("add up", "42")
    ]
    return Effect.gen(function* () {
      const events = yield* recorder
      const sessions = yield* Sessions.Sessions
      const session = yield* sessions.open({ id: "default", agent: lead })
      const reply = yield* session.prompt("delegate")
      assert.strictEqual(reply.text, "got 42")

      const entries = yield* session.history
      const started = entries.filter((entry) => entry._tag === "OperationStarted")
      assert.deepStrictEqual(
        started.map((entry) => entry.kind),
        ["prompt"]
      )
      const [child] = yield* sessions.list("default")
      assert.match(child!.id, /^task:default:[0-9a-f-]{36}$/)
      const own = (yield* events).filter((event) => event.session === "default").map((event) => event._tag)
      assert.deepStrictEqual(own, [
        "OperationStarted",
        "UserMessage",
        "TurnStarted",
        "AssistantMessage",
        "ToolStarted",
        "TaskStarted",
        "TaskCompleted",
        "ToolSettled",
        "TurnCompleted",
        "TurnStarted",
        "TextDelta",
        "AssistantMessage",
        "TurnCompleted",
        "OperationCompleted",
        "Idle"
      ])
    }).pipe(Effect.provide(engine(script)))
  })

  it.effect("(b) the application's prompt, task, shell and remove on the busy session are refused at once", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const before = Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(go))
      yield* Effect.gen(function* () {
        const sessions = yield* Sessions.Sessions
        const session = yield* sessions.open({ id: "default", agent: lead })
        const other = yield* sessions.open({ id: "default", agent: lead })
        const running = yield* Effect.fork(session.prompt("slow"))
        yield* reached(begun)
        const before = yield* session.history
        const refused = yield* Effect.all([
          Effect.flip(session.prompt("x")),
          Effect.flip(other.prompt("x")),
          Effect.flip(session.task("x")),
          Effect.flip(other.shell("true")),
          Effect.flip(sessions.remove("default"))
        ])
        for (const error of refused) {
          assert.strictEqual(error._tag, "SessionBusy")
          assert.strictEqual(error.message, busyMessage)
        }
        assert.deepStrictEqual(
          refused.map((error) => (error as Errors.SessionBusy).requested),
          ["prompt", "prompt", "task", "shell", "remove"]
        )
        assert.deepStrictEqual(yield* session.history, before)
        yield* Deferred.succeed(go, undefined)
        assert.strictEqual((yield* Fiber.join(running)).text, "done")
      }).pipe(Effect.provide(engine([Script.on("slow", { before, text: "done" })])))
    })
  )

  for (const onBusy of ["reject", "wait", "interrupt", { _tag: "wait", timeout: 1_000 }] as const) {
    it.effect(`(c) a tool that prompts its own session is refused and never hangs: ${JSON.stringify(onBusy)}`, () =>
      Effect.gen(function* () {
        const answers: Array<string> = []
        const inner = Deferred.unsafeMake<Sessions.Session>(yield* Effect.fiberId)
        const again = Tool.make("again", {
          description: "Prompts its own session",
          run: () =>
            Effect.flatMap(Deferred.await(inner), (session) => session.prompt("inner", { onBusy })).pipe(
              Effect.flip,
              Effect.map((error) => {
                answers.push(error._tag)
                return error.message
              })
            )
        })
        const promised = Tool.make("promised", {
          description: "The same from a plain async function",
          run: async () => {
            const session = await Effect.runPromise(Deferred.await(inner))
            const error = await Effect.runPromise(Effect.flip(session.prompt("inner", { onBusy })))
            answers.push(error._tag)
            return error.message
          }
        })
        const expected = onBusy === "reject" ? "SessionBusy" : "SessionDeadlock"
        const script = [
          Script.on("go", Script.calls(Script.call("again")), Script.calls(Script.call("promised")), "over"),
          Script.on("inner", "must not run")
        ]
        yield* Effect.gen(function* () {
          const sessions = yield* Sessions.Sessions
          const agent = Agent.make("a", { tools: [again, promised] })
          const session = yield* sessions.open({ id: "default", agent })
          yield* Deferred.succeed(inner, session)
          const reply = yield* session.prompt("go")
          assert.strictEqual(reply.text, "over")
          assert.deepStrictEqual(answers, [expected, expected])
        }).pipe(Effect.provide(engine(script)))
      })
    )
  }

  it.effect("(d) a daemon that outlives the prompt has no right of entry", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<void>()
      const answer = yield* Deferred.make<string>()
      const slow = yield* Deferred.make<void>()
      const begun = yield* Deferred.make<void>()
      const inner = yield* Deferred.make<Sessions.Session>()
      const spawn = Tool.make("spawn", {
        description: "Leaves a daemon behind",
        run: () =>
          Effect.forkDaemon(
            Effect.gen(function* () {
              yield* Deferred.await(ended)
              assert.notStrictEqual(yield* FiberRef.get(SessionLock.currentMark), undefined)
              const session = yield* Deferred.await(inner)
              const error = yield* Effect.flip(session.task("from the daemon"))
              yield* Deferred.succeed(answer, `${error._tag}: ${error.message}`)
            })
          ).pipe(Effect.as("spawned"))
      })
      const script = [
        Script.on("first", Script.calls(Script.call("spawn")), "done"),
        Script.on("second", {
          before: Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(slow)),
          text: "done"
        })
      ]
      yield* Effect.gen(function* () {
        const sessions = yield* Sessions.Sessions
        const session = yield* sessions.open({ id: "default", agent: Agent.make("a", { tools: [spawn] }) })
        yield* Deferred.succeed(inner, session)
        yield* session.prompt("first")
        const second = yield* Effect.fork(session.prompt("second"))
        yield* reached(begun)
        yield* Deferred.succeed(ended, undefined)
        assert.strictEqual(yield* Deferred.await(answer), `SessionBusy: ${busyMessage}`)
        assert.deepStrictEqual(yield* sessions.list("default"), [])
        yield* Deferred.succeed(slow, undefined)
        yield* Fiber.join(second)
      }).pipe(Effect.provide(engine(script)))
    })
  )

  it.scoped("(e) three tasks of one turn end in reverse, one failing: at the same time, results in call order", () =>
    Effect.gen(function* () {
      const gates = yield* Effect.all([Deferred.make<void>(), Deferred.make<void>(), Deferred.make<void>()])
      const begun = yield* Effect.all([Deferred.make<void>(), Deferred.make<void>(), Deferred.make<void>()])
      const child = (i: 0 | 1 | 2) => Effect.zipRight(Deferred.succeed(begun[i], undefined), Deferred.await(gates[i]))
      const script: Script.Script = [
        Script.on(
          "fan out",
          Script.calls(...[0, 1, 2].map((i) => Script.task(`part ${i}`, { agent: "worker" }))),
          (view) => view.results.map((result) => `${result.isError ? "!" : ""}${result.text}`).join("; ")
        ),
        Script.on("part 0", { before: child(0), text: "zero" }),
        Script.on("part 1", {
          before: child(1),
          fail: new Errors.ModelRejected({ model: "scripted", reason: "no" })
        }),
        Script.on("part 2", { before: child(2), text: "two" })
      ]
      yield* Effect.gen(function* () {
        const events = yield* recorder
        const sessions = yield* Sessions.Sessions
        const session = yield* sessions.open({ id: "default", agent: lead })
        const running = yield* Effect.fork(session.prompt("fan out"))
        // All three have begun before any ends: they run at the same time.
        for (const gate of begun) yield* Deferred.await(gate)
        const settled = Effect.map(events, (all) =>
          all.flatMap((event) => (event._tag === "ToolSettled" ? [event.callId] : []))
        )
        for (const i of [2, 1, 0] as const) {
          const before = (yield* settled).length
          yield* Deferred.succeed(gates[i], undefined)
          yield* Effect.repeat(Effect.yieldNow(), { until: () => Effect.map(settled, (ids) => ids.length > before) })
        }
        const reply = yield* Fiber.join(running)
        assert.strictEqual(
          reply.text,
          'zero; !The task failed. ModelRejected: The model "scripted" refused the request: no.; two'
        )
        assert.deepStrictEqual(yield* settled, ["call_1_2", "call_1_1", "call_1_0"])
      }).pipe(Effect.provide(engine(script)))
    })
  )

  it.effect("(f) depth four works, the fifth is refused without side effect", () => {
    const deep: Agent.Agent = Agent.make("deep", {
      subagents: [],
      delegate: "off",
      tools: []
    })
    const nest = (levels: number): Agent.Agent =>
      levels === 0 ? deep : Agent.make("deep", { delegate: "off", subagents: [nest(levels - 1)] })
    const script: Script.Script = [
      Script.on(/^down/, Script.calls(Script.task("down", { agent: "deep" })), (view) => `(${view.results[0]?.text})`)
    ]
    return Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const session = yield* sessions.open({ id: "default", agent: nest(6) })
      const reply = yield* session.prompt("down")
      assert.strictEqual(
        reply.text,
        "(((((The task failed. TaskDepthExceeded: A task at depth 5 was refused: tasks may be nested 4 levels deep.)))))"
      )
      const below = (id: string): Effect.Effect<ReadonlyArray<number>, Errors.SessionStoreError> =>
        Effect.flatMap(sessions.list(id), (rows) =>
          Effect.map(
            Effect.forEach(rows, (row) => below(row.id)),
            (depths) => [...rows.map((row) => row.depth), ...depths.flat()]
          )
        )
      assert.deepStrictEqual(yield* below("default"), [1, 2, 3, 4])
    }).pipe(Effect.provide(engine(script)))
  })

  it.effect("(g) interrupting the grandparent ends everything below, frees the session, leaves a valid history", () =>
    Effect.gen(function* () {
      const bottom = yield* Deferred.make<void>()
      const ends: Array<string> = []
      const hang = Tool.make("hang", {
        description: "Never ends",
        run: (_, call) =>
          Effect.zipRight(Deferred.succeed(bottom, undefined), Effect.never).pipe(
            Effect.onInterrupt(() =>
              Effect.sync(() => ends.push(call.session.split(":").length > 3 ? "bottom" : "top"))
            )
          )
      })
      const low = Agent.make("low", { tools: [hang], delegate: "off" })
      const mid = Agent.make("mid", { subagents: [low], delegate: "off" })
      const top = Agent.make("top", { subagents: [mid], delegate: "off" })
      const script = [
        Script.on("top", Script.calls(Script.task("mid", { agent: "mid" })), "never"),
        Script.on("mid", Script.calls(Script.task("low", { agent: "low" })), "never"),
        Script.on("low", Script.calls(Script.call("hang")), "never"),
        Script.on("again", "fine")
      ]
      yield* Effect.gen(function* () {
        const sessions = yield* Sessions.Sessions
        const lock = yield* SessionLock.SessionLock
        const session = yield* sessions.open({ id: "default", agent: top })
        const running = yield* Effect.fork(session.prompt("top"))
        yield* reached(bottom)
        const [middle] = yield* sessions.list("default")
        const [lowest] = yield* sessions.list(middle!.id)
        const held = yield* lock.holder(lowest!.id)
        assert.deepStrictEqual(
          Option.getOrThrow(held).lineage.map((step) => step.kind),
          ["task", "prompt", "task", "prompt"]
        )
        const exit = yield* Fiber.interrupt(running)
        assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
        assert.deepStrictEqual(ends, ["bottom"])
        for (const id of ["default", middle!.id, lowest!.id]) {
          assert.isTrue(Option.isNone(yield* lock.holder(id)))
          const entries = yield* (yield* sessions.get({ id, agent: top })).history
          const last = entries.at(-1)
          assert.strictEqual(last?._tag, "OperationSettled")
          assert.strictEqual(last?._tag === "OperationSettled" ? last.outcome : "", "interrupted")
        }
        assert.deepStrictEqual(problems(yield* messagesOf(session)), [])
        assert.strictEqual((yield* session.prompt("again")).text, "fine")
      }).pipe(Effect.provide(engine(script)))
    })
  )
})
