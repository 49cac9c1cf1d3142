import { execFileSync } from "node:child_process"
import { assert, describe, it } from "@effect/vitest"
import { rgPath } from "@vscode/ripgrep"
import { Effect, FastCheck as fc } from "effect"
import { BuiltinTools } from "effect-baton/node"
import { widened } from "../../../src/layers/tools/widened.js"
import { Sandbox, type SearchRequest } from "../../../src/services/Sandbox.js"
import { callIn, ground, lines } from "../../support/tools.js"

/** Patterns as this tool and as ripgrep has them: by the letter they differ in what goes by Unicode there. */
const atom = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("a", "b", "ab", "B", "é", "€", " ", "_", "0", ".").map((it) => [it, it]) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      ["\\w", "[0-9A-Za-z_]"],
      ["\\W", "[^0-9A-Za-z_]"],
      ["\\d", "[0-9]"],
      ["\\D", "[^0-9]"],
      ["\\s", "[\\t\\f\\r ]"],
      ["\\S", "[^\\t\\f\\r ]"],
      ["\\b", "(?-u:\\b)"],
      ["^", "^"],
      ["$", "$"],
      ["\\.", "\\."],
      ["\\<", "<"],
      ["[ab]", "[ab]"],
      ["[^a ]", "[^a ]"],
      ["[a-c_]", "[a-c_]"],
      ["[[:alpha:]]", "[[:alpha:]]"],
      ["[[a]", "[\\[a]"],
      ["[a&&b]", "[a\\&\\&b]"],
      ["[\\w.]", "[0-9A-Za-z_.]"],
      ["]", "\\]"],
      ["{", "\\{"],
      ["\\x61", "\\x61"],
      ["\\pL", "\\pL"],
      ["(?i:é)", "(?i:é)"]
    )
  }
)

type Both = ReadonlyArray<string>

const joined = (parts: ReadonlyArray<Both>, by: string): Both => [
  parts.map(([ours]) => ours).join(by),
  parts.map(([, theirs]) => theirs).join(by)
]

const isAssertion = ([ours]: Both) => ["\\b", "^", "$"].includes(ours!)

const repeated = fc
  .tuple(atom, fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{1,2}", "*?"))
  .map(([both, by]): Both => (isAssertion(both) ? both : both.map((it) => (it.length > 1 ? `(?:${it})` : it) + by)))

const sequence = fc.array(repeated, { minLength: 1, maxLength: 4 }).map((parts) => joined(parts, ""))

const pattern = fc.oneof(
  { weight: 3, arbitrary: sequence },
  {
    weight: 1,
    arbitrary: fc
      .tuple(sequence, sequence, sequence)
      .map(([a, b, c]) => joined([a, joined([b, c], "|").map((it) => `(${it})`)], ""))
  }
)

const line = fc.string({
  unit: fc.constantFrom("a", "b", "A", "c", "0", "_", " ", ".", "é", "É", "€", "<", "[", "]", "&", "{", "\t"),
  maxLength: 8
})

const tree = fc.dictionary(
  fc.stringMatching(/^[a-c]{1,2}(\/[a-e]){0,2}\.(ts|md)$/),
  fc.tuple(fc.array(line, { maxLength: 6 }), fc.constantFrom("\n", "\r\n")).map(([rows, end]) => rows.join(end)),
  { minKeys: 1, maxKeys: 8 }
)

const ripgrep = (root: string, args: ReadonlyArray<string>): ReadonlyArray<string> => {
  try {
    const found = execFileSync(rgPath, ["--no-config", "--no-ignore", "--hidden", "--crlf", ...args, "."], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"]
    })
    return found.split("\n").flatMap((row) => (row === "" ? [] : [row.replace(/^\.\//, "").replace(/\r$/, "")]))
  } catch (error) {
    // One that finds nothing ends with 1.
    if ((error as { status?: number }).status === 1) return []
    throw error
  }
}

const matching = (text: string) => lines(text.replace(/\[No line matches\.\]$/, ""))

describe("grep beside ripgrep", () => {
  it.scoped.prop(
    "finds the lines that ripgrep finds",
    [tree, pattern, fc.boolean()],
    ([files, [ours, theirs], ignoreCase]) =>
      Effect.gen(function* () {
        const { root, use } = yield* ground(files)
        const found = matching(yield* use("grep", { pattern: ours, ignoreCase }))
        const case_ = ignoreCase ? ["-i"] : []
        const expected = ripgrep(root, ["-n", "--no-heading", ...case_, "-e", theirs!])
        assert.deepStrictEqual(found.toSorted(), expected.toSorted())
        const wide = widened(ours!)
        assert.isDefined(wide)
        const asked = new Set(ripgrep(root, ["-l", ...case_, "-e", wide!]))
        for (const row of found) assert.isTrue(asked.has(row.slice(0, row.indexOf(":"))), `${wide} in ${row}`)
      }),
    { fastCheck: { numRuns: 60 }, timeout: 60_000 }
  )

  it("asks for nothing where the two may differ", () => {
    for (const pattern of [
      "\\Qa.b\\E",
      "(?m)a",
      "(?U)a+",
      "[\\W]",
      "[a--b]",
      "\\b*a",
      "a\\b(?s){3}",
      "$+",
      "\\141",
      "\\C",
      "(?P=a)"
    ]) {
      assert.isUndefined(widened(pattern), pattern)
    }
    for (const [pattern, wide] of [
      ["\\bfoo\\b", "foo"],
      ["a$|\\Ab\\z", "a|b"],
      ["(?i)x{2,}{", "(?i)x{2,}\\{"],
      ["a{,2}]", "a\\{,2\\}\\]"],
      ["(?P<n>[]a])", "(?P<n>[\\]a])"],
      ["\\W", "(?-i:[^0-9A-Za-z_])"]
    ] as const) {
      assert.strictEqual(widened(pattern), wide)
    }
  })

  /** The tool over a sandbox that knows where to look: the files that match, and others, in whatever order. */
  const over = (
    sandbox: typeof Sandbox.Service,
    candidates: (request: SearchRequest) => ReadonlyArray<string> | undefined,
    args: object
  ) =>
    BuiltinTools.grep
      .handle(args, callIn("."))
      .pipe(
        Effect.provideService(Sandbox, { ...sandbox, candidates: (request) => Effect.sync(() => candidates(request)) }),
        Effect.map(String)
      )

  it.scoped.prop(
    "says the same by candidates as by a walk",
    [
      tree,
      pattern,
      fc.boolean(),
      fc.constantFrom(undefined, "*.ts", "a/*", "**/[a-c].md"),
      fc.constantFrom(".", "a"),
      fc.infiniteStream(fc.nat())
    ],
    ([files, [ours], ignoreCase, glob, path, numbers]) =>
      Effect.gen(function* () {
        const { sandbox, use } = yield* ground({
          ...files,
          "a/many.ts": "ab \n".repeat(60),
          "b/many.ts": "ab \n".repeat(60)
        })
        const args = { pattern: ours, ignoreCase, path, ...(glob === undefined ? {} : { glob }) }
        const walked = yield* use("grep", args)
        const all = [...Object.keys(files), "a/many.ts", "b/many.ts"]
          .filter((file) => path === "." || file.startsWith(`${path}/`))
          .map((file) => (path === "." ? file : file.slice(path.length + 1)))
        const found = new Set(
          matching(walked).map((row) => row.slice(path === "." ? 0 : path.length + 1, row.indexOf(":")))
        )
        const more = walked.includes("there are more")
        let asked: SearchRequest | undefined
        const listed = yield* over(
          sandbox,
          (request) => {
            asked = request
            return all
              .filter((file) => more || found.has(file) || numbers.next().value! % 2 === 0)
              .map((file) => [numbers.next().value!, file] as const)
              .toSorted(([a], [b]) => a - b)
              .flatMap(([, file]) => (numbers.next().value! % 3 === 0 ? [file, file] : [file]))
          },
          args
        )
        assert.strictEqual(listed, walked)
        assert.deepStrictEqual(asked, { pattern: ours!, ignoreCase, path, cwd: "." })
      }),
    { fastCheck: { numRuns: 60 }, timeout: 60_000 }
  )

  it.scoped("reads candidates alone, and walks where there are none to be had", () =>
    Effect.gen(function* () {
      const { sandbox } = yield* ground({ "a.ts": "one", "b.ts": "one", "c/d.ts": "one" })
      let asked: string | undefined
      const grep = (listed: ReadonlyArray<string> | undefined, args: object = {}) =>
        over(
          sandbox,
          (request) => {
            asked = request.pattern
            return listed
          },
          { pattern: "one", ...args }
        )
      assert.strictEqual(yield* grep(["c/d.ts", "./a.ts"]), "a.ts:1:one\nc/d.ts:1:one")
      assert.strictEqual(yield* grep([]), "[No line matches.]")
      assert.strictEqual(yield* grep(undefined), "a.ts:1:one\nb.ts:1:one\nc/d.ts:1:one")
      // One file is not searched for. An expression is asked for as it is, whatever it is.
      assert.strictEqual(yield* grep([], { path: "b.ts" }), "b.ts:1:one")
      for (const pattern of ["\\Qone\\E", "\\bone$", "[\\D]ne", "$+|one", "\\b*one"]) {
        assert.strictEqual(yield* grep(["c/d.ts"], { pattern }), "c/d.ts:1:one", pattern)
        assert.strictEqual(asked, pattern)
      }
      assert.strictEqual(yield* grep(["gone.ts", "a.ts"]), "a.ts:1:one\n[Files that could not be read: 1.]")
    })
  )
})
