import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { confine, maxMade } from "../../../src/layers/sandbox/confine.js"
import { reasonOf } from "../../../src/layers/sandbox/faults.js"
import { SandboxError } from "../../../src/services/Errors.js"
import { draftsIn, groundOf } from "../../support/sandbox.js"

const bytes = (text: string) => Buffer.from(text)
const modeOf = (at: string) => (fs.statSync(at).mode & 0o7777).toString(8)

/** Runs with a umask of the whole process, which is put back. */
const withUmask = <A, E, R>(mask: number, effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => process.umask(mask)),
    () => effect,
    (before) => Effect.sync(() => process.umask(before))
  )

// Where the system does not show where a descriptor leads, the second way of checking it is taken.
for (const descriptors of ["/proc/self/fd", "/nowhere"]) {
  const ground = (protect: ReadonlyArray<string> = []) =>
    Effect.gen(function* () {
      const { folder, root } = yield* groundOf({ "root/file.txt": "before", "root/sub/leaf.txt": "leaf" })
      const files = yield* confine(root, { descriptors, protect })
      const write = (at: string, text: string, cwd?: string) => files.write({ path: at, cwd }, bytes(text))
      const at = (...parts: ReadonlyArray<string>) => path.join(root, ...parts)
      const told = (...parts: ReadonlyArray<string>) => fs.readFileSync(at(...parts), "utf8")
      /** Makes sure that a write is refused, and gives what it says. */
      const refused = (place: string, cwd?: string) =>
        Effect.map(Effect.flip(write(place, "WRITTEN", cwd)), (error) => {
          assert.instanceOf(error, SandboxError)
          assert.strictEqual(error.operation, "write")
          assert.deepStrictEqual(draftsIn(folder), [])
          return error.message
        })
      return { folder, root, files, write, at, told, refused }
    })

  describe(`write (${descriptors})`, () => {
    it.scoped("makes a file hold the bytes, by every kind of path, with the folders on the way", () =>
      Effect.gen(function* () {
        const { at, files, root, told, write } = yield* ground()
        yield* write("file.txt", "after")
        assert.strictEqual(told("file.txt"), "after")
        yield* write("new/folders/on/the/way.txt", "made")
        assert.strictEqual(told("new/folders/on/the/way.txt"), "made")
        yield* write(path.join(root, "sub", "..", "absolute.txt"), "absolute")
        assert.strictEqual(told("absolute.txt"), "absolute")
        yield* write("../other.txt", "by cwd", "sub")
        assert.strictEqual(told("other.txt"), "by cwd")
        yield* write("empty", "")
        assert.strictEqual(told("empty"), "")
        const long = "\u6F22".repeat(85)
        yield* write(long, "a name of 255 bytes")
        assert.strictEqual(told(long), "a name of 255 bytes")
        const large = Buffer.alloc(5_000_000, "0123456789")
        yield* files.write({ path: "large" }, large)
        assert.isTrue(fs.readFileSync(at("large")).equals(large))
        assert.deepStrictEqual(draftsIn(root), [])
      })
    )

    it.scoped("goes through links that stay inside, and leaves them links", () =>
      Effect.gen(function* () {
        const { at, told, write } = yield* ground()
        fs.symlinkSync("sub", at("good"))
        fs.symlinkSync("good/leaf.txt", at("leaf"))
        yield* write("leaf", "1")
        yield* write("good/new.txt", "2")
        assert.deepStrictEqual([told("sub/leaf.txt"), told("sub/new.txt")], ["1", "2"])
        assert.isTrue(fs.lstatSync(at("leaf")).isSymbolicLink())
        assert.isTrue(fs.lstatSync(at("good")).isSymbolicLink())
      })
    )

    it.scoped("keeps permissions, and gives a new file those of the umask", () =>
      Effect.gen(function* () {
        const { at, write } = yield* ground()
        for (const [mode, then] of [
          [0o600, "600"],
          [0o755, "755"],
          [0o666, "666"],
          [0o6755, "755"],
          [0o1644, "644"]
        ] as const) {
          fs.chmodSync(at("file.txt"), mode)
          yield* withUmask(0o077, write("file.txt", "again"))
          assert.strictEqual(modeOf(at("file.txt")), then)
        }
        yield* withUmask(0o027, write("made/new", "new"))
        assert.strictEqual(modeOf(at("made/new")), "640")
        assert.strictEqual(modeOf(at("made")), "750")
        // Only root can give a file away.
        if (process.getuid?.() === 0) {
          fs.chownSync(at("file.txt"), 65_534, 65_533)
          yield* write("file.txt", "of somebody else")
          const { gid, uid } = fs.statSync(at("file.txt"))
          assert.deepStrictEqual({ gid, uid }, { gid: 65_533, uid: 65_534 })
        }
      })
    )

    it.scoped("refuses what is no regular file with one name", () =>
      Effect.gen(function* () {
        const { at, folder, refused, told } = yield* ground()
        fs.symlinkSync("../outside/secret.txt", at("out"))
        fs.symlinkSync("../outside/new.txt", at("out-new"))
        fs.symlinkSync("../outside", at("out-folder"))
        fs.symlinkSync("missing", at("dangling"))
        fs.symlinkSync("loop", at("loop"))
        fs.linkSync(path.join(folder, "outside", "secret.txt"), at("hard"))
        execFileSync("mkfifo", [at("fifo")])
        assert.match(yield* refused("out"), /leads out/)
        assert.match(yield* refused("out-new"), /leads nowhere|leads out/)
        assert.match(yield* refused("out-folder/new.txt"), /leads out/)
        assert.match(yield* refused("dangling"), /leads nowhere/)
        assert.match(yield* refused("dangling/new.txt"), /leads nowhere/)
        assert.match(yield* refused("loop"), /links/)
        assert.match(yield* refused("hard"), /hard link/)
        assert.match(yield* refused("fifo"), /not a regular file/)
        assert.match(yield* refused("sub"), /it is a folder/)
        for (const name of [".", "..", "sub/", "new/", "new/.", "new/.."]) {
          assert.match(yield* refused(name), /it names a folder/, name)
        }
        assert.match(yield* refused(at()), /it is a folder/)
        assert.match(yield* refused("file.txt/below"), /not a folder/)
        assert.match(yield* refused(""), /empty/)
        assert.match(yield* refused("a\0b"), /NUL/)
        assert.match(yield* refused("../outside/new.txt"), /leads out/)
        assert.match(yield* refused("new", "../outside"), /leads out/)
        assert.match(yield* refused("new", "missing"), /no such/)
        assert.match(yield* refused("x".repeat(256)), /too long/)
        assert.match(yield* refused("a/".repeat(maxMade + 1) + "b"), /folders would have to be made/)
        assert.deepStrictEqual(fs.readdirSync(path.join(folder, "outside")), ["secret.txt"])
        assert.strictEqual(fs.readFileSync(path.join(folder, "outside", "secret.txt"), "utf8"), "SECRET")
        assert.strictEqual(told("file.txt"), "before")
        assert.isFalse(fs.existsSync(at("a")))
      })
    )

    it.scoped("keeps out of .git and .baton, whatever they are called by", () =>
      Effect.gen(function* () {
        const { at, refused, write } = yield* ground()
        fs.mkdirSync(at("sub/.git/hooks"), { recursive: true })
        fs.mkdirSync(at(".baton"))
        fs.symlinkSync("sub/.git/hooks", at("hooks"))
        fs.symlinkSync(".baton", at("state"))
        for (const name of [
          "sub/.git/hooks/pre-commit",
          "hooks/pre-commit",
          "sub/../hooks/pre-commit",
          "state/store.db",
          ".baton/store.db",
          ".git",
          ".git/config",
          "new/.git/config",
          ".GIT/config",
          ".Baton/config",
          ".g\u200Cit/config",
          "sub/.git/../.git/config"
        ]) {
          assert.match(yield* refused(name), /is not written by tools/, name)
        }
        assert.match(yield* refused("config", "sub/.git"), /is not written by tools/)
        for (const name of [".gitignore", ".github/x.yml", "git", ".batonrc"]) yield* write(name, "fine")
        assert.isFalse(fs.existsSync(at("new")))
      })
    )

    it.scoped("keeps out of what is protected", () =>
      Effect.gen(function* () {
        const { at, folder, refused, root, write } = yield* ground([
          "conf",
          "app.json",
          "later/store.db",
          "alias.json",
          "../outside",
          path.join("/nowhere", "at", "all")
        ])
        fs.mkdirSync(at("conf"))
        fs.symlinkSync("conf", at("way"))
        fs.symlinkSync("real.json", at("alias.json"))
        fs.writeFileSync(at("real.json"), "{}")
        for (const name of [
          "conf/a",
          "conf/b/c",
          "conf",
          "CONF/a",
          "way/a",
          "app.json",
          "later/store.db",
          "alias.json",
          "real.json",
          path.join(root, "app.json")
        ]) {
          assert.match(yield* refused(name), /protected|it is a folder/, name)
        }
        for (const name of ["config", "app.json5", "later/store.db-not", "conf.d/x"]) yield* write(name, "fine")
        assert.deepStrictEqual(fs.readdirSync(path.join(folder, "outside")), ["secret.txt"])
      })
    )

    it.scoped("says why it cannot be done, and leaves nothing behind", () =>
      Effect.gen(function* () {
        const { at, files, folder, refused, root, told } = yield* ground()
        // The disk refuses what goes beyond a limit, as it does when it is full.
        const limit = (soft: string) => execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${soft}:`])
        const deaf = () => {}
        yield* Effect.acquireUseRelease(
          Effect.sync(() => {
            process.on("SIGXFSZ", deaf)
            limit("65536")
          }),
          () =>
            Effect.gen(function* () {
              for (const place of ["file.txt", "made/on/the/way.txt"]) {
                const error = yield* Effect.flip(files.write({ path: place }, Buffer.alloc(3_000_000)))
                assert.match(error.message, /larger than the system lets it be/)
              }
            }),
          () =>
            Effect.sync(() => {
              limit("unlimited")
              process.off("SIGXFSZ", deaf)
            })
        )
        assert.strictEqual(told("file.txt"), "before")
        assert.deepStrictEqual(fs.readdirSync(root).toSorted(), ["file.txt", "sub"])
        assert.deepStrictEqual(draftsIn(folder), [])
        assert.strictEqual(reasonOf({ code: "ENOSPC" }), "the disk is full")
        assert.strictEqual(reasonOf({ code: "EROFS" }), "the file system can only be read")

        // Permissions bind nobody who is root, so that one becomes somebody else meanwhile.
        fs.chmodSync(folder, 0o755)
        fs.chmodSync(at("sub"), 0o555)
        fs.chmodSync(at("sub/leaf.txt"), 0o444)
        const isRoot = process.getuid?.() === 0
        yield* Effect.acquireUseRelease(
          Effect.sync(() => isRoot && process.seteuid?.(65_534)),
          () =>
            Effect.gen(function* () {
              assert.match(yield* refused("sub/new"), /permission denied/)
              assert.match(yield* refused("sub/new/below"), /permission denied/)
              assert.match(yield* refused("sub/leaf.txt"), /permission denied/)
            }),
          () => Effect.sync(() => isRoot && process.seteuid?.(0))
        )
      })
    )
  })

  describe(`place (${descriptors})`, () => {
    it.scoped("is the one name of a file", () =>
      Effect.gen(function* () {
        const { at, files, folder, root } = yield* ground()
        fs.symlinkSync("sub", at("good"))
        fs.symlinkSync("missing", at("dangling"))
        fs.symlinkSync("../outside", at("out"))
        fs.symlinkSync("root", path.join(folder, "alias"))
        const place = (asked: string, cwd?: string) => files.place({ path: asked, cwd })
        for (const asked of [
          "sub/leaf.txt",
          "./sub//leaf.txt",
          "good/leaf.txt",
          "sub/../good/./leaf.txt",
          at("sub/leaf.txt")
        ]) {
          assert.strictEqual(yield* place(asked), "sub/leaf.txt", asked)
        }
        assert.strictEqual(yield* place("leaf.txt", "good"), "sub/leaf.txt")
        assert.strictEqual(yield* place("../file.txt", "good"), "file.txt")
        assert.strictEqual(yield* place("."), ".")
        assert.strictEqual(yield* place(root), ".")
        assert.strictEqual(yield* place("good/new/file"), "sub/new/file")
        assert.strictEqual(yield* place("new/../good/x"), "sub/x")
        const alias = yield* confine(path.join(folder, "alias"), { descriptors })
        assert.strictEqual(yield* alias.place({ path: path.join(folder, "alias", "good", "new") }), "sub/new")
        for (const asked of [
          "..",
          "../x",
          "out",
          "out/new",
          "/etc/passwd",
          "dangling",
          "dangling/x",
          "",
          "a\0",
          "file.txt/x"
        ]) {
          assert.instanceOf(yield* Effect.flip(place(asked)), SandboxError, asked)
        }
      })
    )
  })
}
