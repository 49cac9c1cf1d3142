/**
 * The tools by which a model loads skills and reads their files.
 */
import * as Effect from "effect/Effect"
import type { ToolCallPart } from "../services/Entry.js"
import { cleanText } from "../services/Json.js"
import type { ToolSpec } from "../services/Model.js"
import type { Skill, Skills } from "../services/Skill.js"
import type { ToolProblem } from "../services/Tool.js"
import type { Operation } from "./held.js"

/** How many bytes of a file one call gives: with what is said of them under the length at which results are cut. */
export const pageBytes = 40_000

/**
 * The tools, where there are any skills. They stay the same whatever skills there are, and are there from then on: a
 * request begins as the one before, and no provider meets calls of tools that it was not told of.
 */
export const skillSpecs = (running: Operation): ReadonlyArray<ToolSpec> => (hasSkills(running) ? specs : none)

const hasSkills = ({ journal, skills }: Operation): boolean => skills.size > 0 || journal.conversation.hadSkills

const none: ReadonlyArray<ToolSpec> = []

const specs: ReadonlyArray<ToolSpec> = [
  {
    name: "activate_skill",
    description: "Loads a skill: gives its instructions, and the names of the files that go with it.",
    inputSchema: {
      type: "object",
      properties: { name: { type: "string", description: "The skill's name, as it is listed." } },
      required: ["name"],
      additionalProperties: false
    }
  },
  {
    name: "read_skill_resource",
    description: `Reads a text file of a skill, at most ${pageBytes} bytes of it. A longer one is read on with offset.`,
    inputSchema: {
      type: "object",
      properties: {
        skill: { type: "string", description: "The skill's name." },
        path: { type: "string", description: "The file, as the skill names it." },
        offset: { type: "integer", description: "The first byte to read. Default: 0." }
      },
      required: ["skill", "path"],
      additionalProperties: false
    }
  }
]

/** What a call of these tools gives; `undefined` where it is none of them, or they are not there. */
export const skillCall = (
  running: Operation,
  { args, name }: ToolCallPart
): Effect.Effect<string, ToolProblem> | undefined => {
  if (!hasSkills(running)) return undefined
  const { skills } = running
  if (name === "activate_skill") return activate(skills, args as Record<string, unknown>)
  return name === "read_skill_resource" ? readResource(skills, args as Record<string, unknown>) : undefined
}

const activate = (skills: Skills, args: Record<string, unknown>): Effect.Effect<string, ToolProblem> => {
  const skill = find(skills, args.name)
  return "text" in skill ? Effect.fail(skill) : shown(skill)
}

/** A skill as a model is told it: its instructions, and what files it has. `listed` may bound how long those are looked for. */
export const shown = (
  skill: Skill,
  listed: Effect.Effect<ReadonlyArray<string>, { readonly reason: string }> = skill.files
): Effect.Effect<string> =>
  Effect.map(Effect.either(listed), (files) => {
    const lines = [
      `Skill ${skill.name}:`,
      "",
      skill.instructions === "" ? "(It has no instructions.)" : skill.instructions
    ]
    if (files._tag === "Left") lines.push("", `[Its files cannot be listed: ${files.left.reason}.]`)
    else if (files.right.length > 0) {
      lines.push("", "Its files, to be read with read_skill_resource:", ...files.right.map((path) => `- ${path}`))
    }
    return cleanText(lines.join("\n"))
  })

const readResource = (skills: Skills, args: Record<string, unknown>): Effect.Effect<string, ToolProblem> => {
  const skill = find(skills, args.skill)
  if ("text" in skill) return Effect.fail(skill)
  const { offset = 0, path } = args
  if (typeof path !== "string") return Effect.fail({ text: '"path" must be a text.' })
  if (typeof offset !== "number" || !Number.isSafeInteger(offset) || offset < 0) {
    return Effect.fail({ text: '"offset" must be a whole number from 0.' })
  }
  return Effect.mapBoth(skill.read(path, { offset, limit: pageBytes + 1 }), {
    onFailure: ({ message }) => ({ text: message }),
    onSuccess: (bytes) => page(bytes, offset)
  })
}

/** What a page shows: whole characters, and how to read on. */
const page = (bytes: Uint8Array, offset: number): string => {
  if (bytes.length === 0) return offset === 0 ? "[The file is empty.]" : `[The file ends before byte ${offset}.]`
  if (bytes.includes(0)) return "[A binary file; it is not shown.]"
  if (bytes.length <= pageBytes) return Buffer.from(bytes).toString("utf8")
  let end = pageBytes
  while (end > pageBytes - 3 && isContinuation(bytes[end]!)) end--
  const text = Buffer.from(bytes.subarray(0, end)).toString("utf8")
  return `${text}\n[The file goes on. Read on with offset=${offset + end}.]`
}

const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80

const find = (skills: Skills, name: unknown): Skill | ToolProblem => {
  const skill = typeof name === "string" ? skills.get(name) : undefined
  if (skill !== undefined) return skill
  const known = [...skills.keys()].toSorted().join(", ")
  const asked =
    typeof name === "string" ? `There is no skill "${name.slice(0, 64).toWellFormed()}".` : "No skill is named."
  return {
    text: known === "" ? `${asked} There is none that can be loaded now.` : `${asked} The skills are: ${known}.`
  }
}
