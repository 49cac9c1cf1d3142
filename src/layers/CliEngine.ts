/**
 * The engine of the executable: sessions in a file, in a sandbox on this machine, with the models that were chosen.
 */
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Place, Setup } from "../programs/cli.js"
import type { Needs } from "../programs/engine.js"
import {
  ModelNotConfigured,
  type SandboxError,
  type SessionStoreError,
  type UnsupportedFormat
} from "../services/Errors.js"
import type { Events } from "../services/Events.js"
import { Model } from "../services/Model.js"
import type { ModelChoice } from "../services/ModelChoice.js"
import type { Sandbox, SandboxTools } from "../services/Sandbox.js"
import type { Sessions } from "../services/Session.js"
import type { SessionStore } from "../services/SessionStore.js"
import * as Known from "./ai/knownModels.js"
import { load } from "./ai/load.js"
import type * as AiEntries from "./AiEntries.js"
import * as BuiltinTools from "./BuiltinTools.js"
import * as CliStore from "./CliStore.js"
import * as Engine from "./Engine.js"
import * as InspectScript from "./InspectScript.js"
import * as ModelRegistry from "./ModelRegistry.js"
import * as NodeSandbox from "./NodeSandbox.js"
import * as ScriptedModel from "./ScriptedModel.js"

export const layer = (
  setup: Setup
): Layer.Layer<
  Sessions | Events | Sandbox | SandboxTools | SessionStore,
  ModelNotConfigured | SandboxError | SessionStoreError | UnsupportedFormat
> =>
  Layer.provideMerge(Engine.layer, Layer.merge(CliStore.layer(setup), sandbox(setup.cwd, protectedBy(setup)))).pipe(
    Layer.provide(models(setup.model))
  )

/** An engine over what sessions are kept in: none of its models answers, and it works in no folder. */
export const histories = (place: Place): Layer.Layer<Needs, SessionStoreError | UnsupportedFormat> =>
  Layer.provideMerge(Engine.layer, Layer.merge(CliStore.layer(place), noModel))

const noModel = Layer.succeed(Model, {
  defaultModel: undefined,
  stream: ({ model }) => new ModelNotConfigured({ model })
})

/** The files and the shell of a folder, and the tools that work in it, but for some files that they do not write. */
export const sandbox = (
  cwd: string,
  protect: ReadonlyArray<string> = []
): Layer.Layer<Sandbox | SandboxTools, SandboxError> =>
  Layer.provideMerge(BuiltinTools.layer, NodeSandbox.layer({ root: cwd, protect }))

/** What says who works here, and what is kept of it. */
const protectedBy = (setup: Setup): ReadonlyArray<string> => [
  ...CliStore.filesOf(setup),
  ...(setup.agentFile === undefined ? [] : [path.resolve(setup.agentFile)])
]

/** Every model that the environment makes available. A provider is loaded when one of its models is first asked for. */
const models = ({ fallbacks, model, providers }: ModelChoice): Layer.Layer<Model, ModelNotConfigured> => {
  const { anthropic, compatible, openai } = providers
  const served: Record<string, ModelRegistry.Served<never>> = {}
  if (anthropic !== undefined) {
    const layer = provider("@effect/ai-anthropic", (Ai) => Ai.anthropic(anthropic))
    served.anthropic = { layer, info: Known.anthropic }
  }
  if (openai !== undefined) {
    const layer = provider("@effect/ai-openai", (Ai) => Ai.openAi(openai))
    served.openai = { layer, info: Known.openai }
  }
  if (compatible !== undefined) {
    served.compatible = provider("@effect/platform", (Ai) => Ai.compatible(compatible))
  }
  return ModelRegistry.layer({
    providers: served,
    models: { scripted: ScriptedModel.layer(InspectScript.script) },
    default: model,
    fallbacks
  })
}

const provider = (name: string, entry: (Ai: typeof AiEntries) => ModelRegistry.Entry): Layer.Layer<Model, unknown> =>
  Layer.unwrapEffect(
    Effect.map(
      load(name, () => import("./AiEntries.js"), "@effect/ai", name),
      (Ai) => entry(Ai).layer
    )
  )
