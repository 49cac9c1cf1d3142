/**
 * Anthropic's cache: a mark says that everything before it is to be kept, and read again by a later request that begins
 * the same way.
 */
import { type Fields, isRecord } from "../ai/json.js"

/**
 * The body with its marks, of which four are allowed: one after the instructions, or after the tools where there are no
 * instructions; one after the last message; and one where the request before this one had its last. A provider looks
 * only some twenty blocks back from a mark, which one turn with many calls can exceed.
 *
 * Done here because `@effect/ai-anthropic` takes marks for messages alone, not for tools, and because a mark on a message
 * would change the message that the next request begins with.
 */
export const withBreakpoints = (body: Fields): Fields => {
  const { messages, system, tools } = body
  const marked: { system?: unknown; tools?: unknown; messages?: unknown } = {}
  if (Array.isArray(system) && system.length > 0) marked.system = markLast(system)
  else if (Array.isArray(tools) && tools.length > 0) marked.tools = markLast(tools)
  if (Array.isArray(messages)) {
    const users = messages.flatMap((message, index) => (isRecord(message) && message["role"] === "user" ? [index] : []))
    const places = new Set(users.slice(-2))
    marked.messages = messages.map((message: Fields, index) => {
      const { content } = message
      return places.has(index) && Array.isArray(content) && content.length > 0
        ? { ...message, content: markLast(content) }
        : message
    })
  }
  return { ...body, ...marked }
}

const markLast = (blocks: ReadonlyArray<Fields>): ReadonlyArray<Fields> =>
  blocks.map((block, index) =>
    index === blocks.length - 1 ? { ...block, cache_control: { type: "ephemeral" } } : block
  )
