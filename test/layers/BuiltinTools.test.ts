import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, FastCheck as fc, Fiber, Layer, TestClock } from "effect"
import { BuiltinTools, NodeSandbox } from "effect-baton/node"
import { compile, splitParts } from "../../src/layers/tools/Pattern.js"
import { sliceWhole, tailOf } from "../../src/layers/tools/text.js"
import { Limits } from "../../src/services/Limits.js"
import { Sandbox, SandboxTools } from "../../src/services/Sandbox.js"
import type { ToolCall } from "../../src/services/Tool.js"
import { isAlive, pidIn, plant, tempFolder, type Tree } from "../support/folder.js"

/** The tools over a new folder: each call gives the text that the model gets, or fails with it. */
const ground = (tree: Tree) =>
  Effect.gen(function* () {
    const root = yield* tempFolder
    plant(root, tree)
    const context = yield* Layer.build(
      Layer.provideMerge(BuiltinTools.layer, NodeSandbox.layer({ root, killGrace: 100 }))
    )
    const tools = Context.get(context, SandboxTools)
    const use = (name: string, args: object, cwd = ".") =>
      Effect.map(tools.find((tool) => tool.name === name)!.handle(args, callIn(cwd)), (value) => {
        if (typeof value !== "string") assert.fail("a tool gave no text")
        assert.isAtMost(value.length, Context.get(context, Limits).toolResult)
        assert.isTrue(value.isWellFormed())
        return value
      })
    return { root, tools, use, sandbox: Context.get(context, Sandbox) }
  })

const callIn = (cwd: string): ToolCall => ({
  callId: "call-1",
  session: "session-1",
  operationId: "operation-1",
  cwd,
  signal: new AbortController().signal,
  runPromise: (effect) => Effect.runPromise(effect)
})

const lines = (text: string) => text.split("\n").filter((line) => line !== "" && !line.startsWith("["))

/**
 * Runs an effect and makes sure that the event loop was not blocked for 100 ms, in the best of five runs: other tests
 * share the machine.
 */
const unblocked = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    let best = Infinity
    for (let run = 0; run < 5; run++) {
      const [value, blocked] = yield* blockedWhile(effect)
      best = Math.min(best, blocked())
      if (best < 100) return value
    }
    return assert.fail(`the event loop was blocked for ${best} ms`)
  })

const blockedWhile = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      let last = performance.now()
      let longest = 0
      const look = () => {
        const now = performance.now()
        longest = Math.max(longest, now - last)
        last = now
        return longest
      }
      return { look, timer: setInterval(look, 1) }
    }),
    ({ look }) => Effect.map(effect, (value) => [value, look] as const),
    ({ timer }) => Effect.sync(() => clearInterval(timer))
  )

describe("BuiltinTools", () => {
  it.scoped("are given to a model with what it must know", () =>
    Effect.gen(function* () {
      const { tools } = yield* ground({})
      assert.deepStrictEqual(
        tools.map(({ name }) => name),
        ["read", "glob", "grep", "bash"]
      )
      for (const { description, inputSchema, name } of tools) {
        const schema = inputSchema as {
          type: string
          required: ReadonlyArray<string>
          properties: Record<string, { description?: string; type?: string }>
        }
        assert.strictEqual(schema.type, "object", name)
        assert.strictEqual(schema.required.length, 1, name)
        for (const property of Object.values(schema.properties)) {
          assert.isString(property.description)
          assert.isString(property.type)
        }
        assert.isBelow(description.length, 500)
      }
    })
  )

  it.scoped("start from the folder of the call, and are kept inside the sandbox", () =>
    Effect.gen(function* () {
      const { use } = yield* ground({ "a.txt": "top", "sub/a.txt": "below" })
      assert.include(yield* use("read", { path: "a.txt" }, "sub"), "1\tbelow")
      assert.include(yield* use("read", { path: "../a.txt" }, "sub"), "1\ttop")
      assert.strictEqual(yield* use("glob", { pattern: "*" }, "sub"), "a.txt")
      assert.strictEqual(yield* use("glob", { pattern: "*", path: ".." }, "sub"), "../a.txt")
      assert.strictEqual(yield* use("grep", { pattern: "o" }, "sub"), "a.txt:1:below")
      assert.include(yield* use("bash", { command: "cat a.txt" }, "sub"), "below")
      assert.include(yield* use("bash", { command: "cat a.txt", cwd: ".." }, "sub"), "top")
      for (const [name, args] of [
        ["read", { path: "../x" }],
        ["glob", { pattern: "*", path: ".." }],
        ["glob", { pattern: "../*" }],
        ["glob", { pattern: "/etc/*" }],
        ["grep", { pattern: "x", path: "/etc" }],
        ["grep", { pattern: "root", path: "/etc/passwd" }],
        ["bash", { command: "true", cwd: "/" }]
      ] as const) {
        assert.match((yield* Effect.flip(use(name, args))).text, /leads out of the sandbox/, name)
      }
    })
  )

  describe("read", () => {
    it.scoped("numbers lines and tells where the file ends", () =>
      Effect.gen(function* () {
        const { use } = yield* ground({ "a.txt": "one\r\ntwo\n\nfour", "b.txt": "x\n", "empty.txt": "" })
        assert.strictEqual(
          yield* use("read", { path: "a.txt" }),
          "1\tone\r\n2\ttwo\n3\t\n4\tfour\n[End of the file, with no newline at the end of its last line.]"
        )
        assert.strictEqual(
          yield* use("read", { path: "a.txt", offset: 2, limit: 1 }),
          "2\ttwo\n[The file goes on. Read on with offset=3.]"
        )
        assert.strictEqual(yield* use("read", { path: "b.txt" }), "1\tx\n[End of the file.]")
        assert.strictEqual(yield* use("read", { path: "b.txt", limit: 1 }), "1\tx\n[End of the file.]")
        assert.strictEqual(yield* use("read", { path: "b.txt", offset: -3, limit: 0 }), "1\tx\n[End of the file.]")
        assert.strictEqual(
          yield* use("read", { path: "b.txt", offset: 7 }),
          "[The last line is 1; offset 7 is after it.]"
        )
        assert.strictEqual(yield* use("read", { path: "empty.txt" }), "[The file is empty.]")
      })
    )

    it.scoped("says what it cannot show", () =>
      Effect.gen(function* () {
        const { use } = yield* ground({
          "binary.png": new Uint8Array([137, 80, 78, 71, 0, 1, 2, 3]),
          "latin.txt": new Uint8Array([97, 0xe9, 98]),
          "folder/": ""
        })
        assert.strictEqual(yield* use("read", { path: "binary.png" }), "[A binary file of 8 bytes; it is not shown.]")
        const latin = yield* use("read", { path: "latin.txt" })
        assert.include(latin, "1\ta\uFFFDb")
        assert.include(latin, "not UTF-8")
        assert.match((yield* Effect.flip(use("read", { path: "folder" }))).text, /it is a folder/)
        assert.match((yield* Effect.flip(use("read", { path: "none" }))).text, /no such file/)
        assert.match((yield* Effect.flip(use("read", {}))).text, /path: is missing/)
      })
    )

    it.scoped("cuts a line that is too long between two characters", () =>
      Effect.gen(function* () {
        const { root, use } = yield* ground({})
        for (const lead of ["", "a", "ab", "abc"]) {
          fs.writeFileSync(path.join(root, "long.txt"), `${lead}${"\u{1F600}".repeat(2_500_000)}\nnext\n`)
          const text = yield* unblocked(use("read", { path: "long.txt" }))
          assert.match(text, /^1\t[abc]{0,3}\u{1F600}+\n\[Line 1 is too long .* offset=2\.\]$/u)
          assert.isAbove(Buffer.byteLength(text), 48_000)
          // What the note tells leads to the rest.
          const [, from] = /cut -b (\d+)-/.exec(text)!
          const shown = text.slice(2, text.indexOf("\n"))
          assert.strictEqual(Buffer.byteLength(shown) + 1, Number(from))
          assert.include(yield* use("read", { path: "long.txt", offset: 2 }), "2\tnext")
        }
      })
    )

    it.scoped.prop(
      "pages join to the whole file",
      [
        fc.array(
          fc.oneof(
            { weight: 5, arbitrary: fc.string({ unit: "binary", maxLength: 30 }) },
            { weight: 1, arbitrary: fc.integer({ min: 1, max: 30_000 }).map((n) => "\u20AC".repeat(n / 3)) }
          ),
          { maxLength: 60 }
        ),
        fc.boolean(),
        fc.integer({ min: 1, max: 25 })
      ],
      ([words, newline, limit]) =>
        Effect.gen(function* () {
          const text =
            words.map((word) => word.replaceAll(/[\0\n]/g, "").toWellFormed()).join("\n") + (newline ? "\n" : "")
          const { use } = yield* ground({ "a.txt": text })
          let joined = ""
          let offset = 1
          for (;;) {
            const page = yield* use("read", { path: "a.txt", offset, limit })
            const end = page.lastIndexOf("\n[")
            const note = page.slice(end + 1)
            if (end >= 0) {
              for (const line of page.slice(0, end).split("\n")) {
                assert.isTrue(line.startsWith(`${offset}\t`))
                joined += `${line.slice(line.indexOf("\t") + 1)}\n`
                offset++
              }
            }
            const next = /Read on with offset=(\d+)/.exec(note)
            if (next === null) {
              if (note.includes("no newline")) joined = joined.slice(0, -1)
              break
            }
            assert.strictEqual(Number(next[1]), offset)
          }
          assert.strictEqual(joined, text)
        }),
      { fastCheck: { numRuns: 40 } }
    )
  })

  describe("glob", () => {
    it.scoped("finds files in a fixed order, without links, .git, node_modules and what is ignored", () =>
      Effect.gen(function* () {
        const { root, use } = yield* ground({
          ".gitignore": "# a comment\n*.log\n/dist/\n!keep.log\nsub/secret.txt\n",
          ".github/workflows/ci.yml": "",
          ".git/config": "",
          "node_modules/pkg/index.ts": "",
          "dist/out.ts": "",
          "sub/dist/in.ts": "",
          "sub/.gitignore": "local.ts\n!b.log\n",
          "sub/local.ts": "",
          "sub/secret.txt": "",
          "a.log": "",
          "keep.log": "",
          "sub/b.log": "",
          "z.ts": "",
          "sub/deep/y.tsx": "",
          "we[ird].ts": ""
        })
        fs.symlinkSync(root, path.join(root, "sub", "round"))
        fs.symlinkSync("/etc", path.join(root, "etc"))
        const glob = (pattern: string, at?: string) =>
          Effect.map(use("glob", { pattern, ...(at === undefined ? {} : { path: at }) }), lines)
        assert.deepStrictEqual(yield* glob("**"), [
          ".gitignore",
          "keep.log",
          "we[ird].ts",
          "z.ts",
          ".github/workflows/ci.yml",
          "sub/.gitignore",
          "sub/b.log",
          "sub/deep/y.tsx",
          "sub/dist/in.ts"
        ])
        assert.deepStrictEqual(yield* glob("*.ts"), ["we[ird].ts", "z.ts"])
        assert.deepStrictEqual(yield* glob("**/*.{ts,tsx}"), ["we[ird].ts", "z.ts", "sub/deep/y.tsx", "sub/dist/in.ts"])
        assert.deepStrictEqual(yield* glob("sub/**/y.*"), ["sub/deep/y.tsx"])
        assert.deepStrictEqual(yield* glob("y.tsx", "sub/deep"), ["sub/deep/y.tsx"])
        assert.deepStrictEqual(yield* glob("./z.ts"), ["z.ts"])
        assert.deepStrictEqual(yield* glob("*/"), [".github/", "sub/"])
        assert.deepStrictEqual(yield* glob("we\\[*"), ["we[ird].ts"])
        assert.deepStrictEqual(yield* glob(`${root}/sub/*.log`), [`${root}/sub/b.log`])
        // What is passed over can still be asked for by its own name.
        assert.deepStrictEqual(yield* glob("node_modules/**/*.ts"), ["node_modules/pkg/index.ts"])
        assert.deepStrictEqual(yield* glob("*.ts", "dist"), ["dist/out.ts"])
        assert.strictEqual(yield* use("glob", { pattern: "*.py" }), "[No file matches.]")
        assert.match((yield* Effect.flip(use("glob", { pattern: "*", path: "none" }))).text, /no such file/)
        assert.match((yield* Effect.flip(use("glob", { pattern: "a".repeat(1_000) }))).text, /longer than/)
        assert.match((yield* Effect.flip(use("glob", { pattern: "{a,b}".repeat(20) }))).text, /alternatives/)
      })
    )

    it.scoped("gives 1,000 paths at most and says that there are more", () =>
      Effect.gen(function* () {
        const { root, use } = yield* ground({})
        for (let n = 0; n < 1_000; n++) fs.writeFileSync(path.join(root, `f${String(n).padStart(4, "0")}`), "")
        const all = yield* use("glob", { pattern: "*" })
        assert.strictEqual(lines(all).length, 1_000)
        assert.notInclude(all, "[")
        fs.writeFileSync(path.join(root, "g"), "")
        const cut = yield* use("glob", { pattern: "*" })
        assert.strictEqual(lines(cut).length, 1_000)
        assert.include(cut, "there are more")
        const long = "x".repeat(200)
        for (let n = 0; n < 400; n++) fs.writeFileSync(path.join(root, `${long}${n}`), "")
        assert.include(yield* use("glob", { pattern: "x*" }), "there are more")
      })
    )

    it.scoped("takes no time that a pattern could stretch", () =>
      Effect.gen(function* () {
        const { use } = yield* ground({ [`${"a".repeat(250)}`]: "", ".gitignore": `${"*a".repeat(100)}*b\n` })
        for (const pattern of [`${"*a".repeat(100)}b`, `${"**/".repeat(100)}*${"a*".repeat(60)}b`]) {
          const text = yield* unblocked(use("glob", { pattern }))
          assert.strictEqual(text, "[No file matches.]")
        }
      })
    )

    /** The same language, told the slow way: every reading is tried. */
    const naive = (pattern: string, text: string): boolean => {
      if (pattern === "") return text === ""
      if (pattern.startsWith("**/")) {
        if (naive(pattern.slice(3), text)) return true
        const slash = text.indexOf("/")
        return slash >= 0 && naive(pattern, text.slice(slash + 1))
      }
      if (pattern.startsWith("*")) {
        return naive(pattern.slice(1), text) || (text !== "" && text[0] !== "/" && naive(pattern, text.slice(1)))
      }
      const brace = /^\{([^{}]*),([^{}]*)\}/.exec(pattern)
      if (brace !== null) {
        const rest = pattern.slice(brace[0].length)
        return naive(brace[1] + rest, text) || naive(brace[2] + rest, text)
      }
      const set = /^\[([!^]?)(\w)-(\w)\]/.exec(pattern)
      if (set !== null) {
        const between = text !== "" && set[2]! <= text[0]! && text[0]! <= set[3]!
        const fits = text !== "" && text[0] !== "/" && between !== (set[1] !== "")
        return fits && naive(pattern.slice(set[0].length), text.slice(1))
      }
      if (pattern[0] === "?") return text !== "" && text[0] !== "/" && naive(pattern.slice(1), text.slice(1))
      return text[0] === pattern[0] && naive(pattern.slice(1), text.slice(1))
    }

    it.prop(
      "matches what the slow way matches",
      [
        fc
          .array(
            fc.array(fc.constantFrom("a", "b", ".", "*", "?", "[a-b]", "[!a-a]", "{a,b}", "{ab,?}"), {
              minLength: 1,
              maxLength: 4
            }),
            { minLength: 1, maxLength: 4 }
          )
          .chain((parts) =>
            fc.tuple(
              ...parts.map((part) => fc.constantFrom(part.join("").replaceAll("**", "*"), "**")),
              fc.constant("a*")
            )
          )
          .map((parts) => parts.join("/")),
        fc.array(fc.string({ unit: fc.constantFrom("a", "b", ".", "c"), minLength: 1, maxLength: 4 }), {
          minLength: 1,
          maxLength: 5
        })
      ],
      ([pattern, parts]) => {
        // A part that is a dot alone names nothing.
        fc.pre(!pattern.split("/").includes(".") && !parts.includes("."))
        const compiled = compile(pattern)
        if (typeof compiled === "string") return fc.pre(false)
        assert.strictEqual(compiled.matches(parts), naive(pattern, parts.join("/")), `${pattern} on ${parts.join("/")}`)
      },
      { fastCheck: { numRuns: 2_000 } }
    )

    it.scoped.prop(
      "ignores what git ignores",
      [
        fc.array(
          fc
            .tuple(
              fc.constantFrom("", "", "!"),
              fc.constantFrom("", "", "/"),
              fc.array(fc.constantFrom("a", "b", "c", "*", "a*", "?", "[ab]", "**", "*.x", "{a,b}", "\\a"), {
                minLength: 1,
                maxLength: 3
              }),
              fc.constantFrom("", "", "/", " ", "\r")
            )
            .map(([negated, anchor, parts, end]) => negated + anchor + parts.join("/") + end),
          { maxLength: 6 }
        ),
        fc.array(fc.constantFrom("a", "/b", "!a", "*", "!b/", "c/**", "a/b", "!*.x"), { maxLength: 3 })
      ],
      ([top, below]) =>
        Effect.gen(function* () {
          const { root, use } = yield* ground({
            ".gitignore": top.join("\n"),
            "a/.gitignore": below.join("\n"),
            ...Object.fromEntries(
              [
                "a/a",
                "a/b/c",
                "a/b/a.x",
                "a/c/a/b",
                "b/a/a",
                "b/b.x",
                "b/c/b",
                "c/a",
                "c/b/a/c",
                "ab",
                "a.x",
                "c.x"
              ].map((file) => [file, ""])
            )
          })
          const git = (...args: ReadonlyArray<string>) =>
            execFileSync("git", ["-C", root, ...args], {
              encoding: "utf8",
              env: { PATH: process.env["PATH"], GIT_CONFIG_NOSYSTEM: "1", HOME: root, GIT_CONFIG_GLOBAL: "/dev/null" }
            })
          git("init", "-q")
          const untracked = git("-c", "core.excludesFile=/dev/null", "ls-files", "-o", "--exclude-standard")
          const found = yield* use("glob", { pattern: "**" })
          assert.deepStrictEqual(lines(found).toSorted(), lines(untracked).toSorted())
        }),
      { fastCheck: { numRuns: 40 } }
    )
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

    it.scoped("can be interrupted in the middle of its work", () =>
      Effect.gen(function* () {
        const { root, use } = yield* ground({})
        for (let n = 0; n < 40; n++) {
          fs.writeFileSync(path.join(root, `${n}.txt`), `${"ab".repeat(100)}\n`.repeat(20_000))
        }
        const fiber = yield* Effect.fork(use("grep", { pattern: "(?i)(?:\\pL?){900}c$" }))
        yield* Effect.promise(() => fs.promises.stat(root))
        const started = performance.now()
        yield* Fiber.interrupt(fiber)
        assert.isBelow(performance.now() - started, 1_000)
      })
    )
  })

  describe("bash", () => {
    it.scopedLive("tells outputs and the exit code", () =>
      Effect.gen(function* () {
        const { use } = yield* ground({})
        const bash = (command: string) => use("bash", { command })
        assert.strictEqual(yield* bash("echo out"), "out\n[Exit code 0.]")
        assert.strictEqual(yield* bash("printf out; printf err >&2; exit 3"), "out\n[stderr]\nerr\n[Exit code 3.]")
        assert.strictEqual(yield* bash("exit 1"), "[No output.]\n[Exit code 1.]")
        assert.include(yield* bash("printf '\\377'"), "\uFFFD")
      })
    )

    it.scoped("ends a command whose time is over with 124, and takes odd times", () =>
      Effect.gen(function* () {
        const { root, use } = yield* ground({})
        for (const [timeout, seconds] of [
          [2, 2],
          [-1, 1],
          [1e12, 600],
          [undefined, 120]
        ] as const) {
          const file = path.join(root, `${seconds}.pid`)
          const command = `echo before; echo $$ > ${seconds}.pid; sleep 1000`
          const fiber = yield* Effect.fork(use("bash", { command, ...(timeout === undefined ? {} : { timeout }) }))
          const pid = yield* pidIn(file)
          yield* TestClock.adjust(seconds * 1000 - 1)
          assert.isTrue(isAlive(pid))
          yield* TestClock.adjust(1)
          assert.strictEqual(
            yield* Fiber.join(fiber),
            `before\n[Exit code 124: it ran out of its time of ${seconds} s.]`
          )
          assert.isFalse(isAlive(pid))
        }
      })
    )

    it.scopedLive("ends the command with the call", () =>
      Effect.gen(function* () {
        const { root, use } = yield* ground({})
        const command = `bash -c 'trap "" TERM; echo $$ > a.pid; while :; do sleep 1; done' | cat`
        const fiber = yield* Effect.fork(use("bash", { command }))
        const pid = yield* pidIn(path.join(root, "a.pid"))
        yield* Fiber.interrupt(fiber)
        assert.isFalse(isAlive(pid))
      })
    )

    it.scopedLive("gives the end of long outputs and says how much is missing", () =>
      Effect.gen(function* () {
        const { use } = yield* ground({})
        const bash = (command: string) => use("bash", { command })
        const counted = (yield* bash("seq 1 2500")).split("\n")
        assert.strictEqual(counted.length, 1 + 2_000 + 1)
        assert.match(counted[0]!, /^\[The first 1892 bytes of stdout are not shown\./)
        assert.deepStrictEqual(counted.slice(1, 3), ["501", "502"])
        assert.deepStrictEqual(counted.slice(-2), ["2500", "[Exit code 0.]"])

        const wide = yield* bash(`for n in $(seq 1 1000); do printf '%0100d\\n' $n; done`)
        assert.match(wide, /^\[The first \d+ bytes of stdout are not shown\./)
        assert.isAbove(wide.length, 45_000)
        assert.isTrue(wide.split("\n")[1]!.length === 100)

        const both = yield* bash(`seq -f %0100.0f 1 1000; seq -f %0100.0f 1 1000 >&2`)
        assert.include(both, "bytes of stdout are not shown")
        assert.include(both, "bytes of stderr are not shown")
        assert.isAbove(both.length, 45_000)

        const smiles = yield* bash(`yes \u{1F600} | tr -d '\\n' | head -c 10000000; printf x`)
        assert.match(smiles, /^\[The first \d+ bytes of stdout .*\]\n\u{1F600}+x\n\[Exit code 0\.\]$/u)
      })
    )

    it.scopedLive("survives an endless output", () =>
      Effect.gen(function* () {
        const { use } = yield* ground({})
        const text = yield* unblocked(use("bash", { command: "yes", timeout: 1 }))
        assert.match(text, /^\[The first \d+ bytes of stdout are not shown/)
        assert.include(text, "[Exit code 124")
      })
    )
  })

  describe("text", () => {
    it.prop(
      "is never cut inside a character",
      [fc.string({ unit: "binary" }), fc.nat(40), fc.nat(40)],
      ([text, a, b]) => {
        const cut = sliceWhole(text.toWellFormed(), Math.min(a, b), Math.max(a, b))
        assert.isTrue(cut.isWellFormed())
        assert.isAtMost(cut.length, Math.abs(a - b))
        assert.include(text.toWellFormed(), cut)
      }
    )

    it.prop(
      "keeps its end within both bounds",
      [fc.string({ unit: fc.constantFrom("a", "\n", "\u{1F600}") }), fc.integer({ min: 1, max: 5 }), fc.nat(20)],
      ([text, maxLines, maxUnits]) => {
        const { cut, text: kept } = tailOf(text, maxLines, maxUnits)
        assert.isTrue(kept.isWellFormed())
        assert.isTrue(text.endsWith(kept))
        assert.strictEqual(cut + kept.length, text.length)
        assert.isAtMost(kept.length, maxUnits)
        assert.isAtMost(kept.replace(/\n$/, "").split("\n").length, maxLines)
        if (text.length <= maxUnits && text.replace(/\n$/, "").split("\n").length <= maxLines)
          assert.strictEqual(cut, 0)
      }
    )

    it("takes paths apart", () => {
      assert.deepStrictEqual(splitParts("./a//b/./c/"), ["a", "b", "c"])
    })
  })
})
