import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import { Agent, type Event, Events, Model, Script, Sessions, SessionStore } from "effect-baton"
import { EventPairs } from "effect-baton/testing"
import { echo, engine, engineOver, open, recorder } from "../support/engine.js"

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
        assert.deepStrictEqual(EventPairs.unpaired(all), [])
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

  it.scoped("of a session are its own, and those of the engine are everyone's", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      const own: Array<string> = []
      const all: Array<string> = []
      const note = (into: Array<string>) => (event: Event.Event) => Effect.sync(() => into.push(event.session))
      const { heard } = yield* Events.Events
      yield* Effect.forkScoped(Stream.runForEach(session.events, note(own)))
      yield* Effect.repeat(Effect.yieldNow(), { until: () => heard("s") })
      yield* Effect.forkScoped(Stream.runForEach((yield* Sessions.Sessions).events, note(all)))
      yield* Effect.repeat(Effect.yieldNow(), { until: () => heard("another") })
      const { session: child } = yield* session.task("go")
      yield* Effect.repeat(Effect.yieldNow(), { until: () => own.length >= 5 && all.length >= 11 })
      assert.deepStrictEqual([...new Set(own)], ["s"])
      assert.deepStrictEqual([...new Set(all)], ["s", child])
    }).pipe(Effect.provide(engine([Script.always("ok")])))
  )

  it.scoped("what is written while the past is being read comes once", () => {
    let meanwhile: Effect.Effect<unknown> = Effect.void
    const slow = Layer.map(SessionStore.layerMemory, (context) => {
      const store = Context.get(context, SessionStore.SessionStore)
      return Context.add(context, SessionStore.SessionStore, {
        ...store,
        read: (...of) => Effect.zipRight(meanwhile, store.read(...of))
      })
    })
    return Effect.gen(function* () {
      const session = yield* open(Agent.make("a"))
      yield* session.prompt("one")
      meanwhile = Effect.suspend(() => {
        meanwhile = Effect.void
        return Effect.orDie(session.prompt("two"))
      })
      const seen: Array<Event.Event> = []
      yield* Effect.forkScoped(Stream.runForEach(session.replay(), (event) => Effect.sync(() => seen.push(event))))
      yield* Effect.repeat(Effect.yieldNow(), { until: () => seen.some((event) => event._tag === "Idle") })
      yield* session.prompt("three")
      yield* Effect.repeat(Effect.yieldNow(), {
        until: () => seen.filter((event) => event._tag === "Idle").length === 2
      })
      assert.deepStrictEqual(
        seen.flatMap((event) => ("seq" in event ? [event.seq] : [])),
        Array.from({ length: 12 }, (_, i) => i + 1)
      )
    }).pipe(Effect.provide(engineOver(Layer.merge(slow, Model.layerScripted([Script.always("ok")])))))
  })

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
