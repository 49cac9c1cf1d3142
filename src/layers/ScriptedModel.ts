/**
 * A model that follows a script: deterministic, without key or network. It really uses the tools that it calls.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type ModelError, ModelRejected } from "../services/Errors.js"
import { Model, type ModelFinish } from "../services/Model.js"
import { choose, eventsOf, finishOf, type Script } from "../services/Script.js"

/** The name under which it answers. */
export const scriptedModel = "scripted"

/** A model that answers every request by the script, under the name `scripted` and any other that it is asked for. */
export const layer = (script: Script): Layer.Layer<Model> =>
  Layer.succeed(Model, {
    defaultModel: scriptedModel,
    stream: (request, emit) =>
      Effect.suspend((): Effect.Effect<ModelFinish, ModelError> => {
        const turn = choose(script, request)
        if (turn instanceof ModelRejected) return turn
        const say = Effect.suspend((): Effect.Effect<ModelFinish, ModelError> => {
          for (const event of eventsOf(turn, request)) emit(event)
          return turn.fail ?? Effect.succeed(finishOf(turn, request))
        })
        return turn.before === undefined ? say : Effect.zipRight(turn.before, say)
      })
  })
