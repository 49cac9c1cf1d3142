import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { Agent, Conversation, type Limits, Script, Secrets, Tool } from "effect-baton"
import { requestTokens } from "../../src/programs/estimate.js"
import { engine, messagesOf, open, recorder } from "../support/engine.js"
import { problems } from "../support/validMessages.js"

const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
const jpeg = "/9j/4AAQSkZJRgABAQAAAQABAAD/"
const shot = { type: "image", mediaType: "image/png", data: png } as const

type Parts = ReadonlyArray<Tool.ContentPart>

const giving = (parts: unknown, name = "shot") =>
  Tool.make(name, { description: "", run: () => Effect.succeed(Tool.content(parts as Parts)) })

/** What is recorded of the one call of a tool. */
const settled = (tool: Tool.Tool, options: Parameters<typeof prompted>[1] = {}) =>
  Effect.map(prompted(tool, options), ({ entries }) => entries[0]!)

const prompted = (tool: Tool.Tool, options: { readonly limits?: Partial<Limits.OwnLimits> }) =>
  Effect.gen(function* () {
    const heard = yield* recorder
    const session = yield* open(Agent.make("a", { tools: [tool], delegate: "off" }))
    yield* session.prompt("go", options)
    const messages = yield* messagesOf(session)
    assert.deepStrictEqual(problems(messages), [])
    const entries = (yield* session.history).flatMap((entry) => (entry._tag === "ToolSettled" ? [entry] : []))
    const events = (yield* heard).flatMap((event) => (event._tag === "ToolSettled" ? [event] : []))
    return { entries, messages, events }
  }).pipe(Effect.scoped, Effect.provide(engine([Script.always(Script.calls(Script.call(tool.name)), "done")])))

const told = (tool: Tool.Tool) =>
  Effect.map(settled(tool), ({ content, outcome, result }) => ({ content, outcome, result }))

describe("a result in parts", () => {
  it.effect("is a text with marks, and the parts beside it", () =>
    Effect.gen(function* () {
      const bytes = new Uint8Array(Buffer.from(jpeg, "base64"))
      const it = yield* told(
        giving([
          { type: "text", text: "Before" },
          shot,
          { type: "json", value: { at: new Date(0), n: [1, undefined] } },
          { type: "image", mediaType: "image/jpeg", data: bytes.subarray(0) }
        ])
      )
      assert.deepStrictEqual(it, {
        outcome: "success",
        result: 'Before\n[image 1: image/png]\n{"at":"1970-01-01T00:00:00.000Z","n":[1,null]}\n[image 2: image/jpeg]',
        content: [
          { type: "text", text: "Before" },
          shot,
          { type: "json", value: { at: "1970-01-01T00:00:00.000Z", n: [1, null] } },
          { type: "image", mediaType: "image/jpeg", data: jpeg }
        ]
      })
    })
  )

  it.effect("takes the bytes that a view shows, and no others", () =>
    Effect.gen(function* () {
      const whole = Buffer.concat([Buffer.from("before"), Buffer.from(png, "base64"), Buffer.from("after")])
      const view = new Uint8Array(whole.buffer, whole.byteOffset + 6, whole.length - 11)
      const { content } = yield* told(giving([{ type: "image", mediaType: "image/png", data: view }]))
      assert.deepStrictEqual(content, [shot])
    })
  )

  it.effect("that are texts alone are one text", () =>
    Effect.gen(function* () {
      const it = yield* told(
        giving([
          { type: "text", text: "a\ud800" },
          { type: "text", text: "b\0" }
        ])
      )
      assert.deepStrictEqual(it, { outcome: "success", result: "a\ufffd\nb\ufffd", content: undefined })
      assert.deepStrictEqual(yield* told(giving([])), { outcome: "success", result: "", content: undefined })
    })
  )

  it.effect("is the images' too in the messages, and not in events", () =>
    Effect.gen(function* () {
      const { events, messages } = yield* prompted(giving([shot, shot]), {})
      const message = messages.find((it) => it.role === "tool")
      const [result] = message?.role === "tool" ? message.results : []
      assert.strictEqual(result?.text, "[image 1: image/png]\n[image 2: image/png]")
      assert.deepStrictEqual(result?.images, [shot, shot])
      assert.deepStrictEqual(
        events.map(({ images, result }) => ({ images, result })),
        [{ images: 2, result: result!.text }]
      )
      assert.notInclude(JSON.stringify(events), png.slice(0, 20))
    })
  )

  it.effect("without an image leaves message and event as they are of any", () =>
    Effect.gen(function* () {
      const { events, messages } = yield* prompted(giving([{ type: "json", value: [1] }]), {})
      const message = messages.find((it) => it.role === "tool")
      const [result] = message?.role === "tool" ? message.results : []
      assert.deepStrictEqual(Object.keys(result!), ["callId", "name", "text", "isError"])
      assert.notProperty(events[0], "images")
    })
  )

  it.effect("that cannot be shown is a failure which says why", () =>
    Effect.gen(function* () {
      const image = (data: unknown, mediaType: unknown = "image/png") => ({ type: "image", mediaType, data })
      const nested: Array<unknown> = []
      let at = nested
      for (let i = 0; i < 200; i++) at.push((at = []))
      const cases: ReadonlyArray<readonly [parts: unknown, reason: string]> = [
        [[image("AAAA")], "image 1: it is not a picture of image/png"],
        [[shot, image("no")], "image 2: it is not base64 of at most 14000000 characters"],
        [[image("!!!!")], "image 1: it is not base64"],
        [[image(undefined)], "image 1: it is not base64 of at most 14000000 characters"],
        [[image(new Uint8Array(10_500_001))], "image 1: it is not base64 of at most 14000000 characters"],
        [[image(png, "text/html")], "the media type of image 1: it is not the media type of an image"],
        [[image(png, "image/svg+xml")], "the media type of image 1: it is not one of png, jpeg, gif and webp"],
        [[image(png, "image/jpg")], "the media type of image 1: it is not one of png, jpeg, gif and webp"],
        [
          Array.from({ length: 3 }, () => image(`iVBORw0KGgoA${"A".repeat(12_000_000)}`)),
          "its images have more than 28000000 characters of base64 together"
        ],
        [[{ type: "video" }], "part 1 is neither a text, nor an image, nor a JSON value"],
        [[{ type: "text", text: 1 }], "part 1 is neither a text, nor an image, nor a JSON value"],
        [[null], "part 1 is neither a text, nor an image, nor a JSON value"],
        [[{ type: "json", value: 1n }], "part 1: it is not JSON: Do not know how to serialize a BigInt"],
        [[{ type: "json", value: nested }], "part 1: it is nested deeper than 128 levels"],
        [[{ type: "json", value: JSON.parse('{"__proto__":1}') }], "part 1: a key of that name is not allowed"],
        [
          Array.from({ length: 20 }, () => ({ type: "json", value: "x".repeat(1_000_000) })),
          "its JSON has more than 16000000 characters together"
        ],
        ["text", "its parts are not a list"],
        [Array.from({ length: 1_001 }, () => ({ type: "text", text: "" })), "it has more than 1000 parts"],
        [
          [
            {
              get type() {
                throw new Error("no")
              }
            }
          ],
          "it cannot be looked at"
        ]
      ]
      for (const [parts, reason] of cases) {
        assert.deepStrictEqual(yield* told(giving(parts)), {
          outcome: "failure",
          result: `The tool gave a result that cannot be shown: ${reason}.`,
          content: undefined
        })
      }
    })
  )

  it.effect("that is too long is cut as a whole, and keeps its images", () =>
    Effect.gen(function* () {
      const limits = { limits: { toolResult: 100 } }
      const long = { type: "text", text: "x".repeat(200) }
      const it = yield* settled(giving([long, shot, { type: "json", value: { a: "y".repeat(300) } }]), limits)
      assert.match(it.result, /^x{50}\n\[… \d+ characters left out …\]\ny{48}"\}$/)
      assert.strictEqual(it.cutFrom, 200 + 1 + 20 + 1 + 308)
      assert.deepStrictEqual(it.content, [{ type: "text", text: it.result }, shot])
      const bare = yield* settled(giving([long, { type: "json", value: 1 }]), limits)
      assert.isUndefined(bare.content)
      assert.strictEqual(bare.cutFrom, 202)
    })
  )

  it.scoped("tells no secret, whatever it looks like in JSON", () =>
    Effect.gen(function* () {
      const secret = 'canary"5f\n0a1b2c'
      yield* Secrets.keep(Redacted.make(secret))
      const it = yield* settled(
        giving([
          { type: "text", text: `text ${secret}` },
          { type: "json", value: { value: secret, [secret]: 1 } },
          { type: "text", text: 'half: canary"5f' },
          { type: "text", text: "0a1b2c" },
          shot
        ])
      )
      assert.strictEqual(
        it.result,
        'text <redacted>\n{"value":"<redacted>","<redacted>":1}\nhalf: <redacted>\n[image 1: image/png]'
      )
      assert.notInclude(JSON.stringify(it), "0a1b2c")
      assert.deepStrictEqual(it.content?.at(-1), shot)
    })
  )

  it.effect("is no value of a tool with a schema of its own", () =>
    Effect.gen(function* () {
      const run = (): unknown => Tool.content([shot])
      const it = yield* told(Tool.make("schema", { description: "", success: Schema.String, run: run as () => string }))
      assert.strictEqual(it.outcome, "failure")
      assert.match(it.result, /does not fit its own schema/)
    })
  )

  it.effect("counts for progress: the same text with another image is none of the same results", () =>
    Effect.gen(function* () {
      let n = 0
      const changing = Tool.make("shot", {
        description: "",
        run: () => Tool.content([{ ...shot, data: `${png.slice(0, -4)}AAA${n++}` }])
      })
      const same = Tool.make("same", { description: "", run: () => Tool.content([shot]) })
      const asked = (tool: Tool.Tool, turns: number) =>
        Effect.gen(function* () {
          const session = yield* open(Agent.make("a", { tools: [tool], delegate: "off" }))
          return yield* Effect.either(session.prompt("go"))
        }).pipe(
          Effect.provide(
            engine([
              Script.always(...Array.from({ length: turns }, () => Script.calls(Script.call(tool.name))), "done")
            ])
          )
        )
      const [worked, stuck] = [yield* asked(changing, 10), yield* asked(same, 10)]
      assert.strictEqual(worked._tag === "Right" ? worked.right.text : worked.left._tag, "done")
      assert.strictEqual(stuck._tag === "Left" ? stuck.left._tag : "", "NoProgress")
    })
  )
})

describe("the estimate of a request", () => {
  it("counts an image of a result as one of the user", () => {
    const tokens = (images?: ReadonlyArray<typeof shot>) =>
      requestTokens({
        model: "m",
        thinking: undefined,
        instructions: "",
        tools: [],
        messages: [{ role: "tool", results: [{ callId: "c", name: "shot", text: "", isError: false, images }] }]
      })
    assert.strictEqual(tokens([shot, shot]) - tokens(), 2_400)
  })
})

describe("the images of results, for a provider that has no place for them there", () => {
  it("are the user's, each behind a line that says whose it is", () => {
    const result = (callId: string, images?: Conversation.ToolResult["images"]) => ({
      callId,
      name: "shot",
      text: "",
      isError: false,
      images
    })
    const message = { role: "tool", results: [result("c1", [shot, shot]), result("c2"), result("c3", [shot])] } as const
    const line = (text: string) => ({ type: "text", text, note: true }) as const
    assert.deepStrictEqual(Conversation.imagesOf(message), [
      line('[Image 1 in the result of "shot", call c1:]'),
      shot,
      line('[Image 2 in the result of "shot", call c1:]'),
      shot,
      line('[Image 1 in the result of "shot", call c3:]'),
      shot
    ])
  })
})
