/**
 * An agent is a plain value: who works in a session, and with what.
 */
import type { AnySchema, ContextOf } from "./AnySchema.js"
import type { OwnLimits } from "./Limits.js"
import type { Thinking } from "./Model.js"
import type * as Tool from "./Tool.js"

/** An agent whose tools, and those of its subagents, need `R`. */
export interface Agent<out R = never> {
  readonly name: string
  /** What it is good for, in the words that another agent's model reads. */
  readonly description: string
  /** Sent with every request; empty for none. */
  readonly instructions: string
  readonly tools: ReadonlyArray<Tool.Tool<R>>
  /** The agents it may delegate to by name. */
  readonly subagents: ReadonlyArray<Agent<R>>
  /** Where it names none, the call's or the engine's is used. */
  readonly model: string | undefined
  /** The models tried, in order, when that one is not available; where it names none, the call's or the engine's are. */
  readonly fallbacks: ReadonlyArray<string> | undefined
  readonly thinking: Thinking | undefined
  /** What a task given to it brings, where it is more than a text; the delegating model gets it as JSON. */
  readonly resultSchema: AnySchema | undefined
  /** `"off"` takes the general delegate away, which works with the sandbox's tools and no instructions. */
  readonly delegate: "general" | "off"
  readonly limits: Partial<OwnLimits>
}

/** Any agent, whatever its tools need. */
export type Any = Agent<unknown>

/** What an agent's tools need. */
export type Requirements<A> = A extends Agent<infer R> ? R : never

export interface Options<
  Tools extends ReadonlyArray<Tool.Any>,
  Subagents extends ReadonlyArray<Any>,
  Result extends AnySchema | undefined
> {
  readonly description?: string | undefined
  readonly instructions?: string | undefined
  readonly tools?: Tools | undefined
  readonly subagents?: Subagents | undefined
  readonly model?: string | undefined
  readonly fallbacks?: ReadonlyArray<string> | undefined
  readonly thinking?: Thinking | undefined
  readonly resultSchema?: Result | undefined
  readonly delegate?: "general" | "off" | undefined
  readonly limits?: Partial<OwnLimits> | undefined
}

/** An agent from its parts; what is left out is empty. */
export const make = <
  const Tools extends ReadonlyArray<Tool.Any> = [],
  const Subagents extends ReadonlyArray<Any> = [],
  Result extends AnySchema | undefined = undefined
>(
  name: string,
  options: Options<Tools, Subagents, Result> = {}
): Agent<Tool.Requirements<Tools[number]> | Requirements<Subagents[number]> | ContextOf<Result>> => {
  type R = Tool.Requirements<Tools[number]> | Requirements<Subagents[number]> | ContextOf<Result>
  return {
    name,
    description: options.description ?? "",
    instructions: options.instructions ?? "",
    tools: (options.tools ?? []) as ReadonlyArray<Tool.Tool<R>>,
    subagents: (options.subagents ?? []) as ReadonlyArray<Agent<R>>,
    model: options.model,
    fallbacks: options.fallbacks,
    resultSchema: options.resultSchema,
    thinking: options.thinking,
    delegate: options.delegate ?? "general",
    limits: options.limits ?? {}
  }
}

/** The name by which the general delegate appears in links and events. */
export const generalDelegate = "general"
