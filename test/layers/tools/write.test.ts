import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ground } from "../../support/tools.js"

describe("write", () => {
  it.scoped("makes and replaces files, and tells which", () =>
    Effect.gen(function* () {
      const { root, use } = yield* ground({ "a.txt": "old\n", "sub/": "" })
      const on = (name: string) => fs.readFileSync(path.join(root, name), "utf8")
      assert.strictEqual(
        yield* use("write", { path: "x/y/b.txt", content: "one\ntwo" }),
        "[Created x/y/b.txt: 2 lines, 7 bytes.]"
      )
      assert.strictEqual(on("x/y/b.txt"), "one\ntwo")
      assert.strictEqual(
        yield* use("write", { path: "../a.txt", content: "\u00e9\n" }, "sub"),
        "[Replaced ../a.txt: 1 line, 3 bytes; it had 4 bytes.]"
      )
      assert.strictEqual(on("a.txt"), "\u00e9\n")
      assert.strictEqual(yield* use("write", { path: "empty", content: "" }), "[Created empty: 0 lines, 0 bytes.]")
      assert.strictEqual(on("empty"), "")
      assert.strictEqual(
        yield* use("write", { path: `${root}/empty`, content: "\n\n" }),
        `[Replaced ${root}/empty: 2 lines, 2 bytes; it had 0 bytes.]`
      )
    })
  )

  it.scoped("goes through a link inside, and refuses what the sandbox refuses", () =>
    Effect.gen(function* () {
      const { root, use } = yield* ground({ "a.txt": "old", "folder/": "", ".git/config": "" })
      fs.symlinkSync("a.txt", path.join(root, "link"))
      fs.symlinkSync("/etc", path.join(root, "out"))
      yield* use("write", { path: "link", content: "new" })
      assert.isTrue(fs.lstatSync(path.join(root, "link")).isSymbolicLink())
      assert.strictEqual(fs.readFileSync(path.join(root, "a.txt"), "utf8"), "new")
      for (const [at, told] of [
        ["folder", /Cannot write folder: it is a folder/],
        ["../x", /\.\.\/x: it leads out of the sandbox/],
        ["out/x", /out\/x: it leads out of the sandbox/],
        [".git/config", /Cannot write \.git\/config: /]
      ] as const) {
        assert.match((yield* Effect.flip(use("write", { path: at, content: "" }))).text, told)
      }
      assert.match((yield* Effect.flip(use("write", { path: "x", content: "\ud800" }))).text, /half of a character/)
      assert.isFalse(fs.existsSync(path.join(root, "x")))
      assert.match((yield* Effect.flip(use("write", { path: "x" }))).text, /content: is missing/)
    })
  )
})
