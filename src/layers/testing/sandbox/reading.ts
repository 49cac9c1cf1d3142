import * as Effect from "effect/Effect"
import { bytesOf, type Case, denied, same, textOf, trial } from "./expect.js"

const every = new Uint8Array(256).map((_, i) => i)

export const reading: ReadonlyArray<Case> = [
  trial("a file is read as the bytes that it holds", ({ sandbox }) =>
    Effect.gen(function* () {
      yield* sandbox.write("f", every)
      yield* same("the file", [...(yield* sandbox.read("f"))], [...every])
      yield* same("its stat", yield* sandbox.stat("f"), { type: "file", size: 256 })
    })
  ),

  trial("a range is read from its offset, as far as its limit and no further than the end", ({ sandbox }) =>
    Effect.gen(function* () {
      yield* sandbox.write("f", bytesOf("0123456789"))
      const part = (offset?: number, limit?: number) => Effect.map(sandbox.read("f", { offset, limit }), textOf)
      yield* same("2 to 5", yield* part(2, 3), "234")
      yield* same("from 7", yield* part(7), "789")
      yield* same("the first 4", yield* part(undefined, 4), "0123")
      yield* same("a range over the end", yield* part(8, 100), "89")
      yield* same("a range at the end", yield* part(10, 5), "")
      yield* same("a range beyond the end", yield* part(1000, 5), "")
      yield* same("nothing", yield* part(3, 0), "")
    })
  ),

  trial("what is read is the reader's own: to change it changes no file", ({ read, sandbox, write }) =>
    Effect.gen(function* () {
      yield* write("f", "mine")
      ;(yield* sandbox.read("f")).fill(0)
      yield* same("the file", yield* read("f"), "mine")
    })
  ),

  trial("an empty file is a file of no bytes", ({ read, sandbox, write }) =>
    Effect.gen(function* () {
      yield* write("f", "")
      yield* same("the file", yield* read("f"), "")
      yield* same("its stat", yield* sandbox.stat("f"), { type: "file", size: 0 })
    })
  ),

  trial("neither a folder nor what does not exist is read", ({ sandbox, write }) =>
    Effect.gen(function* () {
      yield* write("d/f", "x")
      yield* denied("the read of a folder", sandbox.read("d"))
      yield* denied("the read of the root", sandbox.read("."))
      yield* denied("the read of what does not exist", sandbox.read("g"))
      yield* denied("the read below a file", sandbox.read("d/f/x"))
      yield* denied("the stat of what does not exist", sandbox.stat("g"))
      yield* denied("the read from a folder that does not exist", sandbox.read("f", { cwd: "nowhere" }))
    })
  ),

  trial("a stat tells a file, a folder and the root, and looks through a link", ({ sandbox, sh, write }) =>
    Effect.gen(function* () {
      yield* write("d/f", "12345")
      yield* sh("ln -s d/f lf; ln -s d ld")
      const type = (path: string) => Effect.map(sandbox.stat(path), (it) => it.type)
      yield* same("the file", yield* sandbox.stat("d/f"), { type: "file", size: 5 })
      yield* same("the link to it", yield* sandbox.stat("lf"), { type: "file", size: 5 })
      yield* same("the folder", yield* type("d"), "directory")
      yield* same("the link to it", yield* type("ld"), "directory")
      yield* same("the root", yield* type("."), "directory")
    })
  ),

  trial("a list is sorted by name and tells what each entry is; links are `other`", ({ sandbox, sh }) =>
    Effect.gen(function* () {
      yield* sh(
        "mkdir z a; touch b B 10 9 .hidden 'with space' é a/inner; ln -s b link; ln -s a to-folder; ln -s no dead"
      )
      const entries = yield* sandbox.list(".")
      const types = Object.fromEntries(entries.map(({ name, type }) => [name, type]))
      yield* same(
        "the order",
        entries.map(({ name }) => name),
        Object.keys(types).toSorted()
      )
      yield* same("the list", types, {
        ".hidden": "file",
        10: "file",
        9: "file",
        B: "file",
        a: "directory",
        b: "file",
        dead: "other",
        link: "other",
        "to-folder": "other",
        "with space": "file",
        z: "directory",
        é: "file"
      })
      yield* same("the list through a link", yield* sandbox.list("to-folder"), [{ name: "inner", type: "file" }])
      yield* same("an empty folder", yield* sandbox.list("z"), [])
    })
  ),

  trial("neither a file nor what does not exist is listed", ({ sandbox, write }) =>
    Effect.gen(function* () {
      yield* write("f", "x")
      yield* denied("the list of a file", sandbox.list("f"))
      yield* denied("the list of what does not exist", sandbox.list("nowhere"))
    })
  ),

  trial("a relative path starts from its cwd, an absolute one from the root", ({ read, sandbox, write }) =>
    Effect.gen(function* () {
      yield* write("a/b/f", "deep")
      yield* write("f", "top")
      yield* same("f from a/b", yield* read("f", "a/b"), "deep")
      yield* same("../../f from a/b", yield* read("../../f", "a/b"), "top")
      yield* same("f from the root's own name", yield* read("f", sandbox.root), "top")
      yield* same("an absolute path", yield* read(`${sandbox.root}/f`, "a/b"), "top")
      yield* same("the list of . from a", yield* sandbox.list(".", "a"), [{ name: "b", type: "directory" }])
      yield* same("the stat of b/f from a", yield* sandbox.stat("b/f", "a"), { type: "file", size: 4 })
      yield* write("g", "new", "a")
      yield* same("what was written from a", yield* read("a/g"), "new")
    })
  ),

  trial("a file has one place, whatever it is called by", ({ sandbox, sh, write }) =>
    Effect.gen(function* () {
      yield* write("a/f", "x")
      yield* write("x/y", "")
      yield* sh("ln -s a/f lf; ln -s a ld; ln -s ../lf x/chain")
      const names = ["a/f", "./a/f", "a/../a/f", "x/../a/f", "a//f", `${sandbox.root}/a/f`, "lf", "ld/f", "x/chain"]
      for (const name of names) yield* same(`the place of ${name}`, yield* sandbox.place(name), "a/f")
      yield* same("the place of f from a", yield* sandbox.place("f", "a"), "a/f")
      yield* same("the place of f from ld", yield* sandbox.place("f", "ld"), "a/f")
      yield* same("the place of the root", yield* sandbox.place("."), ".")
      yield* same("the place of a folder", yield* sandbox.place("ld"), "a")
    })
  ),

  trial("what does not exist has a place below what does", ({ sandbox, sh }) =>
    Effect.gen(function* () {
      yield* sh("mkdir a; ln -s a ld")
      yield* same("a missing file", yield* sandbox.place("a/new"), "a/new")
      yield* same("one in missing folders", yield* sandbox.place("./p/q/../r/new"), "p/r/new")
      yield* same("one behind a link", yield* sandbox.place("ld/p/new"), "a/p/new")
    })
  )
]
