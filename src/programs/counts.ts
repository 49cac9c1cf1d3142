/**
 * Numbers as people read them.
 */
export const number = (n: number): string => Math.round(n).toLocaleString("en-US")

/** So many of something; `more` is its name where they are not one. */
export const plural = (n: number, one: string, more = `${one}s`): string => `${number(n)} ${n === 1 ? one : more}`
