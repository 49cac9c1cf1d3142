/**
 * Reads an agent that is written in JSON.
 */
import * as Effect from "effect/Effect"
import * as Agent from "../services/Agent.js"
import { AgentNotUsable, ofProblem } from "../services/AgentFile.js"
import type { Skill } from "../services/Skill.js"
import type * as Tool from "../services/Tool.js"
import { agentProblem } from "./agentProblem.js"
import { jsonMistake } from "./jsonMistake.js"

/** What the files that an agent is written in are read by. Each fails with the reason why it cannot. */
export interface Files {
  /** A path as it stands in a file, from where this process can find it. */
  readonly resolve: (file: string, path: string) => string
  /** The text of a file. */
  readonly read: (file: string) => Effect.Effect<string, string>
  /** The skill that a folder holds. */
  readonly skill: (folder: string) => Effect.Effect<Skill, string>
}

/**
 * Reads the agent of a file, with those of the files that it names. `tools` are what it may name by their names, and
 * what it has where it names none. Whatever is wrong is told with the file and the field.
 */
export const readAgent = <R>(
  files: Files,
  tools: ReadonlyArray<Tool.Tool<R>>,
  file: string
): Effect.Effect<Agent.Agent<R>, AgentNotUsable> => new Reader(files, tools).file(file, [])

const fields = [
  "$schema",
  "name",
  "description",
  "instructions",
  "model",
  "fallbacks",
  "thinking",
  "tools",
  "skills",
  "subagents",
  "delegate",
  "workspace",
  "compaction",
  "limits"
]

/** Where something stands: in which file, those that led to it, and the field. */
interface At {
  readonly file: string
  readonly above: ReadonlyArray<string>
  readonly path: string
}

class Reader<R> {
  /** Agents that were read, by their files: one that is named twice is one agent. */
  readonly #known = new Map<string, Agent.Agent<R>>()

  constructor(
    readonly files: Files,
    readonly tools: ReadonlyArray<Tool.Tool<R>>
  ) {}

  file(file: string, above: ReadonlyArray<string>): Effect.Effect<Agent.Agent<R>, AgentNotUsable> {
    return Effect.gen(this, function* () {
      const known = this.#known.get(file)
      if (known !== undefined) return known
      const text = yield* Effect.mapError(this.files.read(file), (reason) => new AgentNotUsable({ file, reason }))
      const agent = yield* this.agent(yield* parse(file, text), { file, above: [...above, file], path: "agent" })
      const problem = agentProblem(agent)
      if (problem !== undefined) return yield* ofProblem(file, problem)
      this.#known.set(file, agent)
      return agent
    })
  }

  agent(value: unknown, at: At): Effect.Effect<Agent.Agent<R>, AgentNotUsable> {
    return Effect.gen(this, function* () {
      if (!isRecord(value)) return yield* wrong(at, "", "it is not an object")
      for (const [field, it] of Object.entries(value)) {
        if (!fields.includes(field)) {
          return yield* wrong(at, `.${field}`, `there is no such field; there are ${fields.slice(1).join(", ")}`)
        }
        if (it === null) return yield* wrong(at, `.${field}`, "it is null; what is not given is left out")
      }
      // What else they are is looked at when the agent is whole.
      const { compaction, delegate, description, fallbacks, limits, model, name, thinking, workspace } =
        value as Partial<Agent.Any>
      const own = {
        description,
        instructions: yield* this.instructions(value.instructions, at),
        tools: yield* this.toolsOf(value.tools, at),
        skills: yield* this.skills(value.skills, at),
        subagents: yield* this.subagents(value.subagents, at),
        model,
        fallbacks,
        thinking,
        delegate,
        workspace,
        compaction,
        limits
      }
      return Agent.make(name as string, own) as Agent.Agent<R>
    })
  }

  instructions(value: unknown, at: At): Effect.Effect<string | undefined, AgentNotUsable> {
    if (value === undefined || typeof value === "string") return Effect.succeed(value)
    if (!isRecord(value) || typeof value.file !== "string" || Object.keys(value).length > 1) {
      return wrong(at, ".instructions", 'it is neither a text nor { "file": "a path" }')
    }
    const file = this.files.resolve(at.file, value.file)
    return Effect.catchAll(this.files.read(file), (reason) => wrong(at, ".instructions.file", `${file}: ${reason}`))
  }

  toolsOf(value: unknown, at: At): Effect.Effect<ReadonlyArray<Tool.Tool<R>>, AgentNotUsable> {
    if (value === undefined) return Effect.succeed(this.tools)
    return listOf(value, at, ".tools", (name, path) => {
      const tool = this.tools.find((it) => it.name === name)
      if (tool !== undefined) return Effect.succeed(tool)
      const known = this.tools.map((it) => it.name).join(", ")
      return wrong(at, path, `there is no tool ${JSON.stringify(name)} (known tools: ${known})`)
    })
  }

  skills(value: unknown, at: At): Effect.Effect<ReadonlyArray<Skill>, AgentNotUsable> {
    if (value === undefined) return Effect.succeed([])
    return listOf(value, at, ".skills", (folder, path) =>
      typeof folder === "string"
        ? Effect.catchAll(this.files.skill(this.files.resolve(at.file, folder)), (reason) => wrong(at, path, reason))
        : wrong(at, path, "it is not the path of a folder")
    )
  }

  subagents(value: unknown, at: At): Effect.Effect<ReadonlyArray<Agent.Agent<R>>, AgentNotUsable> {
    if (value === undefined) return Effect.succeed([])
    return listOf(value, at, ".subagents", (it, path) => {
      if (isRecord(it)) return this.agent(it, { ...at, path: at.path + path })
      if (typeof it !== "string") return wrong(at, path, "it is neither an agent nor the path of a file")
      const file = this.files.resolve(at.file, it)
      const cycle = at.above.indexOf(file)
      if (cycle >= 0) return wrong(at, path, `it goes round: ${[...at.above.slice(cycle), file].join(" -> ")}`)
      if (!file.endsWith(".json")) return wrong(at, path, "it is not the path of a .json file")
      return this.file(file, at.above)
    })
  }
}

const listOf = <A>(
  value: unknown,
  at: At,
  path: string,
  one: (item: unknown, path: string) => Effect.Effect<A, AgentNotUsable>
): Effect.Effect<ReadonlyArray<A>, AgentNotUsable> =>
  Array.isArray(value)
    ? Effect.forEach(value as ReadonlyArray<unknown>, (item, i) => one(item, `${path}[${i}]`))
    : wrong(at, path, "it is not a list")

const parse = (file: string, given: string): Effect.Effect<unknown, AgentNotUsable> => {
  const text = given.replace(/^\uFEFF/, "")
  return Effect.try({
    try: () => JSON.parse(text) as unknown,
    catch: (cause) => {
      const { found, line } = jsonMistake(text)
      const reason = `it is not JSON: ${found === "" ? "it ends too early" : `${JSON.stringify(found)} stands there`}`
      return new AgentNotUsable({ file, at: `line ${line}`, reason, cause })
    }
  })
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const wrong = ({ file, path }: At, field: string, reason: string): Effect.Effect<never, AgentNotUsable> =>
  new AgentNotUsable({ file, at: path + field, reason })
