import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { type Entry, Sessions, SessionStore } from "effect-baton"
import { HistoryTree } from "effect-baton/history"
import stringWidth from "string-width"
import * as Draft from "../../src/services/Draft.js"
import * as Usage from "../../src/services/Usage.js"
import { engine, open } from "../support/engine.js"
import { acts, agent, hanging, live, script } from "../support/histories.js"
import { row } from "../support/rows.js"
import { append } from "../support/storeWrites.js"

const none = Usage.report(Usage.zero, Usage.zero, Usage.zero, Usage.zero)
const facts = { id: "s", agent: "a", createdAt: 0, origin: null }

/** Operations by what was asked, and moves to an entry. */
const history = (steps: ReadonlyArray<string | number | null | Draft.Draft>): ReadonlyArray<Entry.Entry> => {
  const entries: Array<Entry.Entry> = []
  const add = (draft: Draft.Draft, operationId: string) => {
    const last = entries.length
    const parent = draft._tag === "HeadMoved" ? draft.parentId : last === 0 ? null : last
    entries.push(Draft.place(draft, last + 1, parent, last, operationId))
  }
  for (const step of steps) {
    if (typeof step === "string") {
      add(Draft.operationStarted("prompt", undefined, undefined), step)
      add(Draft.user([{ type: "text", text: step }]), step)
      add(Draft.operationSettled("prompt", undefined, none, { outcome: "completed" }), step)
    } else if (typeof step === "object" && step !== null) add(step, "o")
    else add(Draft.headMoved(step), "move")
  }
  return entries
}

const drawn = (steps: Parameters<typeof history>[0], width?: number) =>
  HistoryTree.draw(HistoryTree.fold(facts, history(steps)), { width })

describe("the tree of a history", () => {
  it("has the operations one after the other, and the head at the last", () => {
    assert.deepStrictEqual(drawn([]), ["s  a · 0 entries"])
    assert.deepStrictEqual(drawn(["one", "two"]), [
      "s  a · 6 entries",
      "├─ 1 ✔ prompt one",
      "└─ 4 ✔ prompt two  ◀ head"
    ])
  })

  it("hangs what the head moved away from where it left", () => {
    assert.deepStrictEqual(drawn(["one", "two", "three", 3, "four", 3, "five", 1]), [
      "s  a · 18 entries",
      "└─ 1 ✔ prompt one  ◀ head",
      "   └─ left behind after 1",
      "      ├─ 2 ✔ rest of prompt one",
      "      │  ├─ left behind after 3",
      "      │  │  ├─ 4 ✔ prompt two",
      "      │  │  └─ 7 ✔ prompt three",
      "      │  └─ left behind after 3",
      "      │     └─ 11 ✔ prompt four",
      "      └─ 15 ✔ prompt five"
    ])
  })

  it("tells of a head before all", () => {
    assert.deepStrictEqual(drawn(["one", null]), [
      "s  a · 4 entries  ◀ head",
      "└─ left behind after nothing",
      "   └─ 1 ✔ prompt one"
    ])
    assert.deepStrictEqual(drawn(["one", null, "two"]), [
      "s  a · 7 entries",
      "├─ left behind after nothing",
      "│  └─ 1 ✔ prompt one",
      "└─ 5 ✔ prompt two  ◀ head"
    ])
  })

  it("has names, compactions, calls, tasks, and how it ended", () => {
    const usage = Usage.zero
    const start = (kind: "prompt" | "shell" | "skill" | "task" | "compact", request?: Entry.Request) =>
      Draft.operationStarted(kind, undefined, request)
    const end = (kind: "prompt" | "shell" | "compact", how: Parameters<typeof Draft.operationSettled>[3]) =>
      Draft.operationSettled(kind, undefined, none, how)
    const bash = { type: "tool-call", id: "c", name: "bash", args: { command: "ls -l" } } as const
    assert.deepStrictEqual(
      drawn([
        start("shell"),
        Draft.assistant([bash], "m", "tool-calls", usage, true),
        end("shell", { outcome: "failed", error: { tag: "SandboxError", message: "no\nsandbox" } }),
        Draft.label("the \u001b[31mstart", 1),
        Draft.label("twice", 1),
        Draft.label("twice", 2),
        start("compact"),
        Draft.compaction({
          summary: "",
          firstKept: null,
          trigger: "manual",
          tokensBefore: 900,
          tokensAfter: 1,
          files: { read: [], changed: [] },
          model: "m",
          usage
        }),
        Draft.compactionStalled({ reason: "", trigger: "threshold", tokensBefore: 1, model: "m", usage }),
        end("compact", { outcome: "interrupted", by: "caller" }),
        start("skill", { skill: "review" }),
        Draft.taskLink("t", "task:s:1", "worker", "some\twork", undefined),
        Draft.taskSettled("t", "task:s:1", "failed", { tag: "LimitReached", message: "" }, usage)
      ]),
      [
        "s  a · 13 entries",
        "├─ 1 ✖ shell ls -l (no sandbox, 1 call)  ⚑ the start  ⚑ twice (2)",
        "├─ 7 ■ compact (by caller)",
        "│  ├─ 8 compacted (manual): 900 to 1 token",
        "│  └─ 9 not compacted (threshold), 1 token",
        "└─ 11 … skill review  ◀ head",
        "   └─ 12 ✖ task worker: some work (LimitReached)",
        "      └─ task:s:1"
      ]
    )
  })

  it("is drawn in as many columns as there are, and no fewer than can be read", () => {
    for (const width of [20, 33, 80]) {
      for (const line of drawn(["我喜歡吃蘋果".repeat(20), "x".repeat(200), 1], width)) {
        assert.isAtMost(stringWidth(line), width)
      }
    }
    assert.deepStrictEqual(drawn(["one"], 1), drawn(["one"], 20))
    assert.deepStrictEqual(drawn(["x".repeat(200)], Number.NaN), drawn(["x".repeat(200)], 80))
    assert.lengthOf(drawn(["x".repeat(200)], Infinity)[1]!, 222)
  })

  it("goes as deep as heads were moved", () => {
    const steps = Array.from({ length: 6_000 }, (_, i) => (i % 2 === 0 ? "x" : Math.max(1, Math.floor(i / 2) * 4 + 1)))
    assert.isAbove(drawn(steps).length, 3_000)
  })

  it("for any moves has every entry once, in its place, and the head at the end of its trunk", () => {
    const steps = fc.array(fc.oneof(fc.constantFrom("a", "b"), fc.nat(40)), { maxLength: 30 })
    fc.assert(
      fc.property(steps, (steps) => {
        let count = 0
        const entries = history(
          steps.map((step) => {
            const it =
              typeof step === "string" || count === 0
                ? typeof step === "string"
                  ? step
                  : null
                : step % (count + 1) || null
            count += typeof it === "string" ? 3 : 1
            return it
          })
        )
        const tree = HistoryTree.fold(facts, entries)
        const starts = new Set<number>()
        const visit = ({ branches, from, steps }: HistoryTree.Branch) => {
          branches.forEach(visit)
          let last = from ?? 0
          for (const step of steps) {
            assert.isAbove(step.from, last)
            assert.isAtLeast(step.to, step.from)
            last = step.to
            assert.isFalse(starts.has(step.from))
            starts.add(step.from)
            assert.strictEqual(step.isRest, entries[step.from - 1]!._tag !== "OperationStarted")
            assert.strictEqual(step.status, "completed")
            for (const branch of step.branches) {
              assert.isTrue(branch.from !== null && branch.from <= step.to)
              visit(branch)
            }
          }
        }
        visit(tree.trunk)
        for (const entry of entries) if (entry._tag === "OperationStarted") assert.isTrue(starts.has(entry.id))
        assert.strictEqual(tree.entries, entries.length)
        // The trunk is the way to the last entry.
        const path = new Set<number>()
        for (
          let at = entries.at(-1);
          at !== undefined;
          at = at.parentId === null ? undefined : entries[at.parentId - 1]
        )
          path.add(at.id)
        for (const step of tree.trunk.steps) assert.isTrue(path.has(step.from) && path.has(step.to))
        const seen = [...path].filter((id) => entries[id - 1]!._tag !== "HeadMoved")
        assert.strictEqual(tree.head, seen.length === 0 ? null : Math.max(...seen))
        const marks = HistoryTree.draw(tree).filter((line) => line.includes("◀ head"))
        assert.lengthOf(marks, entries.length === 0 ? 0 : 1)
      }),
      { numRuns: 500 }
    )
  })
})

describe("the tree of a session", () => {
  it.effect("has the sessions of its tasks to a depth", () =>
    Effect.gen(function* () {
      yield* live("s", [{ does: "call", calls: ["nested", "task"] }])
      const session = yield* open(agent)
      const lines = (tree: HistoryTree.HistoryTree) =>
        HistoryTree.draw(tree, { width: Infinity }).map((line) => line.replace(/:[0-9a-f-]{36}/g, ":id"))
      assert.deepStrictEqual(lines(yield* session.tree({ depth: 0 })), [
        "s  lead · 13 entries",
        "└─ 1 ✔ prompt call nested task (2 calls)  ◀ head",
        "   ├─ 6 ✔ task worker: nested *work*",
        "   │  └─ task:s:id",
        "   └─ 9 ✔ task worker: say sub",
        "      └─ task:s:id"
      ])
      assert.include(lines(yield* session.tree()).join("\n"), "task:task:s:id:id")
      const whole = lines(yield* session.tree({ depth: Infinity }))
      assert.match(whole.join("\n"), /✔ prompt say deep.*  ◀ head$/m)
      assert.deepStrictEqual(lines(yield* session.tree({ depth: 2 })), whole)
      for (const depth of [-1, Number.NaN]) {
        assert.strictEqual(
          (yield* Effect.flip(session.tree({ depth }))).message,
          "Invalid input at depth: it is not a number from 0 on."
        )
      }
      yield* (yield* Sessions.Sessions).remove((yield* session.tree()).trunk.steps[0]!.tasks[0]!.child)
      assert.isUndefined((yield* session.tree()).trunk.steps[0]!.tasks[0]!.session)
      yield* (yield* Sessions.Sessions).remove("s")
      yield* open(agent)
      assert.strictEqual((yield* Effect.flip(session.tree()))._tag, "SessionNotFound")
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("reads each session once, also where a task names one above it", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore.SessionStore
      yield* store.create(row("s"))
      const drafts = [
        Draft.operationStarted("prompt", undefined, undefined),
        Draft.taskLink("t", "task:s:1", "a", "x", undefined)
      ]
      const entries = drafts.map((draft, i) => Draft.place(draft, i + 1, i === 0 ? null : i, 0, "o"))
      yield* store.append(append("s", 1, { entries, children: [row("task:s:1", { parent: "s", depth: 1 })] }))
      const loop = [
        Draft.operationStarted("prompt", undefined, undefined),
        Draft.taskLink("u", "task:s:1", "a", "x", undefined)
      ]
      yield* store.append(
        append("task:s:1", 1, {
          incarnation: "task:s:1-1",
          entries: loop.map((draft, i) => Draft.place(draft, i + 1, i === 0 ? null : i, 0, "o"))
        })
      )
      const tree = yield* HistoryTree.historyTree("s", { depth: Infinity })
      assert.lengthOf(HistoryTree.draw(tree), 7)
    }).pipe(Effect.provide(SessionStore.layerMemory))
  )

  it.scoped("shows what runs", () =>
    Effect.gen(function* () {
      const session = yield* hanging("s")
      const lines = HistoryTree.draw(yield* session.tree())
      assert.match(lines[1]!, /^└─ 1 … prompt hang in a task .*  ◀ head$/)
      assert.match(lines[2]!, /^ {3}└─ \d+ … task worker: hang$/)
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("is clean lines of any history", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(acts, fc.integer({ min: 20, max: 100 }), (past, width) =>
          Effect.gen(function* () {
            yield* live("s", past)
            const lines = HistoryTree.draw(yield* (yield* open(agent)).tree(), { width })
            for (const line of lines) {
              assert.isAtMost(stringWidth(line), width)
              // oxlint-disable-next-line no-control-regex -- They are what must not be there.
              assert.notMatch(line, /[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/)
            }
          }).pipe(Effect.provide(engine(script)), Effect.runPromise)
        ),
        { numRuns: 40 }
      )
    )
  )
})
