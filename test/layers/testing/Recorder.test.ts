import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FiberId } from "effect"
import { Agent, type Event, Events, Script, Sessions } from "effect-baton"
import { Recorder, Seeded, TestEngine } from "effect-baton/testing"
import * as EventsLayer from "../../../src/layers/Events.js"
import { echo } from "../../support/engine.js"

const script = [
  Script.on("go", Script.calls(Script.call("echo", { text: "one" }), Script.call("echo", { text: "two" })), "Done.")
]

const open = Effect.flatMap(Sessions.Sessions, (it) => it.open({ id: "s", agent: Agent.make("a", { tools: [echo] }) }))

const idle = (session: string): Event.Event => ({ _tag: "Idle", session, at: 0 })

describe("Recorder", () => {
  it.effect("has every event so far, in order, and a copy of them", () =>
    Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      assert.deepStrictEqual(yield* recorder.events, [])
      yield* Effect.flatMap(open, (session) => session.prompt("go"))
      const events = yield* recorder.events
      assert.deepStrictEqual(
        events.flatMap((event) => ("seq" in event ? [event.seq] : [])),
        Array.from({ length: 9 }, (_, i) => i + 1)
      )
      assert.strictEqual(events.at(-1)?._tag, "Idle")
      assert.deepStrictEqual(Recorder.unpaired(events), [])
      ;(events as Array<unknown>).length = 0
      assert.strictEqual((yield* recorder.events).at(-1)?._tag, "Idle")
    }).pipe(Effect.provide(TestEngine.layer(script)))
  )

  it.effect("gives each event of a tag once, those of the past first, and waits for the next", () =>
    Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const waiting = yield* Effect.fork(recorder.take("OperationCompleted"))
      yield* Effect.flatMap(open, (session) => session.prompt("go"))
      assert.strictEqual((yield* Fiber.join(waiting)).kind, "prompt")
      assert.strictEqual((yield* recorder.take("ToolSettled", (event) => event.result === "two")).result, "two")
      assert.strictEqual((yield* recorder.take("ToolSettled")).result, "one")
      const third = yield* Effect.fork(recorder.take("ToolSettled"))
      yield* Effect.repeatN(Effect.yieldNow(), 20)
      assert.isNull(third.unsafePoll())
      yield* Fiber.interrupt(third)
    }).pipe(Effect.provide(TestEngine.layer(script)))
  )

  it.effect("an exception of `where` is that of whoever waits, and of nobody else", () =>
    Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const { publish } = yield* Events.Events
      const bad = yield* Effect.fork(
        recorder.take("Idle", () => {
          throw new Error("bad")
        })
      )
      const good = yield* Effect.fork(recorder.take("Idle", ({ session }) => session === "b"))
      yield* Effect.yieldNow()
      publish(idle("a"))
      publish(idle("b"))
      assert.isTrue(Exit.isFailure(yield* Fiber.await(bad)))
      assert.strictEqual((yield* Fiber.join(good)).session, "b")
      assert.lengthOf(yield* recorder.events, 2)
    }).pipe(Effect.provide(TestEngine.layer([])))
  )

  it("is told of nothing twice or in another order, whoever waits and is interrupted when", () => {
    const names = ["1", "2", "3", "4"]
    let tried = 0
    for (let seed = 0; seed < 2; seed++) {
      let begin = 0
      for (let at = 0, steps = 1; at < steps; at = Math.max(at + 3, begin)) {
        let victim: Fiber.RuntimeFiber<unknown> | undefined
        const program = Effect.gen(function* () {
          const recorder = yield* Recorder.make
          const { publish } = yield* Events.Events
          const all = yield* Deferred.make<void>()
          const took: Array<string> = []
          const take = Effect.zipRight(
            Deferred.await(all),
            Effect.map(recorder.take("Idle"), ({ session }) => took.push(session))
          )
          const fibers = yield* Effect.forEach(names, () => Effect.fork(take))
          const own: Array<string> = []
          const note = (event: Event.Idle) => Effect.sync(() => own.push(event.session))
          victim = yield* Effect.fork(
            Effect.uninterruptibleMask((restore) =>
              Effect.zipRight(restore(Deferred.await(all)), Effect.flatMap(restore(recorder.take("Idle")), note))
            )
          )
          yield* Deferred.succeed(all, undefined)
          for (const name of names) {
            yield* Effect.yieldNow()
            publish(idle(name))
          }
          yield* Fiber.interrupt(victim)
          publish(idle("5"))
          yield* Effect.forEach(fibers, Fiber.join)
          assert.lengthOf(took, 4)
          assert.strictEqual(new Set([...took, ...own]).size, took.length + own.length)
          assert.deepStrictEqual(
            (yield* recorder.events).map(({ session }) => session),
            [...names, "5"]
          )
        }).pipe(Effect.scoped, Effect.provide(EventsLayer.layer))
        const run = Seeded.run(program, {
          seed,
          onStep: (step) => {
            if (victim === undefined) begin = step + 1
            if (step === at) victim?.unsafeInterruptAsFork(FiberId.none)
          }
        })
        assert.isDefined(run.exit, `seed ${seed}, step ${at}: hung`)
        if (Exit.isFailure(run.exit!)) assert.fail(`seed ${seed}, step ${at}: ${String(run.exit!.cause)}`)
        steps = run.steps
        tried++
      }
    }
    assert.isAbove(tried, 200)
  })
})
