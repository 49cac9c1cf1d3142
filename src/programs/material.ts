/**
 * Messages as a text that is to be summarised.
 */
import type { Message } from "../services/Conversation.js"
import type { AssistantPart, UserPart } from "../services/Entry.js"
import { cleanText } from "../services/Json.js"
import { earlierTag, transcriptTag } from "../services/Summary.js"

/** How much of a result or of a call's arguments is in a transcript, in UTF-16 code units: half from each end. */
export const maxResult = 2_000

/** How much of a request is in it that stays as it is beside the summary. */
const maxRequest = 8_000

/**
 * A text for each message that says anything: who says it, calls with their arguments; results, and what stays as it
 * is, cut in the middle. Images are marks, and reasoning is left out. No line but the first of what somebody says looks
 * like the first of another.
 */
export const transcript = (
  messages: ReadonlyArray<Message>,
  staying: ReadonlyArray<UserPart> = []
): ReadonlyArray<string> => {
  const stays = new Set(staying)
  return messages.flatMap((message) => {
    const said = linesOf(message, stays)
    return said.length === 0 ? [] : [harmless(cleanText(said.join("\n")))]
  })
}

const linesOf = (message: Message, stays: ReadonlySet<UserPart>): ReadonlyArray<string> => {
  switch (message.role) {
    case "user":
      return message.content.map((part) => userLine(part, stays.has(part)))
    case "assistant":
      return message.content.flatMap(assistantLine)
    case "tool":
      return message.results.map(({ images = [], isError, name, text }) => {
        const kind = isError ? "error" : "result"
        const seen = images.length === 0 ? "" : ` [${images.length} image${images.length === 1 ? "" : "s"}]`
        return `[${kind} of ${name}]${seen} ${own(excerpt(text, maxResult))}`
      })
  }
}

const userLine = (part: UserPart, stays: boolean): string => {
  if (part.type === "image") return `[user] [image: ${part.mediaType}]`
  return `[${part.note === true ? "engine" : "user"}] ${own(stays ? excerpt(part.text, maxRequest) : part.text)}`
}

const assistantLine = (part: AssistantPart): ReadonlyArray<string> => {
  switch (part.type) {
    case "reasoning":
      return []
    case "text":
      return [`[assistant] ${own(part.text)}`]
    case "tool-call":
      return [`[call of ${part.name}] ${own(excerpt(part.raw ?? JSON.stringify(part.args), maxResult))}`]
  }
}

/** Nothing that somebody says or a tool gives begins with who says it, as if others had said it. */
const own = (text: string): string => text.replace(speakers, "\\$&")

const speakers = /^\[(?=(?:user|engine|assistant|(?:call|result|error) of ))/gm

/** The beginning and the end of a text that is too long. */
export const excerpt = (text: string, most: number): string => {
  if (text.length <= most) return text
  const half = Math.floor(most / 2)
  const left = text.length - 2 * half
  return `${text.slice(0, half).toWellFormed()}\n[… ${left} characters left out …]\n${text.slice(-half).toWellFormed()}`
}

/** What stands in a transcript does not end it. */
export const harmless = (text: string): string => text.replace(tags, "<\\$1")

const tags = new RegExp(`<(/?(?:${transcriptTag}|${earlierTag}))`, "gi")
