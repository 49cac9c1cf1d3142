/**
 * What an agent has, as it is shown to people and programs.
 */
import * as Effect from "effect/Effect"
import picocolors from "picocolors"
import type * as Agent from "../services/Agent.js"
import { cut } from "./cut.js"
import { number, plural } from "./counts.js"
import { textLines } from "./render.js"
import type { Files } from "./skillFolder.js"
import { type Row, table } from "./table.js"
import { oneLine } from "./tree.js"
import { look } from "./workspace.js"

/** An agent without what the workspace adds. Of its instructions only the length is told. */
export interface AgentView extends Pick<Agent.Any, "name" | "description" | "thinking" | "delegate" | "limits"> {
  readonly model: string | undefined
  readonly fallbacks: ReadonlyArray<string>
  readonly workspace: Agent.Any["workspace"]
  /** In characters. */
  readonly instructions: number
  readonly hasResult: boolean
  readonly tools: ReadonlyArray<Named>
  readonly skills: ReadonlyArray<Named>
  readonly subagents: ReadonlyArray<AgentView>
}

interface Named {
  readonly name: string
  /** The first line of its description. */
  readonly description: string
}

/** An agent as it would work in a folder. */
export interface WorkingView extends AgentView {
  /** The model that would be asked now, and why; or why there is none. */
  readonly wouldUse: string
  /** The skills of the workspace that it has besides its own. */
  readonly workspaceSkills: ReadonlyArray<Named>
  /** Files of instructions, in bytes. */
  readonly files: ReadonlyArray<{ readonly path: string; readonly bytes: number }>
  /** What was found in the workspace and is not used, and why. */
  readonly skipped: ReadonlyArray<{ readonly path: string; readonly reason: string }>
}

/** Looks at an agent and at what the workspace tells it. Writes nothing. */
export const viewOf = (files: Files, agent: Agent.Any, wouldUse: string): Effect.Effect<WorkingView> =>
  Effect.map(look(agent.workspace === "off" ? undefined : files, agent, "."), ({ view }) => {
    const own = new Set(agent.skills.map(({ name }) => name))
    return {
      ...partsOf(agent),
      wouldUse,
      workspaceSkills: view.skills.filter(({ name }) => !own.has(name)).map(inShort),
      files: view.files.map(({ path, text }) => ({ path, bytes: Buffer.byteLength(text) })),
      skipped: view.skipped
    }
  })

const partsOf = (agent: Agent.Any): AgentView => ({
  name: agent.name,
  description: agent.description,
  model: agent.model,
  fallbacks: agent.fallbacks ?? [],
  thinking: agent.thinking,
  limits: agent.limits,
  delegate: agent.delegate,
  workspace: agent.workspace,
  instructions: agent.instructions.length,
  hasResult: agent.resultSchema !== undefined,
  tools: agent.tools.map(inShort),
  skills: agent.skills.map(inShort),
  subagents: agent.subagents.map(partsOf)
})

const inShort = ({ description, name }: Named): Named => ({
  name,
  description: oneLine(description.trim().split("\n", 1)[0]!)
})

/** The agent in lines, none wider than `width` unless a name is; `width` may be endless. */
export const viewLines = (view: WorkingView, width: number, colours: boolean): ReadonlyArray<string> => {
  const paint = picocolors.createColors(colours)
  const about: ReadonlyArray<Row> = [
    ["model", view.wouldUse],
    ["thinking", view.thinking ?? "as the provider has it"],
    ...limitRow(view),
    ["instructions", view.instructions === 0 ? "none" : plural(view.instructions, "character")],
    ["workspace", view.workspace === "read" ? "its instructions and skills are read" : "off"],
    ["delegate", view.delegate === "general" ? "general, with the sandbox's tools" : "off"],
    ...(view.hasResult ? [["result", "a value by its schema"] as const] : [])
  ]
  const lines = [paint.bold(oneLine(view.name)), ...textLines(view.description, width), "", ...table(about, width)]
  const section = (title: string, rows: ReadonlyArray<string>) => {
    if (rows.length > 0) lines.push("", paint.bold(title), ...rows.map((row) => `  ${row}`))
  }
  const inner = width - 2
  // What a tool says of itself is for models, and long.
  const tools = table(view.tools.map(pair), Number.POSITIVE_INFINITY).map((row) => cut(row, Math.min(inner, maxTool)))
  section("TOOLS", tools.length === 0 ? ["none"] : tools)
  section("SKILLS", table(view.skills.map(pair), inner))
  section("SKILLS OF THE WORKSPACE", table(view.workspaceSkills.map(pair), inner))
  const files = view.files.map(({ bytes, path }) => [path, plural(bytes, "byte")] as const)
  section("INSTRUCTIONS OF THE WORKSPACE", table(files, inner))
  const skipped = view.skipped.map(({ path, reason }) => [path, reason] as const)
  section("NOT USED", table(skipped, inner))
  section(
    "SUBAGENTS",
    branches(view.subagents, "").map((line) => cut(line, inner))
  )
  return lines
}

/** The most columns of a tool's line. */
const maxTool = 98

const pair = ({ description, name }: Named) => [name, description] as const

const limitRow = ({ limits }: AgentView): ReadonlyArray<Row> => {
  const set = Object.entries(limits).filter(([, value]) => value !== undefined)
  if (set.length === 0) return []
  return [
    ["limits", set.map(([name, value]) => `${name} ${number(value)}${inMillis.has(name) ? " ms" : ""}`).join(", ")]
  ]
}

const inMillis: ReadonlySet<string> = new Set([
  "toolDeadline",
  "toolGrace",
  "retryDelay",
  "retryAfter",
  "modelIdle",
  "wallTime"
])

const branches = (agents: ReadonlyArray<AgentView>, before: string): ReadonlyArray<string> =>
  agents.flatMap((agent, i) => {
    const isLast = i === agents.length - 1
    const below = before + (isLast ? "   " : "│  ")
    const detail = [
      agent.tools.length === 0 ? "no tools" : `tools ${names(agent.tools)}`,
      ...(agent.skills.length === 0 ? [] : [`skills ${names(agent.skills)}`]),
      ...(agent.model === undefined ? [] : [`model ${[agent.model, ...agent.fallbacks].join(", else ")}`]),
      ...(agent.thinking === undefined ? [] : [`thinking ${agent.thinking}`]),
      ...limitRow(agent).map(([, limits]) => limits),
      ...(agent.workspace === "off" ? ["workspace off"] : []),
      ...(agent.delegate === "off" ? ["delegate off"] : [])
    ]
    const title = [oneLine(agent.name), oneLine(agent.description)].filter((it) => it !== "").join("  ")
    return [
      `${before}${isLast ? "└─" : "├─"} ${title}`,
      `${below}${agent.subagents.length > 0 ? "│ " : "  "}${oneLine(detail.join(" · "))}`,
      ...branches(agent.subagents, below)
    ]
  })

const names = (all: ReadonlyArray<Named>): string => all.map(({ name }) => name).join(", ")
