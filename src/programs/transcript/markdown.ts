/**
 * Texts of anybody as parts of a Markdown page that they cannot change the structure of.
 */
import { clean, oneLine } from "../tree.js"

/** A short text in a line: as code, in which nothing means anything. */
export const code = (text: string): string => {
  const line = oneLine(text)
  if (line === "") return "(none)"
  const fence = "`".repeat(longestRun(line) + 1)
  const pad = line.startsWith("`") || line.endsWith("`") ? " " : ""
  return fence + pad + line + pad + fence
}

/** A text as a block of code, behind a fence that it cannot end. */
export const block = (text: string, kind: string): ReadonlyArray<string> => {
  const body = clean(text)
  const fence = "`".repeat(Math.max(3, longestRun(body) + 1))
  return [fence + kind, ...body.replace(/\n+$/, "").split("\n"), fence]
}

const longestRun = (text: string): number => {
  let most = 0
  for (const [run] of text.matchAll(/`+/g)) most = Math.max(most, run.length)
  return most
}

/**
 * Words as Markdown, as they were written, in a quotation: what they open ends with it. Where HTML or an image would
 * begin outside of a block of code it is text; links stay.
 */
export const quote = (text: string): ReadonlyArray<string> => {
  let fence: { readonly of: string; readonly length: number } | undefined
  return clean(text)
    .trimEnd()
    .split("\n")
    .map((line) => {
      if (fence !== undefined) {
        const [, end = ""] = /^ {0,3}(`{3,}|~{3,}) *$/.exec(line) ?? []
        if (end.startsWith(fence.of) && end.length >= fence.length) fence = undefined
        return quoted(line)
      }
      // What begins a line begins a block of the quotation itself: one in a list ends with the list. Behind spaces it may
      // be either, and another fence then ends or begins one: there it is made to begin the line.
      const start = line.replace(/^ {1,3}/, "")
      const [, opened] = /^(`{3,})[^`]*$/.exec(start) ?? /^(~{3,})/.exec(start) ?? []
      if (opened !== undefined) fence = { of: opened[0]!, length: opened.length }
      return quoted(opened === undefined ? inert(line) : start)
    })
}

/** Lines one quotation deeper. */
export const quoted = (line: string): string => (line === "" ? ">" : `> ${line}`)

const inert = (line: string): string => line.replace(/<(?=[A-Za-z/!?])/g, "&lt;").replace(/!\[/g, "!\\[")
