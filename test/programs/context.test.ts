/**
 * The figures of windows.
 */
import { assert, describe, it } from "@effect/vitest"
import { figuresOf, keepOf } from "../../src/programs/context.js"

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
