/**
 * A request in the words of Chat Completions.
 */
import { imagesOf, type Message, type ToolResult } from "../../services/Conversation.js"
import type { AssistantPart, UserPart } from "../../services/Entry.js"
import type { ModelRequest } from "../../services/Model.js"
import { isRecord, record } from "../ai/json.js"
import type { Metadata } from "./Reply.js"

/** The body of a request. */
export const bodyOf = (
  model: string,
  request: ModelRequest,
  options: { readonly maxTokens?: number | undefined }
): object => {
  const { instructions, messages, thinking, tools } = request
  const most = Math.min(request.maxOutput ?? Number.POSITIVE_INFINITY, options.maxTokens ?? Number.POSITIVE_INFINITY)
  return {
    model,
    messages: [
      ...(instructions === "" ? [] : [{ role: "system", content: instructions }]),
      ...messages.flatMap(messagesOf)
    ],
    ...(tools.length === 0
      ? undefined
      : {
          tools: tools.map(({ description, inputSchema, name }) => ({
            type: "function",
            function: { name, description, parameters: inputSchema }
          }))
        }),
    ...(Number.isFinite(most) ? { max_tokens: Math.max(1, Math.floor(most)) } : undefined),
    ...(thinking === undefined ? undefined : { reasoning_effort: thinking === "off" ? "none" : thinking }),
    stream: true,
    // Otherwise most servers tell no figures.
    stream_options: { include_usage: true }
  }
}

const messagesOf = (message: Message): ReadonlyArray<object> => {
  switch (message.role) {
    case "user":
      return [userMessage(message.content)]
    case "assistant":
      return [assistantMessage(message.content)]
    case "tool": {
      const images = imagesOf(message)
      const results = message.results.map(toolMessage)
      return images.length === 0 ? results : [...results, userMessage(images)]
    }
  }
}

const userMessage = (parts: ReadonlyArray<UserPart>): object => ({ role: "user", content: userContent(parts) })

/** Text alone goes as text: not every server takes parts. */
const userContent = (parts: ReadonlyArray<UserPart>): unknown =>
  parts.every((part) => part.type === "text")
    ? parts.map((part) => part.text).join("\n\n")
    : parts.map((part) =>
        part.type === "text"
          ? { type: "text", text: part.text }
          : { type: "image_url", image_url: { url: `data:${part.mediaType};base64,${part.data}` } }
      )

const assistantMessage = (parts: ReadonlyArray<AssistantPart>): object => {
  let content = ""
  let reasoning = ""
  let field: string | undefined
  const details: Array<unknown> = []
  const calls: Array<object> = []
  for (const part of parts) {
    if (part.type === "text") content += part.text
    else if (part.type === "tool-call") calls.push(callOf(part))
    else {
      const own = metadataOf(part.metadata)
      if (own?.field !== undefined) {
        field = own.field
        reasoning += part.text
      }
      details.push(...(own?.details ?? []))
    }
  }
  return {
    role: "assistant",
    content: content === "" && calls.length > 0 ? null : content,
    // Back in the field that it came in: servers do not agree on one.
    ...(field === undefined ? undefined : { [field]: reasoning }),
    ...(details.length === 0 ? undefined : { reasoning_details: details }),
    ...(calls.length === 0 ? undefined : { tool_calls: calls })
  }
}

const callOf = (part: Extract<AssistantPart, { readonly type: "tool-call" }>): object => ({
  id: part.id,
  type: "function",
  function: {
    name: part.name,
    arguments: JSON.stringify(part.raw === undefined && isRecord(part.args) ? part.args : {})
  }
})

/** There is no mark for an error, so the text says it. */
const toolMessage = (result: ToolResult): object => ({
  role: "tool",
  tool_call_id: result.callId,
  content: result.isError ? `Error: ${result.text}` : result.text
})

/** What `Reply` gave with a stretch of reasoning; of another provider's, nothing. */
const metadataOf = (metadata: unknown): Metadata | undefined => {
  const { details, field } = record(record(metadata)["compatible"])
  return {
    ...(field === "reasoning" || field === "reasoning_content" ? { field } : undefined),
    ...(Array.isArray(details) ? { details: details as ReadonlyArray<unknown> } : undefined)
  }
}
