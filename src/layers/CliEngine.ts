/**
 * The engine of the executable.
 */
import * as Layer from "effect/Layer"
import * as Engine from "./Engine.js"
import * as InspectScript from "./InspectScript.js"
import * as ScriptedModel from "./ScriptedModel.js"

export const layer = Engine.layerMemory.pipe(Layer.provide(ScriptedModel.layer(InspectScript.script)))
