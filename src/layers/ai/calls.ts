/**
 * Calls that no package can trip over.
 *
 * `@effect/ai` fails the whole stream, with the figures and the calls that were still to come, where a call names a tool
 * that was not given; the packages of the providers fail it where arguments are not JSON, are cut, or hold a key such
 * as `__proto__`. So each call goes through them as a call of one tool that they know, with the real name and the
 * arguments' text inside, and is taken apart on the other side.
 */
import * as Tool from "@effect/ai/Tool"
import { isRecord, text } from "./json.js"

/** The tool in whose name calls go through. It is never sent to a provider. */
export const wrapper = "baton_call"

/** The arguments of `wrapper`: the call as it was, as JSON. */
export const wrap = (name: string, args: string): string => JSON.stringify({ name, args })

export interface Call {
  readonly name: string
  /** The arguments' text. */
  readonly args: string
}

/** The call within a call of `wrapper`. */
export const unwrap = (params: unknown): Call | undefined =>
  isRecord(params) ? { name: text(params["name"]), args: text(params["args"]) } : undefined

/** The arguments of a call: parsed JSON, or the text that is none. No arguments are an empty object. */
export const argsOf = (args: string): { readonly args: unknown; readonly raw?: string } => {
  if (args.trim() === "") return { args: {} }
  try {
    return { args: Tool.unsafeSecureJsonParse(args) }
  } catch {
    return { args: {}, raw: args }
  }
}
