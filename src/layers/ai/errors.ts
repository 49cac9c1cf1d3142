/**
 * What a provider's refusal means, by its status, its code and its words. No key gets into a message: headers are
 * never told, and what looks like a key in a provider's own words is left out.
 */
import type * as AiError from "@effect/ai/AiError"
import * as Redacted from "effect/Redacted"
import { ContextOverflow, type ModelError, ModelRejected, ModelUnavailable } from "../../services/Errors.js"
import { isRecord, text } from "./json.js"

/** Who asked, and what must not be told. */
export interface Asked {
  readonly model: string
  readonly secrets: ReadonlyArray<Redacted.Redacted>
}

/** A failure of `@effect/ai` by what can be done about it. `now`, in milliseconds, is what a date is measured against. */
export const fromAiError = (error: AiError.AiError, asked: Asked, now: number): ModelError => {
  switch (error._tag) {
    case "HttpRequestError":
      return error.reason === "Transport"
        ? unavailable(`the connection failed${because(error.cause)}`, asked)
        : rejected(`the request could not be made (${error.reason})`, asked)
    case "HttpResponseError": {
      if (error.reason !== "StatusCode") return unavailable("the reply broke off", asked)
      const { status, headers } = error.response
      const { code, message } = read(error.body)
      const said = message ?? code ?? "no reason given"
      // Too many tokens at once are no overflow.
      if (status !== 429 && isOverflow(code, said)) return overflow(said, asked)
      return isTransient(status) && !isSpent(code, said)
        ? unavailable(`HTTP ${status}, ${said}`, asked, retryAfter(headers, now))
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
  const { code, message, type } = read(error)
  const said = message ?? code ?? "the provider ended the reply with an error"
  if (isOverflow(code, said)) return overflow(said, asked)
  const known = statusOf(code) ?? statusOf(type)
  const status = isSpent(code, said) ? (known ?? 429) : known
  return status === undefined || (isTransient(status) && !isSpent(code, said))
    ? unavailable(said, asked)
    : rejected(said, asked, status)
}

/** The model could not answer now. `after` is in milliseconds. */
export const unavailable = (reason: string, asked: Asked, after?: number): ModelUnavailable =>
  new ModelUnavailable({
    model: asked.model,
    reason: tell(reason, asked),
    ...(after === undefined ? undefined : { retryAfter: after })
  })

/** The request is refused for good. */
export const rejected = (reason: string, asked: Asked, status?: number): ModelRejected =>
  new ModelRejected({ model: asked.model, reason: tell(reason, asked), status })

const overflow = (reason: string, asked: Asked): ContextOverflow =>
  new ContextOverflow({ model: asked.model, reason: tell(reason, asked) })

/**
 * How long a provider asks to wait, in milliseconds: `retry-after-ms`, or `retry-after` in seconds or as a date, which
 * is measured against the provider's own clock where it tells the time.
 */
const retryAfter = (headers: Readonly<Record<string, unknown>>, now: number): number | undefined => {
  const header = (name: string) => text(headers[name]).trim()
  const ms = header("retry-after-ms")
  if (isNumber(ms)) return Number(ms)
  const wait = header("retry-after")
  if (isNumber(wait)) return Number(wait) * 1000
  // A date has a time of day: a lone number would be taken for a year.
  const at = wait.includes(":") ? Date.parse(wait) : Number.NaN
  const sent = Date.parse(header("date"))
  return Number.isNaN(at) ? undefined : Math.max(0, at - (Number.isNaN(sent) ? now : sent))
}

const isNumber = (value: string): boolean => /^\d+(\.\d+)?$/.test(value)

const isOverflow = (code: string | undefined, said: string): boolean =>
  code === "context_length_exceeded" || overflows.test(said)

const isTransient = (status: number): boolean => status === 408 || status === 409 || status === 429 || status >= 500

/** A spent quota has the status of a rate limit, and does not come back by waiting. */
const isSpent = (code: string | undefined, said: string): boolean =>
  code === "insufficient_quota" || /exceeded your current quota|credit balance is too low/i.test(said)

const overflows =
  /prompt is too long|input is too long|context[ _-]?(length|window|size|limit)|maximum context|exceeds? the (model's )?context|too many (input )?tokens|input token count|input tokens exceed|maximum (prompt|model) length|length of all messages is too long/i

/** The status that an error would have outside of a stream. OpenRouter tells that of the provider behind it as code. */
const statusOf = (code: string | undefined): number | undefined =>
  code !== undefined && /^[3-5]\d\d$/.test(code) ? Number(code) : permanent.get(code ?? "")

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
  /** The kind of error, where it is told beside the code. */
  readonly type?: string | undefined
  readonly message: string | undefined
}

/** Finds the code and the words in `{ error: { type, code, message } }` and its relatives, given as value or as text. */
const read = (told: unknown): Told => {
  if (typeof told === "string") {
    try {
      const value: unknown = JSON.parse(told)
      return typeof value === "string" ? inWords(value) : read(value)
    } catch {
      return inWords(told)
    }
  }
  if (!isRecord(told)) return { code: undefined, message: undefined }
  if (typeof told["error"] === "object" || typeof told["error"] === "string") return read(told["error"])
  const of = (key: string): string | undefined => {
    const value = told[key]
    return typeof value === "number" ? `${value}` : text(value) === "" ? undefined : text(value)
  }
  return { code: of("code") ?? of("type"), type: of("type"), message: of("message") ?? of("detail") }
}

/** A text, where there is one; of an HTML page, which is what a gateway answers with, the title. */
const inWords = (body: string): Told => {
  const message = body.trim()
  if (message === "") return { code: undefined, message: undefined }
  if (!/^<(!doctype|html|head|body|\?xml)/i.test(message)) return { code: undefined, message }
  const title = /<title[^>]*>([^<]{1,100})</i.exec(message)?.[1]?.trim()
  return {
    code: undefined,
    message: title === undefined || title === "" ? "an HTML page" : `an HTML page, "${title}"`
  }
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
  let clean = withoutKeys(text.replace(/\s+/g, " ").trim(), asked.secrets)
  if (clean.length > longest) clean = `${clean.slice(0, longest)}...`
  return clean.endsWith(".") && !clean.endsWith("...") ? clean.slice(0, -1) : clean
}

/** A text without the secrets and without what looks like a key. */
export const withoutKeys = (text: string, secrets: ReadonlyArray<Redacted.Redacted>): string => {
  let clean = text
  for (const secret of secrets) {
    const value = Redacted.value(secret)
    if (value !== "") clean = clean.replaceAll(value, "<redacted>")
  }
  return clean.replace(/\b(?:sk|pk|rk|key)-[\w*-]{6,}|\bBearer\s+[^\s"]+/g, "<redacted>")
}

/** Characters of a provider's words that a message repeats. */
const longest = 500
