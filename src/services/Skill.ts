/**
 * A skill: instructions for one kind of work, that a model loads when it needs them, and files that go with them.
 */
import * as Effect from "effect/Effect"
import { SandboxError } from "./Errors.js"

/** A skill, ready to be listed to a model. */
export interface Skill {
  /** Lower-case letters, digits and hyphens, at most 64. */
  readonly name: string
  /** What it does and when to use it, in the words that a model reads to choose; at most 1,024 characters. */
  readonly description: string
  /** What a model is told that loads it. */
  readonly instructions: string
  /** The paths of its files, sorted. */
  readonly files: Effect.Effect<ReadonlyArray<string>, SandboxError>
  /**
   * Reads `limit` bytes of one of its files from `offset` on, fewer only at its end. Fails for a path that leads out of
   * the skill.
   */
  readonly read: (
    path: string,
    range: { readonly offset: number; readonly limit: number }
  ) => Effect.Effect<Uint8Array, SandboxError>
}

/** Skills by their names. */
export type Skills = ReadonlyMap<string, Skill>

export const none: Skills = new Map()

export interface Options {
  readonly description: string
  readonly instructions: string
  /** Files that go with it, by their paths: relative, parted by `/`. */
  readonly files?: Readonly<Record<string, string | Uint8Array>> | undefined
}

/** A skill given in code. `SkillFolder` of `effect-baton/node` makes one of a folder with a `SKILL.md`. */
export const make = (name: string, { description, files = {}, instructions }: Options): Skill => {
  const paths = Object.keys(files).toSorted()
  return {
    name,
    description,
    instructions,
    files: Effect.succeed(paths),
    read: (path, { limit, offset }) => {
      if (!Object.hasOwn(files, path)) return new SandboxError({ operation: "read", path, reason: noSuchFile })
      const file = files[path]!
      const bytes = typeof file === "string" ? new TextEncoder().encode(file) : file
      return Effect.succeed(bytes.slice(offset, offset + limit))
    }
  }
}

export const noSuchFile = "the skill has no such file"

/** The longest description, in UTF-16 code units, by the rules of agentskills.io. */
export const maxDescription = 1_024

/** What is wrong with the name of a skill, if anything, by the same rules. */
export const nameProblem = (name: unknown): string | undefined => {
  if (typeof name !== "string" || name === "") return "it is missing"
  if (name.length > 64) return "it is longer than 64 characters"
  if (!/^[a-z0-9-]+$/.test(name)) return "it has something else than lower-case letters, digits and hyphens"
  if (name.startsWith("-") || name.endsWith("-")) return "it begins or ends with a hyphen"
  return name.includes("--") ? "it has two hyphens in a row" : undefined
}

/** What is wrong with the description of a skill, if anything. */
export const descriptionProblem = (description: unknown): string | undefined => {
  if (typeof description !== "string" || description.trim() === "") return "it is missing"
  return description.length > maxDescription ? `it is longer than ${maxDescription} characters` : undefined
}
