import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import * as Tool from "../../../src/services/Tool.js"
import { imageOf, maxImage } from "../../../src/layers/tools/image.js"
import { ground, unblocked } from "../../support/tools.js"

describe("read", () => {
  it.scoped("numbers lines and tells where the file ends", () =>
    Effect.gen(function* () {
      const { use } = yield* ground({ "a.txt": "one\r\ntwo\n\nfour", "b.txt": "x\n", "empty.txt": "" })
      assert.strictEqual(
        yield* use("read", { path: "a.txt" }),
        "1\tone\r\n2\ttwo\n3\t\n4\tfour\n[End of the file, with no newline at the end of its last line.]"
      )
      assert.strictEqual(
        yield* use("read", { path: "a.txt", offset: 2, limit: 1 }),
        "2\ttwo\n[The file goes on. Read on with offset=3.]"
      )
      assert.strictEqual(yield* use("read", { path: "b.txt" }), "1\tx\n[End of the file.]")
      assert.strictEqual(yield* use("read", { path: "b.txt", limit: 1 }), "1\tx\n[End of the file.]")
      assert.strictEqual(yield* use("read", { path: "b.txt", offset: -3, limit: 0 }), "1\tx\n[End of the file.]")
      assert.strictEqual(
        yield* use("read", { path: "b.txt", offset: 7 }),
        "[The last line is 1; offset 7 is after it.]"
      )
      assert.strictEqual(yield* use("read", { path: "empty.txt" }), "[The file is empty.]")
    })
  )

  it.scoped("says what it cannot show", () =>
    Effect.gen(function* () {
      const { use } = yield* ground({
        "binary.png": new Uint8Array([137, 80, 78, 71, 0, 1, 2, 3]),
        "latin.txt": new Uint8Array([97, 0xe9, 98]),
        "folder/": ""
      })
      assert.strictEqual(yield* use("read", { path: "binary.png" }), "[A binary file of 8 bytes; it is not shown.]")
      const latin = yield* use("read", { path: "latin.txt" })
      assert.include(latin, "1\ta\uFFFDb")
      assert.include(latin, "not UTF-8")
      assert.match((yield* Effect.flip(use("read", { path: "folder" }))).text, /it is a folder/)
      assert.match((yield* Effect.flip(use("read", { path: "none" }))).text, /no such file/)
      assert.match((yield* Effect.flip(use("read", {}))).text, /path: is missing/)
    })
  )

  it.scoped("knows an image by its first bytes", () =>
    Effect.gen(function* () {
      const { handle, root, use } = yield* ground({})
      const bytes = (text: string) => Buffer.from(text, "latin1")
      for (const [head, mediaType] of [
        ["\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"],
        ["\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"],
        ["GIF87a\x01\0\x01\0", "image/gif"],
        ["GIF89a\x01\0\x01\0", "image/gif"],
        ["RIFF\x24\0\0\0WEBPVP8 ", "image/webp"],
        ["RIFF\x24\0\0\0WAVEfmt ", undefined],
        ["GIF89a is how such a file begins", undefined],
        ["RIFFxxxxWEBP", undefined],
        ["GIF8", undefined],
        ["\xff\xd8", undefined],
        ["", undefined]
      ] as const) {
        assert.deepStrictEqual(imageOf(bytes(head)), mediaType === undefined ? undefined : { mediaType }, head)
        fs.writeFileSync(path.join(root, "a"), bytes(head))
        const given = yield* handle("read", { path: "a" })
        if (mediaType === undefined) assert.isString(given)
        else if (!Tool.isContent(given)) assert.fail("no image")
        else {
          const [image] = given.parts
          assert.isTrue(image?.type === "image" && image.mediaType === mediaType)
          assert.deepStrictEqual(image?.type === "image" ? Buffer.from(image.data as Uint8Array) : "", bytes(head))
        }
      }
      fs.writeFileSync(path.join(root, "a"), bytes("\xff\xd8\xff\xe0".padEnd(maxImage + 1, "\0")))
      assert.strictEqual(
        yield* use("read", { path: "a" }),
        `[An image of ${maxImage + 1} bytes, image/jpeg; over 3.75 MB, so it is not shown.]`
      )
    })
  )

  it.scoped("cuts a line that is too long between two characters", () =>
    Effect.gen(function* () {
      const { root, use } = yield* ground({})
      for (const lead of ["", "a", "ab", "abc"]) {
        fs.writeFileSync(path.join(root, "long.txt"), `${lead}${"\u{1F600}".repeat(2_500_000)}\nnext\n`)
        const text = yield* unblocked(use("read", { path: "long.txt" }))
        assert.match(text, /^1\t[abc]{0,3}\u{1F600}+\n\[Line 1 is too long .* offset=2\.\]$/u)
        assert.isAbove(Buffer.byteLength(text), 48_000)
        // What the note tells leads to the rest.
        const [, from] = /cut -b (\d+)-/.exec(text)!
        const shown = text.slice(2, text.indexOf("\n"))
        assert.strictEqual(Buffer.byteLength(shown) + 1, Number(from))
        assert.include(yield* use("read", { path: "long.txt", offset: 2 }), "2\tnext")
      }
    })
  )

  it.scoped.prop(
    "pages join to the whole file",
    [
      fc.array(
        fc.oneof(
          { weight: 5, arbitrary: fc.string({ unit: "binary", maxLength: 30 }) },
          { weight: 1, arbitrary: fc.integer({ min: 1, max: 30_000 }).map((n) => "\u20AC".repeat(n / 3)) }
        ),
        { maxLength: 60 }
      ),
      fc.boolean(),
      fc.integer({ min: 1, max: 25 })
    ],
    ([words, newline, limit]) =>
      Effect.gen(function* () {
        const text =
          words.map((word) => word.replaceAll(/[\0\n]/g, "").toWellFormed()).join("\n") + (newline ? "\n" : "")
        const { use } = yield* ground({ "a.txt": text })
        let joined = ""
        let offset = 1
        for (;;) {
          const page = yield* use("read", { path: "a.txt", offset, limit })
          const end = page.lastIndexOf("\n[")
          const note = page.slice(end + 1)
          if (end >= 0) {
            for (const line of page.slice(0, end).split("\n")) {
              assert.isTrue(line.startsWith(`${offset}\t`))
              joined += `${line.slice(line.indexOf("\t") + 1)}\n`
              offset++
            }
          }
          const next = /Read on with offset=(\d+)/.exec(note)
          if (next === null) {
            if (note.includes("no newline")) joined = joined.slice(0, -1)
            break
          }
          assert.strictEqual(Number(next[1]), offset)
        }
        assert.strictEqual(joined, text)
      }),
    { fastCheck: { numRuns: 40 } }
  )
})
