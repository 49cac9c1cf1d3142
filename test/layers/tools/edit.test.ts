import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, FastCheck as fc, Layer } from "effect"
import { Agent, Conversation, Engine, Model, Script, Sessions } from "effect-baton"
import { BuiltinTools, NodeSandbox } from "effect-baton/node"
import { lockedPlaces } from "../../../src/layers/tools/PathLock.js"
import { Sandbox } from "../../../src/services/Sandbox.js"
import { plant, tempFolder } from "../../support/folder.js"
import { callIn, ground, unblocked } from "../../support/tools.js"

/** Edits a file that holds a text; gives what it holds then, and what the model is told. */
const editing = (before: string | Uint8Array, args: object) =>
  Effect.gen(function* () {
    const { root, use } = yield* ground({ "a.txt": before })
    const told = yield* Effect.merge(
      Effect.mapError(use("edit", { path: "a.txt", ...args }), ({ text }) => `failure: ${text}`)
    )
    return { told, after: fs.readFileSync(path.join(root, "a.txt"), "utf8") }
  })

describe("edit", () => {
  it.scoped("replaces the one match as it is, and shows the lines", () =>
    Effect.gen(function* () {
      const text = "1\n2\n3\n4\n5\n6\n7\n8\n9\n"
      assert.deepStrictEqual(yield* editing(text, { oldText: "5\n", newText: "five\nand a half\n" }), {
        told: "[Replaced 1 match in a.txt.]\n2\t2\n3\t3\n4\t4\n5\tfive\n6\tand a half\n7\t6\n8\t7\n9\t8",
        after: "1\n2\n3\n4\nfive\nand a half\n6\n7\n8\n9\n"
      })
      for (const newText of ["$&$1$$$`$'", "\\n\\1", "\0", ""]) {
        const { after } = yield* editing("a b a", { oldText: " b", newText })
        assert.strictEqual(after, `a${newText} a`)
      }
      const dots = yield* editing("a.c abc", { oldText: "a.c", newText: "x" })
      assert.strictEqual(dots.after, "x abc")
      // The match begins within what nearly was one.
      for (const [text, oldText, after] of [
        ["aaab", "aab", "ax"],
        ["ababac", "abac", "abx"]
      ] as const) {
        assert.strictEqual((yield* editing(text, { oldText, newText: "x" })).after, after)
      }
      const gone = yield* editing("a\nb\nc", { oldText: "b\n", newText: "" })
      assert.strictEqual(gone.told, "[Replaced 1 match in a.txt.]\n1\ta\n2\tc")
      const all = yield* editing("all", { oldText: "all", newText: "" })
      assert.deepStrictEqual(all, { told: "[Replaced 1 match in a.txt. The file is empty now.]", after: "" })
    })
  )

  it.scoped("wants one match, or replaceAll", () =>
    Effect.gen(function* () {
      const text = "x = 1\ny = 1\nx = 1\n"
      assert.deepStrictEqual(yield* editing(text, { oldText: "x = 1", newText: "z" }), {
        told: "failure: Cannot edit a.txt: oldText is there 2 times, at lines 1, 3. Give more of the text around the one that you mean, or set replaceAll.",
        after: text
      })
      // Two that overlap are two.
      assert.match((yield* editing("aaa", { oldText: "aa", newText: "b" })).told, /there 2 times, at line 1\./)
      const all = yield* editing(text, { oldText: "x = 1", newText: "z", replaceAll: true })
      assert.strictEqual(all.after, "z\ny = 1\nz\n")
      assert.include(all.told, "[Replaced 2 matches in a.txt.]")
      assert.strictEqual((yield* editing("aaaaa", { oldText: "aa", newText: "b", replaceAll: true })).after, "bba")
      assert.strictEqual((yield* editing("one", { oldText: "one", newText: "two", replaceAll: true })).after, "two")
      const many = yield* editing("a\n".repeat(40), { oldText: "a", newText: "b" })
      assert.include(many.told, "40 times, at lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and others.")
    })
  )

  it.scoped("refuses an empty oldText, one that is newText, and half characters", () =>
    Effect.gen(function* () {
      for (const [oldText, newText, told] of [
        ["", "x", "oldText is empty. Use write to make a file or to replace all of it."],
        ["a", "a", "oldText and newText are the same."],
        ["a", "\ud800", "newText has half of a character (a lone surrogate)."],
        ["\udc00", "a", "oldText has half of a character (a lone surrogate)."]
      ] as const) {
        const { after, told: said } = yield* editing("a\u{1F600}", { oldText, newText, replaceAll: true })
        assert.deepStrictEqual([said, after], [`failure: Cannot edit a.txt: ${told}`, "a\u{1F600}"])
      }
      const { root, use } = yield* ground({ "folder/": "" })
      const problem = (at: string) =>
        Effect.map(Effect.flip(use("edit", { path: at, oldText: "a", newText: "b" })), (it) => it.text)
      assert.match(yield* problem("none"), /Cannot read none: no such file or folder/)
      assert.match(yield* problem("folder"), /Cannot read folder: it is a folder/)
      assert.match(yield* problem("../x"), /\.\.\/x: it leads out of the sandbox/)
      fs.writeFileSync(path.join(root, "large"), "a".repeat(5_000_001))
      assert.match(yield* problem("large"), /over 5 MB/)
    })
  )

  it.scoped("says what is nearest to a text that is not there", () =>
    Effect.gen(function* () {
      const told = (before: string, oldText: string, newText = "new") =>
        Effect.map(editing(before, { oldText, newText }), (it) => it.told.replace(/^failure: Cannot edit a\.txt: /, ""))
      const not = "oldText is not there."
      assert.strictEqual(yield* told("one\ntwo", "three"), `${not} Read the file again.`)
      assert.strictEqual(
        yield* told("a {\n\tb  c\n}\n", "a {\n  b c\n}"),
        `${not} Text that differs from it in white space alone begins at line 1: give it as it stands in the file.`
      )
      assert.strictEqual(
        yield* told("x\n  if (a)   b()\n", "(a) b"),
        `${not} Text that differs from it in white space alone begins at line 2: give it as it stands in the file.`
      )
      assert.strictEqual(yield* told("a\nb\r\nc\n", "a\r\nb"), `${not} It is there with other line ends, at line 1.`)
      assert.strictEqual(
        yield* told("x\nfirst\ny\nfirst\nlast\n", "first\nother\n"),
        `${not} Its first line is at lines 2, 4; what follows there is not the same.`
      )
      assert.strictEqual(yield* told("x\nnew\n", "old"), `${not} newText is already there, at line 2.`)
    })
  )

  it.scoped("keeps a byte order mark and the ends of lines", () =>
    Effect.gen(function* () {
      const bom = "\uFEFF"
      const edited = (before: string, oldText: string, newText: string) =>
        Effect.map(editing(before, { oldText, newText }), ({ after }) => after)
      assert.strictEqual(yield* edited(`${bom}a\nb\n`, "a", "c"), `${bom}c\nb\n`)
      // As read shows it, the mark belongs to the first line.
      assert.strictEqual(yield* edited(`${bom}a\nb\n`, `${bom}a`, "c"), `${bom}c\nb\n`)
      assert.strictEqual(yield* edited(`${bom}a\nb\n`, `${bom}a`, `${bom}c`), `${bom}c\nb\n`)
      assert.strictEqual(yield* edited("a\r\nb\r\nc\r\n", "a\nb", "x\ny\nz"), "x\r\ny\r\nz\r\nc\r\n")
      assert.strictEqual(yield* edited("a\r\nb\r\n", "a", "x\ny"), "x\r\ny\r\nb\r\n")
      assert.strictEqual(yield* edited("a\r\nb\r\n", "\nb", "\nc"), "a\r\nc\r\n")
      assert.strictEqual(yield* edited("a\r\nb\r\n", "a\r\nb", "x\r\ny"), "x\r\ny\r\n")
      // Where both kinds are, what is given is looked for as it is first.
      assert.strictEqual(yield* edited("a\nb\r\nc\r\n", "a\n", "x\n"), "x\nb\r\nc\r\n")
      assert.strictEqual(yield* edited("a\nb\r\nc\r\n", "b\nc", "x\ny"), "a\nx\r\ny\r\n")
      const { told } = yield* editing("a\r\nb\r\n", { oldText: "a\nb", newText: "x\ny" })
      assert.strictEqual(told, "[Replaced 1 match in a.txt. Its line ends are CRLF and stay so.]\n1\tx\n2\ty")
    })
  )

  it.scoped("refuses what is no UTF-8 text, and changes nothing", () =>
    Effect.gen(function* () {
      const { root, use } = yield* ground({})
      for (const bytes of [
        [97, 0xe9, 98],
        [97, 0, 98]
      ]) {
        fs.writeFileSync(path.join(root, "a.bin"), new Uint8Array(bytes))
        const { text } = yield* Effect.flip(use("edit", { path: "a.bin", oldText: "a", newText: "b" }))
        assert.strictEqual(text, "Cannot edit a.bin: it is not UTF-8 text. Use bash.")
        assert.deepStrictEqual([...fs.readFileSync(path.join(root, "a.bin"))], bytes)
      }
    })
  )

  it.scoped("shows no more than a bounded part of what it changed", () =>
    Effect.gen(function* () {
      const long = yield* editing("a\nb\n", { oldText: "a", newText: `${"x".repeat(10_000)}\n`.repeat(500) })
      assert.isBelow(long.told.length, 25_000)
      assert.include(long.told, "more lines")
      const many = yield* editing("a\n\n\n\n\n\n\n\n\n\n".repeat(10_000), {
        oldText: "a",
        newText: "b",
        replaceAll: true
      })
      assert.include(many.told, "[Replaced 10000 matches in a.txt.]")
      assert.isBelow(many.told.split("\n").length, 100)
      assert.include(many.told, "more matches")
      const smiles = yield* editing("a", { oldText: "a", newText: `b${"\u{1F600}".repeat(1_000)}` })
      assert.isTrue(smiles.told.isWellFormed())
    })
  )

  it.scoped(
    "takes no time that a text could stretch",
    () =>
      Effect.gen(function* () {
        const { root, use } = yield* ground({})
        const file = path.join(root, "a.txt")
        const hostile = [
          ["a".repeat(500_000), `b${"a".repeat(125_000)}`],
          ["a".repeat(500_000), "a".repeat(125_000)],
          [`${" ".repeat(250_000)}x`, `${" ".repeat(125_000)}y`],
          ["a\n".repeat(250_000), `${"a\n".repeat(60_000)}b`],
          [" \n".repeat(250_000), `${"\t\n".repeat(60_000)}b`]
        ] as const
        for (const [text, oldText] of hostile) {
          fs.writeFileSync(file, text)
          yield* unblocked(Effect.flip(use("edit", { path: "a.txt", oldText, newText: "c" })))
        }
        const many = Buffer.from("ab".repeat(250_000))
        yield* unblocked(
          Effect.zipRight(
            Effect.promise(() => fs.promises.writeFile(file, many)),
            use("edit", { path: "a.txt", oldText: "a", newText: "$1", replaceAll: true })
          )
        )
        assert.strictEqual(fs.readFileSync(file, "utf8"), "$1b".repeat(250_000))
      }),
    60_000
  )

  it.scoped.prop(
    "does what splitting and joining does",
    [
      fc.string({ unit: fc.constantFrom("a", "b", "\n", "\u{1F600}"), maxLength: 30 }),
      fc.string({ unit: fc.constantFrom("a", "b", "\n", "\u{1F600}"), minLength: 1, maxLength: 4 }),
      fc.string({ unit: fc.constantFrom("a", "$&", "\n", "c"), maxLength: 4 }),
      fc.boolean()
    ],
    ([text, oldText, newText, replaceAll]) =>
      Effect.gen(function* () {
        fc.pre(oldText !== newText)
        const { after, told } = yield* editing(text, { oldText, newText, replaceAll })
        let count = 0
        for (let at = text.indexOf(oldText); at >= 0; at = text.indexOf(oldText, at + 1)) count++
        if (count === 1 || (replaceAll && count > 0)) {
          assert.strictEqual(after, text.split(oldText).join(newText))
          for (const row of told.split("\n")) {
            const shown = /^(\d+)\t(.*)$/su.exec(row)
            if (shown !== null) assert.strictEqual(after.split("\n")[Number(shown[1]) - 1], shown[2])
          }
        } else {
          assert.strictEqual(after, text)
          assert.match(told, count === 0 ? /oldText is not there/ : new RegExp(`there ${count} times`))
        }
      }),
    { fastCheck: { numRuns: 100 }, timeout: 30_000 }
  )
})

describe("two edits at the same time", () => {
  /** Two lines that are edited, and the names by which one file is called. */
  const planted = Effect.gen(function* () {
    const root = yield* tempFolder
    plant(root, { "a.txt": Array.from({ length: 50 }, (_, n) => `line ${n};\n`).join(""), "x/": "", "sub/": "" })
    fs.symlinkSync("a.txt", path.join(root, "link"))
    fs.symlinkSync("../x", path.join(root, "sub", "round"))
    const names = [
      "a.txt",
      "./a.txt",
      "x/../a.txt",
      `${root}/a.txt`,
      "link",
      "sub/../x/../link",
      "sub/round/../../a.txt"
    ]
    return { root, names: names.filter((name) => fs.existsSync(path.join(name.startsWith("/") ? "" : root, name))) }
  })

  it.scopedLive("land both, whatever the file is called", () =>
    Effect.gen(function* () {
      const { names, root } = yield* planted
      const edit = (name: string, n: number) =>
        Script.call("edit", { path: name, oldText: `line ${n};`, newText: `edited ${n};` })
      const engine = Engine.layerMemory.pipe(
        Layer.provideMerge(
          Layer.mergeAll(
            BuiltinTools.layer.pipe(Layer.provideMerge(NodeSandbox.layer({ root }))),
            Model.layerScripted(
              names.map((name, n) =>
                Script.on(`pair ${n}!`, Script.calls(edit("a.txt", 2 * n), edit(name, 2 * n + 1)), "done")
              )
            )
          )
        )
      )
      yield* Effect.gen(function* () {
        const sessions = yield* Sessions.Sessions
        const agent = Agent.make("a", { tools: [BuiltinTools.edit], delegate: "off" })
        const session = yield* sessions.open({ id: "s", agent })
        for (const n of names.keys()) yield* session.prompt(`pair ${n}!`)
        const results = Conversation.fold(yield* session.history).flatMap((message) =>
          message.role === "tool" ? message.results : []
        )
        assert.strictEqual(results.length, 2 * names.length)
        for (const result of results) assert.isFalse(result.isError, result.text)
      }).pipe(Effect.provide(engine))
      const after = fs.readFileSync(path.join(root, "a.txt"), "utf8").split("\n")
      for (let n = 0; n < 50; n++) {
        assert.strictEqual(after[n], n < 2 * names.length ? `edited ${n};` : `line ${n};`)
      }
    })
  )

  it.scopedLive("land all, fifty of them, and leave nothing held", () =>
    Effect.gen(function* () {
      const { names, root } = yield* planted
      const context = yield* Layer.build(NodeSandbox.layer({ root }))
      const sandbox = Context.get(context, Sandbox)
      yield* Effect.forEach(
        Array.from({ length: 50 }, (_, n) => n),
        (n) =>
          BuiltinTools.edit.handle(
            { path: names[n % names.length], oldText: `line ${n};`, newText: `edited ${n};` },
            callIn(".")
          ),
        { concurrency: "unbounded" }
      ).pipe(Effect.provide(context))
      const after = fs.readFileSync(path.join(root, "a.txt"), "utf8")
      assert.strictEqual(after, Array.from({ length: 50 }, (_, n) => `edited ${n};\n`).join(""))
      assert.strictEqual(lockedPlaces(sandbox), 0)
    })
  )
})
