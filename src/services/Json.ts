/**
 * The gate: what a value from outside must be before anything else looks at it.
 *
 * It stands before every schema. A decoder that meets a `__proto__` key sets a prototype, one that meets a deep value
 * overflows the stack before anybody can catch it, and a store alters half a surrogate pair without a word.
 */
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

/**
 * A JSON value with every string cleaned, or what is wrong with it. The same object comes back where nothing had to be
 * changed. Never throws and never runs code of the value's.
 */
export const clean = (value: unknown): { readonly value: unknown } | { readonly problem: Problem } => {
  try {
    return { value: walk(value, "", 0) }
  } catch (error) {
    if (error instanceof Refusal) return { problem: error.problem }
    throw error
  }
}

class Refusal {
  readonly problem: Problem
  constructor(path: string, reason: string) {
    this.problem = { path, reason }
  }
}

const walk = (value: unknown, path: string, depth: number): unknown => {
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
      return Array.isArray(value) ? walkArray(value, path, depth) : walkObject(value, path, depth)
    default:
      throw new Refusal(path, `a ${typeof value} is not JSON`)
  }
}

const walkArray = (array: ReadonlyArray<unknown>, path: string, depth: number): unknown => {
  let copy: Array<unknown> | undefined
  for (let i = 0; i < array.length; i++) {
    const item = walk(array[i], `${path}[${i}]`, depth + 1)
    if (item !== array[i]) (copy ??= array.slice())[i] = item
  }
  return copy ?? array
}

const walkObject = (object: object, path: string, depth: number): unknown => {
  let changed = false
  const entries: Array<[string, unknown]> = []
  for (const key of Object.keys(object)) {
    const at = path === "" ? key : `${path}.${key}`
    if (forbidden.has(key)) throw new Refusal(at, "a key of that name is not allowed")
    const property = Object.getOwnPropertyDescriptor(object, key)
    if (property === undefined || !("value" in property)) throw new Refusal(at, "it is not a plain value")
    const item = walk(property.value, at, depth + 1)
    const cleanKey = cleanText(key)
    if (item !== property.value || cleanKey !== key) changed = true
    entries.push([cleanKey, item])
  }
  return changed ? Object.fromEntries(entries) : object
}

/** A copy of a JSON value that went through the gate. */
export const copy = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(copy)
  const made: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(value)) made[key] = copy(item)
  return made
}
