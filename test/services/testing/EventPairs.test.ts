import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Agent, type Event, Script, Sessions } from "effect-baton"
import { EventPairs, Recorder, TestEngine } from "effect-baton/testing"
import { echo } from "../../support/engine.js"

const child = Agent.make("child", { tools: [echo], delegate: "off" })
const agent = Agent.make("a", { tools: [echo], subagents: [child], delegate: "off" })

/** What happens in a prompt with calls of every kind and a task. */
const happened = Effect.gen(function* () {
  const session = yield* Effect.flatMap(Sessions.Sessions, (it) => it.open({ id: "s", agent }))
  yield* session.prompt("go")
  return yield* Effect.flatMap(Recorder.Recorder, (it) => it.events)
}).pipe(
  Effect.provide(
    TestEngine.layer([
      Script.on(
        "go",
        Script.calls(
          Script.call("echo", { text: "x" }, "one"),
          Script.task("sub", { agent: "child" }),
          Script.call("no", {}, "two")
        ),
        Script.calls(Script.call("echo", { text: "again" }, "one"), Script.call("no", {}, "two")),
        "Done."
      ),
      Script.on("sub", Script.calls(Script.call("echo", { text: "y" })), "Done.")
    ])
  )
)

describe("unpaired", () => {
  it.effect("finds nothing wrong with a whole run, though ids of calls return and refused calls only end", () =>
    Effect.map(happened, (events) => assert.deepStrictEqual(Recorder.unpaired(events), []))
  )

  it.effect("finds every end that is missing, doubled or too late, and every start that is missing", () =>
    Effect.map(happened, (events) => {
      const starts = new Set(EventPairs.pairs.map((pair) => pair.start))
      const ends = new Set(EventPairs.pairs.flatMap((pair) => pair.ends))
      let tried = 0
      for (const [i, event] of events.entries()) {
        const before = events.slice(0, i)
        const after = events.slice(i + 1)
        if (!starts.has(event._tag) && !ends.has(event._tag)) continue
        tried++
        assert.isNotEmpty(EventPairs.unpaired([...before, event, event, ...after]), `twice: ${i} ${event._tag}`)
        const refused = event._tag === "ToolSettled" && event.name === "no"
        const tool = event._tag === "ToolStarted"
        if (!refused && !tool)
          assert.isNotEmpty(EventPairs.unpaired([...before, ...after]), `without: ${i} ${event._tag}`)
        // The very last end has nothing to be late for.
        if (!refused && ends.has(event._tag) && after.some((it) => ends.has(it._tag) && it.session === "s")) {
          assert.isNotEmpty(EventPairs.unpaired([...before, ...after, event]), `late: ${i} ${event._tag}`)
        }
      }
      assert.strictEqual(tried, 26)
    })
  )

  it("says what is wrong in a sentence", () => {
    const base = { session: "s", at: 0, operationId: "o", seq: 1 }
    const started: Event.Event = { _tag: "ToolStarted", ...base, callId: "c", name: "t" }
    assert.deepStrictEqual(EventPairs.unpaired([started]), ["ToolStarted (ToolStarted s o c) has no end"])
  })

  it("takes a table of one's own", () => {
    const idle: Event.Event = { _tag: "Idle", session: "s", at: 0 }
    const synced: Event.Event = { _tag: "Synced", session: "s", at: 0 }
    const table: ReadonlyArray<EventPairs.Pair> = [{ start: "Synced", ends: ["Idle"], key: (event) => event.session }]
    assert.deepStrictEqual(EventPairs.unpaired([synced, idle], table), [])
    assert.lengthOf(EventPairs.unpaired([idle], table), 1)
  })
})
