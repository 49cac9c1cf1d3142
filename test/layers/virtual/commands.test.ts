/**
 * What a command of the virtual sandbox gets, and how it is ended.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, type Duration, Effect, Fiber, Layer } from "effect"
import { Sandbox } from "effect-baton"
import { VirtualSandbox } from "effect-baton/virtual"
import { eventually, plant, tempFolder } from "../../support/folder.js"

const make = (options?: VirtualSandbox.Options) =>
  Effect.map(Layer.build(VirtualSandbox.layer(options)), (context) => ({
    sandbox: Context.get(context, Sandbox.Sandbox),
    ...Context.get(context, VirtualSandbox.VirtualSandbox)
  }))

/** A clock that counts who sleeps by it. */
const counting = () => {
  const live = Clock.make()
  let open = 0
  const sleep = (duration: Duration.Duration) =>
    Effect.acquireUseRelease(
      Effect.sync(() => open++),
      () => live.sleep(duration),
      () => Effect.sync(() => open--)
    )
  return { clock: Object.assign(Object.create(live) as Clock.Clock, { sleep }), open: () => open }
}

describe("a command of the virtual sandbox", () => {
  it.scopedLive("gets its own variables before the sandbox's, and no way to a thread of its own", () =>
    Effect.gen(function* () {
      const { sandbox } = yield* make({ env: { GIVEN: "of all", KEPT: "kept" } })
      const { stdout } = yield* sandbox.exec({ command: 'printf %s "$GIVEN $KEPT $HOME"', env: { GIVEN: "its own" } })
      assert.strictEqual(stdout, "its own kept /workspace")
      const { exitCode } = yield* sandbox.exec({ command: "sqlite3 :memory: 'select 1'" })
      assert.strictEqual(exitCode, 127)
    })
  )

  it.scopedLive("ends with 124 where it takes longer than it may, and a timeout of nothing is a short one", () =>
    Effect.gen(function* () {
      const { sandbox } = yield* make()
      for (const timeout of [20, 0, -1]) {
        assert.strictEqual((yield* sandbox.exec({ command: "sleep 2", timeout })).exitCode, 124)
      }
    })
  )

  it.live("leaves no sleep behind, however it ends", () => {
    const { clock, open } = counting()
    return Effect.gen(function* () {
      const { sandbox } = yield* make()
      const lasting = yield* Effect.fork(sandbox.exec({ command: "touch begun; sleep 0.3; echo slept" }))
      while ((yield* sandbox.list(".")).length === 0) yield* Effect.yieldNow()
      for (const timeout of [20, 1, 1]) {
        assert.strictEqual((yield* sandbox.exec({ command: "sleep 100000", timeout })).exitCode, 124)
      }
      yield* sandbox.exec({ command: "timeout 0.01 sleep 100000" })
      const asleep = yield* Effect.fork(sandbox.exec({ command: "touch again; sleep 100000" }))
      while ((yield* sandbox.list(".")).length === 1) yield* Effect.yieldNow()
      yield* Fiber.interrupt(asleep)
      assert.strictEqual((yield* Fiber.join(lasting)).stdout, "slept\n")
      yield* eventually(() => (open() === 0 ? true : undefined))
    }).pipe(Effect.scoped, Effect.withClock(clock))
  })

  it.scopedLive("has no more room after a restore than before it", () =>
    Effect.gen(function* () {
      const { restore, sandbox, snapshot } = yield* make({ limits: { files: 10_000 } })
      yield* restore(yield* snapshot)
      assert.match((yield* Effect.flip(sandbox.write("f", new Uint8Array(10_001)))).message, /no room/)
    })
  )

  it.scopedLive("finds what was restored as if it had begun so: with a root and /tmp, as they were kept", () =>
    Effect.gen(function* () {
      const folder = { type: "folder", path: "/tmp", mode: 0o700, mtime: 5_000 } as const
      const link = { type: "link", path: "/tmp", mode: 0o777, mtime: 5_000, target: "nowhere" } as const
      const command = "stat -c '%n %a %F' . /tmp; ls -A / ."
      const restored = yield* make({ files: { "a/f": "gone" } })
      const shown: Array<string> = []
      for (const entries of [[], [folder], [link]]) {
        const kept = { version: 1, entries } as const
        const begun = yield* make({ snapshot: kept })
        yield* restored.restore(kept)
        shown.push((yield* begun.sandbox.exec({ command })).stdout)
        assert.strictEqual((yield* restored.sandbox.exec({ command })).stdout, shown.at(-1))
        yield* restored.sandbox.write("f", new Uint8Array(1))
      }
      assert.match(shown[0]!, /^\. 755 directory\n\/tmp 1777 directory\n/)
      assert.match(shown[1]!, /^\. 755 directory\n\/tmp 700 directory\n/)
    })
  )

  it.scopedLive("finds a file in the way to the root, where that was kept", () =>
    Effect.gen(function* () {
      const { restore, sandbox, snapshot } = yield* make({ root: "/some/where" })
      const entries = [
        { type: "file", path: "/some", mode: 0o644, mtime: 5_000, content: "" },
        { type: "folder", path: "/tmp", mode: 0o1777, mtime: 5_000 }
      ] as const
      yield* restore({ version: 1, entries })
      assert.deepStrictEqual((yield* snapshot).entries, entries)
      assert.match((yield* Effect.flip(sandbox.list("."))).message, /not a folder/)
    })
  )

  it.scopedLive("sees a folder below by its own links, and none that came in its way since", () =>
    Effect.gen(function* () {
      const ground = yield* tempFolder
      plant(ground, { "root/sub/f": "inside", "root/late/f": "inside", "out/f": "SECRET" })
      fs.symlinkSync(path.join(ground, "root/sub"), path.join(ground, "root/absolute"))
      const { sandbox } = yield* make({ overlay: path.join(ground, "root") })
      assert.strictEqual(Buffer.from(yield* sandbox.read("absolute/f")).toString(), "inside")
      yield* sandbox.list(".")
      fs.rmSync(path.join(ground, "root/late"), { recursive: true })
      fs.symlinkSync("../out", path.join(ground, "root/late"))
      assert.match((yield* Effect.flip(sandbox.list("late"))).message, /permission denied/)
    })
  )
})
