/**
 * What a caller hands to an operation, checked before anything else happens.
 */
import type { UserPart } from "../services/Entry.js"
import { InvalidInput } from "../services/Errors.js"
import { cleanText } from "../services/Json.js"
import * as Limits from "../services/Limits.js"
import * as SessionId from "../services/SessionId.js"
import type { PromptInput } from "../services/Session.js"
import { bytesProblem, frameProblem, maxImages } from "./images.js"

/** The longest text of one input, in UTF-16 code units. */
export const maxText = 1_000_000

/** The most parts and images of one input. */
export const maxParts = 1_000

/** The parts of an input, with their text cleaned, or what is wrong with it. */
export const userParts = (
  input: PromptInput,
  images: ReadonlyArray<Omit<Image, "type">> = []
): ReadonlyArray<UserPart> | InvalidInput => {
  const sum = new Sum()
  const text = textAndParts(input, sum)
  if (text instanceof InvalidInput) return text
  const more = listOf(images, "images")
  if (more instanceof InvalidInput) return more
  const parts: Array<UserPart> = [...text]
  for (const [i, image] of more.entries()) {
    const part = imagePart(image, `images[${i}]`, sum)
    if (part instanceof InvalidInput) return part
    parts.push(part)
  }
  return parts
}

type Image = Extract<UserPart, { readonly type: "image" }>

const textAndParts = (input: unknown, sum: Sum): ReadonlyArray<UserPart> | InvalidInput => {
  if (typeof input === "string") {
    const part = textPart(input, "input", sum)
    return part instanceof InvalidInput ? part : [part]
  }
  const given = listOf(input, "input")
  if (given instanceof InvalidInput) return given
  if (given.length === 0) return wrong("input", "it is empty")
  const parts: Array<UserPart> = []
  for (const [i, part] of given.entries()) {
    const path = `input[${i}]`
    const type = own(part, "type")
    if (type !== "image" && type !== "text") return wrong(`${path}.type`, 'it is neither "text" nor "image"')
    const checked = type === "image" ? imagePart(part, path, sum) : textPart(own(part, "text"), `${path}.text`, sum)
    if (checked instanceof InvalidInput) return checked
    parts.push(checked)
  }
  return parts
}

/** Counts what the parts of an input come to together. */
class Sum {
  private texts = 0
  private images = 0
  private parts = 0

  /** What is wrong with one more part, if anything; asked before what it holds is looked through. */
  add(text: number, image: number): InvalidInput | undefined {
    this.texts += text
    this.images += image
    if (++this.parts > maxParts) return wrong("input", `it has more than ${maxParts} parts`)
    if (this.texts > maxText) return wrong("input", `its texts are longer than ${maxText} characters together`)
    if (this.images > maxImages) return wrong("input", `its images have more than ${maxImages} characters together`)
    return undefined
  }
}

/** The items of a list, in a list of our own. */
const listOf = (value: unknown, path: string): ReadonlyArray<unknown> | InvalidInput => {
  try {
    if (Array.isArray(value)) {
      return value.length > maxParts
        ? wrong(path, `it has more than ${maxParts} parts`)
        : [...(value as Array<unknown>)]
    }
  } catch {
    // A proxy that fails at being looked at is none.
  }
  return wrong(path, path === "input" ? "it is neither a text nor a list of parts" : "it is not a list")
}

/** A property as it stands in a value; what a getter would make of it is not asked. */
const own = (value: unknown, key: string): unknown => {
  if (typeof value !== "object" || value === null) return undefined
  try {
    return Object.getOwnPropertyDescriptor(value, key)?.value
  } catch {
    return undefined
  }
}

/** What is wrong with a policy, if anything: a mistyped one must not be taken for another. */
export const policyProblem = (onBusy: unknown, joins: boolean): InvalidInput | undefined => {
  if (onBusy === undefined || policies.has(onBusy) || (joins && joining.has(onBusy))) return undefined
  const known = [...policies, ...(joins ? joining : [])].map((it) => JSON.stringify(it)).join(", ")
  if (own(onBusy, "_tag") !== "wait") {
    return wrong("onBusy", `it is none of ${known} and { _tag: "wait" }`)
  }
  for (const key of ["timeout", "cap"] as const) {
    const value = own(onBusy, key)
    if (value !== undefined && !isAmount(value)) return wrong(`onBusy.${key}`, "it is not a number from 0")
  }
  return undefined
}

const policies: ReadonlySet<unknown> = new Set(["reject", "wait", "interrupt"])
const joining: ReadonlySet<unknown> = new Set(["steer", "followUp", "rollback"])

/** What is wrong with limits that an agent or a call sets itself, if anything. */
export const limitProblem = (limits: unknown, path: string): InvalidInput | undefined => {
  const names = namesOf(limits)
  if (names === undefined) return wrong(path, "it is not an object of limits")
  for (const name of names) {
    const property = Object.getOwnPropertyDescriptor(limits, name)
    if (property !== undefined && "value" in property && property.value === undefined) continue
    if (engineOnly.has(name)) return wrong(`${path}.${name}`, "it is a limit of the engine")
    if (!Object.hasOwn(Limits.defaults, name)) return wrong(`${path}.${cleanText(name)}`, "there is no such limit")
    if (!isAmount(property?.value)) return wrong(`${path}.${name}`, "it is not a number from 0")
  }
  return undefined
}

const namesOf = (value: unknown): ReadonlyArray<string> | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  try {
    return Object.keys(value)
  } catch {
    return undefined
  }
}

const engineOnly: ReadonlySet<string> = new Set(["taskWidth", "taskDepth"])

const isAmount = (value: unknown): boolean => typeof value === "number" && value >= 0

/** What is wrong with the id that a caller gives an operation, if anything. */
export const operationIdProblem = (id: unknown): InvalidInput | undefined => {
  if (id === undefined) return undefined
  if (typeof id !== "string") return wrong("operationId", "it is not a text")
  const reason = SessionId.problemOfName(id)
  return reason === undefined ? undefined : wrong("operationId", reason)
}

/**
 * The options of a call as they stand, or what is wrong with them as a whole. They are read more than once, and a getter
 * could say something else each time.
 */
export const plainOptions = <O extends object>(options: O | undefined): O | undefined | InvalidInput => {
  if (options === undefined) return undefined
  if (typeof options !== "object" || options === null) return wrong("options", "they are not an object")
  try {
    return { ...options }
  } catch {
    return wrong("options", "they cannot be looked at")
  }
}

/** What is wrong with the models and the thinking level that an agent or a call names, if anything. */
export const turnProblem = (
  given: { readonly model?: unknown; readonly fallbacks?: unknown; readonly thinking?: unknown } | undefined,
  path = ""
): InvalidInput | undefined => {
  if (given === undefined) return undefined
  const { fallbacks, model, thinking } = given
  if (model !== undefined && !isName(model)) return wrong(`${path}model`, notName)
  if (thinking !== undefined && !levels.has(thinking)) {
    return wrong(`${path}thinking`, 'it is none of "off", "low", "medium" and "high"')
  }
  if (fallbacks === undefined) return undefined
  const list = listOf(fallbacks, `${path}fallbacks`)
  if (list instanceof InvalidInput) return list
  const bad = list.findIndex((it) => !isName(it))
  return bad < 0 ? undefined : wrong(`${path}fallbacks[${bad}]`, notName)
}

/** What is wrong with how a compaction is asked for, if anything. */
export const compactProblem = (
  given: { readonly model?: unknown; readonly instructions?: unknown } | undefined,
  path = ""
): InvalidInput | undefined => {
  if (given === undefined) return undefined
  const { instructions, model } = given
  if (instructions !== undefined) {
    if (typeof instructions !== "string") return wrong(`${path}instructions`, "it is not a text")
    if (instructions.length > maxHint) return wrong(`${path}instructions`, `it is longer than ${maxHint} characters`)
  }
  return turnProblem({ model }, path)
}

/** The longest text of what a summary is to heed, in UTF-16 code units: it goes with each request for one. */
const maxHint = 20_000

const levels: ReadonlySet<unknown> = new Set(["off", "low", "medium", "high"])

const notName = "it is not a name: a text of 1 to 256 characters without control characters"

const isName = (value: unknown): boolean =>
  typeof value === "string" && value !== "" && value.length <= 256 && value.isWellFormed() && !/\p{Cc}/u.test(value)

/** What is wrong with the options of a task besides those of a prompt, if anything. */
export const taskProblem = (
  options: { readonly agent?: unknown; readonly description?: unknown; readonly cwd?: unknown } | undefined
): InvalidInput | undefined => {
  if (options === undefined) return undefined
  const { agent, cwd, description } = options
  // What an agent is made of is looked at where it is known to be one.
  if (agent !== undefined && typeof agent !== "string" && (typeof agent !== "object" || agent === null)) {
    return wrong("agent", "it is neither a name nor an agent")
  }
  if (description !== undefined && typeof description !== "string") return wrong("description", "it is not a text")
  return cwdProblem(cwd)
}

const cwdProblem = (cwd: unknown): InvalidInput | undefined => {
  if (cwd === undefined) return undefined
  if (typeof cwd !== "string") return wrong("cwd", "it is not a text")
  return cwd.isWellFormed() && !cwd.includes("\0") ? undefined : wrong("cwd", "it is not the path of a folder")
}

/** What is wrong with the options of a command, if anything; what the sandbox does not take is its to say. */
export const shellProblem = (
  options: { readonly cwd?: unknown; readonly env?: unknown; readonly timeout?: unknown } | undefined
): InvalidInput | undefined => {
  if (options === undefined) return undefined
  const { cwd, env, timeout } = options
  if (typeof cwd !== "undefined" && typeof cwd !== "string") return wrong("cwd", "it is not a text")
  if (timeout !== undefined && typeof timeout !== "number") return wrong("timeout", "it is not a number")
  if (env === undefined) return undefined
  const names = namesOf(env)
  if (names === undefined) return wrong("env", "it is not an object of texts")
  const bad = names.find((name) => typeof own(env, name) !== "string")
  return bad === undefined ? undefined : wrong(`env.${cleanText(bad)}`, "it is not a text")
}

/** A command for the shell, or what is wrong with it. */
export const commandText = (command: unknown): string | InvalidInput => {
  if (typeof command !== "string") return wrong("command", "it is not a text")
  if (command.length > maxText) return wrong("command", `it is longer than ${maxText} characters`)
  if (command.trim() === "") return wrong("command", "it is empty")
  return command.includes("\0") ? wrong("command", "it holds a NUL character") : command.toWellFormed()
}

const textPart = (text: unknown, path: string, sum: Sum): UserPart | InvalidInput => {
  if (typeof text !== "string") return wrong(path, "it is not a text")
  if (text.length > maxText) return wrong(path, `it is longer than ${maxText} characters`)
  if (text.trim() === "") return wrong(path, "it is empty")
  return sum.add(text.length, 0) ?? { type: "text", text: cleanText(text) }
}

const imagePart = (part: unknown, path: string, sum: Sum): UserPart | InvalidInput => {
  const mediaType = own(part, "mediaType")
  const data = own(part, "data")
  const outside = frameProblem(mediaType, data)
  if (outside !== undefined) return wrong(`${path}.${outside.field}`, outside.reason)
  const image = { type: "image" as const, mediaType: mediaType as string, data: data as string }
  const tooMuch = sum.add(0, image.data.length)
  if (tooMuch !== undefined) return tooMuch
  const inside = bytesProblem(image.mediaType, image.data)
  return inside === undefined ? image : wrong(`${path}.${inside.field}`, inside.reason)
}

const wrong = (path: string, reason: string) => new InvalidInput({ path, reason })
