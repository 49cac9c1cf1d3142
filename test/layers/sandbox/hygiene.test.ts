/**
 * What operations leave behind that are interrupted at any time.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { rgPath } from "@vscode/ripgrep"
import { Effect, Fiber, Random } from "effect"
import { eventually } from "../../support/folder.js"
import { descriptors, draftsIn, groundOf, ownSeconds, processesWith } from "../../support/sandbox.js"

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
        const seconds = ownSeconds(4326)
        const daemon = `(setsid sleep ${seconds} > /dev/null 2>&1 &); sleep ${seconds} & wait`
        const operations: ReadonlyArray<(round: number) => Effect.Effect<unknown, unknown>> = [
          (round) => sandbox.write("file.bin", whole[round % 2]!),
          (round) => sandbox.write(`new-${round}/with/folders/file.bin`, whole[0]!),
          () => sandbox.read("read.bin"),
          () => sandbox.list("a"),
          () => sandbox.exec({ command: daemon }),
          () => sandbox.exec({ command: `trap "" TERM; ${daemon}` }),
          () => sandbox.candidates!({ pattern: "needle", ignoreCase: false, path: "." })
        ]
        // How many turns each gets before it is interrupted: fewer where it has come to its end, down to none.
        const most = operations.map(() => 40)
        let interrupted = 0
        for (let round = 0; round < 200 || interrupted <= 100; round++) {
          const which = yield* Random.nextIntBetween(0, operations.length)
          const fiber = yield* Effect.fork(operations[which]!(round))
          const turns = yield* Random.nextIntBetween(0, most[which]!)
          for (let turn = 0; turn < turns; turn++) {
            if (turn % 2 === 0) yield* Effect.yieldNow()
            else yield* Effect.promise(() => fs.promises.lstat(root))
          }
          const exit = yield* Fiber.interrupt(fiber)
          if (exit._tag === "Failure") interrupted++
          else most[which] = Math.max(1, most[which]! - 4)
          // A write has ended with its Effect.
          assert.deepStrictEqual(draftsIn(root), [])
          const made = path.join(root, `new-${round}`)
          if (fs.existsSync(made)) assert.strictEqual(fs.statSync(path.join(made, "with/folders/file.bin")).size, large)
        }
        const held = yield* sandbox.read("file.bin")
        assert.isTrue(whole.some((one) => one.equals(held)))
        assert.deepStrictEqual(processesWith(seconds), [])
        // An interrupted read closes what it has opened by itself.
        yield* eventually(() => (descriptors() <= before ? true : undefined))
        assert.deepStrictEqual(fs.readdirSync(folder).toSorted(), ["outside", "root"])
      }).pipe(Effect.withRandom(Random.make(seed))),
    timeout
  )
})
