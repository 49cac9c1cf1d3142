import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { compile } from "../../../src/layers/tools/Pattern.js"
import { ground, lines, unblocked } from "../../support/tools.js"

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
          fc.tuple(...parts.map((part) => fc.constantFrom(part.join("").replace(/\*+/g, "*"), "**")), fc.constant("a*"))
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
            ["a/a", "a/b/c", "a/b/a.x", "a/c/a/b", "b/a/a", "b/b.x", "b/c/b", "c/a", "c/b/a/c", "ab", "a.x", "c.x"].map(
              (file) => [file, ""]
            )
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
