/**
 * Models over `@effect/ai`: as layers, and as entries of a registry.
 */
export * from "./AiEntries.js"
export * from "./AiModel.js"
