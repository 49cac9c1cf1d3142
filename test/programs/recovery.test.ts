/**
 * A process that ends at any write, and the next one that opens the session.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { Engine, Errors, Model, type Script, Sessions, SessionStore } from "effect-baton"
import { StoreJournal } from "effect-baton/testing"
import { settle } from "../support/stage.js"
import { doubled, type Effected, onlyOnce, problems, scenario } from "../support/recoveries.js"

type Writes = ReadonlyArray<StoreJournal.StoreWrite>

/** What one process did: the writes of its store, and the runs of its tools with how many writes there were by then. */
const life = <A, E>(
  before: Writes,
  use: (
    sessions: Context.Tag.Service<Sessions.Sessions>,
    agent: ReturnType<typeof scenario>["agent"]
  ) => Effect.Effect<A, E>
) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(StoreJournal.layerAfter(before))
    const writes = Context.get(context, StoreJournal.StoreJournal)
    const runs: Array<Effected & { readonly after: number }> = []
    const { agent, script } = scenario((it) => Effect.sync(() => void runs.push({ ...it, after: writes.length })))
    const requests: Array<string> = []
    const watched = script.map((scene) => ({
      ...scene,
      matches: (view: Script.View) => {
        requests.push(JSON.stringify(view.request.messages))
        return scene.matches(view)
      }
    }))
    const engine = yield* Layer.build(
      Layer.provide(Engine.layer, Layer.merge(Layer.succeedContext(context), Model.layerScripted(watched)))
    )
    const value = yield* use(Context.get(engine, Sessions.Sessions), agent)
    return { value, writes, runs, requests: new Set(requests), kept: Context.get(context, SessionStore.Memory) }
  }).pipe(Effect.scoped)

/** Opens the session and waits for what was left unfinished in it. */
const recovered = (sessions: Context.Tag.Service<Sessions.Sessions>, agent: ReturnType<typeof scenario>["agent"]) =>
  Effect.gen(function* () {
    const session = yield* sessions.open({ id: "s", agent })
    yield* session.resumed?.ended ?? Effect.void
    return session
  })

const Answer = Schema.Struct({ answer: Schema.Number })

/** What the first process is to do. */
const work: Readonly<Record<string, (session: Sessions.Session) => Effect.Effect<unknown, unknown>>> = {
  "a prompt": (session: Sessions.Session) => session.prompt("go"),
  "a structured result": (session: Sessions.Session) => session.prompt("answer", { resultSchema: Answer }),
  "a task of the application": (session: Sessions.Session) => session.task("dig alone", { agent: "digger" }),
  "prompts one after the other": (session: Sessions.Session) =>
    Effect.zipRight(session.prompt("hello"), session.prompt("deep"))
}

/** The ten checks, as far as they concern a store in memory. */
const check = (
  n: number,
  first: { readonly writes: Writes; readonly runs: ReadonlyArray<Effected & { readonly after: number }> },
  second: Effect.Effect.Success<ReturnType<typeof life<unknown, unknown>>>
) => {
  const at = `cut after write ${n}`
  // What was done before the cut, and may have been: a call whose start was stored may have run.
  const before = first.runs.filter(({ after }) => after <= n)
  assert.deepStrictEqual(doubled([...before, ...second.runs]), [], `${at}: done twice`)
  assert.deepStrictEqual(problems(second.kept), [], at)
  const then = StoreJournal.keptAfter(first.writes.slice(0, n))
  for (const [id, { entries }] of then) {
    assert.deepStrictEqual(second.kept.get(id)?.entries.slice(0, entries.length), entries, `${at}: lost`)
  }
}

/** How many replies of models a store holds. */
const replies = (kept: ReadonlyMap<string, { readonly entries: ReadonlyArray<{ readonly _tag: string }> }>) =>
  [...kept.values()].flatMap(({ entries }) => entries).filter((entry) => entry._tag === "Assistant").length

describe("recovery", () => {
  for (const [name, first] of Object.entries(work)) {
    it.effect(
      `goes on after a cut at every write: ${name}`,
      () =>
        Effect.gen(function* () {
          const whole = yield* life([], (sessions, agent) => Effect.flatMap(sessions.open({ id: "s", agent }), first))
          assert.deepStrictEqual(problems(whole.kept), [])
          assert.isAbove(whole.writes.length, 3)
          for (let n = 1; n <= whole.writes.length; n++) {
            const next = yield* life(whole.writes.slice(0, n), recovered)
            check(n, whole, next)
            // What was recorded is not asked for again: there are as many replies in the end as there were.
            const started = StoreJournal.keptAfter(whole.writes.slice(0, n)).get("s")!.entries.length > 0
            if (started && name !== "prompts one after the other") {
              assert.strictEqual(replies(next.kept), replies(whole.kept), `cut after write ${n}: replies`)
            }
            // Recovering again changes nothing, and a next prompt works.
            const again = yield* life(next.writes, recovered)
            assert.strictEqual(again.writes.length, next.writes.length, `cut after write ${n}: recovered twice`)
            const canary = yield* life(next.writes, (sessions, agent) =>
              Effect.flatMap(sessions.open({ id: "s", agent }), (session) => session.prompt("canary"))
            )
            assert.strictEqual(canary.value.text, "ok")
            assert.deepStrictEqual(problems(canary.kept), [])
            // A cut within the recovery itself.
            for (let m = n + 1; m < next.writes.length; m++) {
              const third = yield* life(next.writes.slice(0, m), recovered)
              check(
                m,
                {
                  writes: next.writes,
                  runs: [
                    ...whole.runs.filter(({ after }) => after <= n).map((it) => ({ ...it, after: 0 })),
                    ...next.runs
                  ]
                },
                third
              )
              if (started && name !== "prompts one after the other") {
                assert.strictEqual(replies(third.kept), replies(whole.kept), `cut after ${n} and ${m}: replies`)
              }
            }
          }
        }),
      120_000
    )
  }

  it.effect(
    "a call that was started and not settled ends as unknown, one that declares itself harmless is run again",
    () =>
      Effect.gen(function* () {
        const whole = yield* life([], (sessions, agent) =>
          Effect.flatMap(sessions.open({ id: "s", agent }), (session) => session.prompt("go"))
        )
        const n =
          1 +
          whole.writes.findIndex(
            (it) => it._tag === "Appended" && it.entries.some((entry) => entry._tag === "ToolStarted")
          )
        const next = yield* life(whole.writes.slice(0, n), recovered)
        const ends = next.kept
          .get("s")!
          .entries.flatMap((it) => (it._tag === "ToolSettled" ? [`${it.name} ${it.outcome}`] : []))
        assert.sameMembers(ends.slice(0, 4), ["plain unknown", "look success", "pay success", "unknown failure"])
        const [pays, paysThen] = [whole, next].map(({ runs }) => runs.filter(({ tool }) => tool === "pay"))
        assert.deepStrictEqual(
          pays!.map(({ key }) => key),
          paysThen!.map(({ key }) => key),
          "with the same key"
        )
        assert.isTrue(onlyOnce.has("plain"))
      })
  )

  it.effect(
    "an input that was acknowledged is run once, wherever the process ends",
    () =>
      Effect.gen(function* () {
        const named = { operationId: "x" }
        const whole = yield* life([], (sessions, agent) =>
          Effect.flatMap(sessions.open({ id: "s", agent }), (session) =>
            Effect.zipRight(session.submit("deep", named), session.prompt("deep", named))
          )
        )
        const from = 1 + whole.writes.findIndex(({ _tag }) => _tag === "Put")
        assert.isAbove(from, 0)
        for (let n = from; n <= whole.writes.length; n++) {
          const next = yield* life(whole.writes.slice(0, n), (sessions, agent) =>
            Effect.flatMap(sessions.open({ id: "s", agent }), (session) => session.prompt("deep", named))
          )
          check(n, whole, next)
          assert.strictEqual(next.value.text, "deep down", `cut after write ${n}`)
          const { entries, waiting } = next.kept.get("s")!
          const said = entries.filter((it) => it._tag === "User" && JSON.stringify(it.content).includes("deep"))
          assert.deepStrictEqual([said.length, waiting.length], [1, 0], `cut after write ${n}`)
          // The next one that is asked runs nothing any more.
          const again = yield* life(next.writes, (sessions, agent) =>
            Effect.flatMap(sessions.open({ id: "s", agent }), (session) =>
              Effect.zipRight(session.submit("deep", named), session.prompt("deep", named))
            )
          )
          assert.deepStrictEqual([again.writes.length, again.runs], [next.writes.length, []])
        }
      }),
    60_000
  )

  it.effect("is given up after ten attempts, and the session is at rest", () =>
    Effect.gen(function* () {
      const whole = yield* life([], (sessions, agent) =>
        Effect.flatMap(sessions.open({ id: "s", agent }), (session) => session.prompt("go"))
      )
      let writes: Writes = whole.writes.slice(0, 2)
      for (let attempt = 2; attempt <= 10; attempt++) {
        const next = yield* life(writes, recovered)
        writes = next.writes.slice(0, writes.length + 1)
        assert.deepStrictEqual(writes.at(-1)?._tag === "Appended" ? writes.at(-1) : {}, writes.at(-1))
      }
      const last = yield* life(writes, recovered)
      const end = last.kept.get("s")!.entries.at(-1)!
      assert.deepInclude(end, { _tag: "OperationSettled", outcome: "failed" })
      assert.strictEqual(end._tag === "OperationSettled" ? end.error?.tag : "", "RecoveryExhausted")
      assert.strictEqual(
        new Errors.RecoveryExhausted({ session: "s", operationId: "x", attempts: 10 }).message,
        end._tag === "OperationSettled" ? end.error?.message : ""
      )
      assert.deepStrictEqual(problems(last.kept), [])
      const canary = yield* life(last.writes, (sessions, agent) =>
        Effect.flatMap(sessions.open({ id: "s", agent }), (session) => session.prompt("canary"))
      )
      assert.strictEqual(canary.value.text, "ok")
      yield* settle
    })
  )
})
