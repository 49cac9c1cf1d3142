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
import { flatten, isProviderDefined } from "../services/Toolkit.js"
import { type PartProblem, problemOf } from "../services/ToolParts.js"

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
  extra: ReadonlyArray<Tool.Any> = [],
  path = ""
): ToolNameConflict | InvalidInput | undefined => {
  if (!isList(own) || !isList(extra)) return new InvalidInput({ path: `${path}tools`, reason: "it is not a list" })
  if (own.length + extra.length === 0) return undefined
  const seen = new Set<string>()
  const conflict = (tool: string, reason: ToolNameConflict["reason"], i: number) =>
    new ToolNameConflict({ tool, reason, path: path === "" ? undefined : `${path}tools[${i}]` })
  for (const [i, tool] of [...own, ...extra].entries()) {
    if (!isTool(tool)) return new InvalidInput({ path: `${path}tools[${i}]`, reason: notTool(tool) })
    const { name } = tool
    if (!wellFormed.test(name)) return conflict(shown(name), "malformed", i)
    if (reserved.has(name)) return conflict(name, "reserved", i)
    if (seen.has(name)) return conflict(name, "duplicate", i)
    seen.add(name)
    const problem = partProblem(tool)
    if (problem !== undefined)
      return new InvalidInput({ path: `${path}tools.${name}.${problem.field}`, reason: problem.reason })
  }
  return undefined
}

/** The options of a call with its tools in one flat list; the same object where there is nothing to be done. */
export const withFlatTools = <O extends { readonly tools?: ReadonlyArray<Tool.Any> | undefined }>(
  options: (Omit<O, "tools"> & { readonly tools?: ReadonlyArray<Tool.Listed> | undefined }) | undefined
): O | undefined => {
  const tools = options?.tools
  if (tools === undefined) return options as O | undefined
  const flat = flatten(tools)
  return (flat === tools ? options : { ...options, tools: flat }) as O
}

/** Whether it is a list that can be looked at. */
const isList = (value: unknown): boolean => {
  try {
    return Array.isArray(value)
  } catch {
    return false
  }
}

const notTool = (value: unknown): string => {
  try {
    if (isProviderDefined(value)) return "it is a tool that its provider runs, and Baton runs the tools itself"
  } catch {
    // A proxy that fails at being looked at is none.
  }
  return "it is not a tool"
}

/** Whether a value is a tool at all, whatever its type says. Looked at once for each tool. */
const isTool = (tool: Tool.Any): boolean => {
  if (sound.has(tool)) return true
  try {
    return typeof tool.name === "string" && (typeof tool.handle === "function" || problemOf(tool) !== undefined)
  } catch {
    return false
  }
}

/** What is wrong with a part of a tool, if anything. Looked at once for each tool. */
const partProblem = (tool: Tool.Any): PartProblem | undefined => {
  if (sound.has(tool)) return undefined
  const problem = problemOf(tool) ?? valueProblem(tool) ?? parametersProblem(tool)
  if (problem === undefined) sound.add(tool)
  return problem
}

const valueProblem = (tool: Tool.Any): PartProblem | undefined => {
  try {
    const { deadline, description, effects, polling } = tool as Partial<Record<keyof Tool.Any, unknown>>
    if (typeof description !== "string") return { field: "description", reason: "it is not a text" }
    if (deadline !== undefined && !(typeof deadline === "number" && deadline >= 0)) {
      return { field: "deadline", reason: "it is neither a number of milliseconds from 0 nor a Duration" }
    }
    if (effects !== undefined && effects !== "pure" && effects !== "idempotent") {
      return { field: "effects", reason: 'it is neither "pure" nor "idempotent"' }
    }
    return polling === undefined || typeof polling === "boolean"
      ? undefined
      : { field: "polling", reason: "it is neither true nor false" }
  } catch {
    return { field: "description", reason: "it cannot be looked at" }
  }
}

/** A name that is none: no more of it than fits on a line, and no secret. */
const shown = (name: string): string => {
  const clean = cleanText(name)
  return clean.length > 64 ? `${clean.slice(0, 64).toWellFormed()}…` : clean
}

/** Why a model cannot be told of a tool's parameters, if it cannot. */
const parametersProblem = (tool: Tool.Any): PartProblem | undefined => {
  const reason = schemaProblem(tool)
  return reason === undefined ? undefined : { field: "parameters", reason }
}

const schemaProblem = (tool: Tool.Any): string | undefined => {
  try {
    const schema: object = tool.inputSchema
    if (typeof schema !== "object" || schema === null) return "it is not a schema"
    if (!("type" in schema && schema.type === "object") && !("anyOf" in schema))
      return "it is not the schema of an object"
    const printed = print(schema)
    return "problem" in printed ? cleanText(printed.problem.replace(/\s+/g, " ")) : undefined
  } catch (error) {
    return cleanText(error instanceof Error ? error.message.replace(/\s+/g, " ") : describe(error))
  }
}

/** Tools that were looked at. */
const sound = new WeakSet<Tool.Any>()

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
