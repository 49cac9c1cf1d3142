/**
 * What operations leave behind that are interrupted at any time.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { rgPath } from "@vscode/ripgrep"
import { Effect, Fiber, Random } from "effect"
import { eventually } from "../../support/folder.js"
import { descriptors, draftsIn, groundOf, processesWith } from "../../support/sandbox.js"

/** In milliseconds: it takes real time, and other tests share the machine. */
const timeout = 60_000

const seed = 20_251_122
const large = 3_000_000

describe("an interrupted operation", () => {
  it.scopedLive(
    "leaves no descriptor, no draft, no folder, no process and no half of a file",
    () =>
      Effect.gen(function* () {
        const { folder, root, sandbox } = yield* groundOf(
          { "root/read.bin": Buffer.alloc(large, "r"), "root/a/b/c.txt": "needle" },
          { ripgrep: rgPath, killGrace: 20 }
        )
        const whole = ["1", "2"].map((digit) => Buffer.alloc(large, digit))
        yield* sandbox.write("file.bin", whole[0]!)
        // What is made once and stays: the pool of threads, and what node opens for its first child.
        yield* sandbox.exec({ command: "true" })
        yield* sandbox.candidates!({ pattern: "needle", ignoreCase: false, path: "." })
        const before = descriptors()
        const daemon = "(setsid sleep 4326 > /dev/null 2>&1 &); sleep 4326 & wait"
        const operations: ReadonlyArray<(round: number) => Effect.Effect<unknown, unknown>> = [
          (round) => sandbox.write("file.bin", whole[round % 2]!),
          (round) => sandbox.write(`new-${round}/with/folders/file.bin`, whole[0]!),
          () => sandbox.read("read.bin"),
          () => sandbox.list("a"),
          () => sandbox.exec({ command: daemon }),
          () => sandbox.exec({ command: `trap "" TERM; ${daemon}` }),
          () => sandbox.candidates!({ pattern: "needle", ignoreCase: false, path: "." })
        ]
        let interrupted = 0
        for (let round = 0; round < 200; round++) {
          const operation = operations[yield* Random.nextIntBetween(0, operations.length)]!
          const fiber = yield* Effect.fork(operation(round))
          const turns = yield* Random.nextIntBetween(0, 40)
          for (let turn = 0; turn < turns; turn++) {
            if (turn % 2 === 0) yield* Effect.yieldNow()
            else yield* Effect.promise(() => fs.promises.lstat(root))
          }
          const exit = yield* Fiber.interrupt(fiber)
          if (exit._tag === "Failure") interrupted++
          // A write has ended with its Effect.
          assert.deepStrictEqual(draftsIn(root), [])
          const made = path.join(root, `new-${round}`)
          if (fs.existsSync(made)) assert.strictEqual(fs.statSync(path.join(made, "with/folders/file.bin")).size, large)
        }
        assert.isAbove(interrupted, 100)
        const held = yield* sandbox.read("file.bin")
        assert.isTrue(whole.some((one) => one.equals(held)))
        assert.deepStrictEqual(processesWith("sleep\x004326"), [])
        // An interrupted read closes what it has opened by itself.
        yield* eventually(() => (descriptors() <= before ? true : undefined))
        assert.deepStrictEqual(fs.readdirSync(folder).toSorted(), ["outside", "root"])
      }).pipe(Effect.withRandom(Random.make(seed))),
    timeout
  )
})
