/**
 * Sessions as text: out of one store and into another. Loads `effect/Schema`, by which every line is looked at and
 * printed, and which `effect-baton` itself does not.
 */
export * as Archive from "./programs/archive.js"
