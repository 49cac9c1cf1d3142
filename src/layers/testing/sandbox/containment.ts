import * as Effect from "effect/Effect"
import { type Case, closed, denied, same, trial } from "./expect.js"

export const containment: ReadonlyArray<Case> = [
  trial("`..` leads nowhere out of the root", (it) =>
    Effect.gen(function* () {
      yield* it.write("a/f", "x")
      const ways = ["..", "../x", "a/../../x", "../../../../../../etc/passwd", "a/../..", "./../x", "..//x"]
      for (const way of ways) yield* closed(it, way)
      yield* closed(it, "../../x", "a")
    })
  ),

  trial("an absolute path leads nowhere out of the root, nor to what only begins with its name", (it) =>
    Effect.gen(function* () {
      const { root } = it.sandbox
      for (const way of ["/", "/etc/passwd", "/proc/self/environ", `${root}-evil/f`, `${root}/../x`, `${root}x`]) {
        yield* closed(it, way)
      }
    })
  ),

  trial("a cwd leads nowhere out of the root", (it) =>
    Effect.gen(function* () {
      yield* it.write("f", "x")
      yield* it.sh("ln -s .. up; ln -s / slash")
      for (const cwd of ["..", "/", "/tmp", `${it.sandbox.root}-evil`, "up", "slash", "no\0", "f"]) {
        yield* closed(it, "f/inner", cwd)
        yield* denied(`a command from ${JSON.stringify(cwd)}`, it.sandbox.exec({ command: "true", cwd }))
      }
    })
  ),

  trial("neither an empty path nor one with NUL is taken", (it) =>
    Effect.gen(function* () {
      yield* it.write("f", "x")
      for (const way of ["", "\0", "f\0", "f\0.txt", "\0/f"]) yield* closed(it, way)
    })
  ),

  trial("a link that leads out is not followed, by whatever way", (it) =>
    Effect.gen(function* () {
      const { sandbox, sh } = it
      // Beside the root, where the sandbox's own shell can write.
      const outside = (yield* sh(
        "mkdir -p /tmp; mktemp -d 2>/dev/null || (mkdir -p /tmp/contract && echo /tmp/contract)"
      )).trim()
      yield* sh(`echo secret > ${outside}/f; mkdir -p ${outside}/d; echo secret > ${outside}/d/g; mkdir a`)
      yield* sh(
        `ln -s ${outside}/f file; ln -s ${outside} folder; ln -s file chain; ln -s ../folder a/far; ln -s .. up`
      )
      const ways = ["file", "chain", "folder", "folder/f", "folder/d/g", "a/far/f", "up", "up/x", `up${outside}/f`]
      for (const way of ways) yield* closed(it, way)
      yield* closed(it, "f", "folder")
      yield* denied("a command from behind a link", sandbox.exec({ command: "true", cwd: "folder" }))
      yield* same("what stands outside", yield* sh(`cat ${outside}/f ${outside}/d/g`), "secret\nsecret\n")
      yield* sh(`rm -r ${outside}`)
    })
  ),

  trial("a write through a dead link makes nothing outside", (it) =>
    Effect.gen(function* () {
      const { sh, write } = it
      const outside = (yield* sh(
        "mkdir -p /tmp; mktemp -d 2>/dev/null || (mkdir -p /tmp/contract && echo /tmp/contract)"
      )).trim()
      yield* sh(`ln -s ${outside}/new dead; ln -s ${outside}/folder gone`)
      yield* Effect.ignore(write("dead", "x"))
      yield* Effect.ignore(write("gone/f", "x"))
      yield* same("what stands outside", yield* sh(`ls -A ${outside}`), "")
      yield* sh(`rm -r ${outside}`)
    })
  ),

  trial("a link by `..` behind what does not exist leads nowhere", (it) =>
    Effect.gen(function* () {
      const { sandbox, sh } = it
      yield* sh(
        "mkdir a; ln -s nope/../../etc/x out; ln -s ../nope/../../x a/far; ln -s nope/../.. up; ln -s nope/../a in"
      )
      for (const way of ["out", "a/far", "up", "up/x", "in", "in/x"]) yield* closed(it, way)
      yield* denied("the write from behind it", it.write("x", "x", "up"))
      const names = (yield* sandbox.list(".")).map(({ name }) => name)
      yield* same("the root", names, ["a", "in", "out", "up"])
      yield* same("the folder", yield* sandbox.list("a"), [{ name: "far", type: "other" }])
    })
  ),

  trial("links that go round in circles are no place", (it) =>
    Effect.gen(function* () {
      yield* it.sh("ln -s b a; ln -s a b; ln -s self self")
      for (const way of ["a", "a/x", "self", "self/x"]) yield* closed(it, way)
    })
  )
]
