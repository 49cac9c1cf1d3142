/**
 * Our messages and tools in the words of `@effect/ai`. What was translated once is kept with the message, because the
 * request of a turn begins with the messages of the turn before.
 */
import * as Prompt from "@effect/ai/Prompt"
import * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Schema from "effect/Schema"
import { imagesOf, type Message, type ToolResult } from "../../services/Conversation.js"
import type { AssistantPart, UserPart } from "../../services/Entry.js"
import type { ModelRequest, ToolSpec } from "../../services/Model.js"

/** The whole request as a prompt. Throws `Unreadable` where an image is not base64. */
export const promptOf = (request: ModelRequest): Prompt.Prompt => {
  const messages = request.messages.flatMap(messagesOf)
  return Prompt.fromMessages(
    request.instructions === "" ? messages : [Prompt.systemMessage({ content: request.instructions }), ...messages]
  )
}

/** Something in the history that no provider could be sent. */
export class Unreadable extends Error {}

const messages = new WeakMap<Message, ReadonlyArray<Prompt.Message>>()

const messagesOf = (message: Message): ReadonlyArray<Prompt.Message> => {
  let translated = messages.get(message)
  if (translated === undefined) {
    translated = translate(message)
    messages.set(message, translated)
  }
  return translated
}

const translate = (message: Message): ReadonlyArray<Prompt.Message> => {
  switch (message.role) {
    case "user":
      return [userMessage(message.content)]
    case "assistant":
      return [Prompt.assistantMessage({ content: message.content.flatMap(assistantPart) })]
    case "tool": {
      const results = Prompt.toolMessage({ content: message.results.map(toolResult) })
      const images = imagesOf(message)
      return images.length === 0 ? [results] : [results, userMessage(images)]
    }
  }
}

const userMessage = (parts: ReadonlyArray<UserPart>): Prompt.Message =>
  Prompt.userMessage({ content: parts.map(userPart) })

const userPart = (part: UserPart): Prompt.UserMessagePart => {
  if (part.type === "text") return Prompt.textPart({ text: part.text })
  // Bytes: some providers drop an image that is a base64 string.
  const data = Encoding.decodeBase64(part.data)
  if (Either.isLeft(data)) throw new Unreadable("an image is not base64")
  return Prompt.filePart({ mediaType: part.mediaType, data: data.right })
}

const assistantPart = (part: AssistantPart): ReadonlyArray<Prompt.AssistantMessagePart> => {
  const options = providerOptions("metadata" in part ? part.metadata : undefined)
  switch (part.type) {
    case "text":
      // A blank text is nothing that a provider would take back.
      return part.text.trim() === "" ? [] : [Prompt.textPart({ text: part.text, ...options })]
    case "reasoning":
      return [Prompt.reasoningPart({ text: part.text, ...options })]
    case "tool-call": {
      const params = part.raw === undefined && isObject(part.args) ? part.args : {}
      return [Prompt.toolCallPart({ id: part.id, name: part.name, params, providerExecuted: false, ...options })]
    }
  }
}

/** An error is told in the text as well: not every provider has a mark for it. */
const toolResult = (result: ToolResult): Prompt.ToolMessagePart =>
  Prompt.toolResultPart({
    id: result.callId,
    name: result.name,
    isFailure: result.isError,
    result: result.isError ? `Error: ${result.text}` : jsonOf(result.text),
    providerExecuted: false
  })

/** The provider writes a result as JSON: text that is JSON to the letter is not quoted a second time. */
const jsonOf = (text: string): unknown => {
  if (!text.startsWith("{") && !text.startsWith("[")) return text
  try {
    const value: unknown = JSON.parse(text)
    return JSON.stringify(value) === text ? value : text
  } catch {
    return text
  }
}

/** What a reply's part brought from its provider, as it was; of another adapter's metadata, nothing. */
const providerOptions = (metadata: unknown): { readonly options?: Prompt.ProviderOptions } =>
  isObject(metadata) && Object.values(metadata).every((it) => it === undefined || isObject(it))
    ? { options: metadata as Prompt.ProviderOptions }
    : {}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The tools of a request, as options of `streamText`. */
export interface Tools {
  readonly toolkit: Toolkit.WithHandler<Record<string, Tool.Any>>
  readonly toolChoice: "auto" | { readonly mode: "auto"; readonly oneOf: ReadonlyArray<string> }
}

/**
 * Tools whose parameters may be anything: what a model sends is checked by the engine, where a mistake in one call
 * costs that call and not the whole reply. The others of `known` are known when a reply is read, and not sent.
 */
export const toolsOf = (specs: ReadonlyArray<ToolSpec>, known: ReadonlyArray<string>): Tools | undefined => {
  const names = specs.map((spec) => spec.name)
  const others = known.filter((name) => !names.includes(name))
  if (specs.length + others.length === 0) return undefined
  const tools = [...specs.map(toolOf), ...others.map(otherOf)]
  return {
    toolkit: {
      tools: Object.fromEntries(tools.map((tool) => [tool.name, tool])),
      handle: () => Effect.dieMessage("the engine runs the tools")
    },
    toolChoice: others.length === 0 ? "auto" : { mode: "auto", oneOf: names }
  }
}

/**
 * Under which names calls of these tools may come back: `@effect/ai-anthropic` takes some names for those of its own
 * tools, also where the application's is meant, and gives the real one as `providerName`.
 */
export const aliasesOf = (specs: ReadonlyArray<ToolSpec>): ReadonlyArray<string> =>
  specs.flatMap((spec) => renamed.get(spec.name) ?? [])

const renamed: ReadonlyMap<string, string> = new Map([
  ["bash", "AnthropicBash"],
  ["code_execution", "AnthropicCodeExecution"],
  ["computer", "AnthropicComputerUse"],
  ["str_replace_based_edit_tool", "AnthropicTextEditor"],
  ["str_replace_editor", "AnthropicTextEditor"],
  ["web_search", "AnthropicWebSearch"]
])

const tools = new WeakMap<ToolSpec, Tool.Any>()

const toolOf = (spec: ToolSpec): Tool.Any => {
  let tool = tools.get(spec)
  if (tool === undefined) {
    tool = permissive(Tool.make(spec.name, { description: spec.description }), spec.inputSchema)
    tools.set(spec, tool)
  }
  return tool
}

const otherTools = new Map<string, Tool.Any>()

const otherOf = (name: string): Tool.Any => {
  let tool = otherTools.get(name)
  if (tool === undefined) {
    tool = permissive(Tool.make(name), {})
    otherTools.set(name, tool)
  }
  return tool
}

const permissive = <T extends Tool.Any>(tool: T, jsonSchema: object): Tool.Any =>
  Object.assign(Object.create(Object.getPrototypeOf(tool)), tool, {
    parametersSchema: Schema.Unknown.annotations({ jsonSchema })
  })
