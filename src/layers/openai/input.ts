/**
 * What OpenAI takes back of earlier replies.
 */
import type * as OpenAiLanguageModel from "@effect/ai-openai/OpenAiClient"
import { isRecord, text } from "../ai/json.js"

type Input = Parameters<OpenAiLanguageModel.Service["createResponseStream"]>[0]["input"]

/**
 * The items without those that would make OpenAI refuse the request: reasoning without its encrypted content, since
 * nothing is kept at the provider, or with nothing after it that it led to. What follows reasoning that was left out
 * goes without its id, because that id stands for the two together.
 */
export const withoutOrphans = (input: Input): Input => {
  if (!Array.isArray(input)) return input
  const items: ReadonlyArray<unknown> = input
  const kept: Array<unknown> = []
  let lost = false
  items.forEach((item, index) => {
    if (isReasoning(item)) {
      const next = items.slice(index + 1).find((it) => !isReasoning(it))
      if (text(item["encrypted_content"]) !== "" && isOutput(next)) kept.push(item)
      else lost = true
    } else if (isOutput(item)) {
      if (!lost) return void kept.push(item)
      const { id: _, ...plain } = item
      kept.push(plain)
    } else {
      lost = false
      kept.push(item)
    }
  })
  return kept as unknown as Input
}

const isReasoning = (item: unknown): item is Readonly<Record<string, unknown>> =>
  isRecord(item) && item["type"] === "reasoning"

const isOutput = (item: unknown): item is Readonly<Record<string, unknown>> =>
  isRecord(item) && (item["role"] === "assistant" || item["type"] === "function_call")
