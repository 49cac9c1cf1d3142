/**
 * The tool by which a model delegates. A port, so that a prompt can offer what runs prompts.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Agent from "./Agent.js"
import type { ToolSpec } from "./Model.js"
import type { SessionRef } from "./Session.js"
import type { ToolCall, ToolProblem } from "./Tool.js"

export class TaskTool extends Context.Tag("baton/TaskTool")<
  TaskTool,
  {
    /** The tool as an agent's model is told of it; `undefined` where the agent has nobody to delegate to. */
    readonly spec: (agent: Agent.Any) => ToolSpec | undefined
    /**
     * Runs a task for a tool call of the session and gives the text for the model. Runs in the call's delegation;
     * interrupting it interrupts the child and waits for its end.
     */
    readonly handle: (
      ref: SessionRef<unknown>,
      args: unknown,
      call: ToolCall
    ) => Effect.Effect<string, ToolProblem, unknown>
  }
>() {}
