/**
 * The tools of one prompt.
 */
import type * as Context from "effect/Context"
import type * as Agent from "../services/Agent.js"
import { InvalidInput, ToolNameConflict } from "../services/Errors.js"
import { cleanText, print } from "../services/Json.js"
import type { ToolSpec } from "../services/Model.js"
import type { TaskTool } from "../services/TaskTool.js"
import { describe } from "../services/Tool.js"
import type * as Tool from "../services/Tool.js"

/** Names that Baton keeps for itself. */
export const reserved: ReadonlySet<string> = new Set([
  "finish",
  "give_up",
  "task",
  "activate_skill",
  "read_skill_resource"
])

/** What providers take as the name of a tool. */
export const wellFormed = /^[A-Za-z0-9_-]{1,64}$/

export interface Toolset {
  readonly byName: ReadonlyMap<string, Tool.Any>
  /** What the model is told of, the task tool included where it may be used. */
  readonly specs: ReadonlyArray<ToolSpec>
}

/** What is wrong with an agent's tools and those of a call, if anything. */
export const toolProblem = (
  own: ReadonlyArray<Tool.Any>,
  extra: ReadonlyArray<Tool.Any> = []
): ToolNameConflict | InvalidInput | undefined => {
  if (!isList(own) || !isList(extra)) return new InvalidInput({ path: "tools", reason: "it is not a list" })
  if (own.length + extra.length === 0) return undefined
  const seen = new Set<string>()
  for (const [i, tool] of [...own, ...extra].entries()) {
    if (!isTool(tool)) return new InvalidInput({ path: `tools[${i}]`, reason: "it is not a tool" })
    const { name } = tool
    if (!wellFormed.test(name)) return new ToolNameConflict({ tool: shown(name), reason: "malformed" })
    if (reserved.has(name)) return new ToolNameConflict({ tool: name, reason: "reserved" })
    if (seen.has(name)) return new ToolNameConflict({ tool: name, reason: "duplicate" })
    seen.add(name)
    const reason = parametersProblem(tool)
    if (reason !== undefined) return new InvalidInput({ path: `tools.${name}.parameters`, reason })
  }
  return undefined
}

/** Whether it is a list that can be looked at. */
const isList = (value: unknown): boolean => {
  try {
    return Array.isArray(value)
  } catch {
    return false
  }
}

/** Whether a value has what a tool is made of, whatever its type says. Looked at once for each tool. */
const isTool = (tool: Tool.Any): boolean => {
  if (tellable.has(tool)) return true
  try {
    return typeof tool.name === "string" && typeof tool.description === "string" && typeof tool.handle === "function"
  } catch {
    return false
  }
}

/** A name that is none: no more of it than fits on a line, and no secret. */
const shown = (name: string): string => {
  const clean = cleanText(name)
  return clean.length > 64 ? `${clean.slice(0, 64).toWellFormed()}…` : clean
}

/** Why a model cannot be told of a tool's parameters, if it cannot. Looked at once for each tool. */
const parametersProblem = (tool: Tool.Any): string | undefined => {
  if (tellable.has(tool)) return undefined
  try {
    const schema: object = tool.inputSchema
    if (typeof schema !== "object" || schema === null) return "it is not a schema"
    if (!("type" in schema && schema.type === "object") && !("anyOf" in schema))
      return "it is not the schema of an object"
    const printed = print(schema)
    if ("problem" in printed) return cleanText(printed.problem.replace(/\s+/g, " "))
  } catch (error) {
    return cleanText(error instanceof Error ? error.message.replace(/\s+/g, " ") : describe(error))
  }
  tellable.add(tool)
  return undefined
}

const tellable = new WeakSet<Tool.Any>()

/** An agent's tools and those of a call, and what else the model is told of. Made once for an agent, since an agent does not change. */
export const toolset = (
  agent: Agent.Any,
  extra: ReadonlyArray<Tool.Any> | undefined,
  taskTool: Context.Tag.Service<TaskTool>,
  mayDelegate: boolean,
  more?: ReadonlyArray<ToolSpec>
): Toolset => {
  if (more !== undefined) {
    const { byName, specs } = toolset(agent, extra, taskTool, mayDelegate)
    return { byName, specs: [...specs, ...more] }
  }
  const tools = extra === undefined || extra.length === 0 ? agent.tools : [...agent.tools, ...extra]
  if (tools !== agent.tools) return build(tools, mayDelegate ? taskTool.spec(agent) : undefined)
  let known = made.get(agent)
  if (known?.taskTool !== taskTool || known.mayDelegate !== mayDelegate) {
    known = { taskTool, mayDelegate, toolset: build(tools, mayDelegate ? taskTool.spec(agent) : undefined) }
    made.set(agent, known)
  }
  return known.toolset
}

interface Made {
  readonly taskTool: Context.Tag.Service<TaskTool>
  readonly mayDelegate: boolean
  readonly toolset: Toolset
}

const made = new WeakMap<Agent.Any, Made>()

const build = (tools: ReadonlyArray<Tool.Any>, task: ToolSpec | undefined): Toolset => ({
  byName: new Map(tools.map((tool) => [tool.name, tool])),
  specs: task === undefined ? tools : [...tools, task]
})
