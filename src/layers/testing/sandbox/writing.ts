import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { bytesOf, type Case, denied, same, trial } from "./expect.js"

export const writing: ReadonlyArray<Case> = [
  trial("a file is made, and replaced by a longer and by a shorter one", ({ read, sandbox, write }) =>
    Effect.gen(function* () {
      for (const text of ["first", "a longer one", "x", ""]) {
        yield* write("f", text)
        yield* same("the file", yield* read("f"), text)
      }
      yield* same("the folder", yield* sandbox.list("."), [{ name: "f", type: "file" }])
    })
  ),

  trial("any bytes are written", ({ sandbox }) =>
    Effect.gen(function* () {
      const bytes = new Uint8Array(300_000).map((_, i) => (i * 7 + (i >> 8)) & 255)
      yield* sandbox.write("f", bytes)
      const read = yield* sandbox.read("f")
      yield* same("its size", read.length, bytes.length)
      yield* same(
        "the first byte that differs",
        read.findIndex((byte, i) => byte !== bytes[i]),
        -1
      )
    })
  ),

  trial("what was given to be written can be changed afterwards", ({ read, sandbox }) =>
    Effect.gen(function* () {
      const bytes = bytesOf("given")
      yield* sandbox.write("f", bytes)
      bytes.fill(0)
      yield* same("the file", yield* read("f"), "given")
    })
  ),

  trial("the folders on the way are made", ({ read, sandbox, write }) =>
    Effect.gen(function* () {
      yield* write("a/b/c/f", "deep")
      yield* same("the file", yield* read("a/b/c/f"), "deep")
      yield* write("a/b/g", "beside")
      yield* same("the folder", yield* sandbox.list("a/b"), [
        { name: "c", type: "directory" },
        { name: "g", type: "file" }
      ])
    })
  ),

  trial("names of many kinds are kept as given", ({ read, sandbox, sh, write }) =>
    Effect.gen(function* () {
      const names = ["with space", "-dash", "$HOME", "*", "a'b\"c", "é😀", ".dot", "line\nbreak", "back\\slash", "%00"]
      for (const name of names) yield* write(name, name)
      for (const name of names) yield* same(`the file ${JSON.stringify(name)}`, yield* read(name), name)
      const listed = (yield* sandbox.list(".")).map(({ name }) => name)
      yield* same("the list", listed, names.toSorted())
      yield* same("what the shell reads", yield* sh("cat ./-dash"), "-dash")
    })
  ),

  trial("a file keeps its permissions", ({ read, sh, write }) =>
    Effect.gen(function* () {
      yield* write("f", "echo old")
      yield* sh("chmod 750 f")
      yield* write("f", "echo new")
      yield* same("the file", yield* read("f"), "echo new")
      yield* same("its permissions", (yield* sh("stat -c %a f")).trim(), "750")
    })
  ),

  trial("nothing is written in the place of a folder, nor below a file", ({ read, sandbox, write }) =>
    Effect.gen(function* () {
      yield* write("d/f", "x")
      yield* denied("the write to a folder", write("d", "y"))
      yield* denied("the write to the root", write(".", "y"))
      yield* denied("the write to the root's own name", write(sandbox.root, "y"))
      yield* denied("the write below a file", write("d/f/g", "y"))
      yield* denied("the write from a folder that does not exist", write("f", "y", "nowhere"))
      yield* same("the file", yield* read("d/f"), "x")
      yield* same("the root", yield* sandbox.list("."), [{ name: "d", type: "directory" }])
    })
  ),

  trial("nothing is written below .git or .baton, by whatever name, and all of it is read", ({ read, sh, write }) =>
    Effect.gen(function* () {
      yield* sh(
        "mkdir -p .git/hooks sub/.git .baton; echo config > .git/config; ln -s .git door; ln -s .git/config file"
      )
      const names = [
        ".git/config",
        ".git/hooks/pre-commit",
        ".git/new/f",
        "sub/.git/f",
        "sub/../.git/f",
        ".baton/f",
        "new/.baton/f",
        "door/config",
        "door/new",
        "file",
        ".GIT/f",
        ".git"
      ]
      for (const name of names) yield* denied(`the write to ${name}`, write(name, "evil"))
      yield* denied("the write from .git", write("config", "evil", ".git"))
      yield* same("the file", yield* read(".git/config"), "config\n")
      yield* same("what stands below", (yield* sh("find .git .baton -type f")).trim(), ".git/config")
      yield* write(".gitignore", "fine")
      yield* write("git/f", "fine")
    })
  ),

  trial("a write through a link that stays inside changes what it names, and the link stays", (it) =>
    Effect.gen(function* () {
      const { read, sandbox, sh, write } = it
      yield* sh("mkdir a; echo old > a/f; ln -s a/f lf; ln -s a ld")
      yield* write("lf", "by file")
      yield* same("the file", yield* read("a/f"), "by file")
      yield* write("ld/g", "by folder")
      yield* same("the other file", yield* read("a/g"), "by folder")
      const types = (yield* sandbox.list(".")).map(({ name, type }) => `${name} ${type}`)
      yield* same("the root", types, ["a directory", "ld other", "lf other"])
    })
  ),

  trial("a write to a file of two names changes one name at most, and never both", ({ read, sh, write }) =>
    Effect.gen(function* () {
      yield* sh("echo both > a; ln a b")
      yield* Effect.ignore(write("a", "changed"))
      yield* same("the other name's file", yield* read("b"), "both\n")
    })
  ),

  trial("who reads while a file is replaced sees one of both, whole", ({ read, write }) =>
    Effect.gen(function* () {
      const [a, b] = ["a".repeat(100_000), "b".repeat(150_000)]
      yield* write("f", a)
      const writes = Effect.forEach([b, a, b, a, b], (text) => write("f", text), { discard: true })
      const reads = Effect.replicateEffect(read("f"), 20)
      const [seen] = yield* Effect.all([reads, writes], { concurrency: 2 })
      for (const text of seen) yield* same("whether it is one of both", text === a || text === b, true)
    })
  ),

  trial("an interrupted write has happened or not, and leaves nothing else", ({ read, sandbox, write }) =>
    Effect.gen(function* () {
      const [a, b] = ["a".repeat(1000), "b".repeat(200_000)]
      for (let round = 0; round < 5; round++) {
        yield* write("f", a)
        yield* Effect.raceFirst(write("f", b), Effect.yieldNow())
        const now = yield* Effect.either(read("f"))
        yield* same("whether it is one of both", Either.isRight(now) && [a, b].includes(now.right), true)
        yield* same("the root", yield* sandbox.list("."), [{ name: "f", type: "file" }])
      }
    })
  )
]
