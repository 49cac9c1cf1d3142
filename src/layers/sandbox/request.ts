/**
 * What every sandbox makes of a request to run a command.
 */
import type { ExecRequest } from "../../services/Sandbox.js"

/** The most bytes kept of each output of a command where the request does not say, and the most it can ask for. */
export const outputLimits = { default: 1024 * 1024, max: 64 * 1024 * 1024 }

/** What no shell would take. Told here, since an operating system's own message would repeat a variable's value. */
export const faultOf = ({ command, env = {} }: ExecRequest): string | undefined => {
  if (typeof command !== "string") return "it is not a text"
  if (command.includes("\0")) return "it has a NUL character"
  for (const [name, value] of Object.entries(env)) {
    if (name === "" || name.includes("=") || name.includes("\0")) return "a variable's name is empty or has = or NUL"
    if (typeof value !== "string") return `the value of the variable ${name} is not a text`
    if (value.includes("\0")) return `the value of the variable ${name} has a NUL character`
  }
  return undefined
}

/** In milliseconds: below 1 it counts as 1, over 2^31 - 1 as that, and what is no number as none. */
export const timeoutOf = ({ timeout }: ExecRequest): number | undefined =>
  typeof timeout !== "number" || Number.isNaN(timeout) ? undefined : clamp(timeout, 1, 2 ** 31 - 1, 1)

/** In bytes, of each output. */
export const maxOutputOf = ({ maxOutput }: ExecRequest): number =>
  clamp(maxOutput ?? outputLimits.default, 0, outputLimits.max, outputLimits.default)

export const clamp = (value: number, min: number, max: number, whenNaN: number): number =>
  Number.isNaN(value) ? whenNaN : Math.min(max, Math.max(min, Math.trunc(value)))
