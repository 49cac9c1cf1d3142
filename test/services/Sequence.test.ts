import { assert, describe, it } from "@effect/vitest"
import { CorruptRecord } from "../../src/services/Errors.js"
import type { Entry } from "../../src/services/Entry.js"
import { corruptBy, Misplaced, placesProblem } from "../../src/services/Sequence.js"

const usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
const at = (id: number, parentId: number | null = id === 1 ? null : id - 1) => ({
  id,
  parentId,
  at: 0,
  operationId: "o"
})
const started = (id: number, from?: number | null): Entry => ({
  ...{ _tag: "OperationStarted", ...at(id), kind: "prompt" },
  request: from === undefined ? undefined : { replay: { from, unrecorded: "run" } }
})
const settled = (replayed?: number): Entry => ({
  ...{ _tag: "ToolSettled", ...at(5), callId: "c", name: "n", outcome: "success", result: "" },
  replayed
})
const label = (entry: number | null): Entry => ({ _tag: "Label", ...at(5), label: "x", entry })
const moved = (parentId: number | null): Entry => ({ _tag: "HeadMoved", ...at(5, parentId) })
const compaction = (firstKept: number | null): Entry => ({
  ...{ _tag: "Compaction", ...at(5), summary: "", firstKept, trigger: "manual", tokensBefore: 1, tokensAfter: 1 },
  ...{ files: { read: [], changed: [] }, model: "m", usage }
})
const user = (id: number, parentId: number | null): Entry => ({ _tag: "User", ...at(id, parentId), content: [] })

describe("the places that an entry tells", () => {
  const sound = [
    [started(1), started(5, null), started(5, 4), settled(), settled(4), label(null), label(4)],
    [moved(null), moved(1), moved(4), compaction(null), compaction(4), user(1, null), user(2, 1)]
  ].flat()
  for (const entry of sound) {
    it(`${JSON.stringify(entry)} is sound`, () => assert.isUndefined(placesProblem(entry)))
  }

  const wrong: ReadonlyArray<readonly [Entry, string]> = [
    [user(1, 1), "it does not follow the entry before it"],
    [user(5, 3), "it does not follow the entry before it"],
    [user(5, 5), "it does not follow the entry before it"],
    [user(5, null), "it does not follow the entry before it"],
    [moved(5), "its parent does not come before it"],
    [moved(6), "its parent does not come before it"],
    [started(5, 5), "it replays what does not come before it"],
    [settled(5), "it repeats what does not come before it"],
    [compaction(5), "it keeps what does not come before it"],
    [label(5), "it names what does not come before it"]
  ]
  for (const [entry, reason] of wrong) {
    it(`${JSON.stringify(entry)} is not`, () => assert.strictEqual(placesProblem(entry), reason))
  }
})

it("a record that makes a fold fail is told with what can be read, and anything else is thrown on", () => {
  const entries = [started(1), user(2, 1), user(3, 2)]
  const error = corruptBy("s", entries, new Misplaced(3, "it is none"))
  assert.deepStrictEqual(
    error,
    new CorruptRecord({ session: "s", seq: 3, reason: "it is none", readable: entries.slice(0, 2) })
  )
  assert.throws(() => corruptBy("s", entries, new TypeError("x")), TypeError)
})
