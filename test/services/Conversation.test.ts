import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { Conversation, type Entry } from "effect-baton"
import { Conversation as Fold } from "../../src/services/Conversation.js"
import { problems } from "../support/validMessages.js"

const user: fc.Arbitrary<Record<string, unknown>> = fc.record({
  _tag: fc.constant("User"),
  content: fc.array(fc.record({ type: fc.constant("text"), text: fc.string({ minLength: 1 }) }), {
    minLength: 1,
    maxLength: 2
  })
})

/** What an engine may write, in any order that it could be cut, and more. */
const draft: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  fc.record({ _tag: fc.constant("OperationStarted"), kind: fc.constant("prompt") }),
  fc.record({
    _tag: fc.constant("OperationSettled"),
    kind: fc.constant("prompt"),
    outcome: fc.constantFrom("completed", "failed", "interrupted")
  }),
  user,
  fc.record({
    _tag: fc.constant("Assistant"),
    usage: fc.constant({ input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }),
    content: fc.oneof(
      fc.constant([]),
      fc.constant([{ type: "reasoning", text: "hm" }]),
      fc.constant([{ type: "text", text: "yes" }]),
      fc
        .uniqueArray(fc.constantFrom("a", "b", "c"), { minLength: 1 })
        .map((ids) => ids.map((id) => ({ type: "tool-call", id, name: "t", args: {} })))
    )
  }),
  fc.record({ _tag: fc.constant("ToolStarted"), callId: fc.constantFrom("a", "b", "c", "d"), name: fc.constant("t") }),
  fc.record({
    _tag: fc.constant("ToolSettled"),
    callId: fc.constantFrom("a", "b", "c", "d"),
    name: fc.constant("t"),
    outcome: fc.constantFrom("success", "failure"),
    result: fc.string()
  })
)

const historiesOf = (drafts: fc.Arbitrary<ReadonlyArray<Record<string, unknown>>>) =>
  drafts.map((all) => {
    const entries = all.map((it, i) => ({ ...it, id: i + 1, parentId: i === 0 ? null : i, at: i, operationId: "op" }))
    // A session is opened by its user: no reply comes before the first input.
    const first = entries.findIndex((entry) => "_tag" in entry && entry._tag === "User")
    return (first < 0 ? [] : entries.slice(first)) as unknown as ReadonlyArray<Entry.Entry>
  })

const histories = historiesOf(fc.array(draft, { maxLength: 40 }))

/** The same, where the user mostly says one thing after the other. */
const talks = historiesOf(
  fc.array(fc.oneof({ weight: 3, arbitrary: user }, { weight: 1, arbitrary: draft }), { maxLength: 40 })
)

/** Two replies in a row are no history of ours: the first is answered by the user before the second is asked for. */
const alternating = (entries: ReadonlyArray<Entry.Entry>): ReadonlyArray<Entry.Entry> => {
  let answered = false
  return entries.filter((entry) => {
    if (entry._tag === "User") answered = false
    if (entry._tag !== "Assistant" || !entry.content.some((part) => part.type !== "reasoning")) return true
    if (answered) return false
    answered = !entry.content.some((part) => part.type === "tool-call")
    return true
  })
}

const failed = "[The request above failed (unknown) before it was answered.]"
const partsOf = (message: Conversation.Message | undefined) => (message?.role === "user" ? message.content : [])
const none = { read: [], changed: [] }

describe("the fold", () => {
  it("is taken by every provider, wherever the history was cut", () => {
    fc.assert(
      fc.property(histories, (entries) => {
        assert.deepStrictEqual(problems(Conversation.fold(alternating(entries))), [])
      }),
      { numRuns: 2_000 }
    )
  })

  it("is deterministic, and extended entry by entry it says the same", () => {
    fc.assert(
      fc.property(histories, (entries) => {
        const grown = new Fold()
        for (const entry of entries) grown.add(entry)
        assert.deepStrictEqual(grown.messages(), Conversation.fold(entries))
        assert.deepStrictEqual(Conversation.fold(entries), Conversation.fold(JSON.parse(JSON.stringify(entries))))
      })
    )
  })

  it("of inputs that nobody replied to takes time in proportion, also where each is a request that failed", () => {
    const inputs = (count: number): ReadonlyArray<Entry.Entry> => {
      const drafts = Array.from({ length: count }).flatMap((_, i) => [
        { _tag: "OperationStarted", kind: "prompt" },
        { _tag: "User", content: [{ type: "text", text: String(i) }] },
        { _tag: "OperationSettled", kind: "prompt", outcome: "failed" }
      ])
      return drafts.map((it, i) => ({ ...it, id: i + 1, parentId: i || null, at: i, operationId: "op" })) as never
    }
    const [first] = Conversation.fold(inputs(3))
    assert.deepStrictEqual(
      partsOf(first).map((part) => ("text" in part ? part.text : "")),
      ["0", failed, "1", failed, "2"]
    )
    const entries = inputs(100_000)
    const from = performance.now()
    assert.lengthOf(partsOf(Conversation.fold(entries)[0]), 199_999)
    // It takes a fraction of a second; copied each time it would be minutes.
    assert.isBelow(performance.now() - from, 5_000)
  })

  it("hands out what no later entry changes", () => {
    fc.assert(
      fc.property(talks, fc.infiniteStream(fc.constantFrom("none", "messages", "preview")), (entries, looks) => {
        const grown = new Fold()
        const handed: Array<readonly [ReadonlyArray<Conversation.Message>, string]> = []
        for (const entry of entries) {
          grown.add(entry)
          const look = looks.next().value
          // To look ends the turn that is open.
          if (look === "none" || grown.unsettled().length > 0) continue
          const firstKept = grown.starts().find((start) => start > 0) ?? null
          const seen = look === "messages" ? grown.messages() : grown.preview({ summary: "s", firstKept, files: none })
          handed.push([seen, JSON.stringify(seen)])
        }
        for (const [messages, letter] of handed) assert.strictEqual(JSON.stringify(messages), letter)
      })
    )
  })

  it("puts results in the order of the calls and says what became of the others", () => {
    const at = { parentId: null, at: 0, operationId: "op" }
    const calls = ["a", "b", "c"].map((id) => ({ type: "tool-call" as const, id, name: "t", args: {} }))
    const zero = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
    const entries: ReadonlyArray<Entry.Entry> = [
      { ...at, id: 1, _tag: "User", content: [{ type: "text", text: "x" }] },
      {
        ...at,
        id: 2,
        _tag: "Assistant",
        content: calls,
        model: "m",
        finish: "tool-calls",
        usage: zero,
        usageReported: true
      },
      { ...at, id: 3, _tag: "ToolStarted", callId: "b", name: "t" },
      { ...at, id: 4, _tag: "ToolStarted", callId: "c", name: "t" },
      { ...at, id: 5, _tag: "ToolSettled", callId: "c", name: "t", outcome: "success", result: "C" }
    ]
    const [, , results] = Conversation.fold(entries)
    assert.deepStrictEqual(
      results?.role === "tool" ? results.results.map(({ callId, isError, text }) => [callId, isError, text]) : [],
      [
        ["a", true, "The call was not run."],
        ["b", true, "The call was started and its end was not recorded; its effects are possible."],
        ["c", false, "C"]
      ]
    )
  })
})
