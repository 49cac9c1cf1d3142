/**
 * A folder with a `SKILL.md` as a skill.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { SandboxError } from "../services/Errors.js"
import { cleanText } from "../services/Json.js"
import type { Sandbox } from "../services/Sandbox.js"
import { noSuchFile, type Skill } from "../services/Skill.js"
import { parseSkill } from "./skillFile.js"

/** What a folder is read by. */
export type Files = Pick<Context.Tag.Service<typeof Sandbox>, "read" | "stat" | "list" | "place">

/** Why a folder is no skill, with the file and its line as far as they are known. */
export interface FolderProblem {
  readonly path: string
  readonly reason: string
  /** It could not be read: what it says is not known. */
  readonly isUnread?: boolean
}

/** The longest `SKILL.md`, in bytes: fifty times what agentskills.io recommends. */
export const maxSkillFile = 256 * 1024

/** How many files of a skill are listed, and how deep they may lie. */
const maxFiles = 200
const maxDepth = 8

/** How many folders are looked into for them. */
const maxFolders = 1_000

/** Reads the skill that stands in a folder; `undefined` where the folder holds no `SKILL.md`. */
export const readSkill = (
  files: Files,
  folder: string,
  folderName: string
): Effect.Effect<Skill | undefined, FolderProblem> => {
  const read = (name: string): Effect.Effect<Skill | undefined, FolderProblem> => {
    const path = joined(folder, name)
    return Effect.matchEffect(files.read(path, { limit: maxSkillFile + 1 }), {
      onFailure: ({ reason }): Effect.Effect<Skill | undefined, FolderProblem> => {
        if (reason !== absent) return Effect.fail({ path, reason, isUnread: true })
        // The rules name it in capitals; small ones are taken for it.
        return name === "SKILL.md" ? read("skill.md") : Effect.succeed(undefined)
      },
      onSuccess: (bytes) => skillOf(files, folder, folderName, path, bytes)
    })
  }
  return read("SKILL.md")
}

const skillOf = (
  files: Files,
  folder: string,
  folderName: string,
  path: string,
  bytes: Uint8Array
): Effect.Effect<Skill, FolderProblem> => {
  if (bytes.length > maxSkillFile) return Effect.fail({ path, reason: `it has more than ${maxSkillFile} bytes` })
  const text = cleanText(Buffer.from(bytes).toString("utf8"))
  return Effect.mapBoth(parseSkill(text, folderName), {
    onFailure: ({ line, reason }) => ({ path: `${path}:${line}`, reason }),
    onSuccess: ({ body, description, name }) => ({
      name,
      description,
      instructions: body,
      files: listFiles(files, folder),
      read: (at, range) => readFile(files, folder, at, range)
    })
  })
}

/** What lies in the folder and below it, without links and without `SKILL.md`, sorted. */
const listFiles = (files: Files, folder: string): Effect.Effect<ReadonlyArray<string>, SandboxError> =>
  Effect.gen(function* () {
    const found: Array<string> = []
    const open: Array<{ readonly at: string; readonly depth: number }> = [{ at: "", depth: 0 }]
    for (const { at, depth } of open) {
      if (found.length >= maxFiles) break
      for (const { name, type } of yield* files.list(joined(folder, at))) {
        const path = at === "" ? name : `${at}/${name}`
        const isPassed = depth >= maxDepth || name === ".git" || name === "node_modules"
        if (type === "directory" && !isPassed && open.length < maxFolders) open.push({ at: path, depth: depth + 1 })
        if (type === "file" && path !== "SKILL.md" && path !== "skill.md") found.push(path)
      }
    }
    return found.slice(0, maxFiles).toSorted()
  })

/**
 * Reads a file whose real place is below the folder's. It is looked at again when it was read: a folder may have been
 * swapped for a link in between.
 */
const readFile = (
  files: Files,
  folder: string,
  path: string,
  range: { readonly offset: number; readonly limit: number }
): Effect.Effect<Uint8Array, SandboxError> => {
  const outside = new SandboxError({ operation: "read", path, reason: "it leads out of the skill" })
  if (path === "" || path.startsWith("/") || path.split("/").includes("..")) return outside
  const at = joined(folder, path)
  const inside = Effect.flatMap(files.place(folder), (root) =>
    Effect.flatMap(files.place(at), (place) =>
      root === "." || place.startsWith(`${root}/`) ? Effect.succeed(place) : outside
    )
  )
  return Effect.flatMap(inside, (before) =>
    Effect.flatMap(files.read(before, range), (bytes) =>
      Effect.flatMap(inside, (after) => (after === before ? Effect.succeed(bytes) : outside))
    )
  ).pipe(
    Effect.mapError(
      (error) =>
        // The path as the model knows it.
        new SandboxError({ operation: "read", path, reason: error.reason === absent ? noSuchFile : error.reason })
    )
  )
}

/** What a sandbox says of what is not there. */
export const absent = "no such file or folder"

const joined = (folder: string, name: string): string =>
  name === "" ? folder : folder === "." ? name : `${folder}/${name}`
