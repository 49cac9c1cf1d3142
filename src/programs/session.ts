/**
 * The operations of sessions as functions, with what they need in their requirements: for programs that bring the
 * engine's services themselves. A `Session` of `Sessions` has the same operations, with nothing left to bring.
 */
export { SessionRef } from "../services/Session.js"
export type { Needs } from "./engine.js"
export { edit } from "./edit.js"
export { fork } from "./fork.js"
export { label, labels } from "./labels.js"
export { moveTo, rewind } from "./move.js"
export { compact } from "./compact.js"
export { prompt } from "./prompt.js"
export { prune } from "./prune.js"
export { search } from "./search.js"
export { create, get, list, open, recover, remove } from "./sessions.js"
export { shell } from "./shell.js"
export { skill } from "./skill.js"
export { submit, withdraw } from "./submit.js"
export { task } from "./task.js"
export { whatIf, type WhatIfRef } from "./whatIf.js"
