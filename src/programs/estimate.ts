/**
 * What a round-trip uses, where nobody tells or what is told cannot be.
 */
import type { Message } from "../services/Conversation.js"
import type { AssistantPart } from "../services/Entry.js"
import type { ModelRequest } from "../services/Model.js"
import { type Usage, zero } from "../services/Usage.js"

/** Characters a token, as English text has them with the tokenizers in use. */
export const charsPerToken = 4

/** Tokens of an image, what the larger ones cost at the providers. */
export const imageTokens = 1_200

/** Tokens that the frame of a message takes. */
const messageTokens = 8

/** Tokens of a request. A little more rather than less: what is reserved for it should last. */
export const requestTokens = (request: Omit<ModelRequest, "model" | "thinking"> & Partial<ModelRequest>): number => {
  let chars = request.instructions.length
  for (const { description, inputSchema, name } of request.tools) {
    chars += name.length + description.length + JSON.stringify(inputSchema).length
  }
  return messagesTokens(request.messages, chars)
}

/** Tokens of messages, with so many characters of something else. */
export const messagesTokens = (messages: ReadonlyArray<Message>, more = 0): number => {
  let chars = more
  let tokens = 0
  for (const message of messages) {
    chars += charsOf(message)
    tokens += messageTokens
    tokens += imageTokens * imagesIn(message)
  }
  return tokens + Math.ceil(chars / charsPerToken)
}

/** Tokens of a text. */
export const textTokens = (text: string): number => Math.ceil(text.length / charsPerToken)

/** The usage of a round-trip of which nothing was told. */
export const estimate = (request: ModelRequest, parts: ReadonlyArray<AssistantPart>): Usage => {
  const reasoning = parts.reduce((sum, part) => sum + (part.type === "reasoning" ? part.text.length : 0), 0)
  return {
    input: requestTokens(request),
    output: Math.ceil(partsChars(parts) / charsPerToken),
    cacheRead: 0,
    cacheWrite: 0,
    reasoning: Math.ceil(reasoning / charsPerToken)
  }
}

/** The most tokens of one round-trip where the model's window is not known. */
const unknownWindow = 5_000_000

/** Figures between nothing and twice the model's window; the same object where all of them are. Never throws. */
export const clamp = (usage: Usage, contextWindow = unknownWindow): Usage => {
  try {
    return clamped(usage, 2 * contextWindow)
  } catch {
    // It cannot even be looked at.
    return zero
  }
}

const clamped = (usage: Usage, most: number): Usage => {
  const figure = (value: unknown): number => (typeof value === "number" && value >= 0 ? Math.min(value, most) : 0)
  const { cacheRead, cacheWrite, cost, input, output, reasoning } = usage
  const fine = [input, output, cacheRead, cacheWrite, reasoning].every((it) => figure(it) === it)
  const isCost = typeof cost === "number" && cost >= 0 && Number.isFinite(cost)
  if (fine && (cost === undefined || isCost)) return usage
  const figures = {
    input: figure(input),
    output: figure(output),
    cacheRead: figure(cacheRead),
    cacheWrite: figure(cacheWrite),
    reasoning: figure(reasoning)
  }
  return cost === undefined ? figures : { ...figures, cost: isCost ? cost : 0 }
}

/** How many images a message has. */
export const imagesIn = (message: Message): number => {
  let images = 0
  if (message.role === "user") for (const part of message.content) if (part.type === "image") images++
  if (message.role === "tool") for (const result of message.results) images += result.images?.length ?? 0
  return images
}

const charsOf = (message: Message): number => {
  switch (message.role) {
    case "user":
      return message.content.reduce((sum, part) => sum + (part.type === "text" ? part.text.length : 0), 0)
    case "assistant":
      return partsChars(message.content)
    case "tool":
      return message.results.reduce((sum, result) => sum + result.text.length, 0)
  }
}

const partsChars = (parts: ReadonlyArray<AssistantPart>): number =>
  parts.reduce(
    (sum, part) =>
      sum + (part.type === "tool-call" ? part.name.length + JSON.stringify(part.args).length : part.text.length),
    0
  )
