import * as Foreign from "@effect/schema/Schema"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import type * as ParseResult from "effect/ParseResult"
import * as Own from "effect/Schema"
import { type AnySchema, astOf, codec, explainIssue } from "../../src/services/AnySchema.js"

type Package = typeof Own

/** The package `@effect/schema` under the types of `effect/Schema`: the same text is compiled for both. */
const foreign = Foreign as unknown as Package

interface Pair {
  readonly name: string
  readonly make: (S: Package) => AnySchema
  readonly inputs: ReadonlyArray<unknown>
}

interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}

enum Fruit {
  Apple = "apple",
  Pear = 1
}

const pairs: ReadonlyArray<Pair> = [
  {
    name: "bounds",
    make: (S) =>
      S.Struct({
        int: S.Int.pipe(S.between(1, 5)),
        text: S.String.pipe(S.minLength(2), S.maxLength(4)),
        pattern: S.String.pipe(S.pattern(/^a/)),
        even: S.NonNegative.pipe(S.multipleOf(2)),
        list: S.Array(S.String).pipe(S.minItems(1), S.maxItems(2))
      }),
    inputs: [
      { int: 3, text: "abc", pattern: "ab", even: 4, list: ["x"] },
      { int: 9, text: "a", pattern: "b", even: 3, list: [] },
      { int: 1.5, text: "abcde", pattern: "a", even: -2, list: ["x", "y", "z"] }
    ]
  },
  {
    name: "descriptions, titles, examples and defaults",
    make: (S) =>
      S.Struct({
        id: S.String.annotations({ description: "The number of the ticket", title: "Ticket", examples: ["T-1"] }),
        count: S.propertySignature(S.Number).annotations({ description: "How many", default: 3 })
      }).annotations({ identifier: "Lookup", description: "Looks a ticket up" }),
    inputs: [{ id: "T-1", count: 2 }, { id: 1 }, null, "x"]
  },
  {
    name: "optional, nullable and default properties",
    make: (S) =>
      S.Struct({
        optional: S.optional(S.String),
        exact: S.optionalWith(S.Boolean, { exact: true }),
        default: S.optionalWith(S.Number, { default: () => 3 }),
        nullable: S.optionalWith(S.String, { nullable: true, default: () => "none" }),
        undefinable: S.UndefinedOr(S.String),
        nullOr: S.NullOr(S.Number),
        option: S.optionalWith(S.String, { as: "Option" })
      }),
    inputs: [
      { nullOr: null },
      { optional: "a", exact: true, default: 1, nullable: null, undefinable: "b", nullOr: 2, option: "c" },
      { optional: 1, exact: "x", nullOr: "y" }
    ]
  },
  {
    name: "renamed properties",
    make: (S) =>
      S.Struct({ to: S.propertySignature(S.String.annotations({ description: "Where to" })).pipe(S.fromKey("from")) }),
    inputs: [{ from: "a" }, { to: "a" }]
  },
  {
    name: "tuples, arrays and records",
    make: (S) =>
      S.Struct({
        tuple: S.Tuple(S.String, S.optionalElement(S.Number)),
        rest: S.Tuple([S.String], S.Boolean),
        some: S.NonEmptyArray(S.String),
        record: S.Record({ key: S.String, value: S.Number }),
        unknown: S.Unknown
      }),
    inputs: [
      { tuple: ["a"], rest: ["a", true, false], some: ["x"], record: { a: 1 }, unknown: [{}] },
      { tuple: [1, "x", 2], rest: [], some: [], record: { a: "1" }, unknown: null },
      { tuple: ["a", 1], rest: ["a", 1], some: "x", record: [] }
    ]
  },
  {
    name: "literals, enums and template literals",
    make: (S) =>
      S.Struct({
        literal: S.Literal("a", "b"),
        mixed: S.Literal(1, "x", null),
        enum: S.Enums(Fruit),
        template: S.TemplateLiteral("v", S.Number, "-", S.String)
      }),
    inputs: [
      { literal: "a", mixed: null, enum: "apple", template: "v1-x" },
      { literal: "c", mixed: 2, enum: "plum", template: "v-x" }
    ]
  },
  {
    name: "unions",
    make: (S) =>
      S.Union(
        S.Struct({ kind: S.Literal("text"), text: S.String }),
        S.Struct({ kind: S.Literal("count"), count: S.Int })
      ),
    inputs: [{ kind: "text", text: "a" }, { kind: "count", count: 1.5 }, { kind: "other" }]
  },
  {
    name: "transformations",
    make: (S) =>
      S.Struct({
        number: S.NumberFromString,
        date: S.Date,
        trimmed: S.Trim,
        json: S.parseJson(S.Struct({ x: S.Int })),
        list: S.split(","),
        shout: S.transform(S.String, S.String, {
          strict: true,
          decode: (text) => text.toUpperCase(),
          encode: (text) => text.toLowerCase()
        })
      }),
    inputs: [
      { number: "1.5", date: "2026-01-02T03:04:05.000Z", trimmed: " a ", json: '{"x":1}', list: "a,b", shout: "a" },
      { number: "one", date: 1, trimmed: 2, json: '{"x":1.5}', list: 3, shout: null },
      { number: "1", date: "2026-01-02T03:04:05.000Z", trimmed: "", json: "{", list: "", shout: "" }
    ]
  },
  {
    name: "brands and filters, with messages of their own",
    make: (S) =>
      S.Struct({
        brand: S.String.pipe(S.minLength(3), S.brand("Id")),
        filter: S.String.pipe(S.filter((text) => text.startsWith("z") || "must start with z")),
        message: S.String.annotations({ message: () => "not a text" }),
        both: S.Struct({ a: S.Number, b: S.Number }).pipe(
          S.filter((it) => it.a < it.b || { path: ["b"], message: "b must be greater" })
        )
      }),
    inputs: [
      { brand: "abc", filter: "z", message: "a", both: { a: 1, b: 2 } },
      { brand: "a", filter: "a", message: 1, both: { a: 2, b: 1 } }
    ]
  },
  {
    name: "classes",
    make: (S) => {
      class Person extends S.Class<Person>("Person")({ name: S.String, age: S.Int }) {}
      return S.Struct({ person: Person })
    },
    inputs: [{ person: { name: "Ann", age: 30 } }, { person: { name: "Ann", age: 1.5 } }, { person: {} }]
  },
  {
    name: "declarations with parameters",
    make: (S) => S.Struct({ option: S.Option(S.Int), set: S.ReadonlySet(S.NumberFromString) }),
    inputs: [
      { option: { _tag: "Some", value: 1 }, set: ["1", "2"] },
      { option: { _tag: "Some", value: 1.5 }, set: ["a"] }
    ]
  },
  {
    name: "recursion with the identifier outside",
    make: (S) => {
      const Tree: Own.Schema<Tree> = S.Struct({
        name: S.String.pipe(S.minLength(1)),
        children: S.Array(S.suspend((): Own.Schema<Tree> => Tree))
      }).annotations({ identifier: "Tree" })
      return Tree
    },
    inputs: [
      { name: "a", children: [{ name: "b", children: [] }] },
      { name: "a", children: [{ name: "", children: [1] }] }
    ]
  },
  {
    name: "recursion with the identifier inside",
    make: (S) => {
      const Tree: Own.Schema<Tree> = S.Struct({
        name: S.String,
        children: S.Array(S.suspend((): Own.Schema<Tree> => Tree).annotations({ identifier: "a/tree~" }))
      })
      return S.Struct({ tree: Tree })
    },
    inputs: [{ tree: { name: "a", children: [{ name: "b", children: [] }] } }, { tree: { name: "a", children: [{}] } }]
  },
  {
    name: "a recursive schema as the whole",
    make: (S) => {
      const Tree: Own.Schema<Tree> = S.suspend(() => S.Struct({ name: S.String, children: S.Array(Tree) })).annotations(
        { identifier: "Tree" }
      )
      return Tree
    },
    inputs: [
      { name: "a", children: [{ name: "b", children: [] }] },
      { name: 1, children: 2 }
    ]
  }
]

type Outcome = { readonly value: unknown } | { readonly problem: string }

const outcome = (effect: Effect.Effect<unknown, ParseResult.ParseIssue, unknown>): Outcome => {
  const exit = Effect.runSync(
    Effect.either(effect as Effect.Effect<unknown, ParseResult.ParseIssue>).pipe(
      Effect.map(Either.mapLeft(explainIssue))
    )
  )
  return Either.isRight(exit) ? { value: exit.right } : { problem: exit.left }
}

/** What the packages make up themselves, each in its own words; the rest of the two must be equal. */
const madeUp: Record<string, RegExp> = {
  title: /^\w+(\(.*\))?$|^Struct \(Encoded side\)$|Brand</,
  description: /^Option<string>$/
}

/** A JSON Schema without what the packages word differently about their own filters and transformations. */
const comparable = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(comparable)
  if (typeof schema !== "object" || schema === null) return schema
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key, value]) => !(typeof value === "string" && value !== "Ticket" && madeUp[key]?.test(value)))
      .map(([key, value]) => [
        key,
        key === "description" && typeof value === "string"
          ? value.replace("that will be parsed into", "to be decoded into").replace("2 items", "2 item(s)")
          : comparable(value)
      ])
  )
}

const json = (value: unknown): unknown => JSON.parse(JSON.stringify(value) ?? "null")

describe("AnySchema", () => {
  for (const { name, make, inputs } of pairs) {
    describe(name, () => {
      const own = codec(make(Own))
      const other = codec(make(foreign))

      it("has the same JSON Schema from both packages", () => {
        const schema = other.jsonSchema()
        assert.notProperty(schema, "$ref")
        assert.deepStrictEqual(comparable(schema), comparable(own.jsonSchema()))
      })

      it("decodes and encodes alike", () => {
        let decoded = 0
        for (const input of inputs) {
          const mine = outcome(own.decode(input))
          const theirs = outcome(other.decode(input))
          if ("value" in mine) {
            decoded++
            assert.property(theirs, "value")
            assert.deepStrictEqual(json((theirs as { value: unknown }).value), json(mine.value))
            assert.deepStrictEqual(
              outcome(other.encode((theirs as { value: unknown }).value)),
              outcome(own.encode(mine.value))
            )
          } else {
            assert.property(theirs, "problem")
            const places = (it: string) => it.split("\n").map((line) => line.split(":")[0])
            assert.deepStrictEqual(places((theirs as { problem: string }).problem), places(mine.problem))
          }
        }
        assert.isAbove(decoded, 0)
      })
    })
  }

  it("keeps descriptions, bounds and words of its own", () => {
    const schema = foreign.Struct({
      count: foreign.Int.pipe(foreign.between(1, 5)).annotations({ description: "How many", title: "Count" })
    })
    assert.deepStrictEqual(codec(schema).jsonSchema(), {
      type: "object",
      required: ["count"],
      properties: { count: { type: "integer", description: "How many", title: "Count", minimum: 1, maximum: 5 } },
      additionalProperties: false
    })
    const worded = codec(foreign.Struct({ a: foreign.String.annotations({ message: () => "not a text" }) }))
    assert.deepStrictEqual(outcome(worded.decode({ a: 1 })), { problem: "a: not a text" })
  })

  it("names every mistake and its place", () => {
    const schema = foreign.Struct({ a: foreign.Int, b: foreign.Array(foreign.NonEmptyString) })
    assert.deepStrictEqual(outcome(codec(schema).decode({ a: 1.5, b: ["x", ""] })), {
      problem: 'a: Expected an integer, actual 1.5\nb.1: Expected a non empty string, actual ""'
    })
  })

  it("writes a tree once, and leaves that of effect/Schema as it is", () => {
    const own = Own.Struct({ a: Own.String })
    assert.strictEqual(astOf(own), own.ast)
    const other = foreign.Struct({ a: foreign.String })
    assert.notStrictEqual(astOf(other), other.ast)
    assert.strictEqual(astOf(other), astOf(other))
  })

  it.effect("gives a schema's services through", () =>
    Effect.gen(function* () {
      class Names extends Context.Tag("test/Names")<Names, ReadonlyMap<string, string>>() {}
      const Named = foreign.transformOrFail(foreign.String, foreign.String, {
        strict: true,
        decode: (key) => Effect.map(Names, (names) => names.get(key) ?? "nobody"),
        encode: (name) => Effect.succeed(name)
      })
      const decoded = codec(Named).decode("a") as Effect.Effect<unknown, ParseResult.ParseIssue, Names>
      assert.strictEqual(yield* Effect.provideService(decoded, Names, new Map([["a", "Ann"]])), "Ann")
    })
  )

  it("says where a schema has no JSON Schema", () => {
    assert.throws(() => codec(foreign.Struct({ big: foreign.BigIntFromSelf })).jsonSchema(), /Missing annotation/)
  })

  it("agrees on random values, good and bad", () => {
    const make = (S: Package) =>
      S.Struct({
        id: S.String.pipe(S.maxLength(8)),
        size: S.optional(S.Int.pipe(S.greaterThan(0))),
        tags: S.Array(S.Union(S.Literal("a", "b"), S.Number)),
        at: S.NullOr(S.Boolean)
      })
    const [own, other] = [codec(make(Own)), codec(make(foreign))]
    const good = Arbitrary.make(Own.encodedSchema(make(Own)))
    const bad = FastCheck.record({
      id: FastCheck.anything(),
      size: FastCheck.anything(),
      tags: FastCheck.array(FastCheck.anything()),
      at: FastCheck.anything()
    })
    FastCheck.assert(
      FastCheck.property(FastCheck.oneof(good, bad), (input) => {
        const [mine, theirs] = [outcome(own.decode(input)), outcome(other.decode(input))]
        assert.strictEqual("value" in theirs, "value" in mine)
        if ("value" in mine) assert.deepStrictEqual(theirs, mine)
      }),
      { numRuns: 300 }
    )
  })
})
