/**
 * A turn's reply: the request is the fold of history.
 */
import type * as Effect from "effect/Effect"
import * as Draft from "../services/Draft.js"
import type { ToolCallPart } from "../services/Entry.js"
import type { ModelRequest } from "../services/Model.js"
import { type AttemptError, attempts, saysNothing } from "./attempts.js"
import type { Operation } from "./held.js"
import type { Round } from "./round.js"

/** What a reply asks for. */
export type TurnOutcome =
  /** The model is done. */
  | { readonly _tag: "Final"; readonly assistant: Draft.Assistant; readonly text: string }
  /** The model wants these calls run. */
  | {
      readonly _tag: "Calls"
      readonly assistant: Draft.Assistant
      readonly text: string
      readonly calls: ReadonlyArray<ToolCallPart>
    }
  /** The model wants to be asked again as things stand. */
  | { readonly _tag: "Pause"; readonly assistant: Draft.Assistant; readonly text: string }

export type TurnError = AttemptError

/** What is the same in every request of a prompt. */
export type Frame = Pick<ModelRequest, "thinking" | "instructions" | "tools">

/** Asks the model, until a reply is complete or no model is left. Writes nothing. Asks at once, when it is called. */
export const turn = (operation: Operation, frame: Frame): Effect.Effect<TurnOutcome, TurnError> => {
  const { instructions, thinking, tools } = frame
  const { journal } = operation
  return attempts(
    operation,
    journal,
    { thinking, instructions, messages: journal.conversation.messages(), tools },
    false,
    outcomeOf
  )
}

const outcomeOf = (model: string, { finish, reply, reported, usage }: Round): TurnOutcome => {
  const assistant = Draft.assistant(reply.parts, model, finish, usage, reported)
  const calls = reply.parts.filter((part) => part.type === "tool-call")
  let text = ""
  for (const part of reply.parts) if (part.type === "text") text += part.text
  if (calls.length > 0) return { _tag: "Calls", assistant, calls, text }
  // After a pause that says nothing the next request would be the same.
  return { _tag: finish === "pause" && !saysNothing(reply) ? "Pause" : "Final", assistant, text }
}
