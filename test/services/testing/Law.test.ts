import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, FiberId } from "effect"
import { Agent, type Entry, Script } from "effect-baton"
import { Laws } from "effect-baton/testing"
import { breaches } from "../../../src/services/testing/Law.js"
import { echo } from "../../support/engine.js"

/** What a run of a correct agent comes to. */
const correct = Effect.map(
  Laws.replay(
    {
      agent: Agent.make("a", { tools: [echo], delegate: "off" }),
      script: [
        Script.on(
          "go",
          { text: "x", calls: [Script.call("echo", { text: "x" }), Script.call("echo", { text: "y" })] },
          "Done."
        )
      ]
    },
    { seed: 1 }
  ),
  (outcome) => outcome ?? assert.fail("it did not end")
)

type Entries = ReadonlyArray<Entry.Entry>

/** The laws that an outcome breaks when its history is another. */
const broken = (outcome: Laws.Outcome, change: (entries: Entries) => Entries): ReadonlyArray<string> =>
  breaches({
    ...outcome,
    histories: new Map([...outcome.histories].map(([id, entries]) => [id, change(entries)]))
  }).map(({ detail, law }) => `${law}: ${detail}`)

const isCall = (tag: Entry.Entry["_tag"], n: number) => (entry: Entry.Entry) =>
  entry._tag === tag && "callId" in entry && entry.callId === `call_1_${n}`

describe("the laws that an outcome tells of", () => {
  it.effect("a correct run breaks none", () =>
    Effect.map(correct, (outcome) =>
      assert.deepStrictEqual(
        broken(outcome, (entries) => entries),
        []
      )
    )
  )

  it.effect("every call is settled exactly once, after its start and within its turn", () =>
    Effect.map(correct, (outcome) => {
      const settled = isCall("ToolSettled", 0)
      const started = isCall("ToolStarted", 0)
      assert.deepStrictEqual(
        broken(outcome, (entries) => entries.filter((entry) => !settled(entry))),
        ['settled: in session "session" the call call_1_0 of echo was settled 0 times.']
      )
      assert.deepStrictEqual(
        broken(outcome, (entries) => entries.flatMap((entry) => (settled(entry) ? [entry, entry] : [entry]))),
        ['settled: in session "session" the call call_1_0 of echo was settled 2 times.']
      )
      assert.deepStrictEqual(
        broken(outcome, (entries) => entries.flatMap((entry) => (started(entry) ? [entry, entry] : [entry]))),
        ['settled: in session "session" the call call_1_0 of echo was started 2 times.']
      )
      assert.deepStrictEqual(
        broken(outcome, (entries) => [
          ...entries.filter((entry) => !started(entry)).slice(0, -2),
          ...entries.filter(started),
          ...entries.slice(-2)
        ]),
        ['settled: in session "session" echo (call_1_0) was started after its end.']
      )
      assert.deepStrictEqual(
        broken(outcome, (entries) => [...entries.filter((entry) => !settled(entry)), ...entries.filter(settled)]),
        [
          'settled: in session "session" the call call_1_0 of echo was settled 0 times; echo (call_1_0) was settled and not asked for.'
        ]
      )
    })
  )

  it.effect("a history and every request are valid for a provider", () =>
    Effect.map(correct, (outcome) => {
      assert.match(
        broken(outcome, (entries) => entries.filter((entry) => entry._tag !== "User"))[0] ?? "",
        /^valid: session/
      )
      const [first, second] = outcome.requests
      const [found] = breaches({ ...outcome, requests: [first!, { ...second!, messages: second!.messages.slice(1) }] })
      assert.strictEqual(found?.law, "valid")
      assert.match(found!.detail, /^request 2: the first message is not the user's/)
    })
  )

  it.effect("the others", () =>
    Effect.map(correct, (outcome) => {
      const lawOf = (more: Partial<Laws.Outcome>) => breaches({ ...outcome, ...more }).map(({ law }) => law)
      assert.deepStrictEqual(lawOf({ held: ["session"] }), ["free"])
      assert.deepStrictEqual(lawOf({ events: outcome.events.slice(0, 3) }), ["paired"])
      assert.deepStrictEqual(lawOf({ exits: [Exit.die(new Error("bug"))] }), ["defects"])
      assert.deepStrictEqual(lawOf({ exits: [Exit.failCause(Cause.empty)] }), [])
      const cut = [Exit.interrupt(FiberId.none)]
      assert.deepStrictEqual(lawOf({ exits: cut }), ["defects"])
      assert.deepStrictEqual(lawOf({ exits: cut, step: 3 }), [])
    })
  )
})
