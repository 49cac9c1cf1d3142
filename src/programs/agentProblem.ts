/**
 * What is wrong with an agent, if anything: looked at once for each, since an agent does not change.
 */
import * as Effect from "effect/Effect"
import * as Agent from "../services/Agent.js"
import { InvalidInput, type ToolNameConflict } from "../services/Errors.js"
import { cleanText } from "../services/Json.js"
import { descriptionProblem, nameProblem, type Skill } from "../services/Skill.js"
import { compactProblem, limitProblem, turnProblem } from "./input.js"
import { toolProblem } from "./toolset.js"
import { wantedOf } from "./wanted.js"

/** The name of an agent: it is written by models, and stands in records and events. */
const wellFormed = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/

const fields: ReadonlySet<string> = new Set<keyof Agent.Any>([
  "name",
  "description",
  "instructions",
  "tools",
  "skills",
  "subagents",
  "model",
  "fallbacks",
  "thinking",
  "resultSchema",
  "delegate",
  "workspace",
  "compaction",
  "limits"
])

/** What is wrong with an agent or with one that it may delegate to. `path` is what the agent itself is called by. */
export const agentProblem = (agent: Agent.Any, path = "agent"): InvalidInput | ToolNameConflict | undefined => {
  if (isObject(agent) && sound.has(agent)) return undefined
  return looked(agent, path)
}

const sound = new WeakSet<Agent.Any>()

const looked = (agent: Agent.Any, path: string): InvalidInput | ToolNameConflict | undefined => {
  try {
    return problemIn(agent, path, [])
  } catch {
    // A proxy or a getter that fails at being looked at.
    return wrong(path, "it cannot be looked at")
  }
}

const problemIn = (
  agent: Agent.Any,
  path: string,
  above: ReadonlyArray<Agent.Any>
): InvalidInput | ToolNameConflict | undefined => {
  if (!isObject(agent)) return wrong(path, "it is not an agent")
  // Agents that share subagents would otherwise be looked at once for each way that leads to them.
  if (sound.has(agent)) return undefined
  const cycle = above.indexOf(agent)
  if (cycle >= 0) {
    const names = [...above.slice(cycle), agent].map(({ name }) => name)
    return wrong(path, `it delegates to itself: ${cleanText(names.join(" -> "))}`)
  }
  const { delegate, description, instructions, limits, name, resultSchema, skills, subagents, tools, workspace } = agent
  if (typeof name !== "string" || !wellFormed.test(name)) return wrong(`${path}.name`, badName)
  const unknown = Object.keys(agent).find((field) => !fields.has(field))
  if (unknown !== undefined) return wrong(`${path}.${cleanText(unknown)}`, "there is no such field")
  if (typeof description !== "string") return wrong(`${path}.description`, "it is not a text")
  if (typeof instructions !== "string") return wrong(`${path}.instructions`, "it is not a text")
  if (delegate !== "general" && delegate !== "off")
    return wrong(`${path}.delegate`, 'it is neither "general" nor "off"')
  if (workspace !== "read" && workspace !== "off") return wrong(`${path}.workspace`, 'it is neither "read" nor "off"')
  const problem =
    turnProblem(agent, `${path}.`) ??
    compactionProblem(agent.compaction, `${path}.compaction`) ??
    limitProblem(limits, `${path}.limits`) ??
    schemaProblem(resultSchema, `${path}.resultSchema`) ??
    toolProblem(tools, [], `${path}.`) ??
    skillProblem(skills, path) ??
    subagentProblem(agent, subagents, path, above)
  if (problem === undefined) sound.add(agent)
  return problem
}

const compactionProblem = (compaction: unknown, path: string): InvalidInput | undefined => {
  if (compaction === undefined || compaction === "off") return undefined
  if (!isObject(compaction) || Array.isArray(compaction)) {
    return wrong(path, 'it is neither "off" nor an object')
  }
  const settings: Partial<Record<string, unknown>> = { ...compaction }
  const unknown = Object.keys(settings).find((field) => !settingNames.has(field))
  if (unknown !== undefined) return wrong(`${path}.${cleanText(unknown)}`, "there is no such field")
  return compactProblem(settings, `${path}.`) ?? turnProblem({ thinking: settings.thinking }, `${path}.`)
}

const settingNames: ReadonlySet<string> = new Set<keyof Agent.CompactionSettings>(["model", "instructions", "thinking"])

const badName = "it is not a name: a letter, and then at most 63 letters, digits, hyphens and underscores"

const schemaProblem = (schema: Agent.Any["resultSchema"], path: string): InvalidInput | undefined => {
  const wanted = schema === undefined ? undefined : wantedOf(schema)
  return wanted instanceof InvalidInput ? wrong(path, wanted.reason) : undefined
}

const skillProblem = (skills: ReadonlyArray<Skill>, path: string): InvalidInput | undefined => {
  if (!Array.isArray(skills)) return wrong(`${path}.skills`, "it is not a list")
  const seen = new Set<string>()
  for (const [i, skill] of skills.entries() as Iterable<[number, Partial<Skill> | undefined]>) {
    const at = `${path}.skills[${i}]`
    const isSkill =
      isObject(skill) &&
      typeof skill.read === "function" &&
      typeof skill.instructions === "string" &&
      Effect.isEffect(skill.files)
    if (!isSkill) return wrong(at, "it is not a skill")
    const named = nameProblem(skill.name)
    if (named !== undefined) return wrong(`${at}.name`, named)
    const described = descriptionProblem(skill.description)
    if (described !== undefined) return wrong(`${at}.description`, described)
    if (seen.has(skill.name!)) return wrong(`${at}.name`, `another skill is named "${skill.name}"`)
    seen.add(skill.name!)
  }
  return undefined
}

const subagentProblem = (
  agent: Agent.Any,
  subagents: ReadonlyArray<Agent.Any>,
  path: string,
  above: ReadonlyArray<Agent.Any>
): InvalidInput | ToolNameConflict | undefined => {
  if (!Array.isArray(subagents)) return wrong(`${path}.subagents`, "it is not a list")
  const seen = new Set<string>()
  for (const [i, subagent] of subagents.entries()) {
    const at = `${path}.subagents[${i}]`
    const problem = problemIn(subagent as Agent.Any, at, [...above, agent])
    if (problem !== undefined) return problem
    const { name } = subagent as Agent.Any
    if (seen.has(name)) return wrong(`${at}.name`, `another subagent is named "${name}"`)
    if (name === Agent.generalDelegate && agent.delegate === "general") {
      return wrong(`${at}.name`, `"${name}" is the general delegate, which is not turned off`)
    }
    seen.add(name)
  }
  return undefined
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

const wrong = (path: string, reason: string) => new InvalidInput({ path, reason })
