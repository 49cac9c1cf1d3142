/**
 * Reasoning that a provider does not take back.
 */
import * as Effect from "effect/Effect"
import type { Message } from "../../services/Conversation.js"
import type { AssistantPart } from "../../services/Entry.js"
import { type ModelError, ModelRejected } from "../../services/Errors.js"
import type { RoundTrip } from "./roundTrip.js"

/**
 * Sends a request once more, without its earlier reasoning, where the provider refuses it for that reasoning: another
 * model's signature, one that has expired, an item that is not kept. From then on those messages go without theirs. A
 * `Notice` says so.
 */
export const onceMoreWithout = (roundTrip: RoundTrip): RoundTrip => {
  const refused = new WeakSet<Message>()
  return (request, emit, asked) => {
    const messages = without(request.messages, (message) => refused.has(message))
    let begun = false
    return roundTrip(
      messages === request.messages ? request : { ...request, messages },
      (event) => {
        begun = true
        emit(event)
      },
      asked
    ).pipe(
      Effect.catchIf(
        (error) => !begun && refusesReasoning(error) && messages.some(reasons),
        () => {
          emit({ _tag: "Notice", message: "The provider refused earlier reasoning; the request was sent without it." })
          return Effect.tap(
            roundTrip({ ...request, messages: without(request.messages, reasons) }, emit, asked),
            Effect.sync(() => {
              for (const message of request.messages) if (reasons(message)) refused.add(message)
            })
          )
        }
      )
    )
  }
}

const reasons = (message: Message): boolean =>
  message.role === "assistant" && message.content.some((part) => part.type === "reasoning")

/** What providers say: 400 with the name of a block, 404 where OpenAI does not know the item. */
const refusesReasoning = (error: ModelError): boolean =>
  error instanceof ModelRejected &&
  (error.status === 400 || error.status === 404 || error.status === 422) &&
  /thinking|reasoning(?![_.]effort)|signature|encrypted[ _]content|\brs_\w+/i.test(error.reason)

/** The messages, those that are `meant` without reasoning and without the ids by which a provider relates to it. */
const without = (messages: ReadonlyArray<Message>, meant: (message: Message) => boolean): ReadonlyArray<Message> => {
  if (!messages.some(meant)) return messages
  return messages.flatMap((message): ReadonlyArray<Message> => {
    if (message.role !== "assistant" || !meant(message)) return [message]
    const content = message.content.flatMap((part): ReadonlyArray<AssistantPart> => {
      if (part.type === "reasoning") return []
      const { metadata: _, ...plain } = part
      return [plain]
    })
    return content.length === 0 ? [] : [{ role: "assistant", content }]
  })
}
