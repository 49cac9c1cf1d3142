/**
 * The end of an engine is the end of what runs in it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { Agent, Engine, Model, Script, Sessions, SessionStore, Tool } from "effect-baton"
import { EventPairs, Recorder } from "effect-baton/testing"
import { begin } from "../support/stage.js"

const script = [
  Script.on("go", Script.calls(Script.call("hang"), Script.task("dig", { agent: "child" })), "never said"),
  Script.on("dig", Script.calls(Script.call("hang")), "never said")
]

describe("shutdown", () => {
  it.effect("interrupts a prompt, its task and who stands in line, and records who did it", () =>
    Effect.gen(function* () {
      const both = yield* Deferred.make<void>()
      const letGo = yield* Deferred.make<void>()
      let at = 0
      const hang = Tool.make("hang", {
        description: "Never ends by itself, and takes its time when it is told to",
        run: () =>
          Effect.zipRight(++at === 2 ? Deferred.succeed(both, undefined) : Effect.void, Effect.never).pipe(
            Effect.onInterrupt(() => Deferred.await(letGo))
          )
      })
      const child = Agent.make("child", { tools: [hang], delegate: "off" })
      const agent = Agent.make("a", { tools: [hang], subagents: [child], delegate: "off" })
      const store = yield* Layer.build(SessionStore.layerMemory)
      const scope = yield* Scope.make()
      const engine = yield* Layer.buildWithScope(
        Layer.provide(Engine.layer, Layer.merge(Layer.succeedContext(store), Model.layerScripted(script))),
        scope
      )
      const session = yield* Effect.flatMap(Sessions.Sessions, (it) => it.open({ id: "s", agent })).pipe(
        Effect.provide(engine)
      )
      const { events: heard } = yield* Effect.provide(Recorder.make, engine)
      const running = yield* Effect.fork(session.prompt("go"))
      yield* Deferred.await(both)
      const waiting = yield* Effect.fork(session.prompt("later", { onBusy: "wait" }))
      yield* Effect.yieldNow()
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* Effect.repeatN(Effect.yieldNow(), 200)
      assert.strictEqual((yield* Fiber.poll(closing))._tag, "None", "it waits for what it interrupts")
      yield* Deferred.succeed(letGo, undefined)
      yield* Fiber.join(closing)
      for (const fiber of [running, waiting]) {
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
      }
      // Whoever opens the session next goes on with it: what ended is recorded, what can be gone on with is not ended.
      const memory = yield* Effect.provide(SessionStore.Memory, store)
      for (const [id, { entries, row }] of memory) {
        assert.isFalse(
          entries.some((it) => it._tag === "OperationSettled" || it._tag === "TaskSettled"),
          id
        )
        const settled = entries.flatMap((it) => (it._tag === "ToolSettled" ? [`${it.name} ${it.outcome}`] : []))
        assert.deepStrictEqual(settled, ["hang interrupted"], id)
        assert.deepInclude(row, { owner: null, leased: false }, id)
        assert.strictEqual(row.running?.kind, "prompt", id)
      }
      assert.strictEqual(memory.size, 2)
      // Those who listened have heard of an end all the same.
      const ends = (yield* heard).filter((event) => event._tag === "OperationInterrupted")
      assert.deepStrictEqual(
        ends.map(({ by, seq }) => [by, seq]),
        [
          ["shutdown", undefined],
          ["shutdown", undefined]
        ]
      )
      assert.deepStrictEqual(EventPairs.unpaired(yield* heard), [])
      const late = yield* Effect.exit(session.prompt("too late"))
      assert.isTrue(Exit.isFailure(late) && Cause.isInterruptedOnly(late.cause))
    }).pipe(Effect.scoped)
  )

  it.effect("leaves calls that were not begun to whoever goes on", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const hang = Tool.make("hang", { description: "Never ends", run: () => Effect.never })
      const act = Tool.make("act", { description: "Acts", run: (_, { callId }) => Effect.sync(() => ran.push(callId)) })
      const agent = Agent.make("a", { tools: [hang, act], delegate: "off" })
      // As many as are run at a time, and one more.
      const calls = [...Array.from({ length: 8 }, () => Script.call("hang")), Script.call("act")]
      const store = yield* Layer.build(SessionStore.layerMemory)
      const engine = (scope: Scope.Scope) =>
        Layer.buildWithScope(
          Layer.provide(
            Engine.layer,
            Layer.merge(
              Layer.succeedContext(store),
              Model.layerScripted([Script.always(Script.calls(...calls), "gone on")])
            )
          ),
          scope
        )
      const open = Effect.flatMap(Sessions.Sessions, (it) => it.open({ id: "s", agent }))
      const scope = yield* Scope.make()
      const first = yield* engine(scope)
      yield* begin(Effect.exit((yield* Effect.provide(open, first)).prompt("go")))
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(ran, [])
      const session = yield* Effect.provide(open, yield* engine(yield* Effect.scope))
      yield* session.resumed!.ended
      assert.lengthOf(ran, 1)
      const outcomes = (yield* session.history).flatMap((it) => (it._tag === "ToolSettled" ? [it.outcome] : []))
      assert.deepStrictEqual(outcomes, [...Array.from({ length: 8 }, () => "interrupted"), "success"])
    }).pipe(Effect.scoped)
  )
})
