/**
 * Histories to look at, and to take elsewhere. Loads `effect/Schema`, by which the lines of an export are looked at and
 * printed, and what tells how wide a text is; `effect-baton` itself loads neither.
 */
export * as Archive from "./programs/archive.js"
export * as HistoryTree from "./programs/historyTree.js"
export * as Transcript from "./programs/transcript.js"
