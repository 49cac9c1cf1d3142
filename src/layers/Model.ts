/**
 * The model port, the registry of models, and the model that comes with the core.
 */
export * from "../services/Model.js"
export { type Entry, layer as layerRegistry, type Options as RegistryOptions, type Served } from "./ModelRegistry.js"
export { layer as layerScripted, scriptedModel } from "./ScriptedModel.js"
