/**
 * Agents that modules export. Their code runs in this process, with the rights of its user.
 */
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import * as Effect from "effect/Effect"
import { agentProblem } from "../../programs/agentProblem.js"
import type * as Agent from "../../services/Agent.js"
import { AgentNotUsable, ofProblem } from "../../services/AgentFile.js"
import { describe } from "../../services/Tool.js"
import { ownModules } from "./own.js"

/** Loads the module, with what it imports, and gives its default export, or the one named `agent`. */
export const loadModule = (file: string): Effect.Effect<Agent.Any, AgentNotUsable> =>
  Effect.gen(function* () {
    const module = yield* Effect.tryPromise({
      try: () => imported(path.resolve(file)),
      catch: (cause) => thrown(file, cause)
    })
    // What a CommonJS module exports comes as a default.
    const exported = [module.default, module.agent, (module.default as Module | null | undefined)?.agent]
    const agent = exported.find(looksLike)
    if (agent === undefined) {
      const reason = exported.every((it) => it === undefined)
        ? "it has no default export, and none that is named agent"
        : "what it exports is no agent: Agent.make of effect-baton makes one"
      return yield* new AgentNotUsable({ file, reason })
    }
    const problem = agentProblem(agent)
    return problem === undefined ? agent : yield* ofProblem(file, problem)
  })

interface Module {
  readonly default?: unknown
  readonly agent?: unknown
}

/** TypeScript is what Node 20 does not read by itself; what reads it is loaded with the first such file. */
const imported = async (file: string): Promise<Module> => {
  const { createJiti } = await import("jiti")
  return createJiti(file, { alias: ownModules(file), fsCache: false, interopDefault: false }).import<Module>(file)
}

/** Whether it is worth looking for what is wrong with it. */
const looksLike = (value: unknown): value is Agent.Any =>
  typeof value === "object" && value !== null && "name" in value && "tools" in value && "subagents" in value

/** What kept a module from being loaded, and the line of it as far as that is known. */
const thrown = (file: string, cause: unknown): AgentNotUsable => {
  const error = cause instanceof Error ? cause : new Error(describe(cause))
  const said = error.message.split("\n")[0]!.trim().replace(/\.$/, "")
  if (said.startsWith("ParseError: ")) {
    const [, where, line] = /^\s*(.*):(\d+):\d+\s*$/m.exec(error.message) ?? []
    const reason = `it is not TypeScript or JavaScript: ${said.slice("ParseError: ".length)}`
    return new AgentNotUsable({ file, at: placeOf(file, where, line), reason, cause })
  }
  const [, where, line] =
    (error.stack ?? "")
      .match(/^ +at .*$/gm)
      ?.map((frame) => frameOf.exec(frame))
      .find((it) => it !== null && !isOurs(it[1]!)) ?? []
  const missing = /^Cannot find (?:module|package) '([^']*)'/.exec(said)?.[1]
  const reason =
    missing === undefined ? `it failed to load: ${said}` : `it imports ${JSON.stringify(missing)}, which is not there`
  return new AgentNotUsable({ file, at: placeOf(file, where, line), reason, cause })
}

const frameOf = /(?:\(|at (?:async )?)((?:file:\/\/)?\/[^()]*?):(\d+):\d+\)?$/

/** Frames of the packages and of Baton are of no use to whoever wrote the file. */
const isOurs = (where: string): boolean =>
  where.includes("/node_modules/") || pathToFileURL(where.replace(/^file:\/\//, "")).href.startsWith(own)

const own = new URL("../..", import.meta.url).href

const placeOf = (file: string, where: string | undefined, line: string | undefined): string | undefined => {
  if (where === undefined) return undefined
  const named = where.replace(/^file:\/\//, "")
  if (path.resolve(named) === path.resolve(file)) return `line ${line}`
  const near = path.relative(process.cwd(), named)
  return `${near.startsWith("..") ? named : near}:${line}`
}
