/**
 * The engine of the executable: sessions in memory, in a sandbox on this machine, with the model that was chosen.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Setup } from "../programs/cli.js"
import type { SandboxError } from "../services/Errors.js"
import type { Events } from "../services/Events.js"
import type { Model } from "../services/Model.js"
import { ModelNotUsable } from "../services/ModelChoice.js"
import type { Sandbox, SandboxTools } from "../services/Sandbox.js"
import type { Sessions } from "../services/Session.js"
import * as BuiltinTools from "./BuiltinTools.js"
import * as Engine from "./Engine.js"
import * as InspectScript from "./InspectScript.js"
import * as NodeSandbox from "./NodeSandbox.js"
import { installLine, isMissing } from "./peers.js"
import * as ScriptedModel from "./ScriptedModel.js"

export const layer = (
  setup: Setup
): Layer.Layer<Sessions | Events | Sandbox | SandboxTools, ModelNotUsable | SandboxError> =>
  Layer.provideMerge(
    Engine.layerMemory,
    Layer.provideMerge(BuiltinTools.layer, NodeSandbox.layer({ root: setup.cwd }))
  ).pipe(Layer.provide(model(setup)))

const model = ({ model: chosen }: Setup): Layer.Layer<Model, ModelNotUsable> => {
  if (chosen._tag === "Scripted") return ScriptedModel.layer(InspectScript.script)
  const name = chosen._tag === "Anthropic" ? "@effect/ai-anthropic" : "@effect/ai-openai"
  return Layer.unwrapEffect(
    Effect.tryPromise({
      try: () =>
        Promise.all([
          import("./AiModel.js"),
          chosen._tag === "Anthropic" ? import("./AnthropicModel.js") : import("./OpenAiModel.js")
        ]),
      catch: (error) => error
    }).pipe(
      Effect.catchAll((error) =>
        isMissing(error)
          ? new ModelNotUsable({
              reason: `The model ${chosen.model} needs packages that are not installed: ${installLine("@effect/ai", name)}`
            })
          : Effect.die(error)
      ),
      Effect.map(([AiModel]) =>
        chosen._tag === "Anthropic" ? AiModel.layerAnthropic(chosen) : AiModel.layerOpenAi(chosen)
      )
    )
  )
}
