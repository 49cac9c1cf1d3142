/**
 * Results of tools, as Anthropic is to have them.
 */
import { type Fields, isRecord } from "../ai/json.js"
import { unquoted } from "../ai/results.js"

/** The body with its results as the texts that they are. */
export const withPlainResults = (body: Fields): Fields => {
  const { messages } = body
  if (!Array.isArray(messages)) return body
  return {
    ...body,
    messages: messages.map((message: unknown) => {
      if (!isRecord(message) || message["role"] !== "user" || !Array.isArray(message["content"])) return message
      return { ...message, content: message["content"].map(plain) }
    })
  }
}

const plain = (block: unknown): unknown =>
  isRecord(block) && block["type"] === "tool_result" ? { ...block, content: unquoted(block["content"]) } : block
