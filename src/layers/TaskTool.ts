/**
 * The task tool over the program that runs tasks.
 */
import * as Layer from "effect/Layer"
import { handleTask, taskSpec } from "../programs/task.js"
import { TaskTool } from "../services/TaskTool.js"

export const layer: Layer.Layer<TaskTool> = Layer.succeed(TaskTool, { spec: taskSpec, handle: handleTask })
