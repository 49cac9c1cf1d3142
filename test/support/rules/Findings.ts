/**
 * What a checker of request bodies finds, and how it reads a body of which nothing is known.
 */
export type Fields = Readonly<Record<string, unknown>>

export class Findings {
  readonly found: Array<string> = []

  add(where: string, what: string): void {
    this.found.push(`${where}: ${what}`)
  }

  /** A list; anything else is told and taken for an empty one. */
  list(value: unknown, where: string): ReadonlyArray<unknown> {
    if (Array.isArray(value)) return value as ReadonlyArray<unknown>
    this.add(where, "not a list")
    return []
  }

  /** An object; anything else is told and taken for an empty one. */
  fields(value: unknown, where: string): Fields {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields
    this.add(where, "not an object")
    return {}
  }

  /** A text that says something. */
  text(value: unknown, where: string): void {
    if (typeof value !== "string") this.add(where, "not a text")
    else if (value.trim() === "") this.add(where, "a blank text")
    else if (!value.isWellFormed()) this.add(where, "half a character")
  }

  /** No field but these: a provider refuses the others. */
  only(value: Fields, allowed: ReadonlyArray<string>, where: string): void {
    for (const key of Object.keys(value)) if (!allowed.includes(key)) this.add(where, `an unknown field ${key}`)
  }

  /** Names and schemas of functions, each name once. */
  tool(name: unknown, schema: unknown, pattern: RegExp, names: Set<string>, where: string): void {
    if (typeof name !== "string" || !pattern.test(name)) this.add(where, `the tool name ${String(name)}`)
    else if (names.has(name)) this.add(where, `two tools are called ${name}`)
    else names.add(name)
    if (this.fields(schema, `${where}.schema`)["type"] !== "object") this.add(where, "the schema is not of an object")
  }

  /** Arguments as providers that keep them as text want them: a JSON object. */
  arguments(value: unknown, where: string): void {
    try {
      const parsed: unknown = JSON.parse(String(value))
      if (typeof value === "string" && typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return
    } catch {
      // Told below.
    }
    this.add(where, "arguments that are not a JSON object")
  }

  base64(value: unknown, where: string): void {
    if (typeof value !== "string" || value === "" || Buffer.from(value, "base64").toString("base64") !== value) {
      this.add(where, "not base64")
    }
  }
}

/** Media types of images that all providers take. */
export const imageTypes = ["image/jpeg", "image/png", "image/gif", "image/webp"]
