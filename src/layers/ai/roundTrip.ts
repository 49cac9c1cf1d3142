/**
 * One round-trip with a `LanguageModel` of `@effect/ai`.
 */
import type * as AiError from "@effect/ai/AiError"
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Response from "@effect/ai/Response"
import type * as Tool from "@effect/ai/Tool"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ModelError } from "../../services/Errors.js"
import type { ModelEvent, ModelFinish, ModelRequest } from "../../services/Model.js"
import { wrapper } from "./calls.js"
import { type Asked, rejected } from "./errors.js"
import { aliasesOf, promptOf, toolsOf, Unreadable } from "./prompt.js"
import { Round } from "./round.js"
import { Wire } from "./Wire.js"

/** What serves a request: `Model.stream`, with what its errors are to say. */
export type RoundTrip = (
  request: ModelRequest,
  emit: (event: ModelEvent) => void,
  asked: Asked
) => Effect.Effect<ModelFinish, ModelError>

/** With any language model, its stream as its package reads it. */
export const over =
  (languageModel: LanguageModel.Service): RoundTrip =>
  (request, emit, asked) =>
    drain(languageModel, request, aliasesOf(request.tools), new Round(request, emit, asked))

/** With one whose client is made for the request, and whose stream Baton reads first. */
export const through =
  (make: (request: ModelRequest, wire: Wire) => Effect.Effect<LanguageModel.Service>): RoundTrip =>
  (request, emit, asked) => {
    const wire = new Wire(emit)
    return Effect.flatMap(make(request, wire), (languageModel) =>
      drain(languageModel, request, [wrapper], new Round(request, emit, asked, wire))
    )
  }

const drain = (
  languageModel: LanguageModel.Service,
  request: ModelRequest,
  known: ReadonlyArray<string>,
  round: Round
): Effect.Effect<ModelFinish, ModelError> =>
  Effect.suspend(() => {
    const parts = partsOf(languageModel, request, known)
    if (parts instanceof Unreadable) return Effect.fail(rejected(parts.message, round.asked))
    return parts.pipe(
      Stream.catchAll((error) => Stream.execute(round.failed(error))),
      Stream.runForEachChunk((chunk) => round.read(chunk)),
      Effect.zipRight(Effect.suspend(() => round.end()))
    )
  })

type Parts = Stream.Stream<Response.StreamPart<Record<string, Tool.Any>>, AiError.AiError>

const partsOf = (
  languageModel: LanguageModel.Service,
  request: ModelRequest,
  known: ReadonlyArray<string>
): Parts | Unreadable => {
  try {
    const prompt = promptOf(request)
    const tools = toolsOf(request.tools, known)
    return tools === undefined
      ? languageModel.streamText({ prompt, disableToolCallResolution: true })
      : (languageModel.streamText({ prompt, ...tools, disableToolCallResolution: true }) as Parts)
  } catch (error) {
    if (error instanceof Unreadable) return error
    throw error
  }
}
