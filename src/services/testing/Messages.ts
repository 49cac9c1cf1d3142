/**
 * What every provider asks of a conversation, strictly: it begins with the user, each call of a reply has exactly one
 * result in the message after it and in the order of the calls, results stand nowhere else, and nothing is empty.
 */
import type { Message } from "../Conversation.js"

/** What is wrong with messages; empty where a provider would take them. */
export const problems = (messages: ReadonlyArray<Message>): ReadonlyArray<string> => {
  const found: Array<string> = []
  if (messages.length > 0 && messages[0]!.role !== "user") found.push("the first message is not the user's")
  for (const [i, message] of messages.entries()) {
    const next = messages[i + 1]
    switch (message.role) {
      case "user":
        if (message.content.length === 0) found.push(`message ${i}: an empty user message`)
        if (next?.role === "user") found.push(`message ${i}: two user messages in a row`)
        break
      case "assistant": {
        const calls = message.content.flatMap((part) => (part.type === "tool-call" ? [part.id] : []))
        const texts = message.content.filter((part) => part.type === "text" && part.text.trim() === "")
        if (texts.length > 0) found.push(`message ${i}: an empty text`)
        if (message.content.length === 0) found.push(`message ${i}: an empty reply`)
        if (new Set(calls).size !== calls.length) found.push(`message ${i}: two calls have one id`)
        if (next?.role === "assistant") found.push(`message ${i}: two replies in a row`)
        if (calls.length === 0) {
          if (next?.role === "tool") found.push(`message ${i}: results without calls`)
          break
        }
        const results = next?.role === "tool" ? next.results.map((result) => result.callId) : []
        if (JSON.stringify(results) !== JSON.stringify(calls)) {
          found.push(`message ${i}: calls ${calls.join(",")} have the results ${results.join(",")}`)
        }
        break
      }
      case "tool":
        if (messages[i - 1]?.role !== "assistant") found.push(`message ${i}: results without a reply before them`)
        break
    }
  }
  return found
}
