import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { rgPath } from "@vscode/ripgrep"
import { type Context, Effect, FastCheck as fc, Fiber, Inspectable } from "effect"
import { BuiltinTools } from "effect-baton/node"
import { RE2JS } from "re2js"
import { superset } from "../../../src/layers/sandbox/superset.js"
import { everything } from "../../../src/layers/tools/Pattern.js"
import { isBinary } from "../../../src/layers/tools/text.js"
import { walk } from "../../../src/layers/tools/walk.js"
import { SandboxError } from "../../../src/services/Errors.js"
import { Sandbox } from "../../../src/services/Sandbox.js"
import { eventually, type Tree } from "../../support/folder.js"
import { groundOf, makeSandbox, ownSeconds, processesWith } from "../../support/sandbox.js"
import { callIn } from "../../support/tools.js"

type Service = Context.Tag.Service<Sandbox>

const ground = (tree: Tree) =>
  groundOf(Object.fromEntries(Object.entries(tree).map(([name, content]) => [`root/${name}`, content])), {
    ripgrep: rgPath
  })

const ask = (sandbox: Service, pattern: string, options: { ignoreCase?: boolean; path?: string; cwd?: string } = {}) =>
  Effect.map(sandbox.candidates!({ pattern, ignoreCase: false, path: ".", ...options }), (found) => found?.toSorted())

/** What the tool says over a sandbox, or how it fails. */
const grepOver = (sandbox: Service, args: object) =>
  BuiltinTools.grep.handle(args, callIn(".")).pipe(
    Effect.provideService(Sandbox, sandbox),
    Effect.match({
      onFailure: (error) => `failed: ${Inspectable.toStringUnknown(error)}`,
      onSuccess: String
    })
  )

/** All files that a walk comes to, and those that hold a match as the tools see it, both by their paths from the start. */
const walked = (sandbox: Service, pattern: string, ignoreCase: boolean, start: string) =>
  Effect.gen(function* () {
    const all: Array<string> = []
    const holding: Array<string> = []
    const regex = RE2JS.compile(pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0)
    yield* walk(
      sandbox,
      { path: start, cwd: ".", type: "file", pattern: everything, nameOnly: true },
      (folder, names) =>
        Effect.gen(function* () {
          for (const name of names) {
            const file = path.posix.join(folder, name)
            const shown = path.posix.relative(start, file)
            all.push(shown)
            const bytes = yield* sandbox.read(file)
            if (isBinary(bytes)) continue
            // A byte order mark is no part of the first line.
            const lines = Buffer.from(bytes)
              .toString("utf8")
              .replace(/^\uFEFF/, "")
              .split("\n")
            if (lines.at(-1) === "") lines.pop()
            if (lines.some((line) => regex.test(line.endsWith("\r") ? line.slice(0, -1) : line))) holding.push(shown)
          }
          return true
        }).pipe(Effect.orDie)
    )
    return { all, holding }
  })

const names = [
  "a",
  "b.log",
  "dist",
  "src",
  "x y",
  "node_modules",
  ".git",
  ".hidden",
  "{a,b}",
  "a[1]",
  "\u00E9",
  "B.LOG",
  "!n",
  "#h"
]
const name = fc.constantFrom(...names)
const place = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"))

const rule = fc
  .tuple(
    fc.constantFrom("", "", "", "!", "/", "!/", "**/", "\uFEFF", "\\"),
    fc.array(fc.oneof(name, fc.constantFrom("*", "**", "*.log", "?", "[ab]", "[!a]", "*.{log,x}", "d*", "dist ")), {
      minLength: 1,
      maxLength: 3
    }),
    fc.constantFrom("", "", "/", "/*", "/**", " ", "\r")
  )
  .map(([lead, parts, end]) => lead + parts.join("/") + end)
const rules = fc.array(rule, { maxLength: 5 }).map((lines) => lines.join("\n"))

const piece = fc.constantFrom(
  "foo",
  "Foo",
  "bar baz",
  "\u00E9t\u00E9",
  "K",
  "\u212A",
  "\u017F",
  "\t",
  "1",
  "_",
  "\n",
  "\r\n",
  "\r",
  "\uFEFF",
  "\u6F22\u5B57",
  "\u{1F600}",
  " ",
  "-",
  "\u2028"
)
const content = fc.oneof(
  fc.array(piece, { maxLength: 8 }).map((pieces) => Buffer.from(pieces.join(""))),
  // Bytes that are no UTF-8, and text in another encoding.
  fc
    .tuple(fc.array(piece, { maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), fc.array(piece, { maxLength: 4 }))
    .map(([one, odd, other]) => Buffer.concat([Buffer.from(one.join("")), odd, Buffer.from(other.join(""))])),
  fc.array(piece, { maxLength: 4 }).map((pieces) => Buffer.from(`\uFEFF${pieces.join("")}`, "utf16le"))
)

const atom = fc.constantFrom(
  ...[
    "foo",
    "o",
    "k",
    "s",
    "\u00E9",
    "K",
    "_",
    "-",
    " ",
    ".",
    "\\.",
    "\\w",
    "\\W",
    "\\d",
    "\\D",
    "\\s",
    "\\S",
    "\\b",
    "\\B"
  ],
  ...[
    "^",
    "$",
    "\\A",
    "\\z",
    "[a-f]",
    "[^a]",
    "[^\\w]",
    "[\\s\\d]",
    "[[:alpha:]]",
    "[]a]",
    "[^]a]",
    "[a\\]]",
    "\\pL",
    "\\PL"
  ],
  ...[
    "\\p{Lu}",
    "\\t",
    "\\r",
    "\uFFFD",
    "\u6F22",
    "(?:a|foo)",
    "(o)",
    "(?P<n>1)",
    "\\_",
    "\\-",
    "<",
    "\\<",
    "&&",
    "#",
    "/"
  ]
)
const pattern = fc
  .array(fc.tuple(atom, fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "|")), {
    minLength: 1,
    maxLength: 4
  })
  .map((atoms) => atoms.map(([one, count]) => one + count).join(""))
  .filter((text) => {
    try {
      RE2JS.compile(text)
      return true
    } catch {
      return false
    }
  })

/** What means another thing in a text of several lines, to another program, or at the end of a line that is cut. */
const trap = fc.constantFrom(
  ...["(?s)", "(?s:.)", "(?-s:.)", "(?i)", "(?i:k)", "(?-i:S)", "(?m)", "(?m:^o$)", "(?U)o+", "(?:)", "()", "(?:^)"],
  ...[
    "\\n",
    "\n",
    "\\x0A",
    "\\r",
    "\\r$",
    "\\r?\\z",
    "[^\\r]",
    "[^\\n]$",
    "[\\s\\S]",
    "[\\D]",
    "(?:^|\\s)",
    "(?:\\s|$)"
  ],
  ...[
    "\\Qo.\\E",
    "\\Q",
    "\\x00",
    "\\0",
    "\\x6F",
    "\\x{FEFF}",
    "\uFEFF",
    "\\pL{0,300}",
    "(?:\\w?){300}",
    "o{2}",
    "{,2}",
    "\\ "
  ]
)
/** With counts at what takes none elsewhere, and assertions side by side. */
const trapped = fc
  .array(
    fc.tuple(
      fc.oneof(trap, atom),
      fc.constantFrom("", "", "", "", "*", "+", "?", "{2}", "{0,2}", "*?", "|", "$", "\\b")
    ),
    { minLength: 1, maxLength: 4 }
  )
  .map((atoms) => atoms.map(([one, count]) => one + count).join(""))

/** Lines that are longer than is searched of them, where the expression is a large one; and bytes of no text. */
const oddContent = fc.oneof(
  content,
  fc
    .tuple(fc.constantFrom("foo", "o", "o-", "\u00E9"), fc.integer({ min: 500, max: 3_000 }), content)
    .map(([one, times, rest]) => Buffer.concat([Buffer.from(one.repeat(times)), rest])),
  fc.tuple(content, content).map(([one, other]) => Buffer.concat([one, Buffer.from("\0"), other]))
)

/** Without the one note that a walk has of files in which nothing matches. */
const withoutPartly = (said: string) =>
  said
    .replace(/ ?Files with lines so long that only their beginning was searched: \d+\./, "")
    .replace(/\[ /, "[")
    .replace(/\n?\[\]$/, "")

/** Makes a tree as far as its paths get along with each other, and gives its folders. */
const grow = (root: string, files: ReadonlyArray<readonly [at: string, content: string | Uint8Array]>) => {
  const folders = new Set<string>(["."])
  for (const [at, content] of files) {
    const parts = at.split("/")
    const above = parts.slice(0, -1).map((_, depth) => parts.slice(0, depth + 1).join("/"))
    if (above.some((one) => fs.statSync(path.join(root, one), { throwIfNoEntry: false })?.isFile() === true)) continue
    if (fs.existsSync(path.join(root, at))) continue
    fs.mkdirSync(path.join(root, path.dirname(at)), { recursive: true })
    fs.writeFileSync(path.join(root, at), content)
    for (const one of above) folders.add(one)
  }
  return [...folders]
}

describe("candidates", () => {
  it.scopedLive("are the files that hold a match", () =>
    Effect.gen(function* () {
      const { root, sandbox } = yield* ground({
        "b.txt": "needle",
        "a/z.txt": "a needle\n",
        "a/b/c.txt": "Needle",
        "a.txt": "needle",
        "none.txt": "pin",
        ".hidden/x": "needle",
        "bin.dat": new Uint8Array([...Buffer.from("x".repeat(9_000)), 0, ...Buffer.from("needle")]),
        "node_modules/m/x": "needle",
        ".git/x": "needle",
        ".gitignore": "*.log\n/out\n",
        "x.log": "needle",
        "out/x": "needle",
        "a/out/x": "needle",
        ".ignore": "b.txt",
        ".rgignore": "a.txt",
        ".git/info/exclude": "a/",
        "large.txt": Buffer.alloc(10 * 1024 * 1024 + 1, "needle\n")
      })
      fs.symlinkSync("a", path.join(root, "link"))
      fs.symlinkSync("../outside/secret.txt", path.join(root, "secret"))
      execFileSync("mkfifo", [path.join(root, "fifo")])
      const all = [".hidden/x", "a.txt", "a/b/c.txt", "a/out/x", "a/z.txt", "b.txt", "bin.dat"]
      const without = (...some: ReadonlyArray<string>) => all.filter((one) => !some.includes(one))
      assert.deepStrictEqual(yield* ask(sandbox, "needle"), without("a/b/c.txt"))
      assert.deepStrictEqual(yield* ask(sandbox, "needle", { ignoreCase: true }), all)
      assert.deepStrictEqual(yield* ask(sandbox, "(?i)NEEDLE$"), all)
      assert.deepStrictEqual(yield* ask(sandbox, "^needle"), without("a/z.txt", "a/b/c.txt", "bin.dat"))
      assert.deepStrictEqual(yield* ask(sandbox, "nothing of this"), [])
      assert.deepStrictEqual(yield* ask(sandbox, "needle", { path: "a" }), ["out/x", "z.txt"])
      assert.deepStrictEqual(yield* ask(sandbox, "needle", { path: "out", cwd: "." }), ["x"])
      assert.deepStrictEqual(yield* ask(sandbox, "needle", { path: "link" }), ["out/x", "z.txt"])
      assert.deepStrictEqual(yield* ask(sandbox, "needle", { path: ".", cwd: path.join(root, "a") }), [
        "out/x",
        "z.txt"
      ])
      for (const at of ["..", "missing", "a.txt", "/", "secret"]) {
        assert.isUndefined(yield* ask(sandbox, "needle", { path: at }), at)
        assert.instanceOf(yield* Effect.flip(walked(sandbox, "needle", false, at)), SandboxError, at)
      }
      // Nothing that looks like an option is one.
      for (const odd of ["--pre=touch pwned", "-f/etc/passwd", "--files", "-e", "--", "--hostname-bin=touch pwned"]) {
        assert.deepStrictEqual(yield* ask(sandbox, odd), [], odd)
      }
      assert.isFalse(fs.existsSync(path.join(root, "pwned")))
    })
  )

  it.scopedLive(
    "cannot be told without ripgrep, of a pattern that it reads otherwise, or if they are too many",
    () =>
      Effect.gen(function* () {
        const { root, sandbox } = yield* ground({ "a.txt": "x", ".gitignore": "odd/*.{a,b}" })
        for (const odd of ["(?U)x", "\\Qx\\E", "x\\", "[x", "\n", "(?<=x)y", "(?=x)", "\uD800", "\\C", "y+(?s)?"]) {
          assert.isUndefined(yield* ask(sandbox, odd), odd)
        }
        assert.isUndefined(yield* ask(sandbox, "(?:(?:.{90}){90}){90}"))
        for (const program of [false, "/nowhere/rg", "/bin/false", root, "/bin/cat"] as const) {
          const without = yield* groundOf({ "root/a.txt": "x" }, { ripgrep: program })
          assert.isUndefined(yield* ask(without.sandbox, "x"), String(program))
        }
        const folder = "y".repeat(200)
        fs.mkdirSync(path.join(root, folder))
        for (let index = 0; index < 5_500; index++) fs.writeFileSync(path.join(root, folder, `${index}`), "x")
        assert.isUndefined(yield* ask(sandbox, "x"))
        assert.strictEqual((yield* ask(sandbox, "x", { path: folder }))?.length, 5_500)
      }),
    60_000
  )

  it.scopedLive(
    "cannot be told where a walk comes to a folder that cannot be listed, and it says so",
    () =>
      Effect.gen(function* () {
        const { root, sandbox } = yield* ground({ "a.txt": "x", "many/": "" })
        execFileSync("bash", ["-c", "seq 50001 | xargs touch; echo xy > 1"], { cwd: path.join(root, "many") })
        const walks = yield* makeSandbox({ root, ripgrep: false })
        assert.isUndefined(yield* ask(sandbox, "x"))
        for (const args of [{ pattern: "x" }, { pattern: "nowhere" }]) {
          const said = yield* grepOver(sandbox, args)
          assert.match(said, /1 folders could not be read/)
          assert.deepStrictEqual(said, yield* grepOver(walks, args))
        }
        const advised = yield* grepOver(sandbox, { pattern: "x", path: "many" })
        assert.match(advised, /^failed: .*more than 50000 entries; name a folder in it, or look with bash/s)
        assert.deepStrictEqual(advised, yield* grepOver(walks, { pattern: "x", path: "many" }))
        // The same where it is found only on the way to a file.
        for (let index = 0; index < 70; index++) fs.mkdirSync(path.join(root, `m${index}`))
        fs.renameSync(path.join(root, "many"), path.join(root, "n"))
        const said = yield* grepOver(sandbox, { pattern: "x" })
        assert.match(said, /1 folders could not be read/)
        assert.deepStrictEqual(said, yield* grepOver(walks, { pattern: "x" }))
      }),
    60_000
  )

  it.scopedLive("are told by all of an expression that means the same to ripgrep", () =>
    Effect.gen(function* () {
      const { sandbox } = yield* ground({ "a.txt": "a key\r\n", "b.txt": "keys key:\nmonkey\n" })
      const expected = {
        key$: ["a.txt", "b.txt"],
        " key$": ["a.txt"],
        "\\bkey$": ["a.txt"],
        "\\Akey": ["b.txt"],
        "\\bkey\\b": ["a.txt", "b.txt"],
        "\\bkey$|^z": ["a.txt"],
        "^nokey|(?:^|\\s)key(?:\\s|$)": ["a.txt"],
        "y\\bs": [],
        "^key\\z": []
      }
      for (const [pattern, files] of Object.entries(expected)) {
        assert.deepStrictEqual(yield* ask(sandbox, pattern), files, pattern)
      }
    })
  )

  it.scopedLive("are those in which the tools see a match, where ripgrep would see none", () =>
    Effect.gen(function* () {
      const { sandbox } = yield* ground({
        "bytes.txt": new Uint8Array([97, 0xff, 98]),
        "cut.txt": new Uint8Array([97, 0xe2, 0x82, 98]),
        "crlf.txt": "one\r\ntwo\r\n",
        "words.txt": "\u00E9t\u00E9",
        "marked.txt": "\uFEFFfirst",
        "blank.txt": "\uFEFF\r\n"
      })
      const expected: Record<string, ReadonlyArray<string>> = {
        "a.b": ["bytes.txt", "cut.txt"],
        "a\\Wb": ["bytes.txt", "cut.txt"],
        "a[^x]b": ["bytes.txt", "cut.txt"],
        "a\uFFFDb": ["bytes.txt", "cut.txt"],
        one$: ["crlf.txt"],
        "two\\z": ["crlf.txt"],
        "\\bt\\b": ["words.txt"],
        "t\\W": ["words.txt"],
        "^first": ["marked.txt"],
        // Asked of the place before what the tools leave out, and of the one behind it.
        "two$\\b": ["crlf.txt"],
        "tw(?:\\bz?|o$){2}": ["crlf.txt"],
        "\\b^first": ["marked.txt"],
        "^$^": ["blank.txt"],
        "$^": ["blank.txt"]
      }
      for (const [pattern, files] of Object.entries(expected)) {
        const { holding } = yield* walked(sandbox, pattern, false, ".")
        assert.deepStrictEqual(holding, files, pattern)
        assert.includeMembers([...((yield* ask(sandbox, pattern)) ?? [])], [...files], pattern)
      }
    })
  )

  it.scopedLive("are looked for by the rg of the PATH, found once", () =>
    Effect.gen(function* () {
      const { folder, root } = yield* groundOf({ "root/a.txt": "x" })
      const bin = path.join(folder, "bin")
      fs.mkdirSync(bin)
      fs.symlinkSync(rgPath, path.join(bin, "rg"))
      const before = process.env["PATH"]
      yield* Effect.addFinalizer(() => Effect.sync(() => (process.env["PATH"] = before)))
      process.env["PATH"] = `relative:${path.join(folder, "outside")}:${bin}`
      const { sandbox } = yield* groundOf({ "root/b.txt": "x" })
      assert.deepStrictEqual(yield* ask(sandbox, "x"), ["b.txt"])
      process.env["PATH"] = folder
      assert.deepStrictEqual(yield* ask(sandbox, "x"), ["b.txt"])
      const other = yield* groundOf({ "root/b.txt": "x" })
      assert.isUndefined(yield* ask(other.sandbox, "x"))
      assert.isTrue(fs.existsSync(root))
    })
  )

  it.scopedLive("leave no process when the search for them is interrupted", () =>
    Effect.gen(function* () {
      const { folder } = yield* groundOf({})
      const slow = path.join(folder, "rg")
      const seconds = ownSeconds(4324)
      fs.writeFileSync(
        slow,
        `#!/bin/sh\n[ $1 = --version ] && exec echo ripgrep 15\ntrap '' TERM\nsleep ${seconds} & wait; wait\n`,
        { mode: 0o755 }
      )
      const { sandbox } = yield* groundOf({ "root/a.txt": "x" }, { ripgrep: slow })
      const fiber = yield* Effect.fork(ask(sandbox, "x"))
      yield* eventually(() => (processesWith(seconds).length > 0 ? true : undefined))
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(processesWith(seconds), [])
    })
  )

  it.scopedLive.prop(
    "lack no file of a walk that holds a match, and have none that a walk passes over",
    {
      files: fc.array(fc.tuple(place, content), { maxLength: 12 }),
      ignores: fc.array(
        fc.tuple(
          fc.oneof(
            fc.constant(""),
            place.map((at) => `${at}/`)
          ),
          rules
        ),
        { maxLength: 3 }
      ),
      patterns: fc.array(fc.tuple(pattern, fc.boolean()), { minLength: 1, maxLength: 3 }),
      start: fc.nat()
    },
    ({ files, ignores, patterns, start }) =>
      Effect.gen(function* () {
        const { root, sandbox } = yield* ground({})
        const folders = grow(root, [...files, ...ignores.map(([at, text]) => [`${at}.gitignore`, text] as const)])
        const from = folders[start % folders.length]!
        for (const [text, ignoreCase] of patterns) {
          const { all, holding } = yield* walked(sandbox, text, ignoreCase, from)
          const found = yield* ask(sandbox, text, { ignoreCase, path: from })
          const told = `${JSON.stringify(text)} as ${superset(text, ignoreCase)}, ${ignoreCase}, in ${from}`
          if (found === undefined) continue
          assert.deepStrictEqual(
            holding.filter((one) => !found.includes(one)),
            [],
            told
          )
          assert.deepStrictEqual(
            found.filter((one) => !all.includes(one)),
            [],
            told
          )
        }
      }).pipe(Effect.scoped),
    { timeout: 60_000, fastCheck: { numRuns: 40 } }
  )

  it.scopedLive.prop(
    "let grep say what it says without them",
    {
      files: fc.array(fc.tuple(place, oddContent), { maxLength: 8 }),
      ignores: fc.array(fc.tuple(fc.constantFrom("", "src/", "a/"), rules), { maxLength: 2 }),
      patterns: fc.array(fc.tuple(fc.oneof(trapped, pattern), fc.boolean()), { minLength: 1, maxLength: 3 }),
      start: fc.nat()
    },
    ({ files, ignores, patterns, start }) =>
      Effect.gen(function* () {
        const { root, sandbox } = yield* ground({})
        const folders = grow(root, [...files, ...ignores.map(([at, text]) => [`${at}.gitignore`, text] as const)])
        const walks = yield* makeSandbox({ root, ripgrep: false })
        for (const [text, ignoreCase] of patterns) {
          const args = { pattern: text, ignoreCase, path: folders[start % folders.length]! }
          assert.strictEqual(
            withoutPartly(yield* grepOver(sandbox, args)),
            withoutPartly(yield* grepOver(walks, args)),
            JSON.stringify(args)
          )
        }
      }).pipe(Effect.scoped),
    { timeout: 60_000, fastCheck: { numRuns: 40 } }
  )
})
