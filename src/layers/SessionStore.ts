/**
 * The store port and the store that comes with the core.
 */
export * from "../services/SessionStore.js"
export { layer as layerMemory, Memory } from "./MemorySessionStore.js"
