import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, FastCheck as fc, Fiber } from "effect"
import { BuiltinTools } from "effect-baton/node"
import { Sandbox } from "../../../src/services/Sandbox.js"
import { callIn, ground, lines, unblocked } from "../../support/tools.js"

/** One turn of the event loop. */
const turn = Effect.async<void>((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

describe("grep", () => {
  it.scoped("finds lines by path, glob and case", () =>
    Effect.gen(function* () {
      const { root, use } = yield* ground({
        "a.ts": "const one = 1\r\nconst Two = 2\n",
        "b.md": "one\n",
        "sub/c.ts": "xonex",
        "sub/d.bin": new Uint8Array([111, 110, 101, 0]),
        ".gitignore": "hidden",
        "hidden/e.ts": "one",
        "node_modules/f.ts": "one"
      })
      fs.symlinkSync("a.ts", path.join(root, "link.ts"))
      const grep = (args: object) => Effect.map(use("grep", args), lines)
      assert.deepStrictEqual(yield* grep({ pattern: "one" }), [
        "a.ts:1:const one = 1",
        "b.md:1:one",
        "sub/c.ts:1:xonex"
      ])
      assert.deepStrictEqual(yield* grep({ pattern: "ONE", ignoreCase: true, glob: "*.ts" }), [
        "a.ts:1:const one = 1",
        "sub/c.ts:1:xonex"
      ])
      assert.deepStrictEqual(yield* grep({ pattern: "one", glob: "sub/*" }), ["sub/c.ts:1:xonex"])
      assert.deepStrictEqual(yield* grep({ pattern: "^const \\w+ = \\d$" }), [
        "a.ts:1:const one = 1",
        "a.ts:2:const Two = 2"
      ])
      assert.deepStrictEqual(yield* grep({ pattern: "one", path: "sub" }), ["sub/c.ts:1:xonex"])
      assert.deepStrictEqual(yield* grep({ pattern: "one", path: "hidden/e.ts" }), ["hidden/e.ts:1:one"])
      assert.strictEqual(yield* use("grep", { pattern: "three" }), "[No line matches.]")
      assert.match((yield* Effect.flip(use("grep", { pattern: "one", path: "none" }))).text, /no such file/)
      for (const pattern of ["(", "(a)\\1", "(?=a)", "a{1001}", "(a{900}){900}", "\\pL{900}".repeat(20)]) {
        assert.match((yield* Effect.flip(use("grep", { pattern }))).text, /^Cannot grep: /, pattern)
      }
      assert.match((yield* Effect.flip(use("grep", { pattern: "a".repeat(501) }))).text, /longer than/)
    })
  )

  it.scoped("gives 100 lines of 500 characters at most and says that there are more", () =>
    Effect.gen(function* () {
      const { root, use } = yield* ground({ "a.txt": "hit\n".repeat(100) })
      const all = yield* use("grep", { pattern: "hit" })
      assert.strictEqual(lines(all).length, 100)
      assert.notInclude(all, "[")
      fs.writeFileSync(path.join(root, "b.txt"), "hit")
      assert.include(yield* use("grep", { pattern: "h.t" }), "there are more")

      const smile = "\u{1F600}"
      for (const lead of ["", "x"]) {
        fs.writeFileSync(
          path.join(root, "long.txt"),
          `${lead}${smile.repeat(300)}needle${smile.repeat(300)}\n`.repeat(120)
        )
        const cut = yield* use("grep", { pattern: "needle", path: "long.txt" })
        assert.include(cut, "there are more")
        for (const line of lines(cut)) {
          const shown = line.slice(line.indexOf(":", line.indexOf(":") + 1) + 1)
          assert.isAtMost(shown.length, 500)
          assert.isAbove(shown.length, 490)
          assert.include(shown, "needle")
        }
      }
    })
  )

  it.scoped("a byte order mark is no part of the first line", () =>
    Effect.gen(function* () {
      const { use } = yield* ground({
        "a.cs": "\uFEFFusing A\r\nusing B\r\n",
        "b.cs": `\uFEFFusing C\n${"x\n".repeat(50_000)}`
      })
      assert.strictEqual(yield* use("grep", { pattern: "^using" }), "a.cs:1:using A\na.cs:2:using B\nb.cs:1:using C")
      assert.strictEqual(yield* use("grep", { pattern: "^using [AC]$" }), "a.cs:1:using A\nb.cs:1:using C")
      assert.strictEqual(yield* use("grep", { pattern: "\\Ausing" }), "a.cs:1:using A\na.cs:2:using B\nb.cs:1:using C")
    })
  )

  it.scoped("tells lines by their number in the file, however much was passed over before them", () =>
    Effect.gen(function* () {
      const { use } = yield* ground({ "deep.txt": `${"abc\n".repeat(60_000)}needle\n${"abc\n".repeat(10)}needle` })
      for (const pattern of ["needle", "n(?:e?){400}dle", "(?i)NEEDLE"]) {
        assert.strictEqual(yield* use("grep", { pattern }), "deep.txt:60001:needle\ndeep.txt:60012:needle", pattern)
      }
    })
  )

  it.scoped("passes over files that are too large, and says so", () =>
    Effect.gen(function* () {
      const { root, use } = yield* ground({ "a.txt": "hit" })
      fs.writeFileSync(path.join(root, "large.txt"), "hit\n".repeat(2_700_000))
      const text = yield* use("grep", { pattern: "hit", glob: "*.txt" })
      assert.deepStrictEqual(lines(text), ["a.txt:1:hit"])
      assert.include(text, "over 10 MB: 1")
    })
  )

  it.scoped("answers a hostile expression at once and lets others run", () =>
    Effect.gen(function* () {
      const { root, use } = yield* ground({
        "line.txt": `${"a".repeat(200_000)}!`,
        "unicode.txt": "a".repeat(200_000)
      })
      fs.writeFileSync(path.join(root, "lines.txt"), `${"ab".repeat(100)}\n`.repeat(10_000))
      for (const pattern of [
        "(a+)+$",
        "(a|aa)*(a|aa)*(a|aa)*b$",
        "(?:a?){400}(?:b?){400}c$",
        "(?i)(?:\\pL?){900}c$",
        "(?:[a-z]{0,31}){0,31}!x",
        "([ab]*[a-z]*)*!!"
      ]) {
        const started = performance.now()
        yield* unblocked(use("grep", { pattern }))
        assert.isBelow(performance.now() - started, 20_000, pattern)
      }
      const note = yield* use("grep", { pattern: "(?:[a-z]{0,31}){0,31}!x", path: "line.txt" })
      assert.include(note, "only their beginning was searched: 1")
    })
  )

  it.scoped.prop(
    "finds what a plain search finds",
    [
      fc.dictionary(
        fc.stringMatching(/^[a-c]{1,2}(\/[d-e]){0,2}\.(ts|md)$/),
        fc.array(fc.string({ unit: fc.constantFrom("a", "b", "\u20AC", " ", "\u{1F600}", "\r"), maxLength: 8 }), {
          maxLength: 8
        }),
        { maxKeys: 8 }
      ),
      fc.constantFrom("a", "ab", "^a", "b$", "a.b", "(a|b)+\u20AC", "[^a]", "a{2}", "\u{1F600}", " +", "^$", "\\bb"),
      fc.boolean()
    ],
    ([dictionary, pattern, onlyTs]) =>
      Effect.gen(function* () {
        const files = Object.entries(dictionary)
        const { use } = yield* ground(Object.fromEntries(files.map(([file, rows]) => [file, rows.join("\n")])))
        const expected = files
          .filter(([file]) => !onlyTs || file.endsWith(".ts"))
          .flatMap(([file, rows]) =>
            rows
              // The text ends where the last newline is: nothing after it is no line.
              .filter((row, index) => index < rows.length - 1 || row !== "")
              .map((row) => row.replace(/\r$/, ""))
              .flatMap((row, index) => (new RegExp(pattern, "us").test(row) ? [`${file}:${index + 1}:${row}`] : []))
          )
        const found = yield* use("grep", { pattern, ...(onlyTs ? { glob: "*.ts" } : {}) })
        const shown = found.replace(/(^|\n)\[No line matches\.\]$/, "")
        assert.deepStrictEqual((shown === "" ? [] : shown.split("\n")).toSorted(), expected.toSorted())
      }),
    { fastCheck: { numRuns: 60 } }
  )

  it.scoped("takes no cut of a line for its end", () =>
    Effect.gen(function* () {
      const { root, use } = yield* ground({})
      const partly = "Files with lines so long that only their beginning was searched: 1."
      for (const [pattern, line, matches] of [
        ["a$", "a".repeat(100_001), false],
        ["a\\z|b", "a".repeat(100_001), false],
        ["foo\\b", `${"-".repeat(99_997)}food`, false],
        ["foo\\b", `${"-".repeat(99_997)}foo-`, true],
        ["(?i)o\\Bd", `${"-".repeat(99_998)}od--`, true],
        ["(?i)^-+O\\b", `${"-".repeat(99_999)}od`, false],
        ["(?i)^-+O\\B", `${"-".repeat(99_999)}od`, true],
        ["a+$|a+", "a".repeat(100_001), true],
        ["b.*", `${"a".repeat(99_999)}bb`, true],
        ["(?s)b(.*)", `${"a".repeat(99_999)}bb`, true],
        ["\u{1F600}+$", "\u{1F600}".repeat(50_001), false],
        ["\\Qa$", `${"a".repeat(99_998)}a$a`, true]
      ] as const) {
        fs.writeFileSync(path.join(root, "line.txt"), line)
        const said = yield* use("grep", { pattern })
        assert.include(said, partly, pattern)
        assert.strictEqual(said.startsWith("line.txt:1:"), matches, `${pattern}: ${said.slice(-200)}`)
      }
    })
  )

  it.scoped("can be interrupted in the middle of its work", () =>
    Effect.gen(function* () {
      const { root, sandbox } = yield* ground({})
      fs.writeFileSync(path.join(root, "large.txt"), `${"ab".repeat(100)}\n`.repeat(20_000))
      const begun = yield* Deferred.make<void>()
      let reads = 0
      // The first piece is searched after a second look at the file, which is for its size.
      const note = Effect.suspend(() => (++reads === 2 ? Deferred.succeed(begun, undefined) : Effect.void))
      const noted = Sandbox.of({
        ...sandbox,
        read: (at, options) => Effect.ensuring(sandbox.read(at, options), note)
      })
      const search = BuiltinTools.grep.handle({ pattern: "(?i)(?:\\pL?){900}c$" }, callIn("."))
      const fiber = yield* Effect.fork(Effect.provideService(search, Sandbox, noted))
      yield* Deferred.await(begun)
      yield* Effect.repeatN(turn, 20)
      // To search that piece takes more than 150 turns of the event loop.
      let turns = 0
      yield* Effect.race(Fiber.interrupt(fiber), Effect.forever(Effect.tap(turn, () => turns++)))
      assert.isBelow(turns, 50)
    })
  )
})
