/**
 * Looking into values that a provider sent.
 */

export type Fields = Readonly<Record<string, unknown>>

export const isRecord = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The value where it is an object, otherwise an empty one. */
export const record = (value: unknown): Fields => (isRecord(value) ? value : {})

/** The value where it is a text, otherwise an empty one. */
export const text = (value: unknown): string => (typeof value === "string" ? value : "")
