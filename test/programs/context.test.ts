/**
 * The figures of windows.
 */
import { assert, describe, it } from "@effect/vitest"
import { cutOf, figuresOf, keepOf } from "../../src/programs/context.js"
import { Conversation } from "../../src/services/Conversation.js"
import * as Draft from "../../src/services/Draft.js"

describe("the figures of a window", () => {
  for (const [window, maxOutput, ...figures] of [
    [8_000, 4_096, 2_666, 5_334, 666, 668, 4_000],
    [8_000, undefined, 2_666, 5_334, 666, 668, 4_000],
    [16_000, 4_096, 4_096, 11_904, 2_404, 1_500, 8_000],
    [16_000, undefined, 5_333, 10_667, 1_333, 1_334, 8_000],
    [128_000, 16_384, 16_384, 111_616, 8_000, 4_096, 8_000],
    [200_000, 64_000, 20_000, 180_000, 8_000, 4_096, 8_000],
    [1_000_000, 128_000, 20_000, 980_000, 8_000, 4_096, 8_000],
    [128_000, 1_024, 1_024, 126_976, 8_000, 1_024, 8_000],
    [1_000, undefined, 500, 500, 62, 62, 500]
  ] as const) {
    it(`${window} tokens, ${maxOutput ?? "?"} of them for a reply`, () => {
      const it = figuresOf({ contextWindow: window, maxOutput })!
      assert.deepStrictEqual([it.reserve, it.threshold, it.keep, it.summary, it.spacing], figures)
      // What a compaction leaves has room for what has to be new before the next.
      if (window >= 16_000 && maxOutput !== undefined) {
        assert.isAtMost(it.keep + it.summary + it.spacing, it.threshold)
      }
    })
  }

  it("are not known where the window is not; then no more than half of what there is stays", () => {
    assert.isUndefined(figuresOf(undefined))
    assert.isUndefined(figuresOf({ maxOutput: 4_096 }))
    assert.strictEqual(keepOf(1_000), 500)
    assert.strictEqual(keepOf(100_000), 8_000)
  })
})

describe("the cut of a conversation", () => {
  const usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
  const call = { type: "tool-call" as const, id: "c", name: "t", args: {} }

  it("is none where nothing lies before it but what stays as it is", () => {
    const conversation = new Conversation()
    const drafts = [
      Draft.user([{ type: "text", text: "a request ".repeat(100) }]),
      Draft.assistant([call], "m", "tool-calls", usage, false),
      Draft.toolSettled("c", "t", "success", "x".repeat(400), undefined)
    ]
    for (const [i, draft] of drafts.entries()) {
      conversation.add(Draft.place(draft, i + 1, i === 0 ? null : i, 0, "o"))
    }
    // All but the request fits, and the request stays in any case.
    assert.isUndefined(cutOf(conversation, 200, 0, 1))
    // Nothing fits: the call and its result are what is summarised.
    assert.deepStrictEqual(cutOf(conversation, 50, 0, 1), { at: 3, firstKept: null })
    // The last turn stays where it is not too large.
    assert.isUndefined(cutOf(conversation, 50, 200, 1))
  })
})
