/**
 * Finding entries by their words.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Entry } from "../../../services/Entry.js"
import type { Query, SessionStore } from "../../../services/SessionStore.js"
import * as Words from "../../../services/Words.js"
import { type Case, same, trial } from "./expect.js"
import { claim, keep, keyOf, session, user } from "./values.js"

type Store = Context.Tag.Service<SessionStore>

/** The hits of a text as `session/place`, the pages put together. */
const found = (store: Store, text: string, more: Partial<Query> = {}) =>
  Effect.gen(function* () {
    const hits: Array<string> = []
    let after: string | undefined
    do {
      const page = yield* store.search({ words: Words.of(text), limit: 3, after, ...more })
      for (const { entry, session } of page.hits) hits.push(`${session}/${entry.id}`)
      after = page.next
    } while (after !== undefined)
    return hits
  })

const at = (id: number, time: number, text: string): Entry => ({ ...user(id, text), at: time })

/** A session of these texts, each a second after the one before. */
const told = (store: Store, id: string, lines: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const it = session(id)
    yield* store.create(it)
    yield* store.append(claim(it, { entries: lines.map((text, i) => at(i + 1, 1000 * (i + 1), text)) }))
    return it
  })

/** `text`, what is looked for, and whether it is found. */
const pairs: ReadonlyArray<readonly [text: string, query: string, isFound: boolean]> = [
  ["caf\u00e9", "cafe\u0301", true],
  ["Cafe\u0301", "CAF\u00c9", true],
  ["cafe", "caf\u00e9", false],
  ["GRO\u00dfE STRASSE", "gro\u00dfe strasse", true],
  ["\u0130stanbul", "\u0130STANBUL", true],
  ["\ufb01le \u2460 \uff21\uff22", "FILE 1 ab", true],
  ["東京都に行く", "京都", true],
  ["東京都に行く", "都行", true],
  ["東京都に行く", "北京", false],
  ["ปลาทู", "ปลา", true],
  ["한국어 문장", "한국어", true],
  ["한국어 문장", "한국", false],
  ["हिन्दी भाषा", "हिन्दी", true],
  ["\u{20000}\u{2a6d6} rare", "\u{2a6d6}", true],
  ["well 😀 done 👩‍👩‍👧", "done", true],
  ["foo-bar_baz.qux", "bar qux", true],
  ["the end", "en", false],
  ["the end", "end the", true],
  ["the end", "the ending", false],
  ["a AND b OR c NOT d NEAR(e)", "and or not near", true],
  ["x", "and", false],
  ["\u1e9b\u0323 ʼn ǆ", "\u1e69 ʼn dž", true],
  ["i".repeat(64) + "j", "i".repeat(64) + "k", true],
  ["i".repeat(63) + "j", "i".repeat(64), false],
  ["😀".repeat(3) + "𝒳".repeat(70), "x".repeat(70), true],
  ["123 4.5", "5 4", true],
  ["١٢٣", "123", false],
  ["ΟΔΟΣ.ΑΒ", "ΟΔΟΣ", true],
  ["ΟΔΟΣ’ οδοσ", "οδος", true]
]

/** What means something to a database's own search, as words that are none. */
const odd = [
  '"',
  "*",
  "a*",
  "NEAR",
  "NOT",
  "w:x",
  "^a",
  "-a",
  "a b",
  "'",
  "\\",
  "&",
  "a:*",
  "!a",
  "",
  " ",
  "\0",
  "\ud800",
  "😀",
  "$1",
  "?",
  "(",
  "{a}",
  "§1",
  "A"
]

export const search: ReadonlyArray<Case> = [
  trial("entries are found by all of their words, those that were made last first", (store) =>
    Effect.gen(function* () {
      yield* same("what is found in nothing", yield* found(store, "a"), [])
      yield* told(store, "a", ["red green", "green blue", "red blue", "red"])
      yield* told(store, "b", ["RED, and green!", "nothing"])
      yield* same("what has one word", yield* found(store, "red"), ["a/4", "a/3", "b/1", "a/1"])
      yield* same("what has both", yield* found(store, "Green red"), ["b/1", "a/1"])
      yield* same("what has all of three", yield* found(store, "green red blue"), [])
      yield* same("what nobody said", yield* found(store, "yellow"), [])
      yield* same("what one session has", yield* found(store, "green", { session: "b" }), ["b/1"])
      yield* same("what nobody's session has", yield* found(store, "green", { session: "x" }), [])
      const page = yield* store.search({ words: ["nothing"], limit: 1 })
      yield* same("a hit", page, { hits: [{ session: "b", entry: at(2, 2000, "nothing") }], next: undefined })
    })
  ),

  trial("pages go on behind each other, and a cursor that is none finds nothing", (store) =>
    Effect.gen(function* () {
      const all = Array.from({ length: 25 }, (_, i) => `word ${i}`)
      const s = yield* told(store, "s", all)
      const expected = all.map((_, i) => `s/${i + 1}`).toReversed()
      for (const limit of [1, 2, 5, 24, 25, 26]) {
        yield* same(`what is found by pages of ${limit}`, yield* found(store, "word", { limit }), expected)
      }
      const first = yield* store.search({ words: ["word"], limit: 5 })
      yield* same(
        "whether a full last page has a next one",
        (yield* store.search({ words: ["word"], limit: 25 })).next,
        undefined
      )
      yield* store.append(keep(s, 26, { entries: [at(26, 99_000, "word")] }))
      const second = yield* store.search({ words: ["word"], limit: 5, after: first.next })
      yield* same(
        "the second page, after something new",
        second.hits.map(({ entry }) => entry.id),
        [20, 19, 18, 17, 16]
      )
      for (const after of ["", "nonsense", "-1", "1", "1/2", "1/2/3/4", "9".repeat(30), "\0", "NaN/1/1"]) {
        const page = yield* store.search({ words: ["word"], limit: 5, after })
        yield* same(`the page behind "${after}"`, page, { hits: [], next: undefined })
      }
    })
  ),

  trial("a page goes on where the last hit of the page before was removed", (store) =>
    Effect.gen(function* () {
      const [a, b, c] = [yield* told(store, "a", ["word"]), session("b"), session("c")]
      for (const [it, time] of [
        [b, 5000],
        [c, 9000]
      ] as const) {
        yield* store.create(it)
        yield* store.append(claim(it, { entries: [at(1, time, "word")] }))
      }
      const first = yield* store.search({ words: ["word"], limit: 2 })
      yield* same(
        "the first page",
        first.hits.map((it) => it.session),
        ["c", "b"]
      )
      yield* store.remove([keyOf(b), keyOf(c)], "me")
      const second = yield* store.search({ words: ["word"], limit: 2, after: first.next })
      yield* same(
        "the second page",
        second.hits.map((it) => it.session),
        [a.id]
      )
    })
  ),

  trial("words are compared without upper and lower case, and however their letters are written", (store) =>
    Effect.gen(function* () {
      yield* told(
        store,
        "s",
        pairs.map(([text]) => text)
      )
      for (const [i, [text, query, isFound]] of pairs.entries()) {
        const hits = yield* found(store, query)
        yield* same(`whether "${text}" is found by "${query}"`, hits.includes(`s/${i + 1}`), isFound)
      }
    })
  ),

  trial("what is no word finds nothing, whatever it means to a database", (store) =>
    Effect.gen(function* () {
      yield* told(store, "s", ["a b near not w x 1 aa", ...odd])
      for (const word of odd) {
        yield* same(`what "${word}" finds`, yield* store.search({ words: [word], limit: 9 }), {
          hits: [],
          next: undefined
        })
        yield* same(
          `what "${word}" finds beside a word`,
          (yield* store.search({ words: ["b", word], limit: 9 })).hits,
          []
        )
      }
      yield* same("what a word finds", yield* found(store, '"near" NOT* (b)'), ["s/1"])
    })
  ),

  trial("of each kind of entry the texts are found that somebody may look for", (store) =>
    Effect.gen(function* () {
      const s = session("s")
      const base = (id: number) => ({ id, parentId: id === 1 ? null : id - 1, at: id, operationId: "o" })
      const usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
      const entries: ReadonlyArray<Entry> = [
        { ...base(1), _tag: "OperationStarted", kind: "prompt", request: { model: "hidden" } },
        {
          ...base(2),
          _tag: "User",
          content: [
            { type: "text", text: "asked" },
            { type: "text", text: "hidden", note: true }
          ]
        },
        {
          ...base(3),
          _tag: "Assistant",
          content: [
            { type: "reasoning", text: "hidden" },
            { type: "text", text: "answered" },
            { type: "tool-call", id: "c", name: "grep", args: { hidden: ["needle", { x: "haystack" }] } }
          ],
          model: "hidden",
          finish: "stop",
          usage,
          usageReported: true
        },
        { ...base(4), _tag: "ToolSettled", callId: "c", name: "grep", outcome: "success", result: "resulted" },
        { ...base(5), _tag: "TaskLink", taskId: "t", child: "hidden", agent: "hidden", description: "delegated" },
        {
          ...base(6),
          _tag: "Compaction",
          summary: "summarised",
          firstKept: 2,
          trigger: "manual",
          tokensBefore: 1,
          tokensAfter: 1,
          files: { read: [], changed: [] },
          model: "hidden",
          usage
        },
        { ...base(7), _tag: "Label", label: "labelled", entry: 2 },
        { ...base(8), _tag: "HeadMoved" }
      ]
      yield* store.create(s)
      yield* store.append(claim(s, { entries }))
      const expected = {
        asked: 2,
        answered: 3,
        grep: 3,
        needle: 3,
        haystack: 3,
        resulted: 4,
        delegated: 5,
        summarised: 6,
        labelled: 7
      }
      for (const [word, id] of Object.entries(expected)) {
        yield* same(`what has "${word}"`, yield* found(store, word), [`s/${id}`])
      }
      yield* same("what nobody is shown", yield* found(store, "hidden"), [])
    })
  ),

  trial("long texts are found by any of their words", (store) =>
    Effect.gen(function* () {
      const words = Array.from({ length: 10_000 }, (_, i) => `word${i}`)
      const wide = Array.from({ length: 7_000 }, (_, i) => `${i}x`.padEnd(64, "y"))
      yield* told(store, "s", [words.join(" "), wide.join("\n"), "word1"])
      yield* same("what has the first and the last", yield* found(store, "word0 word9999"), ["s/1"])
      yield* same("what has two of the long ones", yield* found(store, `${wide[0]} ${wide[6_999]}`), ["s/2"])
      yield* same("what has a word of both", yield* found(store, "word1"), ["s/3", "s/1"])
      yield* same("what has very many words", yield* found(store, words.slice(0, 300).join(" ")), ["s/1"])
      yield* same("what has all of them", yield* found(store, words.join(" ")), ["s/1"])
      yield* same("what has one more", yield* found(store, `${words.join(" ")} more`), [])
    })
  ),

  trial("of texts that are too long the words are found that count, and no others", (store) =>
    Effect.gen(function* () {
      // More bytes than count, and more words, and more letters.
      const wide = Array.from({ length: 25_000 }, (_, i) => `${"한국어문".repeat(3)}${i}`)
      const short = Array.from({ length: 60_000 }, (_, i) => i.toString(36))
      const long = `first ${" ".repeat(500_000)} last`
      const texts = [wide.join(" "), short.join(" "), long, "a".repeat(600_000)]
      yield* told(store, "s", texts)
      for (const [i, text] of texts.entries()) {
        const count = Words.of(text)
        const hit = [`s/${i + 1}`]
        yield* same("what has the first word", yield* found(store, count[0]!), hit)
        yield* same("what has the last one", (yield* found(store, count.at(-1)!)).includes(hit[0]!), true)
      }
      for (const words of [wide, short]) {
        const none = words[Words.of(words.join(" ")).length]!
        yield* same("what has the first that does not count", yield* found(store, none), [])
      }
      yield* same("what has the end of the longest", yield* found(store, "last"), [])
    })
  ),

  trial("what is written after a search is found by the next one, and what was removed is not", (store) =>
    Effect.gen(function* () {
      const s = yield* told(store, "s", ["one word"])
      yield* same("what is found", yield* found(store, "word"), ["s/1"])
      yield* store.append(keep(s, 2, { entries: [at(2, 5000, "another word"), at(3, 6000, "something else")] }))
      yield* same("what is found then", yield* found(store, "word"), ["s/2", "s/1"])
      const t = yield* told(store, "t", ["word"])
      yield* store.remove([keyOf(s)], "me")
      yield* same("what is left", yield* found(store, "word"), ["t/1"])
      yield* store.remove([keyOf(t)], "me")
      yield* same("what is left of nothing", yield* found(store, "word"), [])
      yield* store.create(session("s", { incarnation: "s/2" }))
      yield* store.append(claim(session("s", { incarnation: "s/2" }), { entries: [at(1, 7, "word")] }))
      yield* same("what a later one of the name has", yield* found(store, "word"), ["s/1"])
    })
  ),

  trial(
    "an entry that sessions share is found once: in the one that wrote it, or else in the oldest that has it",
    (store) =>
      Effect.gen(function* () {
        const a = yield* told(store, "a", ["word 1", "word 2", "word 3", "word 4"])
        const fork = (id: string, of: typeof a, seq: number, entries: ReadonlyArray<Entry>) => {
          const made = session(id)
          return Effect.as(store.begin([{ session: made, base: { ...keyOf(of), seq }, entries }]), made)
        }
        const b = yield* fork("b", a, 2, [at(3, 10_000, "word of b")])
        const c = yield* fork("c", a, 3, [at(4, 11_000, "word of c")])
        const d = yield* fork("d", b, 3, [])
        const everything = ["c/4", "b/3", "a/4", "a/3", "a/2", "a/1"]
        yield* same("what is found", yield* found(store, "word"), everything)
        yield* same("what the fork has", yield* found(store, "word", { session: "b" }), ["b/3"])
        yield* same("what the fork of the fork has", yield* found(store, "word", { session: "d" }), [])
        yield* store.remove([keyOf(a)], "me")
        yield* same("what is found then", yield* found(store, "word"), ["c/4", "b/3", "c/3", "b/2", "b/1"])
        yield* same("what the oldest fork has", yield* found(store, "word", { session: "b" }), ["b/3", "b/2", "b/1"])
        yield* same("what the next one has", yield* found(store, "word", { session: "c" }), ["c/4", "c/3"])
        yield* same("what the removed one has", yield* found(store, "word", { session: "a" }), [])
        yield* store.remove([keyOf(b)], "me")
        yield* same("what is left", yield* found(store, "word"), ["c/4", "d/3", "c/3", "c/2", "c/1"])
        yield* same("what the fork of the fork has then", yield* found(store, "word", { session: "d" }), ["d/3"])
        yield* store.remove([keyOf(c)], "me")
        yield* same("what the last one has", yield* found(store, "word"), ["d/3", "d/2", "d/1"])
        yield* store.remove([keyOf(d)], "me")
        yield* same("what nobody has", yield* found(store, "word"), [])
      })
  ),

  trial("what a removed session shares is found, where nobody had searched before it was removed", (store) =>
    Effect.gen(function* () {
      const a = yield* told(store, "a", ["word 1", "word 2", "word 3"])
      const b = session("b")
      yield* store.begin([{ session: b, base: { ...keyOf(a), seq: 2 }, entries: [] }])
      yield* store.remove([keyOf(a)], "me")
      yield* same("what is found", yield* found(store, "word"), ["b/2", "b/1"])
    })
  ),

  trial(
    "entries that are moved away from are found, and those that are written while others search are not missed",
    (store) =>
      Effect.gen(function* () {
        const s = yield* told(store, "s", ["word", "word"])
        yield* store.append(
          keep(s, 3, { entries: [{ _tag: "HeadMoved", id: 3, parentId: null, at: 3, operationId: "o" }] })
        )
        yield* same("what is found", yield* found(store, "word"), ["s/2", "s/1"])
        const many = Array.from({ length: 40 }, (_, i) => i + 4)
        yield* Effect.all(
          [
            Effect.forEach(many, (id) => store.append(keep(s, id, { entries: [at(id, 1000 * id, "word")] }))),
            Effect.forEach(many, () => found(store, "word", { limit: 100 })),
            Effect.forEach(many, () => found(store, "word", { limit: 100 }))
          ],
          { concurrency: "unbounded" }
        )
        yield* same("what is found in the end", yield* found(store, "word", { limit: 100 }), [
          ...many.toReversed().map((id) => `s/${id}`),
          "s/2",
          "s/1"
        ])
      })
  )
]
