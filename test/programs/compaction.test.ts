/**
 * The older part of a conversation that becomes too long is summarised, and the work goes on.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Redacted, Schema, TestClock } from "effect"
import {
  Agent,
  Engine,
  type Entry,
  Errors,
  type Event,
  Model,
  Script,
  Secrets,
  type Sessions,
  SessionStore,
  Tool
} from "effect-baton"
import { engineOver, messagesOf, open, recorder, watchedModel } from "../support/engine.js"
import { problems } from "../support/validMessages.js"
import { requestTokens } from "../../src/programs/estimate.js"
import { unpaired } from "../../src/services/testing/EventPairs.js"
import * as Summary from "../../src/services/Summary.js"

type Of<Tag extends Entry.Entry["_tag"]> = Extract<Entry.Entry, { readonly _tag: Tag }>

const isOf =
  <Tag extends Entry.Entry["_tag"]>(tag: Tag) =>
  (entry: Entry.Entry): entry is Of<Tag> =>
    entry._tag === tag

/** A summary as it should be. */
export const summaryOf = (goal: string, filler = "None.") =>
  Summary.headings.map((it) => `## ${it}\n${it === "Goal" ? goal : filler}`).join("\n")

/** Works for as many turns as are wished, with results of a length. */
const worker = (turns: number, length = 400) => {
  let turn = 0
  const work = Tool.make("work", {
    description: "Does a piece of work",
    parameters: Schema.Struct({ n: Schema.Number }),
    run: ({ n }) => Effect.succeed(`piece ${n}: ${"x".repeat(length)}`)
  })
  const scene = Script.on("WORK", (): Script.Turn => {
    turn++
    return turn > turns ? { text: "All done." } : { text: `Turn ${turn}.`, calls: [Script.call("work", { n: turn })] }
  })
  return { agent: Agent.make("a", { tools: [work], limits: { turns: turns + 10 } }), scene }
}

const over = (script: Script.Script, info?: Model.ModelInfo) => {
  const { layer, requests } = watchedModel(script, info)
  const of = (isSummary: boolean) => requests.filter((request) => Summary.isAsked(request) === isSummary)
  return {
    engine: engineOver(Layer.merge(SessionStore.layerMemory, layer)),
    asked: () => of(false),
    summaries: () => of(true)
  }
}

const window16 = { contextWindow: 16_000, maxOutput: 4_096 }

const goal = "WORK through all pieces, and end every answer with the word amen."

describe("a conversation that comes to its threshold", () => {
  it.scoped("400 turns in a window of 16,000 tokens: it ends, and the request is in every request", () => {
    const { agent, scene } = worker(400)
    const { asked, engine, summaries } = over([scene], window16)
    return Effect.gen(function* () {
      const events = yield* recorder
      const session = yield* open(agent)
      const reply = yield* session.prompt(goal)
      assert.strictEqual(reply.text, "All done.")
      assert.strictEqual(asked().length, 401)
      const history = yield* session.history
      const compactions = history.filter(isOf("Compaction"))
      assert.strictEqual(history.filter(isOf("CompactionStalled")).length, 0)
      assert.isAbove(compactions.length, 3)
      assert.strictEqual(summaries().length, compactions.length)
      for (const [i, it] of compactions.entries()) {
        assert.isBelow(it.tokensAfter, it.tokensBefore)
        assert.isAbove(it.tokensBefore, 11_904)
        if (i > 0) assert.isAtLeast(it.tokensBefore - compactions[i - 1]!.tokensAfter, 8_000)
      }
      for (const request of asked()) {
        assert.isBelow(requestTokens(request), 16_000 - 2_000)
        assert.deepStrictEqual(problems(request.messages), [])
        assert.strictEqual(Script.view(request).prompt, goal)
      }
      const usage = compactions.reduce((sum, it) => sum + it.usage.input, 0)
      assert.isAbove(usage, 0)
      assert.strictEqual(reply.usage.compactions.input, usage)
      const all = yield* events
      assert.deepStrictEqual(unpaired(all), [])
      assert.strictEqual(all.filter((it) => it._tag === "CompactionStarted").length, compactions.length)
      assert.isFalse(all.some((it) => it._tag === "TextDelta" && it.text.includes("## Goal")))
    }).pipe(Effect.provide(engine))
  })
})
