/**
 * Models over the providers of `@effect/ai`. A provider's package is loaded when its layer is built, not before.
 */
export * as AiModel from "./layers/Ai.js"
