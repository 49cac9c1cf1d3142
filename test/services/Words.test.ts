import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Draft from "../../src/services/Draft.js"
import * as Words from "../../src/services/Words.js"

describe("the words of a text", () => {
  it("are its letters and digits, whatever stands between them", () => {
    assert.deepStrictEqual(Words.of('The "quick" brown-fox, the_quick: 42!'), ["the", "quick", "brown", "fox", "42"])
    assert.deepStrictEqual(Words.of("👩‍👩‍👧 … ** -- \0"), [])
  })

  it("are the same however a letter is written", () => {
    for (const [a, b] of [
      ["Cafe\u0301", "caf\u00e9"],
      ["ﬁle", "FILE"],
      ["Ｗｉｄｅ", "wide"],
      ["İstanbul", "i\u0307stanbul"],
      ["ΟΔΟΣ", "οδος"],
      ["οδοσ", "οδος"],
      ["\u{1d6d3} \u03f2", "Σ Σ"]
    ]) {
      assert.deepStrictEqual(Words.of(a!), Words.of(b!))
    }
  })

  it("are the single signs where a script puts no space between words, and whole words beside them", () => {
    assert.deepStrictEqual(Words.of("東京tower へ"), ["東", "京", "tower", "へ"])
    assert.deepStrictEqual(Words.of("हिन्दी में"), ["हिन्दी", "में"])
    assert.deepStrictEqual(Words.of("ภาษา"), ["ภ", "า", "ษ"])
  })

  it("end somewhere, between two code points", () => {
    const [long] = Words.of("𝒜b".repeat(100))
    assert.strictEqual([...long!].length, 64)
    assert.strictEqual(Words.of("𐐷".repeat(100))[0], "𐐷".repeat(64).toLowerCase())
    const many = Array.from({ length: 60_000 }, (_, i) => `w${i}`).join(" ")
    assert.strictEqual(Words.of(many).length, 50_000)
  })

  it("are the same whatever follows a word", () => {
    assert.deepStrictEqual(Words.of("ΟΔΟΣ.ΑΒ ΟΔΟΣ’ ΟΔΟΣ"), [...Words.of("ΟΔΟΣ"), "αβ"])
  })

  it("end where a text has more than counts, in bytes and in length", () => {
    const wide = Array.from({ length: 50_000 }, (_, i) => `${"한국어문장".repeat(4)}${i}`)
    const words = Words.of(wide.join(" "))
    assert.isAtMost(Buffer.byteLength(words.join("")), 1_000_000)
    assert.isAbove(Buffer.byteLength(words.join("")), 999_900)
    assert.deepStrictEqual(words, wide.slice(0, words.length))
    assert.deepStrictEqual(Words.of(`${" ".repeat(499_996)}one two`), ["one"])
    assert.deepStrictEqual(Words.of(`${" ".repeat(499_996)}a to`), ["a", "to"])
    assert.deepStrictEqual(Words.of(`${" ".repeat(499_997)}a to`), ["a", "t"])
    // A ligature of eighteen letters.
    assert.notInclude(Words.of("\ufdfa ".repeat(400_000) + "end"), "end")
  })

  it("of a very long text are found in little time, and of a very long word", () => {
    assert.deepStrictEqual(Words.of("a".repeat(20_000_000)), ["a".repeat(64)])
    assert.deepStrictEqual(Words.of("\u{10437}".repeat(10_000_000)), ["\u{10437}".repeat(64)])
    const long = "word ".repeat(20_000_000)
    const start = performance.now()
    assert.deepStrictEqual(Words.of(long), ["word"])
    assert.isTrue(Words.hasAll(long, ["word"]))
    // A hundredth of what the whole text would take.
    assert.isBelow(performance.now() - start, 1_000)
  })

  it("are all there, or not all of them", () => {
    assert.isTrue(Words.hasAll("The ΟΔΟΣ, cafe\u0301", Words.of("caf\u00e9 οδος")))
    assert.isFalse(Words.hasAll("The cafeteria", ["cafe"]))
    assert.isFalse(Words.hasAll("", ["a"]))
    assert.isFalse(Words.hasAll(`${" ".repeat(500_000)}a`, ["a"]))
    assert.isTrue(Words.hasAll(`${" ".repeat(499_996)}cafe\u0301`, ["cafe"]))
  })

  it("are found again in each other", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const words = Words.of(text)
        assert.deepStrictEqual(Words.of(words.join(" ")), words)
      }),
      { numRuns: 2_000 }
    )
  })
})

describe("the text of an entry", () => {
  it("is what somebody said, did or named, and no word of the engine", () => {
    const call = { type: "tool-call" as const, id: "a", name: "grep", args: { pattern: "needle", paths: ["src", 1] } }
    const usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
    const said: ReadonlyArray<readonly [Draft.Draft, string]> = [
      [
        Draft.user([
          { type: "text", text: "hello" },
          { type: "text", text: "engine", note: true }
        ]),
        "hello"
      ],
      [Draft.assistant([{ type: "text", text: "sure" }, call], "m", "stop", usage, true), "sure\ngrep\nneedle\nsrc"],
      [Draft.toolSettled("a", "grep", "success", "found", undefined), "found"],
      [Draft.label("before the refactoring", 1), "before the refactoring"],
      [Draft.headMoved(null), ""]
    ]
    for (const [draft, text] of said) assert.strictEqual(Words.textOf(draft), text)
  })
})
