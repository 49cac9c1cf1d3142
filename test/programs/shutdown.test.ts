/**
 * The end of an engine is the end of what runs in it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { Agent, Engine, Model, Script, Sessions, SessionStore, Tool } from "effect-baton"

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
      const memory = yield* Effect.provide(SessionStore.Memory, store)
      for (const [id, { entries }] of memory) {
        const end = entries.at(-1)!
        assert.isTrue(end._tag === "OperationSettled" && end.outcome === "interrupted", id)
        if (id === "s") assert.deepInclude(end, { by: "shutdown" })
        const settled = entries.flatMap((it) => (it._tag === "ToolSettled" ? [it.outcome] : []))
        assert.deepStrictEqual(new Set(settled), new Set(["interrupted"]))
      }
      assert.strictEqual(memory.size, 2)
      const late = yield* Effect.exit(session.prompt("too late"))
      assert.isTrue(Exit.isFailure(late) && Cause.isInterruptedOnly(late.cause))
    }).pipe(Effect.scoped)
  )
})
