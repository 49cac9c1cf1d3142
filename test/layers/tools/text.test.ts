import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { splitParts } from "../../../src/layers/tools/Pattern.js"
import { sliceWhole, tailOf } from "../../../src/layers/tools/text.js"

describe("text", () => {
  it.prop(
    "is never cut inside a character",
    [fc.string({ unit: "binary" }), fc.nat(40), fc.nat(40)],
    ([text, a, b]) => {
      const cut = sliceWhole(text.toWellFormed(), Math.min(a, b), Math.max(a, b))
      assert.isTrue(cut.isWellFormed())
      assert.isAtMost(cut.length, Math.abs(a - b))
      assert.include(text.toWellFormed(), cut)
    }
  )

  it.prop(
    "keeps its end within both bounds",
    [fc.string({ unit: fc.constantFrom("a", "\n", "\u{1F600}") }), fc.integer({ min: 1, max: 5 }), fc.nat(20)],
    ([text, maxLines, maxUnits]) => {
      const { cut, text: kept } = tailOf(text, maxLines, maxUnits)
      assert.isTrue(kept.isWellFormed())
      assert.isTrue(text.endsWith(kept))
      assert.strictEqual(cut + kept.length, text.length)
      assert.isAtMost(kept.length, maxUnits)
      assert.isAtMost(kept.replace(/\n$/, "").split("\n").length, maxLines)
      if (text.length <= maxUnits && text.replace(/\n$/, "").split("\n").length <= maxLines) assert.strictEqual(cut, 0)
    }
  )

  it("takes paths apart", () => {
    assert.deepStrictEqual(splitParts("./a//b/./c/"), ["a", "b", "c"])
  })
})
