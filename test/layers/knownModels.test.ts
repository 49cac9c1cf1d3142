import { assert, describe, it } from "@effect/vitest"
import * as Known from "../../src/layers/ai/knownModels.js"

describe("known models", () => {
  it("are known with and without a date, and by the names that mean the latest", () => {
    const haiku = { contextWindow: 200_000, maxOutput: 64_000 }
    for (const name of ["claude-haiku-4-5", "claude-haiku-4-5-20251001"])
      assert.deepStrictEqual(Known.anthropic(name), haiku)
    assert.deepStrictEqual(Known.anthropic("claude-opus-4-1-20250805"), { contextWindow: 200_000, maxOutput: 32_000 })
    assert.deepStrictEqual(Known.anthropic("claude-opus-4-20250514"), { contextWindow: 200_000, maxOutput: 32_000 })
    for (const name of ["claude-sonnet-5", "claude-opus-5-5", "claude-haiku-5-5"]) {
      assert.deepStrictEqual(Known.anthropic(name), { contextWindow: 1_000_000, maxOutput: 128_000 })
    }
    const gpt5 = { contextWindow: 400_000, maxOutput: 128_000 }
    for (const name of ["gpt-5", "gpt-5-mini", "gpt-5-2025-08-07", "gpt-5.1", "gpt-5.1-codex"]) {
      assert.deepStrictEqual(Known.openai(name), gpt5)
    }
    assert.deepStrictEqual(Known.openai("gpt-4.1-mini-2025-04-14"), { contextWindow: 1_047_576, maxOutput: 32_768 })
    assert.deepStrictEqual(Known.openai("o4-mini"), { contextWindow: 200_000, maxOutput: 100_000 })
  })

  it("are no others: of a model with an unknown name nothing is said", () => {
    for (const name of [
      "",
      "claude",
      "claude-haiku",
      "claude-sonnet-4-6",
      "claude-haiku-5",
      "claude-opus-4-55",
      "x-claude-haiku-4-5"
    ]) {
      assert.strictEqual(Known.anthropic(name), undefined)
    }
    for (const name of [
      "",
      "gpt-5.9",
      "gpt-5.1-mini",
      "gpt-6",
      "gpt-5-chat-latest",
      "gpt-4o-audio-preview",
      "my-gpt-5",
      "o3-deep"
    ]) {
      assert.strictEqual(Known.openai(name), undefined)
    }
  })
})
