/**
 * What a caller hands to an operation, checked before anything else happens.
 */
import type { UserPart } from "../services/Entry.js"
import { InvalidInput } from "../services/Errors.js"
import { cleanText } from "../services/Json.js"
import * as Limits from "../services/Limits.js"
import type { PromptInput } from "../services/Session.js"

/** The longest text of one input, in UTF-16 code units. */
export const maxText = 1_000_000

/** The most base64 characters of one image: 10 MB of bytes, above what providers take. */
export const maxImage = 14_000_000

const mediaTypes = /^image\/[a-z0-9.+-]+$/
const base64 = /^[A-Za-z0-9+/]+={0,2}$/

/** The parts of an input, with their text cleaned, or what is wrong with it. */
export const userParts = (
  input: PromptInput,
  images: ReadonlyArray<Omit<Image, "type">> = []
): ReadonlyArray<UserPart> | InvalidInput => {
  const text = textAndParts(input)
  if (text instanceof InvalidInput || images.length === 0) return text
  const parts: Array<UserPart> = [...text]
  for (const [i, image] of images.entries()) {
    const part = imagePart({ type: "image", ...image }, `images[${i}]`)
    if (part instanceof InvalidInput) return part
    parts.push(part)
  }
  return parts
}

type Image = Extract<UserPart, { readonly type: "image" }>

const textAndParts = (input: PromptInput): ReadonlyArray<UserPart> | InvalidInput => {
  if (typeof input === "string") return textPart(input, "input", (part) => [part])
  if (!Array.isArray(input)) return wrong("input", "it is neither a text nor a list of parts")
  if (input.length === 0) return wrong("input", "it is empty")
  const parts: Array<UserPart> = []
  for (const [i, part] of (input as ReadonlyArray<UserPart>).entries()) {
    const path = `input[${i}]`
    if (part?.type !== "image" && part?.type !== "text")
      return wrong(`${path}.type`, 'it is neither "text" nor "image"')
    const checked = part.type === "image" ? imagePart(part, path) : textPart(part.text, `${path}.text`, (it) => it)
    if (checked instanceof InvalidInput) return checked
    parts.push(checked)
  }
  return parts
}

/** What is wrong with a policy, if anything: a mistyped one must not be taken for another. */
export const policyProblem = (onBusy: unknown, joins: boolean): InvalidInput | undefined => {
  if (onBusy === undefined || policies.has(onBusy) || (joins && joining.has(onBusy))) return undefined
  const known = [...policies, ...(joins ? joining : [])].map((it) => JSON.stringify(it)).join(", ")
  if (typeof onBusy !== "object" || onBusy === null || !("_tag" in onBusy) || onBusy._tag !== "wait") {
    return wrong("onBusy", `it is none of ${known} and { _tag: "wait" }`)
  }
  for (const key of ["timeout", "cap"] as const) {
    const value = (onBusy as { readonly timeout?: unknown; readonly cap?: unknown })[key]
    if (value !== undefined && !isAmount(value)) return wrong(`onBusy.${key}`, "it is not a number from 0")
  }
  return undefined
}

const policies: ReadonlySet<unknown> = new Set(["reject", "wait", "interrupt"])
const joining: ReadonlySet<unknown> = new Set(["steer", "followUp", "rollback"])

/** What is wrong with limits that an agent or a call sets itself, if anything. */
export const limitProblem = (limits: Readonly<Record<string, unknown>>, path: string): InvalidInput | undefined => {
  for (const [name, value] of Object.entries(limits)) {
    if (value === undefined) continue
    if (engineOnly.has(name)) return wrong(`${path}.${name}`, "it is a limit of the engine")
    if (!(name in Limits.defaults)) return wrong(`${path}.${name}`, "there is no such limit")
    if (!isAmount(value)) return wrong(`${path}.${name}`, "it is not a number from 0")
  }
  return undefined
}

const engineOnly: ReadonlySet<string> = new Set(["taskWidth", "taskDepth"])

const isAmount = (value: unknown): boolean => typeof value === "number" && value >= 0

/** A command for the shell, or what is wrong with it. */
export const commandText = (command: unknown): string | InvalidInput => {
  if (typeof command !== "string" || command.trim() === "") return wrong("command", "it is empty")
  if (command.length > maxText) return wrong("command", `it is longer than ${maxText} characters`)
  return command.includes("\0") ? wrong("command", "it holds a NUL character") : command.toWellFormed()
}

const textPart = <A>(text: unknown, path: string, use: (part: UserPart) => A): A | InvalidInput => {
  if (typeof text !== "string") return wrong(path, "it is not a text")
  if (text.trim() === "") return wrong(path, "it is empty")
  if (text.length > maxText) return wrong(path, `it is longer than ${maxText} characters`)
  return use({ type: "text", text: cleanText(text) })
}

const imagePart = (part: Image, path: string): UserPart | InvalidInput => {
  if (typeof part.mediaType !== "string" || !mediaTypes.test(part.mediaType)) {
    return wrong(`${path}.mediaType`, "it is not the media type of an image")
  }
  if (typeof part.data !== "string" || part.data.length > maxImage || part.data.length % 4 !== 0) {
    return wrong(`${path}.data`, `it is not base64 of at most ${maxImage} characters`)
  }
  return base64.test(part.data)
    ? { type: "image", mediaType: part.mediaType, data: part.data }
    : wrong(`${path}.data`, "it is not base64")
}

const wrong = (path: string, reason: string) => new InvalidInput({ path, reason })
