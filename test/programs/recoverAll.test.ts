/**
 * Recovery of a whole store: whoever starts, or keeps watching, goes on with what others left.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, HashMap, Layer, Logger, Scope, TestClock } from "effect"
import { Agent, Engine, Errors, Model, Script, Sessions, SessionStore, Tool } from "effect-baton"
import { Messages } from "effect-baton/testing"
import { messagesOf } from "../support/engine.js"
import { begin, gate, settle } from "../support/stage.js"

type Store = Context.Tag.Service<SessionStore.SessionStore>

class Desk extends Context.Tag("Desk")<Desk, { readonly name: string }>() {}

const ask = Tool.make("ask", {
  description: "Asks at the desk",
  run: () => Effect.map(Desk, (desk) => desk.name)
})
const clerk = Agent.make("clerk", { tools: [ask], delegate: "off" })
const boss = Agent.make("boss", { subagents: [clerk], delegate: "off" })
const stranger = Agent.make("stranger", { delegate: "off" })

const desk = Layer.succeed(Desk, { name: "at the desk" })

/** What a process says in which everything hangs that was begun. */
const hanging = [
  Script.on("delegate", Script.calls(Script.task("sit", { agent: "clerk" }))),
  Script.always({ before: Effect.never, text: "" })
]

/** What one says in which everything comes to an end. */
const working = [
  Script.on(
    "delegate",
    Script.calls(Script.task("sit", { agent: "clerk" })),
    (seen) => `heard: ${seen.results[0]!.text}`
  ),
  Script.on("sit", "sat"),
  Script.on("ask", Script.calls(Script.call("ask")), (seen) => seen.results[0]!.text),
  Script.always("done")
]

const engineOver = (store: Store, script: Script.Script) =>
  Layer.provide(Engine.layer, Layer.merge(Layer.succeed(SessionStore.SessionStore, store), Model.layerScripted(script)))

const memory = Effect.map(Layer.build(SessionStore.layerMemory), (context) => ({
  store: Context.get(context, SessionStore.SessionStore),
  kept: Context.get(context, SessionStore.Memory)
}))

/** An engine whose process dies: it renews nothing and writes nothing any more. */
const dying = (store: Store, script: Script.Script = hanging) =>
  Effect.gen(function* () {
    let isDead = false
    const gone = new Errors.SessionStoreError({ operation: "write", reason: "the process has died" })
    const mortal: Store = {
      ...store,
      append: (write) => (isDead ? gone : store.append(write)),
      renew: (...of) => (isDead ? Effect.succeed([]) : store.renew(...of))
    }
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(engineOver(mortal, script), scope)
    return {
      sessions: Context.get(context, Sessions.Sessions),
      die: Effect.zipRight(
        Effect.sync(() => (isDead = true)),
        Scope.close(scope, Exit.void)
      )
    }
  })

/** What was logged as a warning. */
const warnings = Effect.map(
  Effect.sync(() => new Array<string>()),
  (said) => ({
    said,
    layer: Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ annotations, logLevel, message }) => {
        assert.strictEqual(HashMap.size(annotations), 0)
        said.push(`${logLevel.label} ${Array.isArray(message) ? message.join(" ") : String(message)}`)
      })
    )
  })
)

const endsOf = (kept: Context.Tag.Service<typeof SessionStore.Memory>, id: string) =>
  kept.get(id)!.entries.flatMap((it) => (it._tag === "OperationSettled" ? [it.outcome] : []))

/** Lets the seconds pass, one by one. */
const pass = (seconds: number) => Effect.repeatN(Effect.zipRight(TestClock.adjust("1 second"), settle), seconds - 1)

describe("recovering a store", () => {
  it.scoped("goes on with every session of the agents that are given, and with nothing of others", () =>
    Effect.gen(function* () {
      const { kept, store } = yield* memory
      const dead = yield* dying(store)
      const open = (id: string, agent: Agent.Agent<Desk>) => Effect.provide(dead.sessions.open({ id, agent }), desk)
      yield* begin(Effect.flatMap(open("one", clerk), (it) => it.prompt("ask")))
      yield* begin(Effect.flatMap(open("two", boss), (it) => it.prompt("delegate")))
      yield* begin(Effect.flatMap(open("three", stranger), (it) => it.prompt("x")))
      yield* Effect.flatMap(open("four", clerk), (it) => it.shell("true")).pipe(Effect.ignore)
      yield* dead.die
      yield* TestClock.adjust("10 seconds")
      const { layer, said } = yield* warnings
      const next = Context.get(yield* Layer.build(engineOver(store, working)), Sessions.Sessions)
      const recover = Effect.provide(next.recover([clerk, boss]), [desk, layer])
      const recovered = yield* recover
      assert.deepStrictEqual(
        recovered.map(({ agent, id }) => [id, agent]),
        [
          ["one", "clerk"],
          ["two", "boss"]
        ]
      )
      for (const { resumed } of recovered) yield* resumed!.ended
      assert.deepStrictEqual(endsOf(kept, "one"), ["completed"])
      assert.deepStrictEqual(endsOf(kept, "two"), ["completed"])
      const [child] = yield* next.list("two")
      assert.deepStrictEqual(endsOf(kept, child!.id), ["completed"], "by its parent")
      assert.strictEqual((yield* next.list("two")).length, 1)
      assert.strictEqual((yield* messagesOf(recovered[1]!)).at(-1)!.role, "assistant")
      for (const it of recovered) assert.deepStrictEqual(Messages.problems(yield* messagesOf(it)), [])
      assert.deepStrictEqual(endsOf(kept, "three"), [], "of an agent that was not given")
      // Once more there is nothing left, and what was told is not told again.
      assert.deepStrictEqual(yield* recover, [])
      assert.strictEqual(said.length, 1)
      assert.match(said[0]!, /^WARN Session "three" .* agent "stranger"/)
    })
  )

  it.scoped("leaves alone what an engine that is alive is at, and what this one is at itself", () =>
    Effect.gen(function* () {
      const { kept, store } = yield* memory
      const alive = Context.get(yield* Layer.build(engineOver(store, hanging)), Sessions.Sessions)
      const next = Context.get(yield* Layer.build(engineOver(store, hanging)), Sessions.Sessions)
      const there = yield* alive.open({ id: "there", agent: boss }).pipe(Effect.provide(desk))
      const here = yield* next.open({ id: "here", agent: boss }).pipe(Effect.provide(desk))
      yield* begin(there.prompt("x"))
      yield* begin(here.prompt("x"))
      yield* pass(20)
      assert.deepStrictEqual(yield* Effect.provide(next.recover([boss]), desk), [])
      for (const id of ["there", "here"]) {
        const resumptions = kept.get(id)!.entries.filter((it) => it._tag === "OperationResumed")
        assert.strictEqual(resumptions.length, 0)
      }
    })
  )

  it.scoped("runs what was acknowledged and never begun", () =>
    Effect.gen(function* () {
      const { kept, store } = yield* memory
      const dead = yield* dying(store)
      const session = yield* Effect.provide(dead.sessions.open({ id: "s", agent: clerk }), desk)
      yield* begin(session.prompt("x"))
      yield* session.submit("later")
      yield* dead.die
      yield* TestClock.adjust("10 seconds")
      yield* Layer.build(
        Engine.layerRecovery([clerk], { watch: false }).pipe(Layer.provide([engineOver(store, working), desk]))
      )
      yield* settle
      assert.deepStrictEqual(endsOf(kept, "s"), ["completed", "completed"])
      assert.strictEqual(kept.get("s")!.waiting.length, 0)
    })
  )

  it.scoped("watching, takes over what a process leaves that dies later, though nobody opens it", () =>
    Effect.gen(function* () {
      const { kept, store } = yield* memory
      const dead = yield* dying(store)
      yield* Layer.build(Engine.layerRecovery([boss]).pipe(Layer.provide([engineOver(store, working), desk])))
      const session = yield* Effect.provide(dead.sessions.open({ id: "s", agent: boss }), desk)
      const running = yield* begin(session.prompt("delegate"))
      yield* pass(25)
      assert.deepStrictEqual(endsOf(kept, "s"), [], "while it lives it is its own")
      yield* dead.die
      assert.isTrue(Exit.isFailure(yield* Fiber.await(running)))
      // The lease of 10 seconds was renewed at most 3 before, and every 3 seconds somebody looks.
      yield* pass(13)
      assert.deepStrictEqual(endsOf(kept, "s"), ["completed"])
      assert.strictEqual(kept.get("s")!.entries.filter((it) => it._tag === "OperationResumed").length, 1)
    })
  )

  it.scoped("watching, tells what it cannot do, and goes on watching", () =>
    Effect.gen(function* () {
      const { kept, store } = yield* memory
      const dead = yield* dying(store)
      const { layer, said } = yield* warnings
      let failing = false
      const failed = new Errors.SessionStoreError({ operation: "list", reason: "the connection was lost" })
      const shaky: Store = { ...store, unsettled: Effect.suspend(() => (failing ? failed : store.unsettled)) }
      yield* Layer.build(
        Engine.layerRecovery([clerk]).pipe(Layer.provide([engineOver(shaky, working), desk]), Layer.provide(layer))
      )
      failing = true
      yield* begin(
        Effect.flatMap(Effect.provide(dead.sessions.open({ id: "s", agent: clerk }), desk), (it) => it.prompt("ask"))
      )
      yield* dead.die
      yield* pass(15)
      assert.deepStrictEqual(endsOf(kept, "s"), [])
      assert.isAbove(said.length, 2)
      assert.match(said[0]!, /^WARN .*the connection was lost/)
      failing = false
      yield* pass(3)
      assert.deepStrictEqual(endsOf(kept, "s"), ["completed"])
    })
  )

  it.scoped("at the start fails where the store does", () =>
    Effect.gen(function* () {
      const { store } = yield* memory
      const failed = new Errors.SessionStoreError({ operation: "list", reason: "the connection was lost" })
      const error = yield* Effect.flip(
        Layer.build(
          Engine.layerRecovery([stranger]).pipe(Layer.provide(engineOver({ ...store, unsettled: failed }, working)))
        )
      )
      assert.strictEqual(error, failed)
    })
  )

  it.scoped("ends with the engine, and leaves what it was at to the next one", () =>
    Effect.gen(function* () {
      const { kept, store } = yield* memory
      const dead = yield* dying(store)
      yield* begin(
        Effect.flatMap(Effect.provide(dead.sessions.open({ id: "s", agent: clerk }), desk), (it) => it.prompt("ask"))
      )
      yield* dead.die
      yield* TestClock.adjust("10 seconds")
      const model = yield* gate
      const scope = yield* Scope.make()
      const slow = [Script.always({ before: model.stop, text: "" })]
      yield* Layer.buildWithScope(
        Engine.layerRecovery([clerk]).pipe(Layer.provide([engineOver(store, slow), desk])),
        scope
      )
      yield* model.reached
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(endsOf(kept, "s"), [])
      assert.deepInclude(kept.get("s")!.row, { owner: null, leased: false })
      const next = Context.get(yield* Layer.build(engineOver(store, working)), Sessions.Sessions)
      const [session] = yield* Effect.provide(next.recover([clerk]), desk)
      yield* session!.resumed!.ended
      assert.deepStrictEqual(endsOf(kept, "s"), ["completed"])
    })
  )

  it.scoped("waits for the lease of a child that a dead process took later than its parent's", () =>
    Effect.gen(function* () {
      const { kept, store } = yield* memory
      const dead = yield* dying(store, [
        Script.on("delegate", Script.calls(Script.task("sit", { agent: "clerk" }))),
        // What the child writes prolongs the lease of the child alone.
        Script.on("sit", { before: Effect.sleep("2 seconds"), calls: [Script.call("ask")] }, { before: Effect.never })
      ])
      const session = yield* Effect.provide(dead.sessions.open({ id: "s", agent: boss }), desk)
      yield* begin(session.prompt("delegate"))
      yield* pass(2)
      yield* dead.die
      yield* pass(8)
      const next = Context.get(yield* Layer.build(engineOver(store, working)), Sessions.Sessions)
      const [child] = yield* next.list("s")
      const leased = Effect.map(Effect.orDie(store.get("s")), (row) => row!.leased)
      assert.deepStrictEqual([yield* leased, child!.leased, child!.running?.kind], [false, true, "prompt"])
      yield* Effect.provide(next.recover([boss]), desk)
      yield* pass(3)
      assert.deepStrictEqual(endsOf(kept, child!.id), ["completed"])
      assert.strictEqual(
        (yield* messagesOf(yield* Effect.provide(next.open({ id: "s", agent: boss }), desk))).length,
        4
      )
      const [task] = kept.get("s")!.entries.filter((it) => it._tag === "TaskSettled")
      assert.deepInclude(task, { outcome: "completed" })
    })
  )

  it.scoped("what is resumed can be interrupted as its caller would, and then has ended", () =>
    Effect.gen(function* () {
      const { kept, store } = yield* memory
      const dead = yield* dying(store)
      yield* begin(
        Effect.flatMap(Effect.provide(dead.sessions.open({ id: "s", agent: clerk }), desk), (it) => it.prompt("ask"))
      )
      yield* dead.die
      yield* TestClock.adjust("10 seconds")
      const next = Context.get(yield* Layer.build(engineOver(store, hanging)), Sessions.Sessions)
      const session = yield* Effect.provide(next.open({ id: "s", agent: clerk }), desk)
      yield* session.resumed!.started
      yield* session.resumed!.interrupt
      assert.deepInclude(kept.get("s")!.entries.at(-1), {
        _tag: "OperationSettled",
        outcome: "interrupted",
        by: "caller"
      })
    })
  )
})
