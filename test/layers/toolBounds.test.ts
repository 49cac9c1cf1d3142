import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Cost } from "../support/boundsChild.js"
import { child } from "../support/child.js"

/** Where a million names can be made in some seconds: in memory, if there is room for them. */
const memory = (() => {
  try {
    fs.accessSync("/dev/shm", fs.constants.W_OK)
    const { bavail, bsize, ffree } = fs.statfsSync("/dev/shm")
    return ffree > 2_000_000 && bavail * bsize > 2 * 1024 ** 3 ? "/dev/shm" : undefined
  } catch {
    return undefined
  }
})()

/** How many files each of a thousand folders holds. */
const filesInEach = Number(process.env["BATON_FILES"] ?? (memory === undefined ? 100 : 1_000))

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(memory ?? os.tmpdir(), "baton-bounds-")))),
  (root) => Effect.sync(() => fs.rmSync(root, { recursive: true, force: true }))
)

/** Names of one empty file. */
const names = (at: string, count: number) => {
  fs.mkdirSync(at, { recursive: true })
  fs.writeFileSync(path.join(at, "f000"), "")
  for (let n = 1; n < count; n++) fs.linkSync(path.join(at, "f000"), path.join(at, `f${String(n).padStart(3, "0")}`))
}

/**
 * One call in a process of its own: its memory grew by less than 64 MB, and its event loop never stood still for 100 ms.
 * The best of three runs counts, since other tests share the machine.
 */
const bounded = (root: string, tool: string, args: object, pace = 1) =>
  Effect.gen(function* () {
    const report = `${root}.json`
    const costs: Array<Cost> = []
    for (let run = 0; run < 3; run++) {
      assert.strictEqual(yield* child("boundsChild.ts", root, report, tool, JSON.stringify(args), String(pace)), "")
      const cost: Cost = JSON.parse(fs.readFileSync(report, "utf8"))
      fs.rmSync(report)
      costs.push(cost)
      assert.isBelow(cost.text.length, 50_000)
      assert.isTrue(cost.text.isWellFormed())
      if (cost.grown < 64 * 1024 * 1024 && cost.blocked < 100) return cost
    }
    const told = costs.map(({ blocked, grown }) => `${Math.round(grown / 1e6)} MB, ${Math.round(blocked)} ms`)
    return assert.fail(`${tool} ${JSON.stringify(args)}: ${told.join("; ")}`)
  })

const timeout = 240_000

describe("what a tool costs at worst", () => {
  it.scopedLive(
    "an endless output, and 157 MB in one line",
    () =>
      Effect.gen(function* () {
        const root = yield* folder
        const endless = yield* bounded(root, "bash", { command: "yes", timeout: 1 })
        assert.match(endless.text, /^\[The first \d+ bytes of stdout are not shown/)
        assert.include(endless.text, "[Exit code 124")
        const line = Buffer.alloc(1_000_000, "x")
        const file = fs.openSync(path.join(root, "line.txt"), "w")
        for (let n = 0; n < 157; n++) fs.writeSync(file, line)
        fs.closeSync(file)
        const shown = yield* bounded(root, "bash", { command: "cat line.txt" })
        assert.match(shown.text, /^\[The first 1569\d+ bytes of stdout are not shown/)
        const read = yield* bounded(root, "read", { path: "line.txt" })
        assert.include(read.text, "Line 1 is too long")
        const after = yield* bounded(root, "read", { path: "line.txt", offset: 2 })
        assert.include(after.text, "The last line is 1")
        const found = yield* bounded(root, "grep", { pattern: "x+y" })
        assert.include(found.text, "Not searched for being over 10 MB: 1.")
        fs.truncateSync(path.join(root, "line.txt"), 10_000_000)
        const partly = yield* bounded(root, "grep", { pattern: "x+y" })
        assert.include(partly.text, "only their beginning was searched: 1.")
        yield* bounded(root, "grep", { pattern: "xy" })
        const large = yield* bounded(root, "edit", { path: "line.txt", oldText: "xy", newText: "z" })
        assert.include(large.text, "over 5 MB")
      }),
    timeout
  )

  it.scopedLive(
    "bytes that are no text",
    () =>
      Effect.gen(function* () {
        const root = yield* folder
        const bytes = Buffer.alloc(9_000_000, "a\xff\xe9b\xc3(\xed\xa0\x80 \xf0\x9f\n", "latin1")
        fs.writeFileSync(path.join(root, "bytes"), bytes)
        const read = yield* bounded(root, "read", { path: "bytes" })
        assert.include(read.text, "Bytes that are not UTF-8 are shown as \uFFFD.")
        const shell = yield* bounded(root, "bash", { command: "cat bytes" })
        assert.include(shell.text, "\uFFFD")
        const found = yield* bounded(root, "grep", { pattern: "^a.*b" })
        assert.include(found.text, "there are more")
        yield* bounded(root, "grep", { pattern: "z$" })
        fs.truncateSync(path.join(root, "bytes"), 4_900_000)
        const edited = yield* bounded(root, "edit", { path: "bytes", oldText: "a", newText: "b" })
        assert.include(edited.text, "not UTF-8 text")
      }),
    timeout
  )

  it.scopedLive(
    "a million files, and folders of a hundred thousand",
    () =>
      Effect.gen(function* () {
        const root = yield* folder
        for (let n = 0; n < 1_000; n++) names(path.join(root, "all", `d${n}`), filesInEach)
        const few = yield* bounded(root, "glob", { pattern: "all/**/f999.none" })
        assert.strictEqual(few.text, "[No file matches.]")
        const many = yield* bounded(root, "glob", { pattern: "**" })
        assert.include(many.text, "there are more")
        // The limit of a minute, in three seconds.
        const found = yield* bounded(root, "grep", { pattern: "x", path: "all" }, 20)
        assert.include(found.text, "Stopped after 60 seconds")
        names(path.join(root, "wide"), 100_000)
        const wide = yield* bounded(root, "glob", { pattern: "wide/*" })
        assert.match(wide.text, /Cannot list wide: .*; name a folder in it, or look with bash\.$/)
        const below = yield* bounded(root, "glob", { pattern: "**/f000" })
        assert.include(below.text, "[1 folders could not be read.]".slice(1, -1))
      }),
    timeout
  )
})
