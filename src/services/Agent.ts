/**
 * An agent is a plain value: who works in a session, and with what.
 */
import type { AnySchema, ContextOf } from "./AnySchema.js"
import type { OwnLimits } from "./Limits.js"
import type { Thinking } from "./Model.js"
import type { Skill } from "./Skill.js"
import type * as Tool from "./Tool.js"
import { flatten } from "./Toolkit.js"

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
  /** Instructions for particular kinds of work, which its model loads when it needs them. */
  readonly skills: ReadonlyArray<Skill>
  /**
   * `"off"` keeps from it what the workspace tells: the files `AGENTS.md` (or `CLAUDE.md`) and the skills in `.agents/skills`
   * from the sandbox's root down to the folder that it works in.
   */
  readonly workspace: "read" | "off"
  /** `"off"` takes the general delegate away, which works with the sandbox's tools and no instructions. */
  readonly delegate: "general" | "off"
  /**
   * How the older part of a conversation is summarised that becomes too long for the model. `"off"`: it is not, unless it
   * is asked for; then a prompt that does not fit fails with `ContextOverflow`.
   */
  readonly compaction?: "off" | CompactionSettings | undefined
  readonly limits: Partial<OwnLimits>
}

/** How an agent's conversations are summarised. */
export interface CompactionSettings {
  /** The model that writes the summaries; default: the one that answers. Where it is not available that one does it. */
  readonly model?: string | undefined
  /** What the summaries are to heed, besides what goes for all. */
  readonly instructions?: string | undefined
  /** How hard it is to think; default: as the provider has it. */
  readonly thinking?: Thinking | undefined
}

/** Any agent, whatever its tools need. */
export type Any = Agent<unknown>

/** What an agent's tools need. */
export type Requirements<A> = A extends Agent<infer R> ? R : never

export interface Options<
  Tools extends ReadonlyArray<Tool.Listed>,
  Subagents extends ReadonlyArray<Any>,
  Result extends AnySchema | undefined
> {
  readonly description?: string | undefined
  readonly instructions?: string | undefined
  /** Tools, lists of tools, and tools and toolkits of `@effect/ai`; the agent has them in one list. */
  readonly tools?: Tools | undefined
  readonly subagents?: Subagents | undefined
  readonly model?: string | undefined
  readonly fallbacks?: ReadonlyArray<string> | undefined
  readonly thinking?: Thinking | undefined
  readonly resultSchema?: Result | undefined
  readonly delegate?: "general" | "off" | undefined
  readonly skills?: ReadonlyArray<Skill> | undefined
  readonly workspace?: "read" | "off" | undefined
  readonly compaction?: "off" | CompactionSettings | undefined
  readonly limits?: Partial<OwnLimits> | undefined
}

/**
 * An agent from its parts; what is left out is empty. It is checked when a session is opened with it, and before each
 * operation: `InvalidInput` names the field that is wrong.
 */
export const make = <
  const Tools extends ReadonlyArray<Tool.Listed> = [],
  const Subagents extends ReadonlyArray<Any> = [],
  Result extends AnySchema | undefined = undefined
>(
  name: string,
  options: Options<Tools, Subagents, Result> = {}
): Agent<Tool.Requirements<Tools[number]> | Requirements<Subagents[number]> | ContextOf<Result>> => {
  type R = Tool.Requirements<Tools[number]> | Requirements<Subagents[number]> | ContextOf<Result>
  return {
    // A field that there is none of is found when the agent is checked.
    ...(options as object),
    name,
    description: options.description ?? "",
    instructions: options.instructions ?? "",
    tools: flatten<R>(options.tools ?? []),
    subagents: (options.subagents ?? []) as ReadonlyArray<Agent<R>>,
    model: options.model,
    fallbacks: options.fallbacks,
    resultSchema: options.resultSchema,
    thinking: options.thinking,
    delegate: options.delegate ?? "general",
    skills: options.skills ?? [],
    workspace: options.workspace ?? "read",
    compaction: options.compaction,
    limits: options.limits ?? {}
  }
}

/** The name by which the general delegate appears in links and events. */
export const generalDelegate = "general"
