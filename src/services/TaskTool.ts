/**
 * The tool by which a model delegates. A port, so that a prompt can offer what runs prompts.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Agent from "./Agent.js"
import type { Entry } from "./Entry.js"
import type { ToolSpec } from "./Model.js"
import type { SessionRef } from "./Session.js"
import type { ToolCall, ToolProblem } from "./Tool.js"

type Of<Tag extends Entry["_tag"]> = Extract<Entry, { readonly _tag: Tag }>

/** The child that a call delegated to in a process that ended, and how that ended if it did. */
export interface PastTask {
  readonly link: Of<"TaskLink">
  readonly end: Of<"TaskSettled"> | undefined
}

export class TaskTool extends Context.Tag("baton/TaskTool")<
  TaskTool,
  {
    /** The tool as an agent's model is told of it; `undefined` where the agent has nobody to delegate to. */
    readonly spec: (agent: Agent.Any) => ToolSpec | undefined
    /**
     * Runs a task for a tool call of the session and gives the text for the model. Runs in the call's delegation;
     * interrupting it interrupts the child and waits for its end. With what is left of an earlier run of the call, by a
     * process that ended, it goes on with that child.
     */
    readonly handle: (
      ref: SessionRef<unknown>,
      args: unknown,
      call: ToolCall,
      past?: PastTask
    ) => Effect.Effect<string, ToolProblem, unknown>
  }
>() {}
