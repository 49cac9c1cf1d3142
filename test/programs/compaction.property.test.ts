/**
 * Wherever a conversation is cut, what is left is one that providers take.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import type { Entry } from "effect-baton"
import { Conversation, fold, type Message } from "../../src/services/Conversation.js"
import { cutOf } from "../../src/programs/context.js"
import { messagesTokens } from "../../src/programs/estimate.js"
import { anthropicProblems, chatProblems, responsesProblems } from "../support/providerRules.js"
import { problems } from "../support/validMessages.js"
import { anthropicMessages, bodiesOf, chatCompletions, openAiResponses } from "../support/wire.js"

const png = "iVBORw0KGgo="

const text = fc.integer({ min: 1, max: 600 }).map((length) => `${length} ${"word ".repeat(length / 5)}`)

const input = fc.record({ text, image: fc.boolean() })

const turn = fc.record({
  reasoning: fc.boolean(),
  text: fc.option(text, { nil: undefined }),
  calls: fc.array(
    fc.record({
      result: fc.option(text, { nil: undefined }),
      started: fc.boolean(),
      image: fc.boolean(),
      fails: fc.boolean()
    }),
    { maxLength: 3 }
  ),
  pause: fc.boolean(),
  /** What the user says after it. */
  steer: fc.option(input, { nil: undefined }),
  /** The tokens that a compaction after it may keep, if there is one. */
  compact: fc.option(fc.integer({ min: 0, max: 1_500 }), { nil: undefined })
})

const operation = fc.record({
  kind: fc.constantFrom("prompt" as const, "prompt" as const, "skill" as const, "shell" as const),
  input,
  turns: fc.array(turn, { maxLength: 5 }),
  outcome: fc.constantFrom("completed", "completed", "failed", "interrupted", "none"),
  back: fc.boolean(),
  compact: fc.option(fc.integer({ min: 0, max: 1_500 }), { nil: undefined }),
  scale: fc.constantFrom(1, 1, 1.5, 4)
})

const zero = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }

/** A history as it is written, folded as it goes. */
class Written {
  readonly entries: Array<Entry.Entry> = []
  readonly conversation = new Conversation()
  compactions = 0
  private head: number | null = null
  private calls = 0

  add(entry: Record<string, unknown>): Entry.Entry {
    const id = this.entries.length + 1
    const isMove = entry["_tag"] === "HeadMoved"
    const parentId = isMove ? entry["parentId"] : this.head
    const whole = { at: id, operationId: "op", ...entry, id, parentId } as unknown as Entry.Entry
    this.entries.push(whole)
    this.conversation.add(whole)
    this.head = id
    return whole
  }

  say({ image, text }: { readonly text: string; readonly image: boolean }, note = false): void {
    const parts: Array<unknown> = [{ type: "text", text, ...(note ? { note: true } : undefined) }]
    if (image) parts.push({ type: "image", mediaType: "image/png", data: png })
    this.add({ _tag: "User", content: parts })
  }

  run(it: OperationOf): void {
    const before = this.head
    this.add({ _tag: "OperationStarted", kind: it.kind })
    if (it.kind === "skill") this.say({ text: "A skill.", image: false }, true)
    else this.say(it.input)
    for (const [i, turn] of it.turns.entries()) this.turn(turn, i < it.turns.length - 1, it.scale)
    if (it.outcome !== "none") this.add({ _tag: "OperationSettled", kind: it.kind, outcome: it.outcome })
    if (it.back) this.add({ _tag: "HeadMoved", parentId: before })
    if (it.compact !== undefined) {
      this.add({ _tag: "OperationStarted", kind: "compact" })
      this.compact(it.compact, it.scale)
      this.add({ _tag: "OperationSettled", kind: "compact", outcome: "completed" })
    }
  }

  private turn(turn: TurnOf, goesOn: boolean, scale: number): void {
    const calls = turn.calls.map((call) => ({ ...call, id: `call_${this.calls++}` }))
    const metadata = { anthropic: { type: "thinking", signature: "signed" } }
    const content = [
      ...(turn.reasoning ? [{ type: "reasoning", text: "hm", metadata }] : []),
      ...(turn.text === undefined ? [] : [{ type: "text", text: turn.text }]),
      ...calls.map(({ id }) => ({ type: "tool-call", id, name: "note", args: { text: id } }))
    ]
    const paused = turn.pause && calls.length === 0 && turn.text !== undefined && goesOn
    this.add({ _tag: "Assistant", content, finish: paused ? "pause" : "stop", usage: zero })
    for (const { id, started } of calls) if (started) this.add({ _tag: "ToolStarted", callId: id, name: "note" })
    for (const { fails, id, image, result } of calls.toReversed()) {
      if (result === undefined) continue
      const outcome = fails ? "failure" : "success"
      const parts = [{ type: "image", mediaType: "image/png", data: png }]
      this.add({
        _tag: "ToolSettled",
        callId: id,
        name: "note",
        outcome,
        result: image ? `${result} [image 1: image/png]` : result,
        ...(image ? { content: parts } : undefined)
      })
    }
    if (turn.compact !== undefined) this.compact(turn.compact, scale)
    // Two replies in a row are no history of ours, unless the first one paused.
    if (turn.steer !== undefined) this.say(turn.steer)
    else if (calls.length === 0 && !paused && goesOn) this.say({ text: "Go on.", image: false }, true)
  }

  compact(keep: number, scale: number): void {
    const { conversation } = this
    const before = conversation.messages()
    const cut = cutOf(conversation, keep, keep, scale)
    if (cut === undefined) return
    const latest = conversation.request
    const summary = "S."
    const it = { summary, firstKept: cut.firstKept, files: { read: ["a.ts"], changed: [] } }
    const preview = conversation.preview(it)
    assert.deepStrictEqual(conversation.messages(), before, "a preview changes nothing")
    this.add({ _tag: "Compaction", ...it, trigger: "manual", tokensBefore: 2, tokensAfter: 1, model: "m", usage: zero })
    this.compactions++
    const after = conversation.messages()
    assert.deepStrictEqual(after, preview)
    assert.deepStrictEqual(problems(after), [])
    // What stays stays as it is, and in its order.
    const kept = before.slice(cut.at)
    const [first, ...rest] = kept
    assert.strictEqual(first?.role === "tool", false, "results without their calls")
    if (first?.role === "user") {
      const joined = after[0]!.role === "user" ? after[0]!.content : []
      assert.deepStrictEqual([...joined.slice(-first.content.length)], [...first.content])
      assert.deepStrictEqual(after.slice(1), rest)
    } else assert.deepStrictEqual(after.slice(1), kept)
    if (kept.length > 0) assert.isAtMost(messagesTokens(kept) * scale, keep + 3)
    const own = after.flatMap((message): ReadonlyArray<unknown> => (message.role === "user" ? message.content : []))
    for (const part of latest) assert.isTrue(own.includes(part), "the latest request stays as it is")
    // It is smaller, where what was cut off is more than what stands for it.
    const stands = messagesTokens([{ role: "user", content: latest }]) + 80
    if (messagesTokens(before.slice(0, cut.at)) > stands) assert.isBelow(messagesTokens(after), messagesTokens(before))
  }
}

type OperationOf = typeof operation extends fc.Arbitrary<infer T> ? T : never
type TurnOf = typeof turn extends fc.Arbitrary<infer T> ? T : never

const note = { name: "note", description: "note", inputSchema: { type: "object", properties: {} } }

describe("a random history with compactions", () => {
  it("keeps calls with their results, is smaller, in order, and the same when it is folded again", async () => {
    const all: Array<ReadonlyArray<Message>> = []
    let compactions = 0
    fc.assert(
      fc.property(fc.array(operation, { minLength: 1, maxLength: 6 }), (operations) => {
        const written = new Written()
        for (const it of operations) written.run(it)
        const messages = written.conversation.messages()
        // From the store, by another process.
        const stored = JSON.parse(JSON.stringify(written.entries)) as ReadonlyArray<Entry.Entry>
        assert.deepStrictEqual(JSON.stringify(fold(stored)), JSON.stringify(messages))
        assert.deepStrictEqual(
          JSON.stringify(Conversation.at(stored, stored.length).messages()),
          JSON.stringify(messages)
        )
        assert.deepStrictEqual(problems(messages), [])
        compactions += written.compactions
        if (written.compactions > 0 && messages.length > 0 && messages.at(-1)!.role !== "assistant" && all.length < 60)
          all.push(messages)
      }),
      { numRuns: 150 }
    )
    assert.isAbove(compactions, 150)
    assert.isAbove(all.length, 20)
    const requests = all.map((messages) => ({ instructions: "Be brief.", messages, tools: [note] }))
    const [anthropic, openAi, chat] = await Effect.runPromise(
      Effect.all([
        bodiesOf(anthropicMessages, requests),
        bodiesOf(openAiResponses, requests),
        bodiesOf(chatCompletions, requests)
      ])
    )
    assert.deepStrictEqual(
      anthropic.flatMap((body) => anthropicProblems(body, [{ thinking: "hm", signature: "signed" }])),
      []
    )
    assert.deepStrictEqual(
      openAi.flatMap((body) => responsesProblems(body, [])),
      []
    )
    assert.deepStrictEqual(chat.flatMap(chatProblems), [])
  }, 60_000)
})
