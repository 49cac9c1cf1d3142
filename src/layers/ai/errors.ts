/**
 * What a provider's refusal means, by its status, its code and its words. No key gets into a message: headers are
 * never told, and what looks like a key in a provider's own words is left out.
 */
import type * as AiError from "@effect/ai/AiError"
import * as Redacted from "effect/Redacted"
import { ContextOverflow, type ModelError, ModelRejected, ModelUnavailable } from "../../services/Errors.js"

/** Who asked, and what must not be told. */
export interface Asked {
  readonly model: string
  readonly secrets: ReadonlyArray<Redacted.Redacted>
}

/** A failure of `@effect/ai` by what can be done about it. */
export const fromAiError = (error: AiError.AiError, asked: Asked): ModelError => {
  switch (error._tag) {
    case "HttpRequestError":
      return error.reason === "Transport"
        ? unavailable(`the connection failed${because(error.cause)}`, asked)
        : rejected(`the request could not be made (${error.reason})`, asked)
    case "HttpResponseError": {
      if (error.reason !== "StatusCode") return unavailable("the reply broke off", asked)
      const { status, headers } = error.response
      const { code, message } = read(error.body)
      const wait = headers["retry-after"]
      const said = message ?? code ?? "no reason given"
      if (overflows.test(said) || code === "context_length_exceeded") return overflow(said, asked)
      return isTransient(status) && !isSpent(code, said)
        ? unavailable(`HTTP ${status}, ${said}${wait === undefined ? "" : ` (retry after ${wait} s)`}`, asked)
        : rejected(said, asked, status)
    }
    case "MalformedInput":
      return rejected(error.description ?? "the request could not be made", asked)
    case "MalformedOutput":
      return unavailable("the reply was malformed", asked)
    case "UnknownError":
      return unavailable(error.description ?? "an unknown error", asked)
  }
}

/** An error that arrived in the middle of a reply. */
export const fromErrorPart = (error: unknown, asked: Asked): ModelError => {
  const { code, message } = read(error)
  const said = message ?? code ?? "the provider ended the reply with an error"
  if (overflows.test(said) || code === "context_length_exceeded") return overflow(said, asked)
  const status = permanent.get(code ?? "")
  return status === undefined ? unavailable(said, asked) : rejected(said, asked, status)
}

/** The model could not answer now. */
export const unavailable = (reason: string, asked: Asked): ModelUnavailable =>
  new ModelUnavailable({ model: asked.model, reason: tell(reason, asked) })

/** The request is refused for good. */
export const rejected = (reason: string, asked: Asked, status?: number): ModelRejected =>
  new ModelRejected({ model: asked.model, reason: tell(reason, asked), status })

const overflow = (reason: string, asked: Asked): ContextOverflow =>
  new ContextOverflow({ model: asked.model, reason: tell(reason, asked) })

const isTransient = (status: number): boolean => status === 408 || status === 409 || status === 429 || status >= 500

/** A spent quota has the status of a rate limit, and does not come back by waiting. */
const isSpent = (code: string | undefined, said: string): boolean =>
  code === "insufficient_quota" || /exceeded your current quota|credit balance is too low/i.test(said)

const overflows =
  /prompt is too long|input is too long|context[ _-]?(length|window)|maximum context|exceeds? the (model's )?context|too many (input )?tokens/i

/** What Anthropic and OpenAI call an error that stays, and the status that it has outside of a stream. */
const permanent: ReadonlyMap<string, number> = new Map([
  ["invalid_request_error", 400],
  ["invalid_prompt", 400],
  ["authentication_error", 401],
  ["billing_error", 402],
  ["permission_error", 403],
  ["not_found_error", 404],
  ["request_too_large", 413],
  ["insufficient_quota", 429]
])

interface Told {
  readonly code: string | undefined
  readonly message: string | undefined
}

/** Finds the code and the words in `{ error: { type, code, message } }` and its relatives, given as value or as text. */
const read = (told: unknown): Told => {
  if (typeof told === "string") {
    try {
      const value: unknown = JSON.parse(told)
      return typeof value === "string" ? { code: undefined, message: value } : read(value)
    } catch {
      return { code: undefined, message: told.trim() === "" ? undefined : told }
    }
  }
  if (typeof told !== "object" || told === null) return { code: undefined, message: undefined }
  if ("error" in told && typeof told.error === "object") return read(told.error)
  const text = (key: string): string | undefined => {
    const value: unknown = (told as Record<string, unknown>)[key]
    return typeof value === "string" && value !== "" ? value : undefined
  }
  return { code: text("code") ?? text("type"), message: text("message") }
}

/** Why a connection failed, without the request: `ECONNREFUSED` and the like. */
const because = (cause: unknown): string => {
  for (let it = cause, depth = 0; typeof it === "object" && it !== null && depth < 5; depth++) {
    if ("code" in it && typeof it.code === "string") return ` (${it.code})`
    it = "cause" in it ? it.cause : undefined
  }
  return ""
}

/** One line of bounded length, without keys and without the full stop that the error's message brings itself. */
const tell = (text: string, asked: Asked): string => {
  let clean = text.replace(/\s+/g, " ").trim()
  for (const secret of asked.secrets) {
    const value = Redacted.value(secret)
    if (value !== "") clean = clean.replaceAll(value, "<redacted>")
  }
  clean = clean.replace(/\b(?:sk|pk|rk|key)-[\w*-]{6,}|\bBearer\s+\S+/g, "<redacted>")
  if (clean.length > longest) clean = `${clean.slice(0, longest)}...`
  return clean.endsWith(".") && !clean.endsWith("...") ? clean.slice(0, -1) : clean
}

/** Characters of a provider's words that a message repeats. */
const longest = 500
