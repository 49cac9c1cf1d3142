/**
 * One round-trip with whatever model the layer provides.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ModelError } from "../../src/services/Errors.js"
import { Model, type ModelEvent, type ModelFinish, type ModelRequest, type ToolSpec } from "../../src/services/Model.js"

export const lookup: ToolSpec = {
  name: "lookup",
  description: "Looks a ticket up",
  inputSchema: {
    type: "object",
    required: ["id"],
    properties: { id: { type: "integer", minimum: 1 } },
    additionalProperties: false
  }
}

/** A request with one question and one tool. */
export const requestOf = (more: Partial<ModelRequest> = {}): ModelRequest => ({
  model: "test",
  thinking: undefined,
  instructions: "Be brief.",
  messages: [{ role: "user", content: [{ type: "text", text: "Hello" }] }],
  tools: [lookup],
  ...more
})

/** A round-trip that comes to its end: what it emitted, and the end. */
export const complete = (
  request: ModelRequest = requestOf()
): Effect.Effect<{ readonly events: ReadonlyArray<ModelEvent>; readonly finish: ModelFinish }, ModelError, Model> => {
  const events: Array<ModelEvent> = []
  return Effect.flatMap(Model, (model) => model.stream(request, (event) => events.push(event))).pipe(
    Effect.map((finish) => ({ events, finish }))
  )
}

/** A round-trip that fails: what it emitted all the same, and the error. */
export const refusal = (
  request: ModelRequest = requestOf()
): Effect.Effect<{ readonly events: ReadonlyArray<ModelEvent>; readonly error: ModelError }, never, Model> => {
  const events: Array<ModelEvent> = []
  return Effect.flatMap(Model, (model) => Effect.flip(model.stream(request, (event) => events.push(event)))).pipe(
    Effect.map((error) => ({ events, error })),
    Effect.catchAll(() => Effect.sync(() => assert.fail("the round-trip should have failed")))
  )
}
