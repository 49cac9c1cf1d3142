/**
 * Lists of tools, flat as an agent has them: lists in lists are opened, and tools of `@effect/ai` become tools.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as AST from "effect/SchemaAST"
import {
  type AiHandler,
  type AiResult,
  type AiTool,
  type AiToolkit,
  type AiWithHandler,
  providerDefinedTypeId,
  toolTypeId
} from "./AiTool.js"
import { astOf, codec, explainIssue } from "./AnySchema.js"
import { print } from "./Json.js"
import * as Tool from "./Tool.js"
import { checked } from "./ToolParts.js"

/**
 * The tools of a list, in order; the same list where there is nothing to be done. The same tool of `@effect/ai` becomes
 * the same tool each time. What cannot stand in such a list is left in it, for whoever checks the tools.
 */
export const flatten = <R>(list: ReadonlyArray<Tool.Listed>): ReadonlyArray<Tool.Tool<R>> => {
  try {
    if (!Array.isArray(list) || !list.some(isMore)) return list as ReadonlyArray<Tool.Tool<R>>
    const tools: Array<Tool.Any> = []
    open(list, 0, tools)
    return tools as ReadonlyArray<Tool.Tool<R>>
  } catch {
    // A proxy that fails at being looked at.
    return list as ReadonlyArray<Tool.Tool<R>>
  }
}

/** How deep lists may be in lists: one that is in itself ends there. */
const maxDepth = 8

const isMore = (item: unknown): boolean =>
  typeof item === "function" ||
  (typeof item === "object" && item !== null && (Array.isArray(item) || toolTypeId in item || "tools" in item))

const open = (list: ReadonlyArray<Tool.Listed>, depth: number, tools: Array<Tool.Any>): void => {
  for (const item of list) {
    if (!isMore(item)) tools.push(item as Tool.Any)
    else if (Array.isArray(item)) {
      if (depth < maxDepth) open(item as ReadonlyArray<Tool.Listed>, depth + 1, tools)
      else tools.push(item as unknown as Tool.Any)
    } else if (toolTypeId in item) tools.push(fromAi(item))
    else if (typeof item === "function" && "tools" in item) {
      // A toolkit: it is a function, and its mark is in its type alone.
      for (const tool of Object.values((item as AiToolkit).tools)) tools.push(fromAi(tool))
    } else if ("tools" in item && "handle" in item) tools.push(...fromHandled(item))
    else tools.push(item as Tool.Any)
  }
}

/** Whether a value is a tool that its provider runs. */
export const isProviderDefined = (value: unknown): boolean =>
  typeof value === "object" && value !== null && providerDefinedTypeId in value

const made = new WeakMap<AiTool, Tool.Any>()

/** A tool of `@effect/ai`, whose handler is in the context. */
const fromAi = (ai: AiTool): Tool.Any => {
  if (isProviderDefined(ai)) return ai as unknown as Tool.Any
  let tool = made.get(ai)
  if (tool === undefined) {
    tool = makeOf(ai, ai.parametersSchema, handledBy(ai))
    made.set(ai, tool)
  }
  return tool
}

const madeOfHandled = new WeakMap<AiWithHandler, ReadonlyArray<Tool.Any>>()

/** The tools of a toolkit with its handlers. */
const fromHandled = (toolkit: AiWithHandler): ReadonlyArray<Tool.Any> => {
  let tools = madeOfHandled.get(toolkit)
  if (tools === undefined) {
    const handle = toolkit.handle as (name: string, params: unknown) => Effect.Effect<AiResult, unknown, unknown>
    tools = Object.entries(toolkit.tools).map(([key, ai]) => {
      if (isProviderDefined(ai)) return ai as unknown as Tool.Any
      // It decodes them itself. They are looked at before, so that the model is told of every mistake in them.
      return makeOf(ai, checked(ai.parametersSchema), (args) =>
        Effect.flatMap(handle(key, args), ({ encodedResult, isFailure }) =>
          isFailure ? Effect.fail(textOf(encodedResult)) : Effect.succeed(encodedResult)
        )
      )
    })
    madeOfHandled.set(toolkit, tools)
  }
  return tools
}

const makeOf = (
  ai: AiTool,
  parameters: Tool.AnyParameters,
  run: (params: unknown) => Effect.Effect<unknown, unknown, unknown>
): Tool.Any => Tool.make(ai.name, { description: descriptionOf(ai), parameters, effects: effectsOf(ai), run })

/** Runs the handler that is in the context, and encodes what it gives, or fails with where it is to be returned. */
const handledBy = (ai: AiTool): ((params: unknown) => Effect.Effect<unknown, unknown, unknown>) => {
  const success = codec(ai.successSchema)
  const failure = codec(ai.failureSchema)
  const told = (error: unknown) =>
    ai.failureMode === "return"
      ? Effect.matchEffect(failure.encode(error), {
          onFailure: (issue) => Effect.fail(misfit("a failure", issue)),
          onSuccess: (encoded) => Effect.fail<unknown>(textOf(encoded))
        })
      : Effect.fail(error)
  return (params) =>
    Effect.withFiberRuntime((fiber) => {
      const found = fiber.currentContext.unsafeMap.get(ai.id) as AiHandler | undefined
      if (found === undefined) return Effect.fail(`The tool "${ai.name}" has no handler here.`)
      const { context, handler } = found
      return Effect.matchEffect(
        Effect.mapInputContext(handler(params), (own: typeof context) => Context.merge(context, own)),
        {
          onFailure: told,
          onSuccess: (value) => Effect.mapError(success.encode(value), (issue): unknown => misfit("a value", issue))
        }
      )
    })
}

const misfit = (what: string, issue: Parameters<typeof explainIssue>[0]): string =>
  `The tool gave ${what} that does not fit its own schema.\n${explainIssue(issue)}`

const textOf = (encoded: unknown): string => {
  if (typeof encoded === "string") return encoded
  const printed = print(encoded)
  return "json" in printed ? printed.json : Tool.describe(encoded)
}

const annotation = ({ annotations }: AiTool, name: string): unknown =>
  annotations.unsafeMap.get(`@effect/ai/Tool/${name}`)

const descriptionOf = (ai: AiTool): string => {
  if (ai.description !== undefined) return ai.description
  const ast = astOf(ai.parametersSchema)
  const own = AST.getDescriptionAnnotation(ast)
  const annotated = Option.isNone(own) && ast._tag === "Transformation" ? AST.getDescriptionAnnotation(ast.to) : own
  const title = annotation(ai, "Title")
  return Option.getOrElse(annotated, () => (typeof title === "string" ? title : ""))
}

/** What its annotations claim, where the application wrote them: their defaults claim nothing. */
const effectsOf = (ai: AiTool): Tool.Effects | undefined => {
  if (annotation(ai, "Readonly") === true) return "pure"
  return annotation(ai, "Idempotent") === true ? "idempotent" : undefined
}
