/**
 * Goes on with an operation that was left unfinished.
 */
import * as Effect from "effect/Effect"
import type { SessionRef } from "../services/Session.js"
import type { ResumeSpec } from "./resumed.js"
import { resumeCompact } from "./compact.js"
import { resumePrompt } from "./prompt.js"
import { resumeShell } from "./shell.js"
import { resumeTask } from "./task.js"

/**
 * Ends when the operation has ended, which is recorded. Interruption leaves it unfinished where the engine ends, and
 * records the interruption otherwise.
 */
export const recover = (ref: SessionRef<unknown>, spec: ResumeSpec): Effect.Effect<unknown, unknown> =>
  Effect.provide(resumption(ref, spec), ref.context) as Effect.Effect<unknown, unknown>

const resumption = (ref: SessionRef<unknown>, spec: ResumeSpec): Effect.Effect<unknown, unknown, unknown> => {
  switch (spec.kind) {
    case "compact":
      return resumeCompact(ref, spec)
    case "shell":
      return resumeShell(ref, spec)
    case "task":
      return resumeTask(ref, spec)
    default:
      return resumePrompt(ref, spec)
  }
}
