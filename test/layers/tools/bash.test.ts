import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { isAlive, pidIn } from "../../support/folder.js"
import { ground, unblocked } from "../../support/tools.js"

describe("bash", () => {
  it.scopedLive("tells outputs and the exit code", () =>
    Effect.gen(function* () {
      const { use } = yield* ground({})
      const bash = (command: string) => use("bash", { command })
      assert.strictEqual(yield* bash("echo out"), "out\n[Exit code 0.]")
      assert.strictEqual(yield* bash("printf out; printf err >&2; exit 3"), "out\n[stderr]\nerr\n[Exit code 3.]")
      assert.strictEqual(yield* bash("exit 1"), "[No output.]\n[Exit code 1.]")
      assert.include(yield* bash("printf '\\377'"), "\uFFFD")
      // A command of its own accord, such as `timeout`, ends with 124 as well.
      assert.strictEqual(yield* bash("exit 124"), "[No output.]\n[Exit code 124.]")
      // What begins like an option of the shell is a command.
      for (const command of ["--version", "-x echo hi", "+x"]) {
        assert.match(yield* bash(command), /command not found|not found/, command)
      }
    })
  )

  it.scoped("ends a command whose time is over with 124, and takes odd times", () =>
    Effect.gen(function* () {
      const { root, use } = yield* ground({})
      for (const [timeout, seconds] of [
        [2, 2],
        [-1, 1],
        [1e12, 600],
        [undefined, 120]
      ] as const) {
        const file = path.join(root, `${seconds}.pid`)
        const command = `echo before; echo $$ > ${seconds}.pid; sleep 1000`
        const fiber = yield* Effect.fork(use("bash", { command, ...(timeout === undefined ? {} : { timeout }) }))
        const pid = yield* pidIn(file)
        yield* TestClock.adjust(seconds * 1000 - 1)
        assert.isTrue(isAlive(pid))
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* Fiber.join(fiber), `before\n[Exit code 124: it ran out of its time of ${seconds} s.]`)
        assert.isFalse(isAlive(pid))
      }
    })
  )

  it.scopedLive("ends the command with the call", () =>
    Effect.gen(function* () {
      const { root, use } = yield* ground({})
      const command = `bash -c 'trap "" TERM; echo $$ > a.pid; while :; do sleep 1; done' | cat`
      const fiber = yield* Effect.fork(use("bash", { command }))
      const pid = yield* pidIn(path.join(root, "a.pid"))
      yield* Fiber.interrupt(fiber)
      assert.isFalse(isAlive(pid))
    })
  )

  it.scopedLive("gives the end of long outputs and says how much is missing", () =>
    Effect.gen(function* () {
      const { use } = yield* ground({})
      const bash = (command: string) => use("bash", { command })
      const counted = (yield* bash("seq 1 2500")).split("\n")
      assert.strictEqual(counted.length, 1 + 2_000 + 1)
      assert.match(counted[0]!, /^\[The first 1892 bytes of stdout are not shown\./)
      assert.deepStrictEqual(counted.slice(1, 3), ["501", "502"])
      assert.deepStrictEqual(counted.slice(-2), ["2500", "[Exit code 0.]"])

      const wide = yield* bash(`for n in $(seq 1 1000); do printf '%0100d\\n' $n; done`)
      assert.match(wide, /^\[The first \d+ bytes of stdout are not shown\./)
      assert.isAbove(wide.length, 45_000)
      assert.isTrue(wide.split("\n")[1]!.length === 100)

      const both = yield* bash(`seq -f %0100.0f 1 1000; seq -f %0100.0f 1 1000 >&2`)
      assert.include(both, "bytes of stdout are not shown")
      assert.include(both, "bytes of stderr are not shown")
      assert.isAbove(both.length, 45_000)

      const smiles = yield* bash(`yes \u{1F600} | tr -d '\\n' | head -c 10000000; printf x`)
      assert.match(smiles, /^\[The first \d+ bytes of stdout .*\]\n\u{1F600}+x\n\[Exit code 0\.\]$/u)
    })
  )

  it.scopedLive("survives an endless output", () =>
    Effect.gen(function* () {
      const { use } = yield* ground({})
      const text = yield* unblocked(use("bash", { command: "yes", timeout: 1 }))
      assert.match(text, /^\[The first \d+ bytes of stdout are not shown/)
      assert.include(text, "[Exit code 124")
    })
  )
})
