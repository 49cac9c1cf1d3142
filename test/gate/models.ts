/**
 * What a model says through the port, and what tools give back.
 */
import { Effect, Schema } from "effect"
import { type Model, Script, Tool } from "effect-baton"
import { canary } from "./ground.js"
import { type Case, sink } from "./sink.js"
import { calling, echo, emitting } from "./stages.js"
import * as V from "./values.js"

const anything = Tool.make("anything", {
  description: "",
  parameters: Schema.Struct({}, { key: Schema.String, value: Schema.Unknown }),
  run: () => Effect.succeed("taken")
})

interface Tree {
  readonly children?: ReadonlyArray<Tree> | undefined
}
const Tree: Schema.Schema<Tree> = Schema.Struct({
  children: Schema.optional(Schema.Array(Schema.suspend((): Schema.Schema<Tree> => Tree)))
}).annotations({ identifier: "Tree" })

const tree = (levels: number): Tree => {
  let value: Tree = {}
  for (let i = 0; i < levels; i++) value = { children: [value] }
  return value
}

const recursive = Tool.make("tree", { description: "", parameters: Schema.Struct({ tree: Tree }), run: () => "taken" })

const call = (name: string, args: unknown) => () => Script.call(name, args)

export const tools = sink(
  "tool parameters",
  (given: Script.Call) =>
    emitting(
      (emit) => {
        emit({ _tag: "ToolCall", id: "call_1", name: given.name, args: given.args })
        return Effect.succeed({
          reason: "tool-calls",
          usage: { input: 1, output: 1, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
        })
      },
      { tools: [echo, anything, recursive] }
    ),
  [
    ["T", "missing", call("echo", {}), /text: is missing/],
    ["T", "another type", call("echo", { text: 5 }), /text: Expected string/],
    ["T", "null", call("echo", null), /not a JSON object/],
    ["T", "a list", call("echo", []), /not a JSON object/],
    ["T", "a text", call("echo", canary), /not a JSON object/],
    ["T", "undefined", () => ({ name: "echo", args: undefined }), /not a JSON object/],
    ["T", "a symbol", call("echo", Symbol("x")), /not a JSON object/],
    ["T", "a bigint", call("anything", { a: 1n }), /not a JSON object/],
    ["T", "a function", call("anything", { a: () => canary }), /not a JSON object/],
    ["T", "NaN", call("anything", { a: Number.NaN }), /not a JSON object/],
    ["T", "129 deep", call("anything", { a: V.deep(128) }), /not a JSON object/],
    ["A", "128 deep", call("anything", { a: V.deep(127) })],
    ["T", "10^6 deep", () => Script.call("anything", { a: V.deep(1_000_000) }), /not a JSON object/],
    ["T", "a recursive schema, 10^6 deep", () => Script.call("tree", { tree: tree(1_000_000) }), /not a JSON object/],
    ["A", "a recursive schema, 60 deep", () => Script.call("tree", { tree: tree(60) })],
    ["T", "cyclic", () => Script.call("anything", V.cyclic()), /not a JSON object/],
    ["T", "2^30 leaves", () => Script.call("anything", { a: V.bomb() }), /not a JSON object/],
    ["T", "a million objects", () => Script.call("anything", { a: V.wide(1_000_000) }), /not a JSON object/],
    ["T", "10 MB", () => Script.call("echo", { text: "x".repeat(10 * V.mega) }), /not a JSON object/],
    ["T", "a key of 10 MB", () => Script.call("anything", { ["x".repeat(10 * V.mega)]: 1 }), /not a JSON object/],
    ["T", "__proto__", () => Script.call("anything", V.forged()), /not a JSON object/],
    [
      "T",
      "constructor, below",
      () => Script.call("anything", JSON.parse('{"a":[{"constructor":{"prototype":1}}]}')),
      /not a JSON object/
    ],
    ["T", "a getter", () => Script.call("echo", V.getter()), /not a JSON object/],
    ["T", "a hostile proxy", () => Script.call("echo", V.hostile()), /not a JSON object/],
    ["T", "a revoked proxy", () => Script.call("echo", V.revoked()), /not a JSON object/],
    ["T", "a hostile proxy, below", () => Script.call("anything", { a: V.hostile() }), /not a JSON object/],
    ["C", "NUL", call("echo", { text: "a\0b" })],
    ["C", "half of a pair", call("echo", { text: V.half })],
    ["A", "the secret", call("echo", { text: canary })],
    ["T", "a date", () => Script.call("echo", { text: new Date(Number.NaN) }), /text: Expected string/],
    ["T", "a task with no text", call("task", {}), /"prompt" is missing|no tool "task"/]
  ]
)

/** What a handler gives, as an Effect and as a promise. */
const values: ReadonlyArray<Case<() => unknown>> = [
  ["L", "10 MB", () => () => "x".repeat(10 * V.mega), /characters left out/],
  ["L", "cut within a pair", () => () => "😀".repeat(40_001), /characters left out/],
  ["L", "10 MB of JSON", () => () => ({ text: "x".repeat(10 * V.mega) }), /characters left out/],
  ["T", "cyclic", () => V.cyclic, /not JSON/],
  ["T", "a bigint", () => () => ({ a: 1n }), /not JSON/],
  ["T", "a function", () => () => () => canary, /not JSON/],
  ["T", "a symbol", () => () => Symbol(canary), /not JSON/],
  ["T", "a getter that throws", () => () => V.getter(), /not JSON/],
  ["T", "a hostile proxy", () => () => ({ a: V.hostile() }), /not JSON/],
  ["T", "a revoked proxy", () => () => ({ a: V.revoked() }), /not JSON/],
  [
    "T",
    "toJSON that throws",
    () => () => ({
      toJSON: () => {
        throw new Error(canary)
      }
    }),
    /not JSON/
  ],
  ["T", "toJSON that gives what is none", () => () => ({ a: { toJSON: () => 1n } }), /not JSON/],
  [
    "T",
    "10^6 deep",
    () => {
      const it = V.deep(1_000_000)
      return () => it
    },
    /not JSON/
  ],
  [
    "T",
    "2^30 leaves",
    () => {
      const it = V.bomb()
      return () => it
    },
    /too large/
  ],
  [
    "T",
    "two million objects",
    () => {
      const it = V.wide(2_000_000)
      return () => it
    },
    /too large/
  ],
  ["C", "NUL", () => () => "a\0b"],
  ["C", "half of a pair", () => () => `a${V.half}`],
  ["A", "the secret", () => () => ({ env: { KEY: canary } })],
  ["A", "a forged prototype", () => V.forged],
  ["A", "nothing", () => () => undefined],
  ["A", "a date", () => () => new Date(0)]
]

/** What a handler fails with. */
const faults: ReadonlyArray<Case<() => unknown>> = [
  ["T", "null", () => () => null, /failed with null/],
  ["T", "undefined", () => () => undefined, /failed with undefined/],
  ["T", "a symbol", () => () => Symbol("x"), /failed with/],
  ["T", "an error of 10 MB", () => () => new Error("x".repeat(10 * V.mega)), /characters left out/],
  ["T", "an error with the secret", () => () => new Error(`no ${canary}`), /no <redacted>/],
  ["T", "a hostile proxy", () => V.hostile, /redacted|cannot be described/],
  ["T", "a revoked proxy", () => V.revoked, /revoked|cannot be described/],
  ["T", "cyclic", () => V.cyclic, /The tool failed/],
  [
    "T",
    "2^30 leaves",
    () => {
      const it = V.bomb()
      return () => it
    },
    /The tool failed/
  ],
  [
    "T",
    "10^6 deep",
    () => {
      const it = V.deep(1_000_000)
      return () => it
    },
    /The tool failed/
  ],
  ["T", "a message that throws", () => () => V.getter("message"), /cannot be described/],
  ["T", "a tag that is no text", () => () => ({ _tag: 5, message: 6 }), /The tool failed/]
]

const fails = (): never => {
  throw new Error(canary)
}

const twice = (resolve: (value: string) => void): void => {
  resolve("a")
  resolve("b")
}

const running = (run: () => unknown, deadline?: number) =>
  calling([Tool.make("it", { description: "", deadline, run })], Script.call("it"))

const own = (handle: () => unknown) =>
  calling([{ ...echo, handle: V.untyped(handle) }], Script.call("echo", { text: "x" }))

export const results = [
  sink("results of Effects", (make: () => unknown) => running(() => Effect.sync(make)), values),
  sink(
    "results of promises",
    (make: () => unknown) =>
      running(async () => {
        await Promise.resolve()
        return make()
      }),
    values
  ),
  sink(
    "failures of Effects",
    (make: () => unknown) => running(() => Effect.suspend(() => Effect.fail(make()))),
    faults
  ),
  sink("defects of Effects", (make: () => unknown) => running(() => Effect.suspend(() => Effect.die(make()))), faults),
  sink(
    "rejections",
    (make: () => unknown) => running(() => Promise.resolve().then(() => Promise.reject(make()))),
    faults
  ),
  sink("handlers", (stage: () => ReturnType<typeof running>) => stage(), [
    ["T", "never resolves", () => () => running(() => new Promise(() => {}), 30), /longer than its deadline/],
    ["T", "never ends", () => () => running(() => Effect.never, 30), /longer than its deadline/],
    ["T", "a thenable that throws", () => () => running(() => V.thenable(fails)), /<redacted>/],
    ["T", "a thenable with a getter", () => () => running(() => V.getter("then")), /./],
    ["A", "a thenable that answers twice", () => () => running(() => V.thenable(twice))],
    ["T", "a hostile proxy", () => () => running(V.hostile), /./],
    [
      "T",
      "throws null",
      () => () =>
        running(() => {
          throw null
        }),
      /failed with null/
    ],
    ["T", "parts that are none", () => () => running(() => Tool.content(V.untyped(5))), /cannot be shown/],
    [
      "T",
      "parts that are a hostile proxy",
      () => () => running(() => Tool.content(V.untyped(V.hostile()))),
      /cannot be shown/
    ],
    [
      "T",
      "a part that is a hostile proxy",
      () => () => running(() => Tool.content([V.untyped(V.hostile())])),
      /cannot be shown/
    ],
    [
      "T",
      "a JSON part that is a cycle",
      () => () => running(() => Tool.content([{ type: "json", value: V.cyclic() }])),
      /cannot be shown/
    ],
    [
      "T",
      "an image that holds a secret",
      () => () => running(() => Tool.content([{ type: "image", mediaType: "image/png", data: canary }])),
      /cannot be shown/
    ],
    ["A", "deadline 2^31", () => () => running(() => Promise.resolve("x"), 2 ** 31)],
    ["A", "deadline Infinity", () => () => running(() => Promise.resolve("x"), Number.POSITIVE_INFINITY)],
    [
      "T",
      "one of its own that throws",
      () => () =>
        own(() => {
          throw new Error(canary)
        }),
      /redacted/
    ],
    ["T", "one of its own that is no Effect", () => () => own(() => 5), /./],
    ["T", "one of its own that fails without a text", () => () => own(() => Effect.fail({})), /./],
    ["T", "one of its own that fails with nothing", () => () => own(() => Effect.fail(null)), /./],
    ["T", "one of its own with a text that is none", () => () => own(() => Effect.fail({ text: Symbol("x") })), /./],
    [
      "T",
      "a value that its schema does not take",
      () => () =>
        calling(
          [
            Tool.make("it", {
              description: "",
              success: Schema.Struct({ a: Schema.Number }),
              run: () => V.untyped({ a: canary })
            })
          ],
          Script.call("it")
        ),
      /does not fit its own schema/
    ],
    [
      "T",
      "a value of its schema, 10^6 deep",
      () => () =>
        calling([Tool.make("it", { description: "", success: Tree, run: () => tree(1_000_000) })], Script.call("it")),
      /./
    ],
    [
      "T",
      "a value of its schema that is hostile",
      () => () =>
        calling(
          [Tool.make("it", { description: "", success: Tree, run: () => V.untyped(V.hostile()) })],
          Script.call("it")
        ),
      /./
    ]
  ])
]

const figures = { input: 1, output: 1, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
const end = (more: object = {}): unknown => Effect.succeed({ reason: "stop", usage: figures, ...more })
const event = (it: unknown) => it as Model.ModelEvent

type Emit = (event: Model.ModelEvent) => void

export const port = sink("the model port", (say: (emit: Emit) => unknown) => emitting(say), [
  [
    "C",
    "a text that is none",
    () => (emit) => (emit(event({ _tag: "TextDelta", text: 5 })), emit(event({ _tag: "TextDelta", text: "x" })), end())
  ],
  [
    "C",
    "an event that is none",
    () => (emit) => (emit(event(null)), emit(event("x")), emit(event({ _tag: "TextDelta", text: "x" })), end())
  ],
  [
    "C",
    "an event of another kind",
    () => (emit) => (emit(event({ _tag: canary })), emit(event({ _tag: "TextDelta", text: "x" })), end())
  ],
  [
    "C",
    "an event that is a hostile proxy",
    () => (emit) => (emit(event(V.hostile())), emit(event({ _tag: "TextDelta", text: "x" })), end())
  ],
  [
    "C",
    "reasoning that is none",
    () => (emit) => (
      emit(event({ _tag: "ReasoningDelta", text: null })),
      emit(event({ _tag: "TextDelta", text: "x" })),
      end()
    )
  ],
  [
    "C",
    "a call that is no text",
    () => (emit) => (emit(event({ _tag: "ToolCall", id: 5, name: null, args: {} })), end())
  ],
  ["C", "a call with nothing", () => (emit) => (emit(event({ _tag: "ToolCall" })), end())],
  [
    "C",
    "a call with a raw that is none",
    () => (emit) => (emit(event({ _tag: "ToolCall", id: "a", name: "echo", args: {}, raw: 5 })), end())
  ],
  [
    "C",
    "a notice that is none",
    () => (emit) => (emit(event({ _tag: "Notice", message: 5 })), emit(event({ _tag: "TextDelta", text: "x" })), end())
  ],
  [
    "C",
    "usage so far that is none",
    () => (emit) => (
      emit(event({ _tag: "UsageSoFar", usage: "x" })),
      emit(event({ _tag: "TextDelta", text: "x" })),
      end()
    )
  ],
  ["C", "half of a pair", () => (emit) => (emit(event({ _tag: "TextDelta", text: V.half })), end())],
  [
    "A",
    "a pair in two halves",
    () => (emit) => (
      emit(event({ _tag: "TextDelta", text: "\ud83d" })),
      emit(event({ _tag: "TextDelta", text: "\ude00" })),
      end()
    )
  ],
  ["C", "NUL", () => (emit) => (emit(event({ _tag: "TextDelta", text: "a\0b" })), end())],
  [
    "A",
    "the secret in pieces",
    () => (emit) => ([...canary].forEach((text) => emit(event({ _tag: "TextDelta", text }))), end())
  ],
  [
    "C",
    "signed reasoning with the secret",
    () => (emit) => (
      emit(event({ _tag: "ReasoningDelta", text: canary })),
      emit(event({ _tag: "ReasoningEnd", metadata: { a: 1 } })),
      emit(event({ _tag: "TextDelta", text: "x" })),
      end()
    )
  ],
  [
    "C",
    "reasoning with a seal that is 10^6 deep",
    () => (emit) => (
      emit(event({ _tag: "ReasoningEnd", metadata: V.deep(1_000_000) })),
      emit(event({ _tag: "TextDelta", text: "x" })),
      end()
    )
  ],
  [
    "C",
    "reasoning with a cyclic seal",
    () => (emit) => (
      emit(event({ _tag: "ReasoningEnd", metadata: V.cyclic() })),
      emit(event({ _tag: "TextDelta", text: "x" })),
      end()
    )
  ],
  [
    "C",
    "reasoning with a forged seal",
    () => (emit) => (
      emit(event({ _tag: "ReasoningEnd", metadata: V.forged() })),
      emit(event({ _tag: "TextDelta", text: "x" })),
      end()
    )
  ],
  [
    "C",
    "reasoning with a hostile seal",
    () => (emit) => (
      emit(event({ _tag: "ReasoningEnd", metadata: { a: V.hostile() } })),
      emit(event({ _tag: "TextDelta", text: "x" })),
      end()
    )
  ],
  [
    "A",
    "a text with a bigint for a seal",
    () => (emit) => (
      emit(event({ _tag: "TextDelta", text: "x" })),
      emit(event({ _tag: "TextEnd", metadata: { a: 1n } })),
      end()
    )
  ],
  [
    "L",
    "20 MB of text",
    () => {
      const text = "x".repeat(V.mega)
      return (emit) => {
        for (let i = 0; i < 20; i++) emit(event({ _tag: "TextDelta", text }))
        return end()
      }
    },
    /left out/
  ],
  [
    "L",
    "20 MB of reasoning",
    () => {
      const text = "x".repeat(V.mega)
      return (emit) => {
        for (let i = 0; i < 20; i++) emit(event({ _tag: "ReasoningDelta", text }))
        emit(event({ _tag: "TextDelta", text: "x" }))
        return end()
      }
    },
    /left out/
  ],
  [
    "L",
    "10,000 calls",
    () => (emit) => {
      for (let i = 0; i < 10_000; i++) emit(event({ _tag: "ToolCall", id: "", name: "echo", args: { text: "x" } }))
      return end()
    },
    /Only the first 128/
  ],
  [
    "A",
    "10,000 deltas",
    () => (emit) => {
      for (let i = 0; i < 10_000; i++) emit(event({ _tag: "TextDelta", text: "x" }))
      return end()
    }
  ],
  [
    "A",
    "two calls of one id",
    () => (emit) => (
      emit(event({ _tag: "ToolCall", id: "a", name: "echo", args: { text: "x" } })),
      emit(event({ _tag: "ToolCall", id: "a", name: "echo", args: { text: "y" } })),
      end()
    )
  ],
  [
    "C",
    "a name that no provider takes back",
    () => (emit) => (emit(event({ _tag: "ToolCall", id: "a", name: "no such tool!", args: {} })), end())
  ],
  [
    "T",
    "a name like an object's own",
    () => (emit) => (emit(event({ _tag: "ToolCall", id: "a", name: "__proto__", args: {} })), end()),
    /There is no tool "__proto__"/
  ],
  [
    "T",
    "a name of 1 MB",
    () => (emit) => (emit(event({ _tag: "ToolCall", id: "a", name: "x".repeat(V.mega), args: {} })), end())
  ]
])

const counted = (usage: unknown) => () => usage

export const usage = sink(
  "usage figures",
  (given: unknown) =>
    emitting((emit) => {
      emit({ _tag: "TextDelta", text: "x" })
      return end({ usage: given })
    }),
  [
    ["C", "none", counted(undefined)],
    ["C", "negative", counted({ ...figures, input: -5 })],
    ["C", "NaN", counted({ ...figures, output: Number.NaN })],
    ["C", "Infinity", counted({ ...figures, cacheRead: Number.POSITIVE_INFINITY })],
    ["C", "1e300", counted({ ...figures, reasoning: 1e300 })],
    ["C", "over 10^7", counted({ ...figures, input: 10_000_001 })],
    ["A", "10^7", counted({ ...figures, input: 10_000_000 })],
    ["C", "texts", counted({ ...figures, input: "5" })],
    ["C", "a bigint", counted({ ...figures, input: 5n })],
    ["C", "an object", counted({ ...figures, input: { valueOf: () => 5 } })],
    ["C", "missing figures", counted({ input: 1 })],
    ["C", "null", counted(null)],
    ["C", "a text", counted(canary)],
    ["C", "a cost that is NaN", counted({ ...figures, cost: Number.NaN })],
    ["C", "a negative cost", counted({ ...figures, cost: -1 })],
    ["C", "a getter", () => V.getter("input")],
    ["C", "a hostile proxy", V.hostile]
  ]
)
