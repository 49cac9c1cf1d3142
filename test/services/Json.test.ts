import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Json from "../../src/services/Json.js"

const problem = (value: unknown): string => {
  const result = Json.clean(value)
  return "problem" in result ? `${result.problem.path}: ${result.problem.reason}` : "none"
}

const nested = (depth: number): unknown => {
  let value: unknown = 1
  for (let i = 0; i < depth; i++) value = [value]
  return value
}

describe("the gate", () => {
  it("refuses what would hurt whoever looks next, and names the place", () => {
    const cyclic: Array<unknown> = []
    cyclic.push(cyclic)
    const getter = Object.defineProperty({}, "x", { enumerable: true, get: () => assert.fail("it was run") })
    const cases: ReadonlyArray<readonly [unknown, string]> = [
      [JSON.parse('{"a":[{"__proto__":1}]}'), "a[0].__proto__: a key of that name is not allowed"],
      [JSON.parse('{"constructor":{}}'), "constructor: a key of that name is not allowed"],
      [JSON.parse('{"prototype":{}}'), "prototype: a key of that name is not allowed"],
      [{ a: Number.NaN }, "a: it is not a finite number"],
      [{ a: Number.POSITIVE_INFINITY }, "a: it is not a finite number"],
      [{ a: 1n }, "a: a bigint is not JSON"],
      [{ a: undefined }, "a: a undefined is not JSON"],
      [{ a: () => 1 }, "a: a function is not JSON"],
      [[Symbol("s")], "[0]: a symbol is not JSON"],
      [getter, "x: it is not a plain value"]
    ]
    for (const [value, expected] of cases) assert.strictEqual(problem(value), expected)
    for (const deep of [nested(129), nested(10_000), cyclic]) {
      assert.match(problem(deep), /: it is nested deeper than 128 levels$/)
    }
    assert.strictEqual(problem(nested(128)), "none")
  })

  it("gives up what is too large, and what cannot be looked at, in a time that is bounded", () => {
    let bomb: unknown = "x"
    for (let i = 0; i < 40; i++) bomb = [bomb, bomb]
    const wide = Array.from({ length: 1_000_000 }, () => ({}))
    for (const large of [bomb, wide, ["x".repeat(Json.maxSize)], { ["x".repeat(Json.maxSize)]: 1 }]) {
      assert.match(problem(large), /: there is too much of it$/)
    }
    assert.strictEqual(problem(["x".repeat(Json.maxSize - 2 * Json.valueSize)]), "none")
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    assert.strictEqual(problem({ a: proxy }), ": it cannot be looked at")
    const bounds = { room: 100 }
    Json.clean({ ab: "cd", e: [1] }, bounds)
    assert.strictEqual(bounds.room, 100 - 4 * Json.valueSize - 5)
  })

  it("takes properties that are undefined where they may be", () => {
    const value = { a: { b: undefined, c: 1 } }
    assert.deepStrictEqual(Json.clean(value, { room: 1_000, gaps: true }), { value })
    assert.strictEqual(problem(value), "a.b: a undefined is not JSON")
  })

  it("prints as JSON.stringify does, up to a size", () => {
    fc.assert(
      fc.property(fc.anything({ withDate: true, withNullPrototype: true }), (value) => {
        let expected: unknown
        try {
          expected = JSON.stringify(value)
        } catch {
          expected = undefined
        }
        const printed = Json.print(value)
        assert.strictEqual("json" in printed ? printed.json : undefined, expected)
      })
    )
    let bomb: unknown = "x"
    for (let i = 0; i < 40; i++) bomb = [bomb, bomb]
    assert.deepStrictEqual(Json.print(bomb), { problem: "it is too large" })
    let deep: unknown = 1
    for (let i = 0; i < 1_000_000; i++) deep = { deep }
    assert.match(JSON.stringify(Json.print(deep)), /it is not JSON/)
    assert.deepStrictEqual(Json.print(undefined), { problem: "a undefined is not JSON" })
  })

  it("replaces halves of surrogate pairs and NUL, in keys too, and changes nothing else", () => {
    const input = { "k\ud800": ["a\0b", { fine: "🙂" }], n: null, t: true }
    assert.deepStrictEqual(Json.clean(input), {
      value: { "k\ufffd": ["a\ufffdb", { fine: "🙂" }], n: null, t: true }
    })
    assert.deepStrictEqual(Object.keys(input), ["k\ud800", "n", "t"])
  })

  it("leaves JSON as it is", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const parsed: unknown = JSON.parse(JSON.stringify(value))
        const result = Json.clean(parsed)
        fc.pre(!("problem" in result))
        assert.deepStrictEqual(result, { value: parsed })
      })
    )
  })

  it("brings only what is well-formed and comes back from a store as it was", () => {
    const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code))
    fc.assert(
      fc.property(fc.array(unit), (units) => {
        const text = Json.cleanText(units.join(""))
        assert.isTrue(text.isWellFormed())
        assert.isFalse(text.includes("\0"))
        assert.strictEqual(Buffer.from(text, "utf8").toString("utf8"), text)
        assert.strictEqual(Json.cleanText(text), text)
      })
    )
  })
})

describe("a text that is not parsed yet", () => {
  it("is refused where it would take long, and a short one is not looked at", () => {
    const much = "there is too much of it"
    const deep = "it is nested deeper than 128 levels"
    const pad = " ".repeat(200_000)
    const cases: ReadonlyArray<readonly [string, string | undefined]> = [
      ["[".repeat(100_000), undefined],
      [pad + "[".repeat(128), undefined],
      [pad + "[".repeat(129), deep],
      [pad + '{"a":'.repeat(129), deep],
      [`${pad}${"[{}]".repeat(200)}`, undefined],
      [`${pad}[${"0,".repeat(999_998)}0]`, undefined],
      [`${pad}[${"0,".repeat(1_000_001)}0]`, much],
      [" ".repeat(4_000_001), much],
      // Nothing counts within a string, which ends where it does.
      [`${pad}"${"[".repeat(1_000)}"`, undefined],
      [`${pad}"\\"${"[".repeat(1_000)}"`, undefined],
      [`${pad}"\\\\"${"[".repeat(1_000)}`, deep],
      [`${pad}"${"[".repeat(5_000_000)}`, undefined]
    ]
    for (const [text, reason] of cases) assert.strictEqual(Json.frameProblem(text), reason, text.slice(-20))
  })
})
