import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, TestClock } from "effect"
import { Agent, Engine, Model, Script, Sessions, SessionStore, Tool } from "effect-baton"
import { Failpoints } from "effect-baton/testing"
import { contract } from "../../contracts/SessionStore.js"
import { row } from "../../support/rows.js"
import { settle } from "../../support/stage.js"

contract("the memory store with failpoints", () => Failpoints.layer(SessionStore.layerMemory))

const effects: Array<string> = []
const act = Tool.make("act", { description: "Has an effect", run: () => Effect.sync(() => void effects.push("act")) })
const agent = Agent.make("lead", { tools: [act], delegate: "off" })
const script = [Script.on("go", Script.calls(Script.call("act"), Script.call("act")), "gone"), Script.always("ok")]

/** Prompts once over a store with a plan, then once more. */
const prompted = (plan?: Failpoints.Plan) =>
  Effect.gen(function* () {
    effects.length = 0
    const store = Failpoints.layer(SessionStore.layerMemory, plan)
    const context = yield* Layer.build(
      Layer.provideMerge(Engine.layer, Layer.merge(store, Model.layerScripted(script)))
    )
    const points = Context.get(context, Failpoints.Failpoint)
    const opened = yield* Effect.exit(Context.get(context, Sessions.Sessions).open({ id: "s", agent }))
    const session = yield* opened._tag === "Success"
      ? opened
      : Context.get(context, Sessions.Sessions).open({ id: "s", agent })
    const fiber = yield* Effect.fork(session.prompt("go"))
    yield* settle
    const waited = (yield* Fiber.poll(fiber))._tag === "None"
    if (waited) yield* TestClock.adjust("1 second")
    const exit = yield* Fiber.await(fiber)
    const next = yield* session.prompt("next")
    return {
      opened,
      exit,
      next: next.text,
      hits: [...points.hits],
      accepted: points.accepted,
      waited,
      effects: [...effects]
    }
  }).pipe(Effect.scoped)

const started = "append OperationStarted+User"
const ends = "append Assistant+OperationSettled"

describe("failpoints", () => {
  it.scoped("every write has a point before and after it, named by what it writes, the same each time", () =>
    Effect.gen(function* () {
      const { hits } = yield* prompted()
      const names = hits.map(({ hit, point }) => `${point} ${hit}`)
      assert.deepStrictEqual(names, [
        "create before 1",
        "create after 1",
        `${started} before 1`,
        `${started} after 1`,
        "append Assistant before 1",
        "append Assistant after 1",
        "append ToolStarted*2 before 1",
        "append ToolStarted*2 after 1",
        "append ToolSettled*2 before 1",
        "append ToolSettled*2 after 1",
        `${ends} before 1`,
        `${ends} after 1`,
        `${started} before 2`,
        `${started} after 2`,
        `${ends} before 2`,
        `${ends} after 2`
      ])
      assert.deepStrictEqual((yield* prompted()).hits, hits)
    })
  )

  it.scoped("fail: nothing is written, the error is typed, and the next prompt works", () =>
    Effect.gen(function* () {
      const { effects, exit, next } = yield* prompted({ point: "append ToolStarted*2 before", hit: 1, action: "fail" })
      const error = Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error : undefined
      assert.strictEqual(error?._tag, "SessionStoreError")
      assert.include(error?.message, 'that was planned at "append ToolStarted*2 before"')
      assert.deepStrictEqual(effects, [], "an effect is not had before its start is stored")
      assert.strictEqual(next, "ok")
    })
  )

  it.scoped("unknown: what was written counts, though it was told to have failed", () =>
    Effect.gen(function* () {
      const { effects, exit, next } = yield* prompted({
        point: "append ToolStarted*2 after",
        hit: 1,
        action: "unknown"
      })
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(effects, ["act", "act"])
      assert.strictEqual(next, "ok")
    })
  )

  it.scoped("duplicate: each write is taken once", () =>
    Effect.gen(function* () {
      const { hits } = yield* prompted()
      for (const hit of hits.filter(({ point }) => point.endsWith(" before"))) {
        const { accepted, exit, next } = yield* prompted({ ...hit, action: "duplicate" })
        assert.isTrue(Exit.isSuccess(exit), hit.point)
        assert.deepStrictEqual(accepted, [])
        assert.strictEqual(next, "ok")
      }
    })
  )

  it.scoped("a store that takes a write twice is found out", () =>
    Effect.gen(function* () {
      let taken = 0
      const careless = Layer.map(SessionStore.layerMemory, (context) =>
        Context.add(context, SessionStore.SessionStore, {
          ...Context.get(context, SessionStore.SessionStore),
          create: () => Effect.sync(() => void taken++)
        })
      )
      const context = yield* Layer.build(
        Failpoints.layer(careless, { point: "create before", hit: 1, action: "duplicate" })
      )
      const session = row("s")
      const exit = yield* Effect.exit(Context.get(context, SessionStore.SessionStore).create(session))
      assert.strictEqual(exit._tag === "Failure" ? exit.cause._tag : "", "Die")
      assert.deepStrictEqual(Context.get(context, Failpoints.Failpoint).accepted, ["create"])
      assert.strictEqual(taken, 2)
    })
  )

  it.scoped("die, interrupt and delay do what they say", () =>
    Effect.gen(function* () {
      const died = yield* prompted({ point: "append Assistant before", hit: 1, action: "die" })
      assert.strictEqual(died.exit._tag === "Failure" ? died.exit.cause._tag : "", "Die")
      assert.strictEqual(died.next, "ok")
      const cut = yield* prompted({ point: "append Assistant after", hit: 1, action: "interrupt" })
      assert.isTrue(Exit.isInterrupted(cut.exit))
      assert.strictEqual(cut.next, "ok")
      const late = yield* prompted({ point: "append Assistant before", hit: 1, action: "delay", delay: 500 })
      assert.isTrue(late.waited && Exit.isSuccess(late.exit))
    })
  )

  it.scoped("the point * is every point, and a point of one's own takes what is planned for it", () =>
    Effect.gen(function* () {
      const { opened } = yield* prompted({ point: "*", hit: 1, action: "fail" })
      assert.isTrue(Exit.isFailure(opened))
      const points = Failpoints.make({ point: "mine", hit: 2, action: "fail" })
      yield* points.hit("mine")
      assert.strictEqual((yield* Effect.flip(points.hit("mine")))._tag, "SessionStoreError")
      yield* points.hit("mine")
      assert.deepStrictEqual(
        points.hits.map(({ hit }) => hit),
        [1, 2, 3]
      )
      assert.throws(() => Failpoints.make({ point: "x", hit: 1, action: "die" }).unsafeHit("x"), "a defect was planned")
    })
  )
})
