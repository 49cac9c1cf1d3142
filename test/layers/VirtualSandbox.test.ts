import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, FastCheck as fc, Fiber, Layer, TestClock } from "effect"
import { Agent, Sandbox, Script } from "effect-baton"
import { BuiltinTools } from "effect-baton/node"
import { VirtualSandbox } from "effect-baton/virtual"
import { engine, open } from "../support/engine.js"
import { plant, tempFolder } from "../support/folder.js"
import { unblocked } from "../support/tools.js"
import { recording, wordsOf } from "../support/tracer.js"

const make = (options?: VirtualSandbox.Options) =>
  Effect.map(Layer.build(VirtualSandbox.layer(options)), (context) => {
    const sandbox = Context.get(context, Sandbox.Sandbox)
    return {
      sandbox,
      ...Context.get(context, VirtualSandbox.VirtualSandbox),
      text: (at: string) => Effect.map(sandbox.read(at), textOf),
      sh: (command: string) => Effect.map(sandbox.exec({ command }), ({ stderr, stdout }) => stdout + stderr)
    }
  })

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8")

/**
 * Waits until the thread is silent, which it is while a step computes. It is given so many turns of this thread's own
 * loop that it would have answered, however long a turn takes.
 */
const computes = (sandbox: Context.Tag.Service<Sandbox.Sandbox>) => {
  const turns = Effect.sleep(5).pipe(Effect.repeatN(200), Effect.withClock(Clock.make()))
  return Effect.raceFirst(Effect.as(sandbox.list("."), false), Effect.as(turns, true)).pipe(
    Effect.repeat({ until: (silent) => silent })
  )
}

/** Every name of a real folder, with what it is, its permissions and what it holds. */
const hashOf = (folder: string): string => {
  const hash = createHash("sha256")
  const walk = (at: string): void => {
    for (const name of fs.readdirSync(at).toSorted()) {
      const place = path.join(at, name)
      const stat = fs.lstatSync(place)
      hash.update(JSON.stringify([path.relative(folder, place), stat.mode, stat.mtimeMs, stat.size]))
      if (stat.isSymbolicLink()) hash.update(fs.readlinkSync(place))
      else if (stat.isFile()) hash.update(fs.readFileSync(place))
      else if (stat.isDirectory()) walk(place)
    }
  }
  walk(folder)
  return hash.digest("hex")
}

/** What may be done to a tree, by command or by write. */
type Step = { readonly command: string } | { readonly write: string; readonly bytes: Uint8Array }

const names = ["a", "b", "a/c", "b/c", "a/c/d", "e f", "a.txt", "sub/leaf.txt"]
const name = fc.constantFrom(...names)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ write: name, bytes: fc.uint8Array({ maxLength: 40 }) }),
  fc
    .oneof(
      fc.tuple(fc.constantFrom("mkdir -p", "rm -rf", "touch", "chmod 700", "chmod 644", "rmdir"), name),
      fc.tuple(fc.constantFrom("ln -s", "ln", "mv", "cp -r", "echo more >>"), name, name)
    )
    .map(([verb, ...paths]) => ({ command: `${verb} ${paths.map((it) => `'${it}'`).join(" ")}` }))
)

/** Does the steps; those that are refused do nothing. */
const doAll = (sandbox: Context.Tag.Service<Sandbox.Sandbox>, steps: ReadonlyArray<Step>) =>
  Effect.forEach(
    steps,
    (it) => Effect.ignore("write" in it ? sandbox.write(it.write, it.bytes) : sandbox.exec({ command: it.command })),
    { discard: true }
  )

const holds = <A extends ReadonlyArray<unknown>>(
  arbitraries: { readonly [K in keyof A]: fc.Arbitrary<A[K]> },
  numRuns: number,
  check: (...values: A) => Effect.Effect<void, unknown>
) =>
  Effect.promise(() =>
    fc.assert(
      fc.asyncProperty(fc.tuple(...arbitraries) as unknown as fc.Arbitrary<A>, (values) =>
        Effect.runPromise(check(...values))
      ),
      { numRuns }
    )
  )

it.scoped("tells no span what it refuses: a path may hold a secret", () =>
  Effect.gen(function* () {
    const { started, tracer } = recording()
    const { sandbox } = yield* make()
    const refused = Effect.flip(sandbox.exec({ command: "true", cwd: "../canary" }))
    const error = yield* refused.pipe(Effect.withSpan("the test"), Effect.withTracer(tracer))
    assert.include(error.message, "out of the sandbox")
    assert.deepStrictEqual(started.map(wordsOf), [["the test"]])
  })
)

describe("VirtualSandbox", () => {
  describe("its layer", () => {
    it.scopedLive("plants files by relative and absolute paths, as texts and as bytes", () =>
      Effect.gen(function* () {
        const files = { "a/text": "té", bytes: new Uint8Array([0, 255]), "/box/absolute": "x" }
        const { sandbox, sh, text } = yield* make({ root: "/box/", files })
        assert.strictEqual(sandbox.root, "/box")
        assert.strictEqual(yield* text("a/text"), "té")
        assert.deepStrictEqual([...(yield* sandbox.read("bytes"))], [0, 255])
        assert.strictEqual(yield* sh("pwd; cat absolute"), "/box\nx")
      })
    )

    it.scopedLive("fails with a reason where it cannot be built", () =>
      Effect.gen(function* () {
        const { snapshot } = yield* make()
        const kept = yield* snapshot
        const reasons: ReadonlyArray<readonly [VirtualSandbox.Options, RegExp]> = [
          [{ root: "relative" }, /no absolute path below/],
          [{ root: "/" }, /no absolute path below/],
          [{ files: { "../out": "x" } }, /leads out of the sandbox/],
          [{ files: { ".git/config": "x" } }, /not written by tools/],
          [{ files: { f: "12345" }, limits: { files: 4 } }, /no room/],
          [{ overlay: "/no/such/folder" }, /no such file or folder/],
          [{ overlay: "/etc/passwd" }, /not a folder/],
          [{ overlay: "/tmp", snapshot: kept }, /not with both/],
          [{ snapshot: { version: 2, entries: [] } as never }, /no snapshot of this version/]
        ]
        for (const [options, reason] of reasons) {
          const error = yield* Effect.flip(Effect.scoped(make(options)))
          assert.strictEqual(error._tag, "SandboxError")
          assert.match(error.message, reason)
        }
      })
    )

    it("says how the package is installed that it needs, and loads it no sooner", () => {
      const root = fileURLToPath(new URL("../..", import.meta.url))
      const hook = `export const resolve = (specifier, context, next) => {
        if (specifier !== "just-bash") return next(specifier, context)
        throw Object.assign(new Error("Cannot find package 'just-bash'"), { code: "ERR_MODULE_NOT_FOUND" })
      }`
      const hide = `import { register } from "node:module"
        register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hook)}`)})`
      const program = `
        import { Effect, Layer } from "effect"
        import { VirtualSandbox } from "./src/virtual.js"
        const error = await Effect.runPromise(Effect.scoped(Effect.flip(Layer.build(VirtualSandbox.layer()))))
        console.log(error._tag + " " + error.message)`
      const imports = ["./test/support/sources.mjs", `data:text/javascript,${encodeURIComponent(hide)}`]
      const args = [...imports.flatMap((it) => ["--import", it]), "--input-type=module", "-e", program]
      const { stderr, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" })
      assert.strictEqual(stderr, "")
      assert.match(
        stdout,
        /^SandboxError .*it needs a package that is not installed \(npm install "just-bash@\^3\.4\.2"\)\.\n$/
      )
    })

    it.live("ends its thread with its scope, and what is asked then fails", () =>
      Effect.gen(function* () {
        const { sandbox } = yield* Effect.scoped(make())
        const error = yield* Effect.flip(sandbox.exec({ command: "true" }))
        assert.match(error.message, /the sandbox has ended/)
      })
    )
  })

  describe("a command", () => {
    it.scopedLive("gets what it was given and nothing of this process", () =>
      Effect.gen(function* () {
        process.env.BATON_CANARY = "canary-9f2c"
        const { sandbox, sh } = yield* make({ env: { GIVEN: "1" } })
        const shown = yield* sh("env; set; cat /proc/self/environ /proc/*/environ /etc/passwd /etc/hostname; ls -R /")
        assert.include(shown, "GIVEN=1")
        for (const secret of ["canary", "BATON", "VITEST", process.cwd(), "root:x"]) assert.notInclude(shown, secret)
        const given = yield* sandbox.exec({ command: "env", env: { GIVEN: "2" } })
        assert.match(given.stdout, /^GIVEN=2$/m)
      })
    )

    it.scopedLive("has no network, no other language and no way to start a program", () =>
      Effect.gen(function* () {
        const { sandbox } = yield* make()
        for (const command of [
          "curl http://127.0.0.1",
          "wget x",
          "python3 -c 1",
          "node -e 1",
          "js-exec -c 1",
          "sqlite3 :memory: .help",
          "git status",
          "/bin/bash.real",
          "exec 3<>/dev/tcp/127.0.0.1/80"
        ]) {
          assert.notStrictEqual((yield* sandbox.exec({ command })).exitCode, 0, command)
        }
      })
    )

    it.scopedLive("leaves the event loop free, and its endless output is bounded", () =>
      Effect.gen(function* () {
        const { sandbox } = yield* make({ limits: { output: 100_000 } })
        const loop = { command: "while true; do echo yes; done", timeout: 300, maxOutput: 1000 }
        assert.strictEqual((yield* unblocked(sandbox.exec(loop))).exitCode, 124)
        const sums = { command: "for ((;;)); do i=$((i + 1)); done", timeout: 300 }
        assert.strictEqual((yield* unblocked(sandbox.exec(sums))).exitCode, 124)
        const much = yield* sandbox.exec({ command: "for i in 1 2 3 4; do seq 1 10000; done", maxOutput: 1000 })
        assert.strictEqual(much.exitCode, 126)
        assert.match(much.stderr, /output/)
        const many = yield* Effect.scoped(
          Effect.flatMap(make({ limits: { commands: 50 } }), (it) =>
            it.sandbox.exec({ command: "while true; do echo y; done" })
          )
        )
        assert.strictEqual(many.exitCode, 126)
        assert.match(many.stderr, /too many/)
      })
    )

    it.scopedLive("that asks for more memory than there is ends with an error, and this process goes on", () =>
      Effect.gen(function* () {
        const { sandbox, sh } = yield* make({ limits: { files: 100_000 } })
        assert.include(yield* sh("seq 1 90000 > f; echo end"), "space")
        assert.include(yield* sh("echo fine"), "fine")
        const small = yield* make({ limits: { heap: 24 } })
        const grow =
          "a=xxxxxxxxxxxxxxxx; for ((i = 0; i < 26; i++)); do a=$a$a; done; b=(); while :; do b+=(${a:$i}y); i=$((i+1)); done"
        const error = yield* Effect.flip(
          Effect.forever(
            small.sandbox.exec({ command: `${grow}; seq 1 90000 | sort | sort -r | uniq`, timeout: 20_000 })
          )
        ).pipe(Effect.timeout("60 seconds"), Effect.orDie)
        assert.match(error.message, /ran out of memory/)
        assert.match((yield* Effect.flip(small.sandbox.list("."))).message, /ran out of memory/)
        assert.strictEqual((yield* sandbox.exec({ command: "true" })).exitCode, 0)
      })
    )

    it.scoped("that cannot be ended takes its sandbox with it, and holds up nobody", () =>
      Effect.gen(function* () {
        const { sandbox } = yield* make({ limits: { grace: 50 } })
        // More than any machine gets to the end of meanwhile.
        const command = "seq 1 90000 | awk '{ for (i = 0; i < 90000; i++) s += i } END { print s }'"
        const running = yield* Effect.fork(sandbox.exec({ command, timeout: 1000 }))
        yield* computes(sandbox)
        yield* TestClock.adjust(1000)
        const error = yield* Effect.flip(Fiber.join(running))
        assert.match(error.message, /could not be ended, so the sandbox was, and its files are lost/)
        assert.match((yield* Effect.flip(sandbox.list("."))).message, /its files are lost/)
      })
    )

    it.scoped("sleeps and is timed by Effect's Clock", () =>
      Effect.gen(function* () {
        const { sandbox } = yield* make()
        const slept = yield* Effect.fork(sandbox.exec({ command: "sleep 60; echo done" }))
        const late = yield* Effect.fork(sandbox.exec({ command: "sleep 600", timeout: 60_000 }))
        while ((yield* TestClock.sleeps()).length < 3) yield* Effect.promise(() => new Promise(setImmediate))
        while (slept.unsafePoll() === null || late.unsafePoll() === null) {
          yield* TestClock.adjust("1 minute")
          yield* Effect.promise(() => new Promise(setImmediate))
        }
        assert.strictEqual((yield* Fiber.join(slept)).stdout, "done\n")
        assert.strictEqual((yield* Fiber.join(late)).exitCode, 124)
      })
    )

    it.scopedLive("that puts a link in the root's place opens nothing", () =>
      Effect.gen(function* () {
        const { sandbox, sh } = yield* make({ files: { f: "x" } })
        yield* sh("mkdir /other; echo secret > /other/f; cd /; rm -rf /workspace; ln -s /other /workspace")
        assert.match((yield* Effect.flip(sandbox.read("f"))).message, /leads out/)
        assert.match((yield* Effect.flip(sandbox.list("."))).message, /leads out/)
        assert.match((yield* Effect.flip(sandbox.write("g", new Uint8Array(1)))).message, /leads out/)
        assert.match((yield* Effect.flip(sandbox.exec({ command: "true" }))).message, /leads out/)
      })
    )
  })

  describe("a snapshot", () => {
    it.scopedLive("has all that there is, survives JSON and begins another sandbox", () =>
      Effect.gen(function* () {
        const { sh, snapshot } = yield* make({ files: { "a/f": "text", bin: new Uint8Array([0, 128, 255]) } })
        yield* sh(
          "chmod 751 a/f; mkdir empty; chmod 700 empty; ln -s a/f link; ln -s nowhere dead; ln a/f name; echo t > /tmp/t"
        )
        const kept = yield* snapshot
        const stored = JSON.parse(JSON.stringify(kept)) as VirtualSandbox.Snapshot
        const again = yield* make({ snapshot: stored })
        assert.deepStrictEqual(yield* again.snapshot, kept)
        assert.strictEqual(
          yield* again.sh("stat -c %a a/f empty; readlink link dead; cat /tmp/t; echo more >> name; cat a/f"),
          "751\n700\na/f\nnowhere\nt\ntextmore\n"
        )
      })
    )

    it.live("restored after anything, brings back what was there and nothing else", () =>
      holds([fc.array(step, { maxLength: 12 }), fc.array(step, { minLength: 1, maxLength: 12 })], 15, (before, after) =>
        Effect.scoped(
          Effect.gen(function* () {
            const { restore, sandbox, sh, snapshot } = yield* make()
            yield* doAll(sandbox, before)
            const kept = yield* snapshot
            const shown = yield* sh("ls -laR; find . | sort")
            yield* doAll(sandbox, after)
            yield* restore(kept)
            assert.deepStrictEqual(yield* snapshot, kept)
            assert.strictEqual(yield* sh("ls -laR; find . | sort"), shown)
          })
        )
      )
    )

    it.scopedLive("that is none, or too large, is refused and changes nothing", () =>
      Effect.gen(function* () {
        const { restore, snapshot, text } = yield* make({ files: { f: "here" }, limits: { files: 100_000 } })
        const kept = yield* snapshot
        const file = { type: "file", path: "/workspace/g", mode: 0o644, mtime: 0, content: "" }
        for (const bad of [
          {},
          { version: 2, entries: [] },
          { version: 1, entries: [{ ...file, path: "relative" }] },
          { version: 1, entries: [{ ...file, path: "/a/../b" }] },
          { version: 1, entries: [{ ...file, type: "device" }] },
          { version: 1, entries: [{ ...file, mode: "rwx" }] },
          { version: 1, entries: [file, { ...file, path: "/workspace/g/below" }] },
          { version: 1, entries: [{ type: "name", path: "/x", of: "/missing" }] },
          { version: 1, entries: [null] },
          { version: 1, entries: [{ ...file, content: () => "" }] },
          null,
          undefined,
          { version: 1, entries: [{ ...file, content: Buffer.alloc(200_000).toString("base64") }] }
        ]) {
          assert.strictEqual(
            (yield* Effect.flip(restore(bad as never)))._tag,
            "SandboxError",
            String(JSON.stringify(bad)).slice(0, 99)
          )
          assert.deepStrictEqual(yield* snapshot, kept)
        }
        assert.strictEqual(yield* text("f"), "here")
      })
    )

    it.scopedLive("restored while a command runs, is not changed by it", () =>
      Effect.gen(function* () {
        const { restore, sandbox, snapshot } = yield* make({ files: { f: "x" } })
        const kept = yield* snapshot
        const command = "touch begun; sleep 0.2; echo late > f; touch late"
        const running = yield* Effect.fork(sandbox.exec({ command }))
        while ((yield* sandbox.list(".")).length < 2) yield* Effect.sleep(5)
        yield* restore(kept)
        yield* Fiber.join(running)
        assert.deepStrictEqual(yield* snapshot, kept)
      })
    )
  })

  describe("over a folder", () => {
    const tree = { "a.txt": "below", "sub/leaf.txt": "leaf", "run.sh": "#!/bin/bash\necho ran" }

    it.scopedLive("reads through to it, with permissions and links, and keeps what is written to itself", () =>
      Effect.gen(function* () {
        const overlay = yield* tempFolder
        plant(overlay, tree)
        fs.chmodSync(path.join(overlay, "run.sh"), 0o755)
        fs.symlinkSync("sub/leaf.txt", path.join(overlay, "link"))
        fs.symlinkSync(path.join(overlay, "sub"), path.join(overlay, "absolute"))
        const before = hashOf(overlay)
        const { sandbox, sh, text } = yield* make({ overlay, files: { "added.txt": "added", "a.txt": "on top" } })
        assert.strictEqual(yield* text("a.txt"), "on top")
        assert.strictEqual(yield* text("link"), "leaf")
        assert.strictEqual(yield* text("absolute/leaf.txt"), "leaf")
        assert.strictEqual(yield* sandbox.place("absolute/leaf.txt"), "sub/leaf.txt")
        assert.strictEqual(yield* sh("stat -c %a run.sh; ./run.sh"), "755\nran\n")
        yield* sh("echo more >> sub/leaf.txt; rm a.txt; mv run.sh sub/; chmod 600 sub/run.sh; rm link; touch new")
        assert.strictEqual(yield* text("sub/leaf.txt"), "leafmore\n")
        assert.strictEqual(yield* sh("ls; ls sub"), "absolute\nadded.txt\nnew\nsub\nleaf.txt\nrun.sh\n")
        assert.strictEqual(hashOf(overlay), before)
      })
    )

    it.live("changes nothing of it, whatever is done", () =>
      holds([fc.array(step, { minLength: 1, maxLength: 20 })], 15, (steps) =>
        Effect.scoped(
          Effect.gen(function* () {
            const overlay = yield* tempFolder
            plant(overlay, tree)
            fs.symlinkSync("sub", path.join(overlay, "b"))
            const before = hashOf(overlay)
            const { restore, sandbox, snapshot } = yield* make({ overlay })
            const kept = yield* snapshot
            yield* doAll(sandbox, steps)
            yield* restore(kept)
            assert.deepStrictEqual(yield* snapshot, kept)
            assert.strictEqual(hashOf(overlay), before)
          })
        )
      )
    )

    it.scopedLive("is not left: not by its links, nor by a folder that is swapped for one", () =>
      Effect.gen(function* () {
        const ground = yield* tempFolder
        plant(ground, { "root/sub/f": "inside", "root/late/f": "inside", "out/f": "SECRET" })
        const at = (...parts: ReadonlyArray<string>) => path.join(ground, ...parts)
        fs.symlinkSync("../out/f", at("root/file"))
        fs.symlinkSync(at("out"), at("root/folder"))
        fs.symlinkSync("/", at("root/slash"))
        fs.symlinkSync("/proc/self", at("root/proc"))
        fs.symlinkSync("..", at("root/up"))
        spawnSync("mkfifo", [at("root/pipe")])
        const { sandbox, sh } = yield* make({ overlay: at("root"), files: { own: "x" } })
        const names = (yield* sandbox.list(".")).map((it) => it.name)
        assert.deepStrictEqual(names, ["file", "folder", "late", "own", "proc", "slash", "sub", "up"])
        yield* sandbox.list("sub")
        for (const name of ["sub", "late"]) {
          fs.rmSync(at("root", name), { recursive: true })
          fs.symlinkSync(at("out"), at("root", name))
        }
        const ways = ["file", "folder/f", `slash${at("out/f")}`, "proc/environ", "up/out/f", "sub/f", "late/f"]
        for (const way of ways) yield* Effect.flip(sandbox.read(way))
        yield* Effect.flip(sandbox.list("late"))
        const all = yield* sh(
          `for f in ${ways.join(" ")}; do cat $f; cat < $f; grep -r S $f; cp -r $f /tmp/c; done; grep -r . /tmp; cat ${at("out/f")} ../out/f`
        )
        assert.notInclude(all, "SECRET")
        const error = yield* Effect.flip(sandbox.read("sub/f"))
        assert.notInclude(error.message, ground)
      })
    )

    it.scopedLive("is begun with by a snapshot on a machine that has it no more", () =>
      Effect.gen(function* () {
        const overlay = yield* tempFolder
        plant(overlay, tree)
        const kept = yield* Effect.scoped(Effect.flatMap(make({ overlay }), (it) => it.snapshot))
        fs.rmSync(overlay, { recursive: true })
        const { text } = yield* make({ snapshot: kept })
        assert.strictEqual(yield* text("sub/leaf.txt"), "leaf")
      })
    )
  })

  it.scopedLive("is what the tools work in, for an agent in an engine", () => {
    const call = (name: string, args: object) => Script.calls(Script.call(name, args))
    const told: Array<string> = []
    const tell = (view: Script.View) => {
      told.push(...view.results.map((it) => it.text))
      return view
    }
    const script = [
      Script.on(
        "look around",
        call("bash", { command: "mkdir -p src && printf 'one\\ntwo\\nthree\\n' > src/b.ts && wc -l < src/b.ts" }),
        (view: Script.View) => (tell(view), call("read", { path: "src/b.ts", offset: 2, limit: 1 })),
        (view: Script.View) => (tell(view), call("glob", { pattern: "**/*.ts" })),
        (view: Script.View) => (tell(view), call("grep", { pattern: "t(wo|hree)" })),
        (view: Script.View) => (tell(view), "done")
      )
    ]
    return Effect.gen(function* () {
      const tools = yield* Sandbox.SandboxTools
      const session = yield* open(Agent.make("worker", { tools }))
      assert.strictEqual((yield* session.prompt("look around")).text, "done")
      assert.lengthOf(told, 4)
      assert.match(told[0]!, /\b3\b/)
      assert.include(told[1], "2\ttwo")
      assert.notInclude(told[1], "three")
      assert.deepStrictEqual(told[2]!.split("\n").toSorted(), ["src/a.ts", "src/b.ts"])
      assert.strictEqual(told[3], "src/b.ts:2:two\nsrc/b.ts:3:three")
    }).pipe(
      Effect.provide(
        Layer.merge(
          engine(script),
          Layer.provide(BuiltinTools.layer, VirtualSandbox.layer({ files: { "src/a.ts": "export {}\n" } }))
        )
      )
    )
  })
})
