import { chmodSync, existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { Agent, Sessions } from "effect-baton"
import { afterEach } from "vitest"
import * as CliEngine from "../../src/layers/CliEngine.js"
import { kindOf, outputOf, unquote } from "../../src/layers/inspect/facts.js"
import { commit, git, removeFolders, repository, temporary, write } from "../support/repositories.js"

afterEach(removeFolders)

/** What the embedded model answers in a folder, with real tools. */
const inspect = (cwd: string): Effect.Effect<string, unknown> =>
  Effect.gen(function* () {
    const sessions = yield* Sessions.Sessions
    const session = yield* sessions.open({ id: "main", agent: Agent.make("test") })
    return (yield* session.prompt("inspect the diff")).text
  }).pipe(Effect.provide(CliEngine.layer({ cwd, store: "memory", model: scripted })))

const scripted = { model: "scripted", reason: "", fallbacks: [], providers: {} }

describe("the embedded model inspects", () => {
  it.live("a first commit", () =>
    Effect.gen(function* () {
      const answer = yield* inspect(repository({ "a b.txt": "a\n" }))
      assert.include(answer, "It is the first commit, so every file counts as added.")
      assert.match(answer, /^ {2}A a b\.txt +\+1 -0$/m)
    })
  )

  it.live("a commit that changes nothing", () =>
    Effect.gen(function* () {
      const folder = repository({ "a.py": "a = 1\n" })
      commit(folder, "Nothing", "--allow-empty")
      const answer = yield* inspect(folder)
      assert.include(answer, "Its diff is empty: it changes no file.")
      assert.include(answer, "Files: 1 file (1 Python).")
    })
  )

  it.live("a commit that only deletes", () =>
    Effect.gen(function* () {
      const folder = repository({ "a.py": "a = 1\n", "b.py": "" })
      git(folder, "rm", "-q", "a.py")
      commit(folder, "Delete")
      const answer = yield* inspect(folder)
      assert.match(answer, /^ {2}D a\.py +\+0 -1$/m)
      assert.include(answer, "Files: 1 file (1 Python).")
    })
  )

  it.live("a merge, against its first parent", () =>
    Effect.gen(function* () {
      const folder = repository({ "a.txt": "a\n" })
      git(folder, "checkout", "-q", "-b", "side")
      write(folder, { "side.js": "1\n" })
      commit(folder, "Side")
      git(folder, "checkout", "-q", "-")
      write(folder, { "main.js": "1\n" })
      commit(folder, "Main")
      git(folder, "merge", "-q", "--no-edit", "side")
      const answer = yield* inspect(folder)
      assert.match(answer, /It is a merge of (\w+) and \w+; this is its diff against \1\./)
      assert.include(answer, "A side.js")
      assert.notInclude(answer, "A main.js")
    })
  )

  it.live("a part of a repository, and what is not committed", () =>
    Effect.gen(function* () {
      const folder = repository({ "a.txt": "a\n" })
      write(folder, { "sub/x.txt": "x\n", "top.txt": "t\n" })
      commit(folder, "Sub")
      git(folder, "mv", "a.txt", "b.txt")
      write(folder, { "new.txt": "n\n" })
      const answer = yield* inspect(join(folder, "sub"))
      assert.include(answer, "A sub/x.txt")
      assert.include(answer, "Worktree: 2 paths not committed, which this diff does not show.")
      assert.include(answer, "Read: 1 of 2 changed files, 1 of which are outside of this folder:")
      assert.match(answer, /^ {2}x\.txt +1 line$/m)
    })
  )

  it.live("a shallow clone, without taking its commit for the first", () =>
    Effect.gen(function* () {
      const folder = repository({ "a.txt": "a\n" })
      write(folder, { "b.txt": "b\n" })
      commit(folder, "Second")
      const clone = temporary()
      git(clone, "clone", "-q", "--depth", "1", `file://${folder}`, "it")
      const answer = yield* inspect(join(clone, "it"))
      assert.include(answer, "The clone is shallow and the commit's parent is not in it")
      assert.notInclude(answer, "first commit")
    })
  )

  it.live("the files where there is no commit, no repository, or nothing at all", () =>
    Effect.gen(function* () {
      const folder = temporary({ "README.md": "# A title\n\nText.\n", "src/a.py": "x = 1  # FIXME\n" })
      const without = yield* inspect(folder)
      assert.include(without, "There is no diff: this folder is not in a git repository.")
      assert.include(without, "Files: 2 files (1 documentation, 1 Python).")
      assert.match(without, /^ {2}README\.md +3 lines, "A title"$/m)
      assert.include(without, "src/a.py:1:")
      git(folder, "init", "-q")
      assert.include(yield* inspect(folder), "There is no diff: the repository has no commit yet.")
      assert.include(yield* inspect(temporary()), "Files: none; the folder is empty")
    })
  )

  it.live("a part of a huge diff, and says so", () =>
    Effect.gen(function* () {
      const folder = repository({ "a.txt": "a\n" })
      const many = Object.fromEntries(
        Array.from({ length: 1_200 }, (_, n) => [`many/${"long ".repeat(8)}${n}.txt`, `${n}\n`])
      )
      write(folder, {
        ...many,
        "big.js": "const x = 1 // a line that is long enough to fill the patch\n".repeat(30_000)
      })
      commit(folder, "Huge")
      const answer = yield* inspect(folder)
      assert.include(answer, "1201 files changed, 31200 insertions(+)")
      assert.include(answer, "and 1,191 more files")
      assert.match(answer, /Of its files only the first \d+ were looked at\./)
      assert.match(answer, /^Read: 4 of at least \d+ changed files:$/m)
      assert.include(answer, "in the first 40,000 bytes of the patch")
      assert.match(answer, /^ {2}big\.js +more than [\d,]+ lines/m)
      assert.notMatch(answer, /long .*binary/)
    })
  )

  it.live("without running what a repository configures", () =>
    Effect.gen(function* () {
      const folder = repository({ "a.txt": "a\n", ".gitattributes": "*.txt diff=evil\n" })
      write(folder, { "a.txt": "b\n" })
      commit(folder, "Change")
      const script = join(folder, ".git", "evil.sh")
      writeFileSync(script, `#!/bin/sh\necho ran >> "${folder}/.git/ran"\n`)
      chmodSync(script, 0o755)
      for (const key of ["diff.external", "diff.evil.command", "diff.evil.textconv", "core.fsmonitor", "core.pager"]) {
        git(folder, "config", key, script)
      }
      git(folder, "config", "color.ui", "always")
      assert.include(yield* inspect(folder), "1 file changed, 1 insertion(+), 1 deletion(-)")
      assert.isFalse(existsSync(join(folder, ".git", "ran")))
    })
  )
})

describe("facts", () => {
  it("reads git's quoted paths", () => {
    assert.strictEqual(unquote('"a\\tb\\n\\"\\\\\\303\\274 \u00fc"'), 'a\tb\n"\\\u00fc \u00fc')
    assert.strictEqual(unquote("plain name"), "plain name")
    fc.assert(
      fc.property(fc.fullUnicodeString(), (path) => {
        const quoted = [...Buffer.from(path)].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("")
        assert.strictEqual(unquote(`"${quoted}"`), path)
      })
    )
  })

  it("takes a result of bash apart", () => {
    const result = (text: string) => outputOf({ callId: "c", name: "bash", text, isError: false })
    assert.deepStrictEqual(result("out\n[Exit code 0.]"), { stdout: "out\n", stderr: "", code: 0 })
    assert.deepStrictEqual(result("[No output.]\n[Exit code 0.]"), { stdout: "", stderr: "", code: 0 })
    assert.deepStrictEqual(result("a\n[stderr]\nb\n[Exit code 128.]"), { stdout: "a\n", stderr: "b\n", code: 128 })
    assert.strictEqual(result("x\n[Exit code 124: it ran out of its time of 30 s.]").code, 124)
    assert.strictEqual(outputOf(undefined).code, undefined)
  })

  it("tells kinds of files by their paths", () => {
    const kinds = Object.entries({
      "src/a.ts": "source",
      "src/a.test.ts": "test",
      "tests/x.json": "test",
      "test_a.py": "test",
      "a_test.go": "test",
      "docs/a.png": "documentation",
      LICENSE: "documentation",
      "package.json": "configuration",
      ".gitignore": "configuration",
      Makefile: "configuration",
      "notes.txt": "text",
      "logo.png": "other"
    })
    for (const [path, kind] of kinds) assert.strictEqual(kindOf(path), kind, path)
  })
})
