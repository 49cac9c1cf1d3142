import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { maxEvent, SseReader } from "../../../src/layers/ai/sse.js"

const read = (chunks: ReadonlyArray<string>): ReadonlyArray<string> => {
  const told: Array<string> = []
  const reader = new SseReader((data) => told.push(data))
  for (const chunk of chunks) assert.isTrue(reader.feed(chunk))
  return told
}

describe("server-sent events", () => {
  it("tell their data, whatever else they have", () => {
    const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
      ["data: a\n\n", ["a"]],
      ["\ufeffdata:a\n\ndata:  b\n\n", ["a", " b"]],
      ["event: x\r\nid: 1\r\ndata: a\r\ndata: b\r\n\r\n", ["a\nb"]],
      ["data: a\r\rdata\r\r", ["a", ""]],
      [": data: a\n\nretry: 5\n\ndataa: b\n\n", []],
      ["data: a\u2028b:c\n\n", ["a\u2028b:c"]],
      ["data: a\n", []]
    ]
    for (const [text, expected] of cases) assert.deepStrictEqual(read([text]), expected)
  })

  it("are the same however they are cut", () => {
    const piece = fc.constantFrom("data: a", "data:", "\n", "\r", "\r\n", "\n\n", ": x", "data: 🙂", "id: 1")
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.array(fc.nat(200)), (pieces, at) => {
        const text = pieces.join("")
        const cuts = [0, ...at.map((it) => it % (text.length + 1)).toSorted((a, b) => a - b), text.length]
        const chunks = cuts.slice(1).map((cut, i) => text.slice(cuts[i], cut))
        assert.deepStrictEqual(read(chunks), read([text]))
      })
    )
  })

  it("are read in a time that is linear in what arrives", () => {
    const chunk = "data: x\n\n".repeat(100_000)
    const before = performance.now()
    assert.strictEqual(read([chunk]).length, 100_000)
    // Quadratic it would be minutes.
    assert.isBelow(performance.now() - before, 5_000)
  })

  it("that do not end are given up", () => {
    const fed = (text: string) => {
      const reader = new SseReader(() => {})
      let size = 0
      while (reader.feed(text)) size += text.length
      return size
    }
    for (const text of ["x".repeat(65_536), "data: xxxxxxxx\n".repeat(4_000)]) {
      const size = fed(text)
      assert.isAtLeast(size, maxEvent / 2)
      assert.isAtMost(size, 2 * maxEvent)
    }
  })
})
