/**
 * Replies that are damaged at random: whatever a provider sends, the round-trip ends with a reply or a typed error.
 */
import { assert, describe, it } from "@effect/vitest"
import { AiModel } from "effect-baton/ai"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { ModelNotConfigured } from "../../src/services/Errors.js"
import { Model } from "../../src/services/Model.js"
import { anthropic, answer, openai, serve } from "../support/providers.js"
import { complete, requestOf } from "../support/rounds.js"

const apiKey = Redacted.make("sk-the-key-of-the-test")

const delta = (delta: object, finish_reason: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason }]
})

const providers: Readonly<
  Record<
    string,
    { readonly layer: (url: string) => Layer.Layer<Model, ModelNotConfigured>; readonly events: ReadonlyArray<object> }
  >
> = {
  anthropic: {
    layer: (apiUrl) => AiModel.layerAnthropic({ model: "m", apiKey, apiUrl }),
    events: [
      anthropic.start,
      ...anthropic.thinking(0, "Hm", "signed"),
      ...anthropic.text(1, "Hel", "lo"),
      ...anthropic.call(2, "toolu_1", "lookup", '{"id"', ":1}"),
      ...anthropic.call(3, "toolu_2", "other"),
      ...anthropic.stop("tool_use", 7)
    ]
  },
  openai: {
    layer: (apiUrl) => AiModel.layerOpenAi({ model: "m", apiKey, apiUrl }),
    events: [
      openai.created,
      ...openai.reasoning(0, "rs_1", "Hm", "sealed"),
      ...openai.text(1, "msg_1", "Hel", "lo"),
      ...openai.call(2, "fc_1", "call_1", "lookup", '{"id"', ":1}"),
      openai.completed
    ]
  },
  compatible: {
    layer: (apiUrl) => AiModel.layerCompatible({ model: "m", apiUrl }),
    events: [
      delta({ reasoning: "Hm", reasoning_details: [{ type: "reasoning.text", text: "Hm", index: 0 }] }),
      delta({ content: "Hello" }),
      delta({ tool_calls: [{ index: 0, id: "call_1", function: { name: "lookup", arguments: '{"id"' } }] }),
      delta({ tool_calls: [{ index: 0, function: { arguments: ":1}" } }] }),
      delta({}, "tool_calls"),
      { choices: [], usage: { prompt_tokens: 3, completion_tokens: 4, prompt_tokens_details: { cached_tokens: 1 } } }
    ]
  }
}

/** Where a value can be replaced: the keys that lead to it. */
const placesOf = (value: unknown, path: ReadonlyArray<string> = []): ReadonlyArray<ReadonlyArray<string>> =>
  typeof value === "object" && value !== null
    ? [path, ...Object.entries(value).flatMap(([key, inner]) => placesOf(inner, [...path, key]))]
    : [path]

const replaced = (value: unknown, [key, ...rest]: ReadonlyArray<string>, by: unknown): unknown => {
  if (key === undefined) return by
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>
  const inner = replaced(copy[key], rest, by)
  if (inner === undefined) delete copy[key]
  else copy[key] = inner
  return copy
}

const odd = fc.constantFrom<unknown>(undefined, null, -1, 1e308, 0, "", "x", "__proto__", true, [], {}, [null], [{}], {
  a: 1
})

const step = fc.record({
  kind: fc.constantFrom("replace", "replace", "replace", "remove", "double", "swap"),
  at: fc.nat(),
  place: fc.nat(),
  by: odd
})

/** The events with something done to some of them. */
const damaged = (events: ReadonlyArray<object>): fc.Arbitrary<ReadonlyArray<unknown>> =>
  fc.array(step, { minLength: 1, maxLength: 4 }).map((steps) => {
    const all: Array<unknown> = [...events]
    for (const { at, by, kind, place } of steps) {
      const index = at % Math.max(1, all.length)
      const places = placesOf(all[index])
      if (kind === "replace") all[index] = replaced(all[index], places[place % places.length]!, by) ?? null
      if (kind === "remove") all.splice(index, 1)
      if (kind === "double") all.splice(index, 0, all[index])
      if (kind === "swap") all.push(...all.splice(index, 1))
    }
    return all
  })

describe("a damaged reply", () => {
  for (const [name, { events, layer }] of Object.entries(providers)) {
    it.scopedLive(`of ${name} is a reply or a typed error`, () =>
      Effect.gen(function* () {
        const replies = fc.sample(damaged(events), { numRuns: 60, seed: 7 })
        let next: ReadonlyArray<unknown> = events
        const server = yield* serve((response) =>
          answer(response, next.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(""))
        )
        const model = yield* Effect.provide(Model, layer(server.url))
        const round = complete(requestOf({ model: "m" })).pipe(Effect.provideService(Model, model), Effect.either)
        assert.strictEqual((yield* round)._tag, "Right")
        const ends = new Map<string, number>()
        for (const reply of replies) {
          next = reply
          const exit = yield* Effect.exit(round)
          if (exit._tag === "Failure") assert.fail(`${String(exit.cause)}\n${JSON.stringify(reply)}`)
          const end = exit.value._tag === "Right" ? "reply" : exit.value.left._tag
          ends.set(end, (ends.get(end) ?? 0) + 1)
          if (exit.value._tag === "Right") {
            const { usage } = exit.value.right.finish
            const figures = Object.values(usage ?? {})
            assert.isTrue(
              figures.every((it) => Number.isFinite(it) && it >= 0),
              JSON.stringify(usage)
            )
          }
        }
        assert.isAbove(ends.get("reply") ?? 0, 10)
        assert.isAbove(ends.get("ModelUnavailable") ?? 0, 5)
      })
    )
  }
})
