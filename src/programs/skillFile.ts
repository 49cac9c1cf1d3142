/**
 * Reads a `SKILL.md`, by the rules of agentskills.io.
 */
import * as Effect from "effect/Effect"
import { descriptionProblem, nameProblem } from "../services/Skill.js"

/** What a `SKILL.md` says. */
export interface SkillFile {
  readonly name: string
  readonly description: string
  readonly body: string
}

/** Why a file is no skill, and in which of its lines. */
export interface SkillProblem {
  readonly reason: string
  readonly line: number
}

/** The most of front matter that is looked at, in UTF-16 code units: its fields come to less than 3,000. */
const maxFrontMatter = 16_384

/** The most lists, mappings and items in it, and so how deep they can lie in each other. */
const maxNested = 500

const fields: ReadonlySet<string> = new Set([
  "name",
  "description",
  "license",
  "compatibility",
  "metadata",
  "allowed-tools"
])

/** The longest `compatibility`, in UTF-16 code units. */
const maxCompatibility = 500

/**
 * Takes the file apart, which stands in the folder `folder`. What `allowed-tools` says is not heeded: a file gives no
 * rights. The YAML parser is loaded when the first file is read.
 */
export const parseSkill = (text: string, folder: string): Effect.Effect<SkillFile, SkillProblem> =>
  Effect.suspend(() => {
    const lines = text.replace(/^\uFEFF/, "").split("\n")
    const end = lines.findIndex((line, i) => i > 0 && line.trimEnd() === "---")
    if (lines[0]?.trimEnd() !== "---") return wrong("it does not begin with front matter, between lines of ---", 1)
    if (end < 0) return wrong("its front matter has no end: a line of ---", 1)
    const front = lines.slice(1, end).join("\n")
    if (front.length > maxFrontMatter) return wrong(`its front matter is longer than ${maxFrontMatter} characters`, 1)
    // The parser goes down by recursion, and where the stack ends the process does.
    if ((front.match(/[[{]|(?:^|\s)[-?](?=\s)/gm) ?? []).length > maxNested) {
      return wrong(`its front matter has more than ${maxNested} lists, mappings and items`, 1)
    }
    return Effect.flatMap(
      Effect.promise(() => import("yaml")),
      ({ LineCounter, parseDocument, isMap, isScalar }) => {
        const counter = new LineCounter()
        // Every scalar is the text that it stands as: a name of digits is a name.
        const document = parseDocument(front, { schema: "failsafe", lineCounter: counter, logLevel: "silent" })
        const lineAt = (offset: number | undefined) => (offset === undefined ? 2 : counter.linePos(offset).line + 1)
        const [error] = [...document.errors, ...document.warnings]
        if (error !== undefined)
          return wrong(`its front matter is not YAML: ${firstLine(error.message)}`, lineAt(error.pos[0]))
        const { contents } = document
        if (!isMap(contents)) return wrong("its front matter is not a mapping", 2)
        const values = new Map<string, { readonly value: unknown; readonly line: number }>()
        for (const { key, value } of contents.items) {
          const name = isScalar(key) ? String(key.value) : ""
          const line = lineAt(isScalar(key) ? key.range?.[0] : undefined)
          if (!fields.has(name)) return wrong(`its front matter has the unknown field ${JSON.stringify(name)}`, line)
          values.set(name, { value: isScalar(value) ? value.value : value, line })
        }
        const field = (name: string) => values.get(name) ?? { value: undefined, line: 1 }
        const name = trimmed(field("name").value)
        const named = nameProblem(name)
        if (named !== undefined) return wrong(`its name is wrong: ${named}`, field("name").line)
        if (name !== folder) {
          return wrong(
            `its name ${JSON.stringify(name)} is not that of its folder, ${JSON.stringify(folder)}`,
            field("name").line
          )
        }
        const description = trimmed(field("description").value)
        const described = descriptionProblem(description)
        if (described !== undefined) return wrong(`its description is wrong: ${described}`, field("description").line)
        const { line, value: compatibility } = field("compatibility")
        if (
          compatibility !== undefined &&
          (typeof compatibility !== "string" || compatibility.length > maxCompatibility)
        ) {
          return wrong(`its compatibility is not a text of at most ${maxCompatibility} characters`, line)
        }
        const body = lines
          .slice(end + 1)
          .join("\n")
          .trim()
        return Effect.succeed({ name: name as string, description: description as string, body })
      }
    )
  })

const trimmed = (value: unknown): unknown => (typeof value === "string" ? value.trim() : value)

const firstLine = (text: string): string => text.split("\n", 1)[0]!.replace(/[.:]$/, "")

const wrong = (reason: string, line: number): Effect.Effect<never, SkillProblem> => Effect.fail({ reason, line })
