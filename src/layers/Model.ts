/**
 * The model port and the model that comes with the core.
 */
export * from "../services/Model.js"
export { layer as layerScripted, scriptedModel } from "./ScriptedModel.js"
