/**
 * What had arrived of a reply when the process ended.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Layer, TestClock } from "effect"
import { Agent, Engine, Model, Script, Sessions, SessionStore } from "effect-baton"
import { StoreJournal } from "effect-baton/testing"
import { messagesOf } from "../support/engine.js"
import { problems } from "../support/recoveries.js"
import { begin, linesOf, settle } from "../support/stage.js"

const agent = Agent.make("lead", { delegate: "off" })

/** A model that says what it is told to. */
const spoken = (words: ReadonlyArray<string>, pace: ReadonlyArray<Deferred.Deferred<void>>) =>
  Layer.succeed(Model.Model, {
    defaultModel: "spoken",
    stream: (_, emit) =>
      Effect.gen(function* () {
        for (const [i, text] of words.entries()) {
          yield* Deferred.await(pace[i]!)
          emit({ _tag: "TextDelta", text })
        }
        return { reason: "stop" as const, usage: undefined }
      })
  })

const words = ["The ", "quick ", "brown ", "fox"]

const run = (steps: number) =>
  Effect.gen(function* () {
    const pace = yield* Effect.forEach(words, () => Deferred.make<void>())
    const context = yield* Layer.build(StoreJournal.layer)
    const engine = yield* Layer.build(
      Layer.provide(Engine.layer, Layer.merge(Layer.succeedContext(context), spoken(words, pace)))
    )
    const session = yield* Context.get(engine, Sessions.Sessions).open({ id: "s", agent })
    yield* begin(session.prompt("go"))
    for (const gate of pace.slice(0, steps)) {
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      yield* TestClock.adjust("700 millis")
      yield* settle
    }
    return {
      writes: Context.get(context, StoreJournal.StoreJournal),
      memory: Context.get(context, SessionStore.Memory)
    }
  })

describe("a reply that is cut with its process", () => {
  it.scoped("is kept as far as it was stored, marked, and the model is told", () =>
    Effect.gen(function* () {
      const { memory, writes } = yield* run(3)
      assert.strictEqual(memory.get("s")!.row.partial, "The quick brown ")
      const left = yield* Layer.build(StoreJournal.layerAfter([...writes]))
      const engine = yield* Layer.build(
        Layer.provide(
          Engine.layer,
          Layer.merge(Layer.succeedContext(left), Model.layerScripted([Script.always("Anew.")]))
        )
      )
      const session = yield* Context.get(engine, Sessions.Sessions).open({ id: "s", agent })
      yield* session.resumed!.ended
      const lines = linesOf(yield* messagesOf(session))
      assert.deepStrictEqual(lines.slice(0, 2), ["user: go", "assistant: The quick brown "])
      assert.match(lines[2]!, /^user: \[Your reply was cut off here/)
      assert.strictEqual(lines[3], "assistant: Anew.")
      const cut = (yield* session.history).find((entry) => entry._tag === "Assistant")
      assert.deepInclude(cut, { finish: "interrupted" })
      const kept = Context.get(left, SessionStore.Memory)
      assert.isNull(kept.get("s")!.row.partial)
      assert.deepStrictEqual(problems(kept), [])
    })
  )

  it.scoped("is kept by whoever goes on and is cut before it is stored", () =>
    Effect.gen(function* () {
      const { writes } = yield* run(3)
      const next = (before: Iterable<StoreJournal.StoreWrite>) =>
        Effect.gen(function* () {
          const context = yield* Layer.build(StoreJournal.layerAfter(before))
          const engine = yield* Layer.build(
            Layer.provide(
              Engine.layer,
              Layer.merge(Layer.succeedContext(context), Model.layerScripted([Script.always("Anew.")]))
            )
          )
          const session = yield* Context.get(engine, Sessions.Sessions).open({ id: "s", agent })
          yield* session.resumed!.ended
          return { session, writes: [...Context.get(context, StoreJournal.StoreJournal)] }
        })
      const second = yield* next([...writes])
      // All that it did was to record that it goes on.
      const third = yield* next(second.writes.slice(0, writes.length + 1))
      const lines = linesOf(yield* messagesOf(third.session))
      assert.deepStrictEqual(lines.slice(0, 2), ["user: go", "assistant: The quick brown "])
      assert.strictEqual(lines.at(-1), "assistant: Anew.")
    })
  )

  it.scoped("leaves nothing behind once it is complete", () =>
    Effect.gen(function* () {
      const { memory, writes } = yield* run(4)
      const { entries, row } = memory.get("s")!
      assert.isNull(row.partial)
      assert.strictEqual(entries.filter((entry) => entry._tag === "Assistant").length, 1)
      assert.isAbove(writes.filter((it) => it._tag === "Appended" && it.entries.length === 0).length, 0)
    })
  )
})
