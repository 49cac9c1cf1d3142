import { execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, FastCheck as fc, Fiber, Layer, TestClock } from "effect"
import { NodeSandbox } from "effect-baton/node"
import { confine } from "../../src/layers/sandbox/confine.js"
import { Tail } from "../../src/layers/sandbox/Tail.js"
import { SandboxError } from "../../src/services/Errors.js"
import { Sandbox } from "../../src/services/Sandbox.js"
import { isAlive, pidIn, plant, tempFolder } from "../support/folder.js"
import { ownSeconds } from "../support/sandbox.js"

const make = (options: NodeSandbox.Options) =>
  Effect.flatMap(Effect.scope, (scope) =>
    Effect.map(Layer.buildWithScope(NodeSandbox.layer(options), scope), (context) =>
      Effect.runSync(Effect.provide(Sandbox, context))
    )
  )

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8")

/** `ground/root` is the sandbox; what lies beside it is out of bounds. */
const ground = Effect.gen(function* () {
  const folder = yield* tempFolder
  plant(folder, {
    "root/file.txt": "inside",
    "root/sub/deep/leaf.txt": "leaf",
    "root-evil/secret.txt": "SECRET",
    "outside/secret.txt": "SECRET",
    "outside/folder/secret.txt": "SECRET"
  })
  const root = path.join(folder, "root")
  return { folder, root, sandbox: yield* make({ root }) }
})

const link = (target: string, at: string) => fs.symlinkSync(target, at)

describe("NodeSandbox", () => {
  describe("its folder", () => {
    it.scoped("is left by no path", () =>
      Effect.gen(function* () {
        const { folder, root, sandbox } = yield* ground
        const at = (...parts: ReadonlyArray<string>) => path.join(root, ...parts)
        link("../outside/secret.txt", at("link-relative"))
        link(path.join(folder, "outside", "secret.txt"), at("link-absolute"))
        link("../outside", at("link-folder"))
        link("link-relative", at("chain-1"))
        link("chain-1", at("chain-2"))
        link("chain-2", at("sub", "chain-0"))
        fs.rmSync(at("sub", "chain-0"))
        link("../chain-2", at("sub", "chain-3"))
        link("loop-b", at("loop-a"))
        link("loop-a", at("loop-b"))
        link("loop-self", at("loop-self"))
        link("../outside/missing", at("dangling"))
        link("missing", at("dangling-inside"))
        link("..", at("up"))
        link("/", at("slash"))
        link("/dev/zero", at("zero"))
        link("/proc/self/environ", at("environ"))
        link("../root-evil", at("sibling"))
        link("sub", at("good"))
        link("../../outside", at("sub", "middle"))
        execFileSync("mkfifo", [at("fifo")])
        const attempts: Record<string, Effect.Effect<unknown, SandboxError>> = {
          parent: sandbox.read("../outside/secret.txt"),
          "parent after a folder": sandbox.read("sub/../../outside/secret.txt"),
          "parent after a missing folder": sandbox.read("missing/../../outside/secret.txt"),
          "many parents": sandbox.read("../".repeat(50) + "etc/passwd"),
          "absolute path": sandbox.read(path.join(folder, "outside", "secret.txt")),
          "absolute path of the system": sandbox.read("/etc/passwd"),
          "absolute path through the root": sandbox.read(at("..", "outside", "secret.txt")),
          "absolute with dots": sandbox.read(`${root}/../outside/secret.txt`),
          "sibling prefix": sandbox.read(`${root}-evil/secret.txt`),
          "sibling prefix by parent": sandbox.read("../root-evil/secret.txt"),
          "relative link": sandbox.read("link-relative"),
          "absolute link": sandbox.read("link-absolute"),
          "link in the middle": sandbox.read("link-folder/secret.txt"),
          "link further in the middle": sandbox.read("sub/middle/folder/secret.txt"),
          "link, then parent": sandbox.read("link-folder/folder/../secret.txt"),
          "chain of links": sandbox.read("chain-2"),
          "chain from a folder": sandbox.read("sub/chain-3"),
          "loop of two": sandbox.read("loop-a"),
          "loop of one": sandbox.read("loop-self"),
          "dangling link": sandbox.read("dangling"),
          "dangling link inside": sandbox.read("dangling-inside"),
          "link to the parent": sandbox.read("up/outside/secret.txt"),
          "link to the top": sandbox.read("slash/etc/passwd"),
          "link to a device": sandbox.read("zero"),
          "link to the environment": sandbox.read("environ"),
          "environment by path": sandbox.read("/proc/self/environ"),
          "link to a sibling": sandbox.read("sibling/secret.txt"),
          "good link, bad parent": sandbox.read("good/../../outside/secret.txt"),
          fifo: sandbox.read("fifo"),
          "trailing slash": sandbox.read("link-folder/"),
          "NUL character": sandbox.read("file.txt\0/../../outside/secret.txt"),
          "empty path": sandbox.read(""),
          folder: sandbox.read("sub"),
          missing: sandbox.read("missing.txt"),
          "long path": sandbox.read("a/".repeat(5_000)),
          "folder outside as start": sandbox.read("secret.txt", { cwd: "../outside" }),
          "link as start": sandbox.read("secret.txt", { cwd: "link-folder" }),
          "link as start, then back": sandbox.read("../root/file.txt", { cwd: "link-folder" }),
          "stat by parent": sandbox.stat("../outside/secret.txt"),
          "stat by link": sandbox.stat("link-absolute"),
          "stat by link in the middle": sandbox.stat("link-folder/secret.txt"),
          "list by parent": sandbox.list(".."),
          "list by link": sandbox.list("link-folder"),
          "list by chain": sandbox.list("up/outside"),
          "list of a file": sandbox.list("file.txt"),
          "list of a fifo": sandbox.list("fifo"),
          "list of the top": sandbox.list("/"),
          "exec outside": sandbox.exec({ command: "cat secret.txt", cwd: "../outside" }),
          "exec by link": sandbox.exec({ command: "cat secret.txt", cwd: "link-folder" }),
          "exec in a file": sandbox.exec({ command: "true", cwd: "file.txt" })
        }
        assert.isAtLeast(Object.keys(attempts).length, 45)
        for (const [name, attempt] of Object.entries(attempts)) {
          const exit = yield* Effect.exit(attempt)
          if (Exit.isSuccess(exit)) assert.fail(`${name} was let through`)
          assert.instanceOf(Cause.squash(exit.cause), SandboxError, name)
          assert.notInclude(Cause.pretty(exit.cause), "SECRET", name)
        }
      })
    )

    it.scoped("is open inside, by every kind of path", () =>
      Effect.gen(function* () {
        const { folder, root, sandbox } = yield* ground
        link("sub/deep", path.join(root, "inner"))
        link(path.join(root, "file.txt"), path.join(root, "sub", "absolute"))
        const read = (at: string, cwd?: string) => Effect.map(sandbox.read(at, { cwd }), text)
        assert.strictEqual(yield* read("file.txt"), "inside")
        assert.strictEqual(yield* read("./sub//deep/../deep/leaf.txt"), "leaf")
        assert.strictEqual(yield* read(path.join(root, "file.txt")), "inside")
        assert.strictEqual(yield* read("inner/leaf.txt"), "leaf")
        assert.strictEqual(yield* read("sub/absolute"), "inside")
        assert.strictEqual(yield* read("leaf.txt", "sub/deep"), "leaf")
        assert.strictEqual(yield* read("../../file.txt", path.join(root, "sub/deep")), "inside")
        assert.deepStrictEqual(yield* sandbox.stat("sub"), { type: "directory", size: fs.statSync(root + "/sub").size })
        assert.deepStrictEqual(yield* sandbox.stat("inner/leaf.txt"), { type: "file", size: 4 })
        assert.deepStrictEqual(yield* sandbox.list("."), [
          { name: "file.txt", type: "file" },
          { name: "inner", type: "other" },
          { name: "sub", type: "directory" }
        ])

        // The root may itself be named through a link; absolute paths by either name are inside.
        link("root", path.join(folder, "alias"))
        const alias = yield* make({ root: path.join(folder, "alias") })
        assert.strictEqual(alias.root, path.join(folder, "alias"))
        for (const base of ["root", "alias"]) {
          assert.strictEqual(text(yield* alias.read(path.join(folder, base, "file.txt"))), "inside")
        }
      })
    )

    it.scoped("must exist and be a folder", () =>
      Effect.gen(function* () {
        const { root } = yield* ground
        for (const at of ["missing", "file.txt"]) {
          const error = yield* Effect.flip(Effect.scoped(make({ root: path.join(root, at) })))
          assert.instanceOf(error, SandboxError)
        }
      })
    )

    it.scoped("gives the part of a file that is asked for, whatever the figures", () =>
      Effect.gen(function* () {
        const { sandbox } = yield* ground
        const read = (offset?: number, limit?: number) =>
          Effect.map(
            sandbox.read("file.txt", {
              ...(offset === undefined ? {} : { offset }),
              ...(limit === undefined ? {} : { limit })
            }),
            text
          )
        assert.strictEqual(yield* read(2), "side")
        assert.strictEqual(yield* read(2, 3), "sid")
        assert.strictEqual(yield* read(0, 1e15), "inside")
        assert.strictEqual(yield* read(100, 5), "")
        assert.strictEqual(yield* read(-5, 2), "in")
        assert.strictEqual(yield* read(NaN, NaN), "")
        assert.strictEqual(yield* read(1.9, -1), "")
        assert.strictEqual(yield* read(Infinity, Infinity), "")
      })
    )

    it.scoped("keeps out of devices and pipes without waiting for them", () =>
      Effect.gen(function* () {
        const { root, sandbox } = yield* ground
        execFileSync("mkfifo", [path.join(root, "fifo")])
        assert.strictEqual((yield* sandbox.stat("fifo")).type, "other")
        assert.match((yield* Effect.flip(sandbox.read("fifo"))).message, /not a regular file/)
        // Only root can make a device.
        const device = path.join(root, "zero")
        if (process.getuid?.() === 0 && process.platform === "linux") {
          execFileSync("mknod", [device, "c", "1", "5"])
          assert.match((yield* Effect.flip(sandbox.read("zero"))).message, /not a regular file/)
        }
        const whole = yield* make({ root: "/" })
        assert.match((yield* Effect.flip(whole.read("/dev/zero"))).message, /not a regular file/)
      })
    )

    it.scoped("asks for pieces of a file that is too large for one", () =>
      Effect.gen(function* () {
        const { root, sandbox } = yield* ground
        fs.truncateSync(path.join(root, "file.txt"), 10 * 1024 ** 3)
        assert.match((yield* Effect.flip(sandbox.read("file.txt"))).message, /too much for one piece/)
        assert.strictEqual((yield* sandbox.read("file.txt", { offset: 9 * 1024 ** 3, limit: 10 })).length, 10)
      })
    )

    // Where the system does not show where a descriptor leads, the second way of checking it is taken.
    for (const descriptors of ["/proc/self/fd", "/nowhere"]) {
      it.scoped(`is not left while files and folders turn into links (${descriptors})`, () =>
        Effect.gen(function* () {
          const { folder, root } = yield* ground
          const files = yield* confine(root, { descriptors })
          plant(root, { "spin/secret.txt": "inside", victim: "inside" })
          const turning = `
            const fs = require("node:fs"), [root, outside] = process.argv.slice(1)
            process.chdir(root)
            fs.symlinkSync(outside, "spin-link"); console.log("turning")
            for (;;) {
              fs.symlinkSync(outside + "/secret.txt", "t1"); fs.renameSync("t1", "victim")
              fs.renameSync("spin", "spin-away"); fs.renameSync("spin-link", "spin")
              fs.writeFileSync("t2", "inside"); fs.renameSync("t2", "victim")
              fs.renameSync("spin", "spin-link"); fs.renameSync("spin-away", "spin")
            }`
          yield* Effect.acquireRelease(
            Effect.async<ReturnType<typeof spawn>>((resume) => {
              const child = spawn(process.execPath, ["-e", turning, root, path.join(folder, "outside")])
              child.stdout.once("data", () => resume(Effect.succeed(child)))
            }),
            (child) =>
              Effect.async<void>((resume) => {
                child.once("close", () => resume(Effect.void))
                child.kill("SIGKILL")
              })
          )
          const seen = new Map<string, number>()
          const note = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1)
          for (let round = 0; round < 400; round++) {
            const [direct, below, listed] = yield* Effect.all(
              [
                Effect.either(files.read({ path: "victim" })),
                Effect.either(files.read({ path: "spin/secret.txt" })),
                Effect.either(files.list({ path: "spin" }))
              ],
              { concurrency: "unbounded" }
            )
            for (const result of [direct, below]) note(result._tag === "Left" ? "refused" : text(result.right))
            // Without descriptors a folder is listed by its path, which cannot be kept from a race.
            if (listed._tag === "Right" && descriptors !== "/nowhere") {
              assert.deepStrictEqual(listed.right, [{ name: "secret.txt", type: "file" }])
            }
          }
          assert.isAbove(seen.get("refused") ?? 0, 0)
          assert.isAbove(seen.get("inside") ?? 0, 0)
          assert.deepStrictEqual([...seen.keys()].toSorted(), ["inside", "refused"])
        })
      )
    }
  })

  describe("its shell", () => {
    it.scopedLive("tells outputs and exit codes", () =>
      Effect.gen(function* () {
        const { root, sandbox } = yield* ground
        const dropped = { stdout: 0, stderr: 0 }
        const run = (command: string, cwd?: string) => sandbox.exec({ command, cwd })
        assert.deepStrictEqual(yield* run("echo out; echo err >&2; exit 3"), {
          stdout: "out\n",
          stderr: "err\n",
          exitCode: 3,
          dropped
        })
        assert.strictEqual((yield* run("pwd", "sub")).stdout, `${root}/sub\n`)
        assert.strictEqual((yield* run("kill -KILL $$")).exitCode, 137)
        assert.strictEqual((yield* run("no-such-command")).exitCode, 127)
        assert.deepStrictEqual(yield* run("cat; echo over"), { stdout: "over\n", stderr: "", exitCode: 0, dropped })
        assert.strictEqual((yield* run("printf 'a\\377\\376b'")).stdout, "a\uFFFD\uFFFDb")
        assert.match((yield* Effect.flip(run("echo \0"))).message, /NUL/)
      })
    )

    it.scopedLive("gives only the named environment", () =>
      Effect.gen(function* () {
        const { root } = yield* ground
        const canaries = { BATON_TEST_CANARY: "canary-1", LC_BATON: "named", AWS_SECRET_ACCESS_KEY: "canary-2" }
        Object.assign(process.env, canaries)
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            for (const name of Object.keys(canaries)) delete process.env[name]
          })
        )
        const sandbox = yield* make({ root })
        const { stdout } = yield* sandbox.exec({ command: "env; cat /proc/$$/environ", env: { OWN: "mine" } })
        assert.notInclude(stdout, "canary")
        assert.include(stdout, "OWN=mine")
        assert.include(stdout, "LC_BATON=named")
        // What the shell sets by itself, and the mark of the command, besides what is let through.
        const own = ["PWD", "OLDPWD", "SHLVL", "_", "OWN", "BATON_EXEC"]
        for (const line of (yield* sandbox.exec({ command: "env", env: { OWN: "mine" } })).stdout.trim().split("\n")) {
          const name = line.slice(0, line.indexOf("="))
          const allowed = NodeSandbox.defaultEnv.some((one) =>
            one.endsWith("*") ? name.startsWith(one.slice(0, -1)) : name === one
          )
          assert.isTrue(allowed || own.includes(name), `${name} was let through`)
        }

        const chosen = yield* make({ root, env: ["BATON_TEST_*"] })
        assert.strictEqual((yield* chosen.exec({ command: "echo $BATON_TEST_CANARY$LC_BATON" })).stdout, "canary-1\n")
        for (const env of [{ "A=B": "canary-3" }, { "": "canary-3" }, { A: "canary-3\0" }]) {
          const error = yield* Effect.flip(sandbox.exec({ command: "true", env }))
          assert.instanceOf(error, SandboxError)
          assert.notInclude(JSON.stringify(error) + error.message, "canary")
        }
      })
    )

    /** A grandchild that ignores SIGTERM, and one that `timeout` has put into a group of its own. */
    const stubborn = `
      bash -c 'trap "" TERM; echo $$ > stubborn.pid; while :; do sleep 1; done' &
      (timeout 1000 bash -c 'echo $$ > other.pid; while :; do sleep 1; done' &)
      wait`
    const pids = (root: string) =>
      Effect.all([pidIn(path.join(root, "stubborn.pid")), pidIn(path.join(root, "other.pid"))])

    it.scopedLive("ends every process of a command when it is interrupted", () =>
      Effect.gen(function* () {
        const { root } = yield* ground
        const sandbox = yield* make({ root, killGrace: 100 })
        const fiber = yield* Effect.fork(sandbox.exec({ command: stubborn }))
        const running = yield* pids(root)
        assert.deepStrictEqual(running.map(isAlive), [true, true])
        const exit = yield* Fiber.interrupt(fiber)
        assert.isTrue(Exit.isInterrupted(exit))
        assert.deepStrictEqual(running.map(isAlive), [false, false])
      })
    )

    it.scoped("ends every process of a command when its time is over", () =>
      Effect.gen(function* () {
        const { root } = yield* ground
        const sandbox = yield* make({ root, killGrace: 100 })
        const fiber = yield* Effect.fork(sandbox.exec({ command: `echo before; ${stubborn}`, timeout: 60_000 }))
        const running = yield* pids(root)
        yield* TestClock.adjust("59 seconds")
        assert.deepStrictEqual(running.map(isAlive), [true, true])
        yield* TestClock.adjust("1 second")
        const result = yield* Fiber.join(fiber)
        assert.strictEqual(result.exitCode, 124)
        assert.strictEqual(result.stdout, "before\n")
        assert.deepStrictEqual(running.map(isAlive), [false, false])
      })
    )

    it.scopedLive("ends what a command leaves in the background", () =>
      Effect.gen(function* () {
        const { root } = yield* ground
        const sandbox = yield* make({ root, killGrace: 100 })
        const { exitCode, stdout } = yield* sandbox.exec({
          command: `${stubborn.replace("wait", "")}
            while ! [ -s stubborn.pid -a -s other.pid ]; do :; done; echo done`
        })
        assert.deepStrictEqual({ exitCode, stdout }, { exitCode: 0, stdout: "done\n" })
        assert.deepStrictEqual((yield* pids(root)).map(isAlive), [false, false])
      })
    )

    it.scopedLive("lets a process end by itself on SIGTERM", () =>
      Effect.gen(function* () {
        const { root, sandbox } = yield* ground
        const command = `trap 'echo ended > end.txt; exit 0' TERM; echo $$ > shell.pid; while :; do sleep 0.01; done`
        const fiber = yield* Effect.fork(sandbox.exec({ command }))
        yield* pidIn(path.join(root, "shell.pid"))
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(fs.readFileSync(path.join(root, "end.txt"), "utf8"), "ended\n")
      })
    )

    it.scopedLive("leaves nothing behind when it is interrupted at any time", () =>
      Effect.gen(function* () {
        const { root, sandbox } = yield* ground
        const seconds = ownSeconds(987_654)
        for (let round = 0; round < 25; round++) {
          const fiber = yield* Effect.fork(sandbox.exec({ command: `exec sleep ${seconds}` }))
          for (let step = 0; step < round; step++) yield* Effect.yieldNow()
          if (round % 3 === 0) yield* Effect.promise(() => fs.promises.stat(root))
          yield* Fiber.interrupt(fiber)
        }
        const { stdout } = yield* sandbox.exec({ command: `ps -A -o args= | grep '[s]leep ${seconds}$' || true` })
        assert.strictEqual(stdout, "")
      })
    )

    it.scopedLive("takes odd times", () =>
      Effect.gen(function* () {
        const { sandbox } = yield* ground
        for (const timeout of [NaN, 2 ** 31, 1e300, Infinity]) {
          assert.strictEqual((yield* sandbox.exec({ command: "exit 5", timeout })).exitCode, 5)
        }
        for (const timeout of [-1, 0, -Infinity, 0.5]) {
          assert.strictEqual((yield* sandbox.exec({ command: "sleep 1000", timeout })).exitCode, 124)
        }
      })
    )

    it.scopedLive("keeps the end of an endless output, in bounded memory", () =>
      Effect.gen(function* () {
        const { sandbox } = yield* ground
        const before = process.memoryUsage().rss
        const endless = (timeout: number) =>
          sandbox.exec({ command: "yes | tee /dev/fd/2", timeout, maxOutput: 10_000 })
        let result = yield* endless(700)
        // On a busy machine it takes its time to begin.
        for (let timeout = 1_400; result.dropped.stdout <= 1_000_000 && timeout < 10_000; timeout *= 2) {
          assert.strictEqual(result.exitCode, 124)
          result = yield* endless(timeout)
        }
        const grown = process.memoryUsage().rss - before
        assert.strictEqual(result.exitCode, 124)
        assert.strictEqual(result.stdout.length, 10_000)
        assert.isAbove(result.dropped.stdout, 1_000_000)
        assert.isBelow(grown, 150_000_000)
      })
    )

    it.scopedLive("cuts a single line of 10 MB before a whole character", () =>
      Effect.gen(function* () {
        const { sandbox } = yield* ground
        for (const maxOutput of [0, 1, 10, 1_000, 1_001, 1_002]) {
          const { dropped, stdout } = yield* sandbox.exec({
            command: `yes \u20AC | tr -d '\\n' | head -c 9999999`,
            maxOutput
          })
          assert.match(stdout, /^\u20AC*$/)
          assert.strictEqual(Buffer.byteLength(stdout) + dropped.stdout, 9_999_999)
          assert.isAtMost(Buffer.byteLength(stdout), maxOutput)
          assert.isAbove(Buffer.byteLength(stdout), maxOutput - 3)
        }
      })
    )

    it.prop(
      "keeps of any output what a plain slice would",
      [fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 40 }), fc.integer({ min: 0, max: 60 })],
      ([chunks, max]) => {
        const tail = new Tail(max)
        for (const chunk of chunks) tail.push(chunk)
        const all = Buffer.concat(chunks)
        let start = Math.max(0, all.length - max)
        const most = start === 0 ? 0 : start + 3
        while (start < most && start < all.length && (all[start]! & 0xc0) === 0x80) start++
        assert.deepStrictEqual(tail.read(), { text: all.subarray(start).toString("utf8"), dropped: start })
      }
    )
  })
})
