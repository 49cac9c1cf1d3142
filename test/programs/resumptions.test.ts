/**
 * What meets a session that was left unfinished, or an operation that another engine is at.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scope, TestClock } from "effect"
import { Agent, Engine, Errors, Limits, Model, Script, Sessions, SessionStore } from "effect-baton"
import { StoreJournal } from "effect-baton/testing"
import { problems } from "../support/recoveries.js"
import { begin, gate, linesOf, settle } from "../support/stage.js"
import { messagesOf } from "../support/engine.js"

type Store = Context.Tag.Service<SessionStore.SessionStore>

const agent = Agent.make("lead", { subagents: [Agent.make("digger", { delegate: "off" })], delegate: "off" })

const memory = Effect.map(Layer.build(SessionStore.layerMemory), (context) => ({
  store: Context.get(context, SessionStore.SessionStore),
  kept: Context.get(context, SessionStore.Memory)
}))

const engine = (store: Store, ...script: Script.Script) =>
  Effect.map(
    Layer.build(
      Layer.provide(
        Engine.layer,
        Layer.merge(Layer.succeed(SessionStore.SessionStore, store), Model.layerScripted(script))
      )
    ),
    Context.get(Sessions.Sessions)
  )

/** Leaves a session unfinished as a process does that is killed: its lease holds for 10 s from now. */
const left = (store: Store, use: (session: Sessions.Session) => Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    let isDead = false
    const gone = new Errors.SessionStoreError({ operation: "write", reason: "the process has died" })
    const mortal: Store = {
      ...store,
      append: (write) => (isDead ? gone : store.append(write)),
      renew: (...of) => (isDead ? Effect.succeed([]) : store.renew(...of))
    }
    const scope = yield* Scope.make()
    const sessions = yield* Scope.extend(engine(mortal, Script.always({ before: Effect.never, text: "" })), scope)
    const session = yield* sessions.open({ id: "s", agent })
    yield* begin(Effect.exit(use(session)))
    isDead = true
    yield* Scope.close(scope, Exit.void)
  })

const pass = (seconds: number) => Effect.repeatN(Effect.zipRight(TestClock.adjust("1 second"), settle), seconds - 1)

describe("a session whose owner died, while its lease holds", () => {
  it.scoped("prompts that wait for it all run when it has run out, after what was left unfinished", () =>
    Effect.gen(function* () {
      const { kept, store } = yield* memory
      yield* left(store, (session) => session.prompt("left"))
      const sessions = yield* engine(
        store,
        Script.always((view) => view.prompt)
      )
      const session = yield* sessions.open({ id: "s", agent })
      assert.strictEqual(session.resumed, undefined)
      const waiting = yield* Effect.forEach(["a", "b", "c"], (text) => begin(session.prompt(text, { onBusy: "wait" })))
      yield* pass(15)
      const texts = yield* Effect.forEach(waiting, (fiber) => Effect.map(Fiber.join(fiber), ({ text }) => text))
      assert.deepStrictEqual(texts, ["a", "b", "c"])
      assert.deepStrictEqual(problems(kept), [])
    })
  )

  for (const onBusy of ["steer", "followUp"] as const) {
    it.scoped(`a text is not lost that is to join it: ${onBusy}`, () =>
      Effect.gen(function* () {
        const { kept, store } = yield* memory
        yield* left(store, (session) => session.prompt("left"))
        const sessions = yield* engine(store, Script.always("ok"))
        const session = yield* sessions.open({ id: "s", agent })
        const joining = yield* begin(Effect.exit(session.prompt("join", { onBusy })))
        yield* pass(15)
        const exit = yield* Fiber.join(joining)
        assert.isTrue(Exit.isSuccess(exit), String(exit))
        const lines = linesOf(yield* messagesOf(session))
        assert.lengthOf(
          lines.filter((line) => line.includes("join")),
          1
        )
        assert.deepStrictEqual(problems(kept), [])
      })
    )
  }
})

describe("a wait that ends", () => {
  it.scoped("ends in its time, though another engine and then what it left unfinished hold the session", () =>
    Effect.gen(function* () {
      const { store } = yield* memory
      yield* left(store, (session) => session.prompt("left"))
      const sessions = yield* engine(store, Script.always({ before: Effect.never, text: "" }))
      const session = yield* sessions.open({ id: "s", agent })
      const waiting = yield* begin(Effect.flip(session.prompt("x", { onBusy: { _tag: "wait", timeout: 12_000 } })))
      yield* pass(14)
      const exit = yield* Fiber.poll(waiting)
      assert.strictEqual(exit._tag, "Some")
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "SessionBusy")
    })
  )
})

describe("an operation that was left unfinished", () => {
  it.scoped("counts what a child has used whose end was not recorded yet", () =>
    Effect.gen(function* () {
      const usage = { input: 500, output: 500, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
      const script = [
        Script.on("go", Script.calls(Script.task("dig", { agent: "digger" })), "gone"),
        Script.on("dig", { text: "dug", usage })
      ]
      const process = <A, E>(
        store: Layer.Layer<SessionStore.SessionStore | SessionStore.Memory | StoreJournal.StoreJournal>,
        use: (session: Sessions.Session) => Effect.Effect<A, E>
      ) =>
        Effect.gen(function* () {
          const context = yield* Layer.build(
            Layer.provideMerge(Engine.layer, Layer.merge(store, Model.layerScripted(script)))
          )
          yield* use(yield* Context.get(context, Sessions.Sessions).open({ id: "s", agent }))
          const end = Context.get(context, SessionStore.Memory).get("s")!.entries.at(-1)
          return {
            writes: [...Context.get(context, StoreJournal.StoreJournal)],
            error: end?._tag === "OperationSettled" ? end.error?.tag : "no end"
          }
        }).pipe(Effect.scoped)
      const whole = yield* process(StoreJournal.layer, (session) =>
        Effect.exit(session.prompt("go", { limits: { tokens: 900 } }))
      )
      assert.strictEqual(whole.error, "LimitReached")
      const at = whole.writes.findIndex((it) => it._tag === "Appended" && it.entries[0]?._tag === "TaskSettled")
      const next = yield* process(
        StoreJournal.layerAfter(whole.writes.slice(0, at)),
        (session) => session.resumed!.ended
      )
      assert.strictEqual(next.error, "LimitReached")
    })
  )

  it.scoped("a prompt works that found it and did not get to resume it, because another engine did meanwhile", () =>
    Effect.gen(function* () {
      const { kept, store } = yield* memory
      yield* left(store, (session) => session.prompt("left"))
      yield* TestClock.adjust("11 seconds")
      const other = yield* engine(store, Script.always("by another"))
      let isFirst = true
      const overtaken: Store = {
        ...store,
        append: (write) => {
          if (!isFirst || write.entries[0]?._tag !== "OperationResumed") return store.append(write)
          isFirst = false
          const overtake = Effect.flatMap(
            Effect.orDie(other.open({ id: "s", agent })),
            (session) => session.resumed!.ended
          )
          return Effect.zipRight(overtake, store.append(write))
        }
      }
      const sessions = yield* engine(overtaken, Script.always("ok"))
      const session = yield* sessions.open({ id: "s", agent })
      yield* session.resumed!.started
      assert.strictEqual((yield* session.prompt("next")).text, "ok")
      assert.isFalse(isFirst)
      assert.deepStrictEqual(problems(kept), [])
    })
  )

  it.scoped("a task that is deeper than is allowed by now fails, and the session goes on", () =>
    Effect.gen(function* () {
      const { kept, store } = yield* memory
      yield* left(store, (session) => session.task("dig", { agent: "digger" }))
      yield* TestClock.adjust("11 seconds")
      const limited = engine(store, Script.always("ok"))
      const sessions = yield* Effect.provideService(limited, Limits.Limits, { ...Limits.defaults, taskDepth: 0 })
      const session = yield* sessions.open({ id: "s", agent })
      const next = yield* begin(session.prompt("next"))
      yield* settle
      assert.strictEqual((yield* Fiber.join(next)).text, "ok")
      const ends = kept.get("s")!.entries.flatMap((it) => (it._tag === "OperationSettled" ? [it.error?.tag] : []))
      assert.deepStrictEqual(ends, ["TaskDepthExceeded", undefined])
    })
  )

  it.scoped("a store that breaks each time it is resumed breaks the prompt that waits for it", () =>
    Effect.gen(function* () {
      const { store } = yield* memory
      yield* left(store, (session) => session.prompt("left"))
      yield* TestClock.adjust("11 seconds")
      let reads = 0
      const broken: Store = {
        ...store,
        // The second read of an attempt is that of the operation.
        read: (id, incarnation, from) =>
          ++reads > 20 ? Effect.never : reads === 1 ? store.read(id, incarnation, from) : Effect.die("broken")
      }
      const sessions = yield* engine(broken, Script.always("ok"))
      const session = yield* sessions.open({ id: "s", agent })
      const next = yield* begin(Effect.exit(session.prompt("next")))
      yield* settle
      assert.isBelow(reads, 10)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(next)))
    })
  )
})

describe("the same operation id", () => {
  it.scoped("is run once where two engines ask for it at the same time", () =>
    Effect.gen(function* () {
      const { kept, store } = yield* memory
      const model = yield* gate
      const a = yield* engine(store, Script.on("busy", { before: model.stop, text: "done" }), Script.always("by a"))
      const b = yield* engine(store, Script.always("by b"))
      const here = yield* a.open({ id: "s", agent })
      const there = yield* b.open({ id: "s", agent })
      const running = yield* begin(here.prompt("busy"))
      const wait = { onBusy: "wait", operationId: "x" } as const
      const asked = [yield* begin(here.prompt("once", wait)), yield* begin(there.prompt("once", wait))]
      yield* model.open
      yield* Fiber.join(running)
      yield* pass(3)
      const texts = yield* Effect.forEach(asked, (fiber) => Effect.map(Fiber.join(fiber), ({ text }) => text))
      assert.strictEqual(texts[0], texts[1])
      const starts = kept.get("s")!.entries.filter((it) => it._tag === "OperationStarted" && it.operationId === "x")
      assert.lengthOf(starts, 1)
      assert.deepStrictEqual(problems(kept), [])
    })
  )

  it.scoped("fails again with the error of its kind, also where that leaves something open", () =>
    Effect.gen(function* () {
      const { store } = yield* memory
      const sessions = yield* engine(
        store,
        Script.always({
          fail: new Errors.ModelUnavailable({ model: "scripted", reason: "busy", retryAfter: undefined })
        })
      )
      const session = yield* sessions.open({ id: "s", agent })
      const options = { operationId: "x", limits: { retries: 0 } }
      const errors: Array<unknown> = []
      for (let i = 0; i < 2; i++) errors.push((yield* Effect.flip(session.prompt("x", options)))._tag)
      assert.deepStrictEqual(errors, [errors[0], errors[0]])
    })
  )

  it.scoped("an input leaves the inbox that was run meanwhile, under the same id", () =>
    Effect.gen(function* () {
      const { kept, store } = yield* memory
      const model = yield* gate
      const sessions = yield* engine(
        store,
        Script.on("busy", { before: model.stop, text: "done" }),
        Script.always("ok")
      )
      const session = yield* sessions.open({ id: "s", agent })
      yield* begin(session.prompt("busy"))
      const waiting = yield* begin(session.prompt("once", { onBusy: "wait", operationId: "x" }))
      yield* session.submit("once", { operationId: "x" })
      yield* model.open
      yield* Fiber.join(waiting)
      yield* settle
      assert.deepStrictEqual(kept.get("s")!.waiting, [])
      assert.lengthOf(
        linesOf(yield* messagesOf(session)).filter((line) => line.includes("once")),
        1
      )
    })
  )

  it.scoped("an input whose operation was interrupted is run when it is submitted again", () =>
    Effect.gen(function* () {
      const { kept, store } = yield* memory
      const model = yield* gate
      const sessions = yield* engine(
        store,
        Script.on("once", { before: model.stop, text: "one" }, "two"),
        Script.always("ok")
      )
      const session = yield* sessions.open({ id: "s", agent })
      yield* session.submit("once", { operationId: "x" })
      yield* model.reached
      yield* session.prompt("go away", { onBusy: "interrupt" })
      yield* model.open
      yield* session.submit("once", { operationId: "x" })
      yield* settle
      const ends = kept
        .get("s")!
        .entries.flatMap((it) => (it._tag === "OperationSettled" && it.operationId === "x" ? [it.outcome] : []))
      assert.deepStrictEqual(ends, ["interrupted", "completed"])
      assert.deepStrictEqual(problems(kept), [])
    })
  )
})
