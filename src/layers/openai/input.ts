/**
 * What OpenAI takes back of earlier replies.
 */
import type * as OpenAiClient from "@effect/ai-openai/OpenAiClient"
import { isRecord, text } from "../ai/json.js"
import { unquoted } from "../ai/results.js"
import { ownId } from "./Reply.js"

type Input = Parameters<OpenAiClient.Service["createResponseStream"]>[0]["input"]

/** The items as OpenAI is to have them. */
export const sentBack = (input: Input): Input => {
  if (!Array.isArray(input)) return input
  const items: ReadonlyArray<unknown> = input
  const plain = items.map((item) =>
    isRecord(item) && item["type"] === "function_call_output" ? { ...item, output: unquoted(item["output"]) } : item
  )
  return withoutOrphans(plain) as unknown as Input
}

/**
 * The items without those that would make OpenAI refuse the request: reasoning without its encrypted content, since
 * nothing is kept at the provider, or with nothing after it that it led to. What follows reasoning that was left out
 * goes without its id, because that id stands for the two together.
 */
const withoutOrphans = (items: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  const kept: Array<unknown> = []
  let lost = false
  items.forEach((item, index) => {
    if (isReasoning(item)) {
      const next = items.slice(index + 1).find((it) => !isReasoning(it))
      if (text(item["encrypted_content"]) !== "" && isOutput(next)) kept.push(item)
      else lost = true
    } else if (isOutput(item)) {
      if (!lost && !text(item["id"]).startsWith(ownId)) return void kept.push(item)
      const { id: _, ...plain } = item
      kept.push(plain)
    } else {
      lost = false
      kept.push(item)
    }
  })
  return kept
}

const isReasoning = (item: unknown): item is Readonly<Record<string, unknown>> =>
  isRecord(item) && item["type"] === "reasoning"

const isOutput = (item: unknown): item is Readonly<Record<string, unknown>> =>
  isRecord(item) && (item["role"] === "assistant" || item["type"] === "function_call")
