/**
 * The gate: what a value from outside must be before anything else looks at it.
 *
 * It stands before every schema. A decoder that meets a `__proto__` key sets a prototype, one that meets a deep value
 * overflows the stack before anybody can catch it, and a store alters half a surrogate pair without a word.
 */
import * as Either from "effect/Either"
import { redact } from "./Secrets.js"

/** How deep a value may be nested. */
export const maxDepth = 128

const forbidden = new Set(["__proto__", "constructor", "prototype"])

/** What is wrong with a value, and where. */
export interface Problem {
  /** For instance `parts[1].data`; empty for the value itself. */
  readonly path: string
  readonly reason: string
}

/**
 * A string as every store and provider takes it: well-formed Unicode without NUL, which becomes U+FFFD, and without the
 * secrets that were given to Baton.
 */
export const cleanText = (text: string): string => {
  const wellFormed = text.isWellFormed() ? text : text.toWellFormed()
  return redact(wellFormed.includes("\0") ? wellFormed.replaceAll("\0", "\ufffd") : wellFormed)
}

/** The longest sentence of an error that is recorded, in UTF-16 code units. */
const maxSentence = 4_000

/** A sentence as it is recorded: cleaned, and cut where it is a page. */
export const brief = (text: string): string => {
  const clean = cleanText(text)
  return clean.length > maxSentence ? `${clean.slice(0, maxSentence).toWellFormed()}…` : clean
}

/**
 * How large a value may be. A character of its texts and keys counts as 1, and each value as `valueSize` besides: that is
 * about what it takes of time and memory. A value of 1,000,000 is looked through in about 10 ms.
 */
export const maxSize = 1_000_000
export const valueSize = 8

/** How far a value may go. */
export interface Bounds {
  /** How large it may be; afterwards, what was left of that. */
  room: number
  /** Takes properties that are `undefined`, which JSON leaves out. */
  readonly gaps?: boolean | undefined
}

/**
 * A JSON value with every string cleaned, or what is wrong with it. The same object comes back where nothing had to be
 * changed. Never throws, and runs no code of the value's but the traps of a proxy.
 */
export const clean = (
  value: unknown,
  bounds: Bounds = { room: maxSize }
): { readonly value: unknown } | { readonly problem: Problem } => {
  try {
    return { value: walk(value, "", 0, bounds) }
  } catch (error) {
    return { problem: error instanceof Refusal ? error.problem : { path: "", reason: "it cannot be looked at" } }
  }
}

class Refusal {
  readonly problem: Problem
  constructor(path: string, reason: string) {
    this.problem = { path, reason }
  }
}

const spend = (bounds: Bounds, size: number, path: string): void => {
  bounds.room -= size
  if (bounds.room < 0) throw new Refusal(path, "there is too much of it")
}

const walk = (value: unknown, path: string, depth: number, bounds: Bounds): unknown => {
  spend(bounds, typeof value === "string" ? valueSize + value.length : valueSize, path)
  switch (typeof value) {
    case "string":
      return cleanText(value)
    case "boolean":
      return value
    case "number":
      if (!Number.isFinite(value)) throw new Refusal(path, "it is not a finite number")
      return value
    case "object":
      if (value === null) return null
      if (depth >= maxDepth) throw new Refusal(path, `it is nested deeper than ${maxDepth} levels`)
      return Array.isArray(value) ? walkArray(value, path, depth, bounds) : walkObject(value, path, depth, bounds)
    default:
      throw new Refusal(path, `a ${typeof value} is not JSON`)
  }
}

const walkArray = (array: ReadonlyArray<unknown>, path: string, depth: number, bounds: Bounds): unknown => {
  let copy: Array<unknown> | undefined
  for (let i = 0; i < array.length; i++) {
    const given = array[i]
    const item = walk(given, `${path}[${i}]`, depth + 1, bounds)
    if (item !== given) (copy ??= array.slice())[i] = item
  }
  return copy ?? array
}

const walkObject = (object: object, path: string, depth: number, bounds: Bounds): unknown => {
  let changed = false
  const entries: Array<[string, unknown]> = []
  for (const key of Object.keys(object)) {
    spend(bounds, key.length, path)
    const at = path === "" ? key : `${path}.${key}`
    if (forbidden.has(key)) throw new Refusal(at, "a key of that name is not allowed")
    const property = Object.getOwnPropertyDescriptor(object, key)
    if (property === undefined || !("value" in property)) throw new Refusal(at, "it is not a plain value")
    if (property.value === undefined && bounds.gaps === true) continue
    const item = walk(property.value, at, depth + 1, bounds)
    const cleanKey = cleanText(key)
    if (item !== property.value || cleanKey !== key) changed = true
    entries.push([cleanKey, item])
  }
  return changed ? Object.fromEntries(entries) : object
}

/**
 * The value that a text is which Baton wrote, or why it is none: what is too deep for a schema, or sets a prototype, stops
 * here. Texts in it are taken as they are.
 */
export const parse = (text: string): Either.Either<unknown, string> => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return Either.left("it is no JSON")
  }
  const problem = gate(value, 0)
  return problem === undefined ? Either.right(value) : Either.left(problem)
}

/** The most values of a text, and the most characters of it that belong to no string: it is parsed in one go. */
const maxValues = 1_000_000
const maxOutside = 4_000_000

/** A shorter text is parsed sooner than anybody waits for, whatever it holds, in UTF-16 code units. */
const alwaysParsed = 200_000

/**
 * What is wrong with a text before it is parsed, which may take seconds where it is deep or has many values. It need not
 * be JSON.
 */
export const frameProblem = (text: string): string | undefined => {
  if (text.length <= alwaysParsed) return undefined
  let depth = 0
  let values = 1
  let outside = 0
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22: {
        i = stringEnd(text, i)
        break
      }
      // An opening bracket or brace.
      case 0x5b:
      case 0x7b: {
        values++
        if (++depth > maxDepth) return `it is nested deeper than ${maxDepth} levels`
        break
      }
      case 0x5d:
      case 0x7d: {
        depth--
        break
      }
      case 0x2c: {
        values++
      }
    }
    if (values > maxValues || ++outside > maxOutside) return "there is too much of it"
  }
  return undefined
}

/** Where the string ends that begins at a place; where it has no end, that of the text. */
const stringEnd = (text: string, from: number): number => {
  for (let end = text.indexOf('"', from + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++
    if (slashes % 2 === 0) return end
  }
  return text.length
}

const gate = (value: unknown, depth: number): string | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  if (depth >= maxDepth) return `it is nested deeper than ${maxDepth} levels`
  if (Array.isArray(value)) {
    for (const item of value) {
      const problem = gate(item, depth + 1)
      if (problem !== undefined) return problem
    }
    return undefined
  }
  // Own keys only: what was parsed has no others.
  for (const key in value) {
    if (forbidden.has(key)) return `it has the key "${key}"`
    const problem = gate((value as Record<string, unknown>)[key], depth + 1)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** How large a value may be to be printed, measured as by `maxSize` but for 64 for each value: 250,000 values, or 16 MB. */
const maxPrint = 16_000_000
const printSize = 64

/**
 * A value as JSON, as `JSON.stringify` prints it, or why it cannot be. Never throws. Runs `toJSON` and getters of the
 * value's. What is too large is given up within about 50 ms, also where few objects come to much by being shared.
 */
export const print = (value: unknown): { readonly json: string } | { readonly problem: string } => {
  let room = maxPrint
  let isTooLarge = false
  const count = (key: string, item: unknown): unknown => {
    room -= printSize + key.length + (typeof item === "string" ? item.length : 0)
    if (room >= 0) return item
    isTooLarge = true
    throw new RangeError("it is too large")
  }
  try {
    const json: unknown = JSON.stringify(value, count)
    return typeof json === "string" ? { json } : { problem: `a ${typeof value} is not JSON` }
  } catch (error) {
    return { problem: isTooLarge ? "it is too large" : `it is not JSON: ${reasonOf(error)}` }
  }
}

/** Whatever was thrown, also where it cannot be looked at. */
const reasonOf = (error: unknown): string => {
  try {
    return error instanceof Error ? error.message : String(error)
  } catch {
    return "it cannot be looked at"
  }
}

/** A copy of a JSON value that went through the gate. */
export const copy = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(copy)
  const made: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(value)) made[key] = copy(item)
  return made
}
