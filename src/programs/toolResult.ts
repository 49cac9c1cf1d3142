/**
 * What a model is told of a tool's value.
 */
import type { ResultPart } from "../services/Entry.js"
import { clean, cleanText, print } from "../services/Json.js"
import { type Content, describe } from "../services/Tool.js"
import { bytesProblem, frameProblem, maxImage, maxImages } from "./images.js"

/** A text for the model, and how long it was before it was cut, if it was. */
export interface ResultText {
  readonly text: string
  readonly cutFrom: number | undefined
}

/** The text of a value: a string as it is, anything else as JSON; or why it is not JSON. */
export const textOf = (value: unknown): { readonly text: string } | { readonly problem: string } => {
  if (typeof value === "string") return { text: value }
  if (value === undefined) return { text: "" }
  if (typeof value === "function" || typeof value === "symbol") {
    return { problem: `The tool gave a ${typeof value}, which is not JSON.` }
  }
  const printed = print(value)
  if ("json" in printed) return { text: printed.json }
  return { problem: `The tool gave a value that cannot be shown: ${printed.problem}.` }
}

/** What a value in parts comes to: its text, and the parts where not all of them are text. */
export interface ResultContent extends ResultText {
  readonly content: ReadonlyArray<ResultPart> | undefined
}

/** The most parts of one result. */
const maxParts = 1_000

/** The most characters of JSON of one result, as much as a single value may be printed to. Few objects can come to much. */
const maxJson = 16_000_000

/**
 * A value in parts, cleaned, or why a model cannot be shown it. Where its text is longer than `limit` UTF-16 code units,
 * it is cut as a whole: it is one part then, before the images.
 */
export const contentOf = (value: Content, limit: number): ResultContent | { readonly problem: string } => {
  try {
    return assemble(value.parts, limit)
  } catch (error) {
    const reason = error instanceof Unfit ? error.message : "it cannot be looked at"
    return { problem: `The tool gave a result that cannot be shown: ${reason}.` }
  }
}

/** Why parts are no result. */
class Unfit extends Error {}

const assemble = (given: ReadonlyArray<unknown>, limit: number): ResultContent => {
  if (!Array.isArray(given)) throw new Unfit("its parts are not a list")
  if (given.length > maxParts) throw new Unfit(`it has more than ${maxParts} parts`)
  const parts: Array<ResultPart> = []
  const texts: Array<string> = []
  const images: Array<ResultPart> = []
  let room = maxImages
  let jsonRoom = maxJson
  given.forEach((part: unknown, i) => {
    const { data, mediaType, text, type, value } = (part ?? {}) as Record<string, unknown>
    if (type === "text" && typeof text === "string") {
      const cleaned = cleanText(text)
      texts.push(cleaned)
      parts.push({ type, text: cleaned })
    } else if (type === "image") {
      const image = imageOf(mediaType, data, `image ${images.length + 1}`)
      room -= image.data.length
      if (room < 0) throw new Unfit(`its images have more than ${maxImages} characters of base64 together`)
      images.push(image)
      parts.push(image)
      texts.push(`[image ${images.length}: ${image.mediaType}]`)
    } else if (type === "json") {
      const json = jsonPart(value, limit, `part ${i + 1}`)
      jsonRoom -= json.text.length
      if (jsonRoom < 0) throw new Unfit(`its JSON has more than ${maxJson} characters together`)
      parts.push(json.part)
      texts.push(json.text)
    } else throw new Unfit(`part ${i + 1} is neither a text, nor an image, nor a JSON value`)
  })
  const whole = texts.join("\n")
  const told = fit(whole, limit)
  const isPlain = parts.every((part) => part.type === "text")
  if (isPlain) return { ...told, content: undefined }
  if (told.text === whole) return { ...told, content: parts }
  // Cut, or it held a secret that begins in one part and ends in the next: its text is one piece.
  const content = images.length === 0 ? undefined : [{ type: "text" as const, text: told.text }, ...images]
  return { ...told, content }
}

const imageOf = (mediaType: unknown, given: unknown, name: string): Extract<ResultPart, { readonly type: "image" }> => {
  const data = given instanceof Uint8Array ? base64Of(given) : given
  const problem = frameProblem(mediaType, data) ?? bytesProblem(mediaType as string, data as string)
  if (problem === undefined) return { type: "image", mediaType: mediaType as string, data: data as string }
  const what = problem.field === "data" ? name : `the media type of ${name}`
  throw new Unfit(`${what}: ${problem.reason}`)
}

/** Bytes as base64; more than an image has are not looked through. */
const base64Of = (bytes: Uint8Array): string | undefined =>
  bytes.length > (maxImage / 4) * 3
    ? undefined
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")

/** A value as it is kept and as it is told; where it is too long to be told whole, it is text. */
const jsonPart = (
  value: unknown,
  limit: number,
  name: string
): { readonly part: ResultPart; readonly text: string } => {
  const printed = print(value)
  if ("problem" in printed) throw new Unfit(`${name}: ${printed.problem}`)
  if (printed.json.length > limit) {
    const text = cleanText(printed.json)
    return { part: { type: "text", text }, text }
  }
  // Cleaned as a value: a secret in it may look different in JSON.
  const cleaned = clean(JSON.parse(printed.json), { room: Number.POSITIVE_INFINITY })
  if ("problem" in cleaned) throw new Unfit(`${name}: ${cleaned.problem.reason}`)
  return { part: { type: "json", value: cleaned.value }, text: JSON.stringify(cleaned.value) }
}

/** Cleans a result and cuts it in the middle where it is longer than `limit` UTF-16 code units. */
export const fit = (result: string, limit: number): ResultText => {
  // Before it is cut: half a secret would not be known for one.
  // A tool that was not made by `Tool.make` may give what is no text.
  const text = cleanText(typeof result === "string" ? result : describe(result))
  if (text.length <= limit) return { text, cutFrom: undefined }
  const half = Math.floor(limit / 2)
  const head = text.slice(0, endBefore(text, half))
  const tail = text.slice(startAfter(text, text.length - half))
  const left = text.length - head.length - tail.length
  return { text: `${head}\n[… ${left} characters left out …]\n${tail}`, cutFrom: text.length }
}

const isHigh = (unit: number) => unit >= 0xd800 && unit <= 0xdbff
const isLow = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff

/** A cut before `at` or one unit earlier, never within a surrogate pair. */
const endBefore = (text: string, at: number) =>
  isHigh(text.charCodeAt(at - 1)) && isLow(text.charCodeAt(at)) ? at - 1 : at

/** A cut at `at` or one unit later, never within a surrogate pair. */
const startAfter = (text: string, at: number) =>
  isLow(text.charCodeAt(at)) && isHigh(text.charCodeAt(at - 1)) ? at + 1 : at
