/**
 * Counts messages with a tokenizer of `@effect/ai`.
 */
import type * as Tokenizer from "@effect/ai/Tokenizer"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Message } from "../../services/Conversation.js"
import type { Model } from "../../services/Model.js"
import { promptOf } from "./prompt.js"

/** Images are left out: no tokenizer knows what they cost. What it cannot count is estimated by whoever asks. */
export const counter =
  (tokenizer: Tokenizer.Service): NonNullable<Context.Tag.Service<Model>["count"]> =>
  (model, messages) =>
    Effect.suspend(() => {
      const prompt = promptOf({
        model,
        thinking: undefined,
        instructions: "",
        messages: messages.flatMap(imageless),
        tools: []
      })
      return Effect.map(tokenizer.tokenize(prompt), (tokens) => tokens.length)
    }).pipe(Effect.catchAll(() => Effect.succeed(undefined)))

const imageless = (message: Message): ReadonlyArray<Message> => {
  switch (message.role) {
    case "assistant":
      return [message]
    case "user": {
      const content = message.content.filter((part) => part.type === "text")
      return content.length === message.content.length
        ? [message]
        : content.length === 0
          ? []
          : [{ role: "user", content }]
    }
    case "tool":
      return message.results.some(({ images }) => images !== undefined)
        ? [
            {
              role: "tool",
              results: message.results.map(({ callId, isError, name, text }) => ({ callId, isError, name, text }))
            }
          ]
        : [message]
  }
}
