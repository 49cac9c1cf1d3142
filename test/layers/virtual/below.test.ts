/**
 * The real folder below a virtual sandbox, by itself.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { maxRead } from "../../../src/layers/sandbox/rules.js"
import { below } from "../../../src/layers/virtual/below.js"
import { plant, tempFolder } from "../../support/folder.js"

describe("a folder below", () => {
  it.scoped("gives any part of a file, as far as it goes", () =>
    Effect.gen(function* () {
      const folder = yield* tempFolder
      plant(folder, { f: "0123456789" })
      const { read } = yield* Effect.promise(() => below(folder, "/workspace"))
      const part = (...range: [offset?: number, limit?: number]) =>
        Effect.map(
          Effect.promise(() => read("f", ...range)),
          (bytes) => Buffer.from(bytes).toString()
        )
      assert.strictEqual(yield* part(), "0123456789")
      assert.strictEqual(yield* part(7), "789")
      assert.strictEqual(yield* part(2, 3), "234")
      assert.strictEqual(yield* part(8, 100), "89")
      assert.strictEqual(yield* part(8, Number.POSITIVE_INFINITY), "89")
      for (const [offset, limit] of [
        [10, 1],
        [1e300, 5],
        [3, 0]
      ] as const) {
        assert.strictEqual(yield* part(offset, limit), "")
      }
    })
  )

  it.scoped("reads nothing but the part: of a file that is too large as a whole it gives that", () =>
    Effect.gen(function* () {
      const folder = yield* tempFolder
      const file = path.join(folder, "f")
      fs.writeFileSync(file, "")
      fs.truncateSync(file, 2 * maxRead)
      fs.appendFileSync(file, "the end")
      const { read } = yield* Effect.promise(() => below(folder, "/workspace"))
      assert.strictEqual(Buffer.from(yield* Effect.promise(() => read("f", 2 * maxRead + 4, 1000))).toString(), "end")
      for (const range of [[], [1], [0, maxRead + 1]]) {
        const error = yield* Effect.flip(Effect.tryPromise({ try: () => read("f", ...range), catch: String }))
        assert.match(error, /EFBIG/)
      }
    })
  )
})
