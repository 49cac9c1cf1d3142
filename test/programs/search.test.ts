import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { Sessions } from "effect-baton"
import { snippetOf } from "../../src/programs/snippet.js"
import * as Words from "../../src/services/Words.js"
import { engine, open } from "../support/engine.js"
import { agent, live, script } from "../support/histories.js"

const segmenter = new Intl.Segmenter("und", { granularity: "grapheme" })
const lengthOf = (text: string) => [...segmenter.segment(text)].length
const marked = (text: string, looked: string) => {
  const { ranges, snippet } = snippetOf(text, new Set(Words.of(looked)))
  return ranges
    .toReversed()
    .reduce((it, [from, to]) => `${it.slice(0, from)}[${it.slice(from, to)}]${it.slice(to)}`, snippet)
}

describe("a snippet", () => {
  const table: ReadonlyArray<readonly [string, string, string, string]> = [
    ["a short text whole", "the quick brown fox", "quick", "the [quick] brown fox"],
    ["every word that was looked for", "The quick QUICK Fox", "fox quick", "The [quick] [QUICK] [Fox]"],
    ["words and not their parts", "foxes fox-like fox", "fox", "foxes [fox]-like [fox]"],
    ["one clean line", "a\r\n\tred\u0007 \u001b[31mfox\u001b[0m\u202e", "red fox", "a [red] [fox]"],
    ["a sequence for a terminal as what it is where it is looked for", "a \u001b[31mfox", "31mfox", "a [[31mfox]"],
    [
      "letters however they are written",
      "\ufb01nd ＦＯＸ e\u0301t \u00e9t",
      "find fox ét",
      "[\ufb01nd] [ＦＯＸ] [e\u0301t] [\u00e9t]"
    ],
    ["a sigma at the end of a word", "ΟΔΟΣ ὁδός", "οδος", "[ΟΔΟΣ] ὁδός"],
    ["scripts without spaces", "我喜歡吃蘋果。", "蘋果", "我喜歡吃[蘋果]。"],
    ["half-wide letters with their marks", "これはﾊﾞｽです", "バス", "これは[ﾊﾞｽ]です"],
    ["the beginning of a text that has none", "some words", "other", "some words"],
    ["nothing of an empty text", "", "x", ""],
    ["nothing of white space", " \n\t ", "x", ""]
  ]
  for (const [what, text, looked, told] of table) {
    it(`has ${what}`, () => assert.strictEqual(marked(text, looked), told))
  }

  it("stands around the first word that is found, with marks where it is cut", () => {
    const text = `${"before ".repeat(40)}needle ${"after ".repeat(60)}`
    const snippet = marked(text, "needle")
    assert.match(snippet, /^….{30,60}\[needle\].{60,110}…$/u)
    assert.isAtMost(lengthOf(snippet) - 2, 160)
  })

  it("begins with a whole character, however many marks it has", () => {
    const one = `a${"\u0301".repeat(20)}`
    const { snippet } = snippetOf(`${one.repeat(100)} needle`, new Set(["needle"]))
    assert.strictEqual(snippet.replaceAll(one, ""), "… needle")
  })

  it("cuts a word that is longer than it, and knows it by its beginning", () => {
    const { ranges, snippet } = snippetOf("x".repeat(100_000), new Set(Words.of("x".repeat(80))))
    assert.deepStrictEqual(ranges, [[0, 159]])
    assert.strictEqual(snippet, `${"x".repeat(159)}…`)
  })

  const text = fc
    .array(
      fc.oneof(
        fc.string({ unit: "binary", maxLength: 8 }),
        fc.string({ unit: "grapheme", maxLength: 8 }),
        fc.constantFrom(
          " ",
          "\n",
          "fox",
          "FOX",
          "é",
          "e\u0301",
          "🏳️‍🌈",
          "🇫🇷",
          "ﾊﾞ",
          "Σ",
          "蘋果",
          "\u001b[1m",
          "\u202e",
          "a".repeat(90),
          " ".repeat(700)
        )
      ),
      { maxLength: 60 }
    )
    .map((parts) => parts.join(""))

  it("is for any text and any of its words one clean line of whole characters, and has the word", () => {
    fc.assert(
      fc.property(text, fc.nat(), (text, n) => {
        const words = Words.of(text)
        const word = words[n % Math.max(1, words.length)] ?? "none"
        const { ranges, snippet } = snippetOf(text, new Set([word]))
        assert.deepStrictEqual(snippetOf(text, new Set([word])), { ranges, snippet })
        // oxlint-disable-next-line no-control-regex -- They are what must not be there.
        assert.notMatch(snippet, /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]|\s\s/u)
        assert.isTrue(snippet.isWellFormed() || !text.isWellFormed())
        assert.isAtMost(lengthOf(snippet), 161)
        let last = 0
        for (const [from, to] of ranges) {
          assert.isTrue(from >= last && to > from && to <= snippet.length)
          last = to
        }
        if (words.length > 0) {
          assert.isAbove(ranges.length, 0)
          const [[from, to]] = ranges as [[number, number]]
          // A sigma is another one at the end of a word.
          const plain = (it: string) => Words.fold(it).replaceAll("ς", "σ")
          const found = plain(snippet.slice(from, to))
          assert.isTrue(found.includes(plain(word)) || plain(word).startsWith(found))
        } else assert.deepStrictEqual(ranges, [])
      }),
      { numRuns: 2_000 }
    )
  })

  it("has no two blanks, also where a mark stands on one", () => {
    assert.strictEqual(snippetOf("a  \u0816b", new Set(["b"])).snippet, "a \u0816b")
    assert.strictEqual(snippetOf(`${" ".repeat(700)}\u0816`, new Set(["\u0816"])).snippet, "… \u0816")
  })

  it("of a long text takes its time, and no more", () => {
    const long = `${"lorem ipsum dolor ".repeat(60_000)}needle ${"蘋".repeat(200_000)}`
    const before = performance.now()
    assert.include(marked(long, "needle"), "[needle]")
    assert.include(marked(long, "蘋"), "蘋")
    assert.isBelow(performance.now() - before, 5_000)
  })
})

describe("searching", () => {
  it.effect("finds what was said, called, given and delegated, newest first, with its place", () =>
    Effect.gen(function* () {
      yield* live("s", [
        { does: "say", text: "the quick fox" },
        { does: "call", calls: ["echo", "nested"] },
        { does: "label", to: 1, text: "a Fox named" }
      ])
      const sessions = yield* Sessions.Sessions
      const { hits, next } = yield* sessions.search("FOX")
      assert.isUndefined(next)
      // All at one time: those of one session by their places.
      assert.deepStrictEqual(
        hits.map(({ kind, snippet }) => [kind, snippet]),
        [
          ["Label", "a Fox named"],
          ["Assistant", "answer to say the quick fox"],
          ["User", "say the quick fox"]
        ]
      )
      const history = yield* (yield* open(agent)).history
      for (const { at, entry, kind, operationId, session } of hits) {
        assert.strictEqual(session, "s")
        const { _tag, at: when, operationId: id } = history[entry - 1]!
        assert.deepStrictEqual([_tag, when, id], [kind, at, operationId])
      }
      const [work] = (yield* sessions.search("nested work")).hits
      assert.deepStrictEqual(work?.ranges, [
        [0, 6],
        [8, 12]
      ])
      // In sessions of tasks too, or in one alone.
      const all = (yield* sessions.search("deep")).hits.map(({ session }) => session)
      assert.isAbove(new Set(all).size, 1)
      const one = (yield* sessions.search("deep", { session: all[0]! })).hits
      assert.deepStrictEqual([...new Set(one.map(({ session }) => session))], [all[0]])
      assert.deepStrictEqual((yield* sessions.search("deep", { session: "nobody" })).hits, [])
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("goes page by page, and finds nothing twice", () =>
    Effect.gen(function* () {
      yield* live(
        "s",
        Array.from({ length: 15 }, (_, i) => ({ does: "say", text: `fox ${i}` }) as const)
      )
      const sessions = yield* Sessions.Sessions
      assert.lengthOf((yield* sessions.search("fox")).hits, 20)
      const seen: Array<number> = []
      let after: string | undefined
      do {
        const page: Sessions.Found = yield* sessions.search("fox", { limit: 7, after })
        seen.push(...page.hits.map(({ entry }) => entry))
        after = page.next
      } while (after !== undefined)
      assert.lengthOf(seen, 30)
      assert.deepStrictEqual(
        seen,
        [...new Set(seen)].toSorted((a, b) => b - a)
      )
      assert.deepStrictEqual((yield* sessions.search("fox", { after: "none" })).hits, [])
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("for nothing, or with options that are none, is refused", () =>
    Effect.gen(function* () {
      const { search } = yield* Sessions.Sessions
      const told = (text: unknown, options?: object) =>
        Effect.map(Effect.flip(search(text as string, options)), ({ message }) => message)
      for (const text of ["", " \n", "!?"]) {
        assert.strictEqual(yield* told(text), "Invalid input at text: it has no words.")
      }
      for (const text of [7, undefined]) {
        assert.strictEqual(yield* told(text), "Invalid input at text: it is not a text.")
      }
      assert.strictEqual(yield* told("x ".repeat(10_001)), "Invalid input at text: it is longer than 20000 characters.")
      const many = Array.from({ length: 101 }, (_, i) => `w${i}`).join(" ")
      assert.strictEqual(yield* told(many), "Invalid input at text: it has more than 100 words.")
      for (const limit of [0, -1, 1.5, 1_001, Number.NaN, "5", null]) {
        assert.strictEqual(
          yield* told("x", { limit }),
          "Invalid input at limit: it is not a whole number from 1 to 1000."
        )
      }
      assert.strictEqual(yield* told("x", { session: 7 }), "Invalid input at session: it is not a text.")
      assert.strictEqual(yield* told("x", { after: 7 }), "Invalid input at after: it is not a text.")
    }).pipe(Effect.provide(engine(script)))
  )
})
