/**
 * What is left behind by prompts that are interrupted at any instant while they run shells and tasks: nothing.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Random } from "effect"
import { Agent, Engine, Model, Script, Sessions } from "effect-baton"
import { BuiltinTools, NodeSandbox } from "effect-baton/node"

const rounds = 200

/** The processes that work in a folder, by /proc. */
const processesIn = (folder: string) =>
  fs.readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return fs.readlinkSync(`/proc/${pid}/cwd`).startsWith(folder)
    } catch {
      return false
    }
  })

/** Descriptors of files, pipes and sockets; those of the event loop and the like come and go. */
const descriptors = () =>
  fs.readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return /^(\/|pipe:|socket:)/.test(fs.readlinkSync(`/proc/self/fd/${fd}`))
    } catch {
      return false
    }
  }).length

const bash = (command: string) => Script.call("bash", { command })

const script = [
  Script.on(
    "work",
    Script.calls(
      bash("sleep 30 & (sleep 31 &) ; trap '' TERM; echo deaf; sleep 32"),
      bash("setsid sleep 33 & head -c 3000000 /dev/zero | tr '\\\\0' x; sleep 0.02"),
      Script.call("write", { path: "out.txt", content: "x".repeat(200_000) }),
      Script.task("dig one"),
      Script.task("dig two"),
      Script.call("grep", { pattern: "word" })
    ),
    "done"
  ),
  Script.on(
    "dig",
    Script.calls(
      bash("timeout 34 sleep 34 & sleep 35"),
      Script.call("edit", { path: "in.txt", oldText: "word", newText: "word " }),
      Script.call("read", { path: "in.txt" })
    ),
    "dug"
  )
]

it.scopedLive(
  `after ${rounds} interruptions there is no process, no draft and no descriptor`,
  () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "orphans-")))),
        (at) => Effect.sync(() => fs.rmSync(at, { recursive: true, force: true }))
      )
      const [root, temp] = [path.join(folder, "root"), path.join(folder, "temp")]
      for (const at of [root, temp]) fs.mkdirSync(at)
      // Whatever is written to a place for such files is written here.
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const was = process.env["TMPDIR"]
          process.env["TMPDIR"] = temp
          return was
        }),
        (was) =>
          Effect.sync(() => {
            if (was === undefined) delete process.env["TMPDIR"]
            else process.env["TMPDIR"] = was
          })
      )
      fs.writeFileSync(path.join(root, "in.txt"), "one word\n".repeat(1_000))
      yield* Effect.gen(function* () {
        const sessions = yield* Sessions.Sessions
        const agent = Agent.make("a", { tools: BuiltinTools.tools })
        const once = (n: number) =>
          Effect.gen(function* () {
            const session = yield* sessions.open({ id: `s${n % 3}`, agent })
            const fiber = yield* Effect.fork(session.prompt("work"))
            // In real time, since processes live in it.
            yield* Effect.sleep(yield* Random.nextIntBetween(0, 60))
            yield* Fiber.interrupt(fiber)
            assert.deepStrictEqual(processesIn(root), [], `after round ${n}`)
          })
        yield* once(0)
        const before = descriptors()
        for (let n = 1; n < rounds; n++) yield* once(n)
        assert.strictEqual(descriptors(), before)
        assert.deepStrictEqual(fs.readdirSync(temp), [])
        assert.deepStrictEqual(
          fs.readdirSync(root).filter((name) => name !== "in.txt" && name !== "out.txt"),
          []
        )
        assert.match(fs.readFileSync(path.join(root, "in.txt"), "utf8"), /^(one word *\n)+$/)
      }).pipe(
        Effect.provide(
          Engine.layerMemory.pipe(
            Layer.provide(Model.layerScripted(script)),
            Layer.provideMerge(BuiltinTools.layer),
            Layer.provideMerge(NodeSandbox.layer({ root, killGrace: 20 }))
          )
        ),
        Effect.withRandom(Random.make("orphans"))
      )
    }),
  120_000
)
