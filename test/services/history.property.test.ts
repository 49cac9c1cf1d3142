import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import type { Entry } from "effect-baton"
import { Conversation } from "../../src/services/Conversation.js"
import * as Draft from "../../src/services/Draft.js"
import { problems } from "../support/validMessages.js"

/** What is done to a history, with numbers that choose among what is possible then. */
type Deed =
  | { readonly _tag: "start"; readonly kind: "prompt" | "skill" | "compact" }
  | { readonly _tag: "settle"; readonly outcome: "completed" | "failed" | "interrupted" }
  | { readonly _tag: "user"; readonly text: string; readonly own: boolean }
  | { readonly _tag: "reply"; readonly text: string; readonly calls: number; readonly tokens: number }
  | { readonly _tag: "started" | "settled"; readonly pick: number }
  | { readonly _tag: "workspace"; readonly pick: number }
  | { readonly _tag: "move" | "back" | "compact" | "label"; readonly pick: number }

const pick = fc.nat({ max: 1_000 })
const words = fc.string({ minLength: 1, maxLength: 12 })

const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ _tag: fc.constant("start"), kind: fc.constantFrom("prompt", "skill", "compact") })
  },
  {
    weight: 3,
    arbitrary: fc.record({
      _tag: fc.constant("settle"),
      outcome: fc.constantFrom("completed", "failed", "interrupted")
    })
  },
  { weight: 4, arbitrary: fc.record({ _tag: fc.constant("user"), text: words, own: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      _tag: fc.constant("reply"),
      text: words,
      calls: fc.nat({ max: 3 }),
      tokens: fc.nat({ max: 9_000 })
    })
  },
  { weight: 4, arbitrary: fc.record({ _tag: fc.constantFrom("started", "settled"), pick }) },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("workspace"), pick }) },
  { weight: 3, arbitrary: fc.record({ _tag: fc.constantFrom("move", "back", "compact", "label"), pick }) }
) as fc.Arbitrary<Deed>

/** A history grows entry by entry, and with it its fold, as the engine that writes it has it. */
class History {
  readonly entries: Array<Entry.Entry> = []
  warm = new Conversation()
  head: number | null = null
  /** How often the head was moved to where the fold could not go by itself. */
  refolds = 0
  calls = 0

  /** The same history as another engine finds it. */
  get cold(): Conversation {
    return Conversation.at(this.entries, this.head)
  }

  write(draft: Draft.Draft): void {
    const id = this.entries.length + 1
    const parent = draft._tag === "HeadMoved" ? draft.parentId : this.head
    const entry = Draft.place(draft, id, parent, id, "op")
    if (entry._tag === "HeadMoved" && !this.warm.goesBackTo(parent)) {
      this.warm = Conversation.from(this.entries, parent)
      this.refolds++
    } else this.warm.add(entry)
    this.entries.push(entry)
    this.head = id
  }

  apply(deed: Deed): void {
    const { cold, entries } = this
    const last = cold.messages().at(-1)
    switch (deed._tag) {
      case "start":
        return this.write(Draft.operationStarted(deed.kind, undefined, undefined))
      case "settle": {
        const usage = { turns: zero, retries: zero, compactions: zero, tasks: zero, total: zero }
        return this.write(Draft.operationSettled("prompt", undefined, usage, { outcome: deed.outcome }))
      }
      case "user":
        return this.write(deed.own ? Draft.user([{ type: "text", text: deed.text }]) : Draft.note(deed.text))
      case "reply": {
        // A reply answers something.
        if (last === undefined || last.role === "assistant") return
        const calls = Array.from({ length: deed.calls }, () => {
          return { type: "tool-call" as const, id: `call_${this.calls++}`, name: "t", args: {} }
        })
        const usage = { ...zero, input: deed.tokens }
        return this.write(
          Draft.assistant([{ type: "text", text: deed.text }, ...calls], "m", "stop", usage, deed.tokens > 0)
        )
      }
      case "started":
      case "settled": {
        const open = this.warm.unsettled()
        const it = open[deed.pick % Math.max(1, open.length)]
        if (it === undefined) return
        const { id, name } = it.call
        if (deed._tag === "started") return it.started ? undefined : this.write(Draft.toolStarted(id, name))
        return this.write(Draft.toolSettled(id, name, "success", "R", undefined))
      }
      case "workspace": {
        // It is looked at when an operation is accepted.
        if (entries.at(-1)?._tag !== "OperationStarted") return
        const files = [{ path: "AGENTS.md", text: `rule ${deed.pick % 3}` }]
        return this.write(Draft.workspaceRead({ files, skills: [], skipped: [] }))
      }
      case "move":
        return this.write(Draft.headMoved(deed.pick % (entries.length + 1) || null))
      case "back": {
        const start = entries.findLast((entry) => entry._tag === "OperationStarted")
        return start === undefined ? undefined : this.write(Draft.headMoved(start.parentId))
      }
      case "label":
        return entries.length === 0 ? undefined : this.write(Draft.label("x", 1 + (deed.pick % entries.length)))
      case "compact": {
        const starts = cold.starts()
        const cuts = [null, ...starts.slice(1).filter((entry) => entry > 0)]
        if (starts.length === 0) return
        const firstKept = cuts[deed.pick % cuts.length]!
        return this.write(Draft.compaction({ ...compaction, summary: `summary ${entries.length}`, firstKept }))
      }
    }
  }
}

const zero = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
const compaction = {
  trigger: "threshold" as const,
  tokensBefore: 2,
  tokensAfter: 1,
  files: { read: [], changed: ["a"] },
  model: "m",
  usage: zero
}

const histories = fc.array(deed, { maxLength: 60 }).map((deeds) => {
  const history = new History()
  for (const deed of deeds) history.apply(deed)
  return history
})

const facts = (conversation: Conversation) => ({
  messages: conversation.messages(),
  starts: conversation.starts(),
  instructions: conversation.instructions,
  workspace: conversation.workspace,
  skills: conversation.hadSkills,
  measured: conversation.measured,
  compacted: conversation.compacted,
  calls: [...conversation.calls].toSorted()
})

describe("the fold of a history with moves and compactions", () => {
  it("takes nothing for a request because the head stands behind the start of a skill", () => {
    const history = new History()
    const deeds: ReadonlyArray<Deed> = [
      { _tag: "start", kind: "skill" },
      { _tag: "start", kind: "prompt" },
      { _tag: "back", pick: 0 },
      { _tag: "user", text: "a word of the engine", own: false },
      { _tag: "compact", pick: 0 }
    ]
    for (const deed of deeds) {
      history.apply(deed)
      assert.deepStrictEqual(facts(history.warm), facts(history.cold))
    }
    assert.deepStrictEqual(history.cold.request, [])
  })

  it("is the same grown and anew", () => {
    let refolds = 0
    fc.assert(
      fc.property(histories, (history) => {
        refolds += history.refolds
        assert.deepStrictEqual(facts(history.warm), facts(history.cold))
      }),
      { numRuns: 2_000 }
    )
    assert.isAbove(refolds, 50)
  })

  it("is taken by every provider, at every entry of it", () => {
    fc.assert(
      fc.property(histories, ({ entries }) => {
        for (let head = 1; head <= entries.length; head++) {
          const messages = Conversation.at(entries, head).messages()
          if (messages.length > 0) assert.deepStrictEqual(problems(messages), [])
        }
      }),
      { numRuns: 300 }
    )
  })

  it("keeps what follows the cut as it was, and what the user said last", () => {
    let behind = 0
    let kept = 0
    fc.assert(
      fc.property(histories, fc.nat(), (history, which) => {
        const before = history.cold
        const messages = before.messages()
        const starts = before.starts()
        const cuts = [...starts.keys()].filter((i) => i > 0 && starts[i]! > 0)
        if (cuts.length === 0) return
        const cut = cuts[which % cuts.length]!
        if (which % 2 === 0) history.write(Draft.compactionStalled({ ...compaction, reason: "no" }))
        history.write(Draft.compaction({ ...compaction, summary: "SUMMARY", firstKept: starts[cut]! }))
        assert.isUndefined(history.warm.measured)
        assert.isUndefined(history.warm.stalled)
        const [first, ...rest] = history.warm.messages()
        const tail = messages.slice(cut)
        const [head, ...more] = tail
        const told = first?.role === "user" ? first.content : []
        assert.include(told[0]?.type === "text" ? told[0].text : "", "SUMMARY")
        if (head?.role === "user") {
          assert.deepStrictEqual(rest, more)
          assert.deepStrictEqual(told.slice(-head.content.length), head.content)
          kept++
        } else assert.deepStrictEqual(rest, tail)
        // What the user said last stands there, in the tail or before it.
        const own = messages.flatMap((message) => (message.role === "user" ? message.content.filter(isOwn) : []))
        const said = own.at(-1)
        // A skill that was asked for is what was asked last, in the engine's words.
        const isSkill = history.entries.some((it) => it._tag === "OperationStarted" && it.kind === "skill")
        if (said === undefined || isSkill) return
        const now = history.warm.messages().flatMap((it) => (it.role === "user" ? it.content.filter(isOwn) : []))
        assert.deepStrictEqual(now.at(-1), said)
        behind++
      }),
      { numRuns: 2_000 }
    )
    assert.isAbove(behind, 20)
    assert.isAbove(kept, 10)
  })

  it("goes back to before the last operation as if that had never been, compactions included", () => {
    fc.assert(
      fc.property(histories, fc.array(deed, { maxLength: 20 }), (history, deeds) => {
        const before = facts(history.cold)
        const to = history.head
        history.write(Draft.operationStarted("prompt", undefined, undefined))
        for (const it of deeds) if (it._tag !== "start" && it._tag !== "move" && it._tag !== "back") history.apply(it)
        const { refolds } = history
        history.write(Draft.headMoved(to))
        assert.strictEqual(history.refolds, refolds)
        const { calls: _after, ...after } = facts(history.warm)
        const { calls: _before, ...then } = before
        assert.deepStrictEqual(after, then)
      }),
      { numRuns: 500 }
    )
  })
})

const isOwn = (part: Entry.UserPart): boolean => part.type === "image" || part.note !== true
