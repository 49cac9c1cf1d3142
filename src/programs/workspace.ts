/**
 * Looks at what the workspace of a session tells, when an operation is accepted.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Agent from "../services/Agent.js"
import * as Draft from "../services/Draft.js"
import type { Journal } from "../services/History.js"
import { cleanText } from "../services/Json.js"
import * as Secrets from "../services/Secrets.js"
import { Sandbox } from "../services/Sandbox.js"
import type { SessionRef } from "../services/Session.js"
import { none, type Skill, type Skills } from "../services/Skill.js"
import * as Workspace from "../services/Workspace.js"
import type { Engine } from "./engine.js"
import type { Prepared } from "./operation.js"
import { absent, type Files, readSkill } from "./skillFolder.js"

/** What a workspace tells, and the skills that it speaks of. */
export interface Found {
  readonly view: Workspace.View
  readonly skills: Skills
}

/** The most of one file of instructions that is told, in bytes, and of all of them: the nearest come first. */
export const maxGuide = 64 * 1024
const maxGuides = 128 * 1024

/** The most skills that are listed. */
export const maxSkills = 100

/** How long the whole look may take, in milliseconds. */
export const maxLook = 10_000

/** Names of files of instructions: of those in one folder the first that is there. */
const guideNames = ["AGENTS.md", "CLAUDE.md"]

export const skillsFolder = ".agents/skills"

/**
 * What an operation with turns finds out before its start: what the workspace tells, recorded where that is not what
 * it told `before`. `undefined` where the session has neither a workspace nor skills.
 */
export const prepare = (
  ref: SessionRef<unknown>,
  engine: Engine,
  before: Workspace.View
): Effect.Effect<Prepared & Found> | undefined => {
  const files = filesOf(engine, ref.agent)
  if (files === undefined && ref.agent.skills.length === 0 && before === Workspace.nothing) return undefined
  return Effect.map(look(files, ref.agent, ref.cwd, before), ({ skills, view }) => ({
    skills,
    view,
    first: Workspace.isSame(before, view) ? [] : [Draft.workspaceRead(view)]
  }))
}

/** The skills of an operation that is gone on with: those that were recorded, as far as they are still there. */
export const skillsAgain = (ref: SessionRef<unknown>, engine: Engine, journal: Journal): Effect.Effect<Skills> => {
  const before = journal.conversation.workspace
  const listed = new Set(before.skills.map(({ name }) => name))
  if (listed.size === 0) return Effect.succeed(none)
  return Effect.map(
    look(filesOf(engine, ref.agent), ref.agent, ref.cwd, before),
    ({ skills }) => new Map([...skills].filter(([name]) => listed.has(name)))
  )
}

const filesOf = (engine: Engine, agent: Agent.Any): Files | undefined => {
  if (agent.workspace === "off") return undefined
  const sandbox = Context.getOption(engine.context as Context.Context<unknown>, Sandbox)
  return sandbox._tag === "Some" ? sandbox.value : undefined
}

/**
 * Looks at the files of instructions and the skills from the root down to a folder, and adds the skills of the agent,
 * which stand above those of the workspace. What cannot be read is told in the view, and holds as it was `before`: that
 * it is gone is said of nothing that was only not seen. A look that takes too long is given up, also where the sandbox
 * does not let itself be interrupted.
 */
export const look = (
  files: Files | undefined,
  agent: Agent.Any,
  cwd: string,
  before: Workspace.View = Workspace.nothing
): Effect.Effect<Found> => {
  if (files === undefined) return Effect.succeed(foundOf([], [], agent.skills))
  const given = (reason: string): Found => unseen(agent, before, { path: cwd, reason })
  return Effect.disconnect(lookAt(files, agent, cwd, before)).pipe(
    Effect.timeoutTo({
      duration: maxLook,
      onSuccess: (found) => found,
      onTimeout: () => given(`it was not read within ${maxLook / 1_000} s`)
    }),
    // A sandbox that interrupts itself has failed. Where it is the operation that is interrupted, nothing goes on here.
    Effect.catchAllCause(() => Effect.succeed(given("the sandbox failed")))
  )
}

/** Where nothing was seen, all is as it was, but that the skills of the workspace cannot be loaded. */
const unseen = (agent: Agent.Any, before: Workspace.View, { path, reason }: Skipped): Found =>
  foundOf(before.files, [{ path: cleanText(path), reason: cleanText(reason) }], agent.skills, before.skills)

type Skipped = Workspace.View["skipped"][number]

const lookAt = (files: Files, agent: Agent.Any, cwd: string, before: Workspace.View): Effect.Effect<Found> =>
  Effect.gen(function* () {
    const skipped: Array<Skipped> = []
    const skip = ({ path, reason }: Skipped) => {
      skipped.push({ path: cleanText(path), reason: cleanText(reason) })
    }
    const place = yield* Effect.either(files.place(cwd))
    if (place._tag === "Left") return unseen(agent, before, { path: cwd, reason: place.left.reason })
    const parts = place.right === "." ? [] : place.right.split("/")
    const folders = [...parts.keys(), parts.length].map((depth) => parts.slice(0, depth).join("/")).toReversed()
    const guides: Array<Workspace.Guide> = []
    const skills: Array<Skill> = []
    const unread = new Set<string>()
    let room = maxGuides
    // The nearest first: it has the last word, and what it takes is left to no other.
    for (const folder of folders) {
      const guide = yield* guideOf(files, folder, Math.min(room, maxGuide), before, skip)
      if (guide !== undefined) {
        guides.unshift({ path: cleanText(guide.path), text: guide.text })
        room -= guide.taken
      }
      const there = yield* skillsOf(files, folder, skip)
      for (const name of there.unread ?? before.skills.map(({ name }) => name)) unread.add(name)
      for (const skill of there.found) {
        if (cleanText(skill.name) !== skill.name) {
          skip({ path: under(folder, `${skillsFolder}/${skill.name}`), reason: "its name holds a secret" })
        } else if (skills.some(({ name }) => name === skill.name)) {
          skip({ path: under(folder, `${skillsFolder}/${skill.name}`), reason: "a nearer skill has the same name" })
        } else if (skills.length + agent.skills.length < maxSkills) skills.push(skill)
        else
          skip({
            path: under(folder, `${skillsFolder}/${skill.name}`),
            reason: `there are more than ${maxSkills} skills`
          })
      }
    }
    for (const skill of skills) {
      if (agent.skills.some(({ name }) => name === skill.name)) {
        skip({ path: `${skillsFolder}/${skill.name}`, reason: "the agent has a skill of the same name" })
      }
    }
    const kept = before.skills.filter(({ name }) => unread.has(name))
    return foundOf(guides, skipped, [...agent.skills, ...skills], kept)
  })

/** `unread` are skills that are listed as they were, and cannot be loaded. */
const foundOf = (
  files: ReadonlyArray<Workspace.Guide>,
  skipped: ReadonlyArray<Skipped>,
  all: ReadonlyArray<Skill>,
  unread: Workspace.View["skills"] = []
): Found => {
  const skills = new Map<string, Skill>()
  // A name that holds a secret could not be recorded as it is, and so not be asked for.
  for (const skill of all) {
    if (!skills.has(skill.name) && cleanText(skill.name) === skill.name) skills.set(skill.name, skill)
  }
  const listed = [...skills.values(), ...unread.filter(({ name }) => !skills.has(name))].map(
    ({ description, name }) => ({ name, description: cleanText(description) })
  )
  return { skills, view: { files, skipped, skills: listed.toSorted((a, b) => (a.name < b.name ? -1 : 1)) } }
}

/** The file of instructions of a folder, cut to what there is room for; as it was where it cannot be read. */
const guideOf = (files: Files, folder: string, room: number, before: Workspace.View, skip: (it: Skipped) => void) =>
  Effect.gen(function* () {
    for (const name of guideNames) {
      const path = under(folder, name)
      const read = yield* Effect.either(files.read(path, { limit: room + 1 }))
      if (read._tag === "Left") {
        if (read.left.reason === absent) continue
        skip({ path, reason: read.left.reason })
        const known = before.files.find((file) => file.path === cleanText(path))
        if (known === undefined) continue
        return { ...known, taken: Math.min(room, Buffer.byteLength(known.text)) }
      }
      const bytes = read.right.subarray(0, room)
      if (bytes.includes(0)) {
        skip({ path, reason: "it is not text" })
        continue
      }
      const whole = wholeText(bytes)
      const taken = bytes.length
      if (read.right.length <= room) return whole.trim() === "" ? undefined : { path, text: cleanText(whole), taken }
      // Half a secret would not be known for one.
      const text = cleanText(whole.slice(0, whole.length - Secrets.heldBack(whole)))
      skip({ path, reason: `only its first ${taken} bytes are told` })
      return taken === 0 ? undefined : { path, text: `${text}\n[… the rest of the file is not shown …]`, taken }
    }
    return undefined
  })

/**
 * The skills that stand in a folder, and the names of those that could not be read; `undefined` where the folder could
 * not be listed. What is wrong with one concerns no other.
 */
const skillsOf = (files: Files, folder: string, skip: (it: Skipped) => void) =>
  Effect.gen(function* () {
    const at = under(folder, skillsFolder)
    const listed = yield* Effect.either(files.list(at))
    if (listed._tag === "Left") {
      if (listed.left.reason === absent) return { found: [], unread: [] }
      skip({ path: at, reason: listed.left.reason })
      return { found: [], unread: undefined }
    }
    const found: Array<Skill> = []
    const unread: Array<string> = []
    for (const { name, type } of listed.right) {
      // A link may lead to a folder of skills elsewhere in the sandbox.
      if (type === "file" || name.startsWith(".")) continue
      if (found.length > maxSkills) break
      const skill = yield* Effect.either(readSkill(files, `${at}/${name}`, name))
      if (skill._tag === "Left") {
        skip(skill.left)
        if (skill.left.isUnread === true) unread.push(name)
      } else if (skill.right !== undefined) found.push(skill.right)
    }
    return { found, unread }
  })

/** Bytes of UTF-8 as text, without a character that was cut at their end. */
const wholeText = (bytes: Uint8Array): string =>
  new TextDecoder("utf-8", { ignoreBOM: false }).decode(bytes, { stream: true })

const under = (folder: string, path: string): string => (folder === "" ? path : `${folder}/${path}`)
