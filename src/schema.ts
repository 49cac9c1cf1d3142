/**
 * The record format as schemas, for a store that keeps text and for programs that read what it keeps. Loads
 * `effect/Schema`, which `effect-baton` itself does not.
 */
export * as Entry from "./services/Entry.js"
