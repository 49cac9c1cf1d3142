/**
 * Ends that a store did not take when they came: each is stored in the end, and once.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, TestClock } from "effect"
import { Agent, Engine, Errors, Model, Script, Sessions, SessionStore } from "effect-baton"
import { Failpoints, StoreJournal } from "effect-baton/testing"
import { problems } from "../support/recoveries.js"
import { begin, gate, settle } from "../support/stage.js"

const agent = Agent.make("lead", { subagents: [Agent.make("digger", { delegate: "off" })], delegate: "off" })
const script = [
  Script.on("go", Script.calls(Script.task("dig", { agent: "digger" })), "gone"),
  Script.on("dig", "dug"),
  Script.always("ok")
]

/** Prompts over a store in which something fails once, and once more. */
const prompted = (point: string, hit: number) =>
  Effect.gen(function* () {
    const store = Layer.provideMerge(
      Failpoints.layerStore,
      Layer.merge(SessionStore.layerMemory, Failpoints.layerPoints({ point, hit, action: "fail" }))
    )
    const context = yield* Layer.build(
      Layer.provideMerge(Engine.layer, Layer.merge(store, Model.layerScripted(script)))
    )
    const session = yield* Context.get(context, Sessions.Sessions).open({ id: "s", agent })
    const reply = yield* session.prompt("go")
    const kept = Context.get(context, SessionStore.Memory)
    const first = problems(kept)
    yield* session.prompt("next")
    return { reply, first, kept, last: problems(kept) }
  }).pipe(Effect.scoped)

describe("ends that were not stored", () => {
  it.effect("that of a child is stored with the next operation of any session, and the child is given up", () =>
    Effect.gen(function* () {
      const { first, kept, last } = yield* prompted("append Assistant+OperationSettled before", 1)
      assert.include(first.join(), "an operation is unfinished")
      assert.deepStrictEqual(last, [])
      for (const { row } of kept.values()) assert.isNull(row.owner)
    })
  )

  it.effect("that of a task is stored with the end of its operation, which says where its entries end", () =>
    Effect.gen(function* () {
      const { first, kept, reply } = yield* prompted("append TaskSettled before", 1)
      assert.deepStrictEqual(first, [])
      const entries = kept.get("s")!.entries.slice(0, reply.entries.to)
      assert.strictEqual(entries.at(-1)?._tag, "OperationSettled")
      assert.lengthOf(
        entries.filter(({ _tag }) => _tag === "TaskSettled"),
        1
      )
    })
  )
})

describe("an end that was not stored", () => {
  const failure = new Errors.SessionStoreError({ operation: "write", reason: "disk full" })

  const goneOn = ["OperationStarted", "OperationResumed", "completed", "OperationStarted", "completed"]

  /** Two engines on one store; the first one's fails as often as it is told to from the end of the first reply on. */
  const engines = (failures: number, before: Effect.Effect<void> = Effect.void) =>
    Effect.gen(function* () {
      const memory = yield* Layer.build(SessionStore.layerMemory)
      const store = Context.get(memory, SessionStore.SessionStore)
      let left = failures
      const failing: typeof store = {
        ...store,
        append: (write) => (left > 0 && write.running === null && left-- > 0 ? failure : store.append(write))
      }
      const over = (it: typeof store) =>
        Effect.map(
          Layer.build(
            Layer.provide(
              Engine.layer,
              Layer.merge(
                Layer.succeed(SessionStore.SessionStore, it),
                Model.layerScripted([Script.always({ before, text: "ok" })])
              )
            )
          ),
          Context.get(Sessions.Sessions)
        )
      const kept = Context.get(memory, SessionStore.Memory)
      return {
        store,
        session: yield* Effect.flatMap(over(failing), (it) => it.open({ id: "s", agent })),
        other: yield* over(store),
        /** What became of operations, in order. */
        told: Effect.sync(() =>
          kept
            .get("s")!
            .entries.flatMap((it) =>
              it._tag === "OperationSettled" ? [it.outcome] : it._tag.startsWith("Operation") ? [it._tag] : []
            )
        ),
        kept
      }
    })

  for (const failures of [1, 3]) {
    it.scoped(`is stored as it was, and the operation is not gone on with: after ${failures} failures`, () =>
      Effect.gen(function* () {
        const { kept, session, told } = yield* engines(failures)
        for (let i = 0; i < failures; i++) assert.strictEqual(yield* Effect.flip(session.prompt("one")), failure)
        yield* session.prompt("two")
        assert.deepStrictEqual(yield* told, ["OperationStarted", "completed", "OperationStarted", "completed"])
        assert.deepStrictEqual(problems(kept), [])
      })
    )
  }

  it.scoped("is none any more where another engine has gone on with the operation", () =>
    Effect.gen(function* () {
      const { kept, other, session, told } = yield* engines(1)
      assert.strictEqual(yield* Effect.flip(session.prompt("one")), failure)
      yield* TestClock.adjust("10 seconds")
      yield* (yield* other.open({ id: "s", agent })).resumed!.ended
      yield* session.prompt("two")
      assert.deepStrictEqual(yield* told, goneOn)
      assert.deepStrictEqual(problems(kept), [])
    })
  )

  it.scoped("is none where another engine had taken the session: who has it last goes on", () =>
    Effect.gen(function* () {
      const model = yield* gate
      const { kept, session, store, told } = yield* engines(0, model.stop)
      const running = yield* begin(Effect.flip(session.prompt("one")))
      yield* model.reached
      const { row } = kept.get("s")!
      kept.get("s")!.leaseUntil = 0
      yield* store.append({
        session: "s",
        incarnation: row.incarnation,
        owner: "an engine that dies",
        epoch: row.epoch,
        lease: "claim",
        leaseFor: 1_000,
        expectedSeq: row.nextSeq,
        entries: [],
        running: row.running,
        partial: null,
        children: [],
        delivered: []
      })
      yield* model.open
      assert.strictEqual((yield* Fiber.join(running))._tag, "StaleLease")
      yield* TestClock.adjust("1 second")
      yield* session.prompt("two", { onBusy: "wait" })
      assert.deepStrictEqual(yield* told, goneOn)
      assert.deepStrictEqual(problems(kept), [])
    })
  )
})

describe("a child whose owner died", () => {
  it.scoped("is gone on with when its own lease has run out too, which may be later than its parent's", () =>
    Effect.gen(function* () {
      const memory = yield* Layer.build(SessionStore.layerMemory)
      const engine = (turns: Script.Script) =>
        Effect.map(
          Layer.build(
            Layer.provide(Engine.layer, Layer.merge(Layer.succeedContext(memory), Model.layerScripted(turns)))
          ),
          Context.get(Sessions.Sessions)
        )
      const hangs = [script[0]!, Script.always({ before: Effect.never, text: "" })]
      const first = yield* engine(hangs)
      yield* begin(Effect.exit((yield* first.open({ id: "s", agent })).prompt("go")))
      // Nobody renews: as if the first one were frozen, its child having written last.
      const kept = Context.get(memory, SessionStore.Memory)
      const child = [...kept.values()].find(({ row }) => row.parent === "s")!
      kept.get("s")!.leaseUntil = 0
      child.leaseUntil = 2_500
      const second = yield* engine(script)
      const session = yield* second.open({ id: "s", agent })
      assert.strictEqual(session.resumed?.kind, "prompt")
      yield* Effect.repeatN(Effect.zipRight(TestClock.adjust("1 second"), settle), 4)
      yield* session.resumed!.ended
      const end = kept.get("s")!.entries.findLast((entry) => entry._tag === "ToolSettled")
      assert.deepInclude(end as object, { outcome: "success", result: "dug" })
    })
  )
})

describe("a child that its owner is still at", () => {
  it.scoped("is waited for by whoever has its parent, and gives what it gave there", () =>
    Effect.gen(function* () {
      const memory = yield* Layer.build(SessionStore.layerMemory)
      const engine = (turns: Script.Script) =>
        Effect.map(
          Layer.build(
            Layer.provide(Engine.layer, Layer.merge(Layer.succeedContext(memory), Model.layerScripted(turns)))
          ),
          Context.get(Sessions.Sessions)
        )
      const model = yield* gate
      const first = yield* engine([script[0]!, Script.always({ before: model.stop, text: "dug there" })])
      yield* begin(Effect.exit((yield* first.open({ id: "s", agent })).prompt("go")))
      yield* model.reached
      // The parent's lease was not renewed in time, and its owner has not learned of it.
      const kept = Context.get(memory, SessionStore.Memory)
      kept.get("s")!.leaseUntil = 0
      const session = yield* (yield* engine(script)).open({ id: "s", agent })
      yield* settle
      yield* model.open
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* session.resumed!.ended
      const end = kept.get("s")!.entries.findLast((entry) => entry._tag === "ToolSettled")
      assert.deepInclude(end as object, { outcome: "success", result: "dug there" })
      assert.deepStrictEqual(problems(kept), [])
    })
  )
})

describe("a task whose call has its result and whose end was never stored", () => {
  it.effect("has its end when the operation is gone on with", () =>
    Effect.gen(function* () {
      const whole = yield* Effect.gen(function* () {
        const context = yield* Layer.build(
          Layer.provideMerge(Engine.layer, Layer.merge(StoreJournal.layer, Model.layerScripted(script)))
        )
        yield* (yield* Context.get(context, Sessions.Sessions).open({ id: "s", agent })).prompt("go")
        return [...Context.get(context, StoreJournal.StoreJournal)]
      }).pipe(Effect.scoped)
      // Cut after the call's result, and without the task's end.
      const n = whole.findIndex((it) => it._tag === "Appended" && it.entries[0]?._tag === "ToolSettled")
      const at = whole.findIndex((it) => it._tag === "Appended" && it.entries[0]?._tag === "TaskSettled")
      const settled = whole[n]!
      if (settled._tag !== "Appended") return assert.fail("no result was stored")
      const entries = settled.entries.map((entry) => ({ ...entry, id: entry.id - 1, parentId: entry.id - 2 }))
      const cut = [...whole.slice(0, at), { ...settled, entries }]
      const context = yield* Layer.build(
        Layer.provideMerge(Engine.layer, Layer.merge(StoreJournal.layerAfter(cut), Model.layerScripted(script)))
      )
      const session = yield* Context.get(context, Sessions.Sessions).open({ id: "s", agent })
      yield* session.resumed!.ended
      assert.deepStrictEqual(problems(Context.get(context, SessionStore.Memory)), [])
    }).pipe(Effect.scoped)
  )
})
