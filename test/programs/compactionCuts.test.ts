/**
 * A compaction that is cut at any point, by an interruption or with its process: the conversation is as it was or as it
 * is to be, nothing is lost, and the next prompt works.
 */
import { setImmediate } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, FiberId, Layer, Schema } from "effect"
import {
  Agent,
  Conversation,
  Engine,
  type Entry,
  Errors,
  Model,
  Script,
  Sessions,
  SessionStore,
  Tool
} from "effect-baton"
import { Recorder, StoreJournal } from "effect-baton/testing"
import { unpaired } from "../../src/services/testing/EventPairs.js"
import * as Summary from "../../src/services/Summary.js"
import { engineOver } from "../support/engine.js"
import { problems as wrongIn } from "../support/recoveries.js"
import { runSeeded } from "../support/SeededScheduler.js"
import { problems } from "../support/validMessages.js"

const info = { contextWindow: 8_000, maxOutput: 2_000 }

const work = Tool.make("work", {
  description: "Works",
  parameters: Schema.Struct({ n: Schema.Number }),
  run: ({ n }) => Effect.as(Effect.yieldNow(), `${n} ${"x".repeat(2_400)}`)
})

const agent = Agent.make("a", { tools: [work], delegate: "off" })

const usage = { input: 1_000, output: 100, cacheRead: 0, cacheWrite: 0, reasoning: 0 }

const summary = Summary.headings.map((it) => `## ${it}\nNone.`).join("\n")

/** The next number that was not worked on: the same in every process. */
const worked = ({ messages }: Model.ModelRequest): number => {
  const all = JSON.stringify(messages)
  const numbers = [...all.matchAll(/\{"n":(\d+)\}/g)].map(([, n]) => Number(n))
  return Math.max(0, ...numbers)
}

const script: Script.Script = [
  Script.summaries({ text: summary, chunk: 40, usage }),
  Script.on("WORK", ({ request }) => {
    const n = worked(request)
    return n >= 12 ? "All done." : Script.calls(Script.call("work", { n: n + 1 }))
  }),
  Script.always("Still here.")
]

/** A model with a window whose replies take a while, and that may refuse what is too long. */
const model = (refuse: boolean, requests: Array<Model.ModelRequest> = [], onSummary: () => void = () => undefined) =>
  Layer.effect(
    Model.Model,
    Effect.map(Model.Model, (it) => ({
      ...it,
      info: () => (refuse ? undefined : info),
      stream: (request: Model.ModelRequest, emit: (event: Model.ModelEvent) => void) => {
        requests.push(request)
        if (Summary.isAsked(request)) onSummary()
        const isLong = refuse && !Summary.isAsked(request) && JSON.stringify(request.messages).length > 18_000
        const events: Array<Model.ModelEvent> = []
        return isLong
          ? Effect.fail(new Errors.ContextOverflow({ model: request.model, reason: "it is too long" }))
          : Effect.tap(
              it.stream(request, (event) => void events.push(event)),
              () =>
                Effect.forEach(events, (event) =>
                  Effect.zipRight(
                    Effect.yieldNow(),
                    Effect.sync(() => emit(event))
                  )
                )
            )
      }
    }))
  ).pipe(Layer.provide(Model.layerScripted(script)))

const check = (entries: ReadonlyArray<Entry.Entry>, at: string): void => {
  for (let n = 0; n <= entries.length; n++) {
    assert.deepStrictEqual(problems(Conversation.fold(entries.slice(0, n))), [], `${at}, before entry ${n + 1}`)
  }
}

/** What compactions are recorded to have used. */
const recorded = (entries: ReadonlyArray<Entry.Entry>): number =>
  entries.reduce(
    (sum, it) => sum + (it._tag === "Compaction" || it._tag === "CompactionStalled" ? it.usage.input : 0),
    0
  )

const ways: Readonly<
  Record<string, readonly [refuse: boolean, (session: Sessions.Session) => Effect.Effect<unknown, unknown>]>
> = {
  "by the threshold": [false, (session) => session.prompt("WORK")],
  "by a provider that refuses": [true, (session) => session.prompt("WORK")],
  "by hand": [true, (session) => Effect.zipRight(session.prompt("WORK", { limits: { turns: 50 } }), session.compact())]
}

/** How many steps are looked at besides those of the compaction itself. */
const before = 30
const after = 30

describe("an interruption at every step of a compaction", () => {
  for (const [name, [refuse, does]] of Object.entries(ways)) {
    it(name, { timeout: 120_000 }, async () => {
      const run = (at: number) => {
        let fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
        let over = false
        let reached = false
        let now = 0
        let first: number | undefined
        const onSummary = () => {
          first ??= now
        }
        const program = Effect.gen(function* () {
          const events = yield* Recorder.make
          const session = yield* (yield* Sessions.Sessions).open({ id: "s", agent })
          fiber = yield* Effect.fork(does(session))
          const exit = yield* Fiber.await(fiber)
          over = true
          const told = yield* events.events
          const entries = yield* session.history
          const { text } = yield* session.prompt("next")
          return { exit, told, entries, text, all: yield* session.history }
        }).pipe(
          Effect.scoped,
          Effect.provide(engineOver(Layer.merge(SessionStore.layerMemory, model(refuse, [], onSummary))))
        )
        const { exit } = runSeeded(program, {
          seed: 1,
          maxYields: 0,
          onStep: (step) => {
            now = step
            if (step !== at || over) return
            reached = true
            fiber?.unsafeInterruptAsFork(FiberId.none)
          }
        })
        if (exit === undefined || Exit.isFailure(exit)) {
          throw new Error(`step ${at}: ${exit === undefined ? "hung" : Cause.pretty(exit.cause)}`)
        }
        return { ...exit.value, reached, first }
      }
      const whole = run(-1)
      assert.isTrue(Exit.isSuccess(whole.exit), String(whole.exit))
      assert.isAbove(recorded(whole.entries), 0)
      let interrupted = 0
      let done = 0
      // From before the request for the first summary to when the conversation has gone on with it.
      for (let at = whole.first! - before; done < after; at++) {
        const it = run(at)
        assert.isTrue(it.reached)
        if (recorded(it.entries) > 0) done++
        const where = `step ${at}`
        assert.strictEqual(it.text, "Still here.", where)
        assert.deepStrictEqual(unpaired(it.told), [], where)
        check(it.all, where)
        const cut = it.told.filter((event) => event._tag === "CompactionFailed")
        assert.isTrue(
          cut.every(({ error }) => error.tag === "Interrupted"),
          where
        )
        interrupted += cut.length
        const ends = it.entries.filter((entry) => entry._tag === "OperationSettled")
        const used = ends.reduce((sum, { usage: { compactions } }) => sum + compactions.input, 0)
        // What was asked for and is not recorded counts once more.
        assert.isTrue(used === recorded(it.entries) || used === recorded(it.entries) + usage.input, where)
        if (at % 64 === 0) await setImmediate()
      }
      assert.isAbove(interrupted, 5)
    })
  }
})

type Writes = ReadonlyArray<StoreJournal.StoreWrite>

const life = <A, E>(
  before: Writes,
  refuse: boolean,
  use: (sessions: Context.Tag.Service<Sessions.Sessions>) => Effect.Effect<A, E>
) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(StoreJournal.layerAfter(before))
    const requests: Array<Model.ModelRequest> = []
    const engine = yield* Layer.build(
      Layer.provide(Engine.layer, Layer.merge(Layer.succeedContext(context), model(refuse, requests)))
    )
    const value = yield* use(Context.get(engine, Sessions.Sessions))
    const kept = Context.get(context, SessionStore.Memory)
    const entries = [...kept.get("s")!.entries]
    return { value, writes: Context.get(context, StoreJournal.StoreJournal), kept, entries, requests }
  }).pipe(Effect.scoped)

const opened = (sessions: Context.Tag.Service<Sessions.Sessions>) =>
  Effect.gen(function* () {
    const session = yield* sessions.open({ id: "s", agent })
    yield* session.resumed?.ended ?? Effect.void
    return session
  })

describe("a process that ends after every write", () => {
  for (const [name, [refuse, does]] of Object.entries(ways)) {
    it.effect(
      name,
      () =>
        Effect.gen(function* () {
          const whole = yield* life([], refuse, (sessions) => Effect.flatMap(opened(sessions), does))
          const all = whole.entries.filter((it) => it._tag === "Compaction").length
          assert.isAbove(all, 0)
          for (let n = 1; n <= whole.writes.length; n++) {
            const at = `after write ${n}`
            const next = yield* life(whole.writes.slice(0, n), refuse, opened)
            assert.deepStrictEqual(wrongIn(next.kept), [], at)
            const then = StoreJournal.keptAfter(whole.writes.slice(0, n)).get("s")!.entries
            assert.deepStrictEqual(next.entries.slice(0, then.length), then, `${at}: lost`)
            check(next.entries, at)
            // What is recorded is not summarised again, and counts once.
            const start = then.findLast((it) => it._tag === "OperationStarted")
            const end = next.entries.find(
              (it) => it._tag === "OperationSettled" && it.operationId === start?.operationId
            )
            if (start !== undefined && end?._tag === "OperationSettled") {
              const own = next.entries.filter((it) => it.operationId === start.operationId)
              assert.strictEqual(end.usage.compactions.input, recorded(own), at)
              assert.strictEqual(end.outcome, "completed", at)
            }
            const asked = next.requests.filter((it) => Summary.isAsked(it)).length
            const made = next.entries.slice(then.length).filter((it) => it._tag === "Compaction").length
            assert.strictEqual(asked, made, at)
            const canary = yield* life(next.writes, refuse, (sessions) =>
              Effect.flatMap(opened(sessions), (session) => session.prompt("next"))
            )
            assert.strictEqual(canary.value.text, "Still here.", at)
          }
        }),
      120_000
    )
  }

  it.effect("goes on with what it was asked", () =>
    Effect.gen(function* () {
      const asked = { instructions: "Without names.", model: "small", operationId: "c" }
      const whole = yield* life([], true, (sessions) =>
        Effect.flatMap(opened(sessions), (session) =>
          Effect.zipRight(session.prompt("WORK", { limits: { turns: 50 } }), session.compact(asked))
        )
      )
      const n = whole.writes.findIndex(
        (it) =>
          it._tag === "Appended" &&
          it.entries.some((entry) => entry._tag === "OperationStarted" && entry.kind === "compact")
      )
      const next = yield* life(whole.writes.slice(0, n + 1), true, (sessions) =>
        Effect.flatMap(opened(sessions), (session) => session.compact(asked))
      )
      assert.strictEqual(next.value._tag, "Compacted")
      assert.deepStrictEqual(
        next.requests.map(({ instructions, model }) => [model, instructions.endsWith("\n\nWithout names.")]),
        [["small", true]]
      )
    })
  )
})

describe("two engines over one store", () => {
  it.scoped("see the same summary, and make it once", () =>
    Effect.gen(function* () {
      const memory = yield* Layer.build(SessionStore.layerMemory)
      const engine = Effect.map(
        Layer.build(Layer.fresh(Layer.provide(Engine.layer, Layer.merge(Layer.succeedContext(memory), model(true))))),
        Context.get(Sessions.Sessions)
      )
      const one = yield* Effect.flatMap(engine, opened)
      const two = yield* Effect.flatMap(engine, opened)
      yield* one.prompt("WORK", { limits: { turns: 50 } })
      const done = yield* one.compact({ operationId: "c" })
      assert.deepStrictEqual(yield* two.compact({ operationId: "c" }), done)
      yield* two.prompt("next")
      yield* one.prompt("next")
      assert.deepStrictEqual(problems(Conversation.fold(yield* one.history)), [])
      assert.deepStrictEqual(yield* one.history, yield* two.history)
    })
  )
})
