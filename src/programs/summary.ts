/**
 * Asks a model for the summary of a transcript.
 */
import * as Effect from "effect/Effect"
import type { Call } from "../services/History.js"
import { cleanText } from "../services/Json.js"
import type { ModelFinish, ModelInfo } from "../services/Model.js"
import * as Summary from "../services/Summary.js"
import { type AttemptError, attempts, type Line } from "./attempts.js"
import { charsPerToken, textTokens } from "./estimate.js"
import type { Operation } from "./held.js"
import { harmless } from "./material.js"

/** What is to be summarised, and how. */
export interface Material {
  /** The summary of what lay before, which is to be brought up to date. */
  readonly earlier: string | undefined
  readonly transcript: ReadonlyArray<string>
  /** What it is to heed, besides what goes for all. */
  readonly hints: ReadonlyArray<string>
  /** The longest summary, in tokens. */
  readonly most: number
  /** Tokens that a token of the estimate may stand for. */
  readonly scale: number
}

/** A summary and the model that wrote the last of it; or why it is none. */
export type Summarised =
  | { readonly _tag: "Summary"; readonly text: string; readonly model: string }
  | { readonly _tag: "Useless"; readonly reason: string; readonly model: string }

/**
 * A summary of a transcript. One that does not fit into the model's window is summarised piece by piece, each of which
 * brings the summary of those before it up to date; a piece that the model refuses as too long is cut in half. A text
 * that is no summary is asked for once more, with what is wrong with it.
 */
export const summarise = (running: Operation, call: Call, it: Material): Effect.Effect<Summarised, AttemptError> => {
  const line: Line & { call: Call } = { call }
  const system = [Summary.instructions, ...it.hints.map((hint) => cleanText(hint.trim())).filter((hint) => hint !== "")]
  const instructions = system.join("\n\n")
  const cap = it.most * charsPerToken * 2

  /** The longest answer, in tokens. */
  const longest = (): number => {
    const info = running.engine.model.info?.(line.call.model)
    return Math.min(it.most + thoughtsOf(info), info?.maxOutput ?? Number.POSITIVE_INFINITY)
  }

  /** `length` is that of all that the summary will stand for. */
  const ask = (earlier: string | undefined, piece: string, length: number, flaw: string | undefined) => {
    const text = requestOf(earlier, piece, it.most, flaw)
    const messages = [{ role: "user" as const, content: [{ type: "text" as const, text }] }]
    const request = { thinking: line.call.thinking, instructions, messages, tools: [], maxOutput: longest() }
    return attempts(running, line, request, true, (model, { finish, reply }): Said => {
      const said = cleanText(unwrapped(reply.said))
      const flaw = flawOf(said, finish, length)
      return { model, flaw, text: said.length > cap ? `${said.slice(0, cap).toWellFormed()}\n[… cut …]` : said }
    })
  }

  /** What fits into one request, in UTF-16 code units; without end where the window is not known. */
  const room = (earlier: string | undefined): number => {
    const window = running.engine.model.info?.(line.call.model)?.contextWindow
    if (window === undefined) return Number.POSITIVE_INFINITY
    const rest = window - longest() - (textTokens(instructions) + textTokens(earlier ?? "") + frameTokens) * it.scale
    return Math.max(leastPiece, Math.floor((rest * charsPerToken * fill) / it.scale))
  }

  const go = (
    earlier: string | undefined,
    left: ReadonlyArray<string>,
    most: number,
    before: number
  ): Effect.Effect<Summarised, AttemptError> => {
    const { piece, rest } = pieceOf(left, Math.min(most, room(earlier)))
    const length = before + piece.length
    const next = ({ flaw, model, text }: Said): Effect.Effect<Summarised, AttemptError> => {
      if (flaw !== undefined) return Effect.succeed({ _tag: "Useless", reason: flaw, model })
      return rest.length === 0 ? Effect.succeed({ _tag: "Summary", text, model }) : go(text, rest, most, length)
    }
    const asked = Effect.flatMap(ask(earlier, piece, length, undefined), (said) =>
      said.flaw === undefined ? Effect.succeed(said) : ask(earlier, piece, length, said.flaw)
    )
    // What becomes of the pieces after it is no reason to ask about this one again.
    return Effect.matchEffect(asked, {
      onFailure: (error) =>
        error._tag === "ContextOverflow" && piece.length > leastPiece
          ? go(earlier, left, Math.ceil(piece.length / 2), before)
          : Effect.fail(error),
      onSuccess: next
    })
  }

  return go(it.earlier, it.transcript, Number.POSITIVE_INFINITY, it.earlier?.length ?? 0)
}

interface Said {
  readonly text: string
  readonly model: string
  readonly flaw: string | undefined
}

/**
 * Tokens that an answer may have besides the summary: many models think before they write, also where nobody asks them
 * to, and what they are allowed is for both. None where the window is not known: there may be no room for them.
 */
const thoughtsOf = (info: ModelInfo | undefined): number =>
  Math.floor(Math.min(mostThoughts, (info?.contextWindow ?? 0) / 8))

/** The most of those: what hard thinking is given at the providers. */
const mostThoughts = 20_480

/** The shortest piece of a transcript that is asked about by itself, in UTF-16 code units. */
const leastPiece = 4_000

/** Tokens of what stands around a transcript. */
const frameTokens = 200

/** How much of a window is filled: an estimate may be short of something. */
const fill = 0.9

/** As many texts as fit, at least one of them or the beginning of one. */
const pieceOf = (
  texts: ReadonlyArray<string>,
  most: number
): { readonly piece: string; readonly rest: ReadonlyArray<string> } => {
  const [first = "", ...others] = texts
  if (first.length > most) {
    const head = first.slice(0, most)
    return { piece: head.toWellFormed(), rest: [first.slice(most).toWellFormed(), ...others] }
  }
  let n = 1
  let length = first.length
  while (n < texts.length && length + 2 + texts[n]!.length <= most) length += 2 + texts[n++]!.length
  return { piece: texts.slice(0, n).join("\n\n"), rest: texts.slice(n) }
}

const requestOf = (earlier: string | undefined, piece: string, most: number, flaw: string | undefined): string => {
  const { earlierTag, transcriptTag } = Summary
  const parts = [
    ...(earlier === undefined ? [] : [`<${earlierTag}>\n${harmless(earlier)}\n</${earlierTag}>`]),
    `<${transcriptTag}>\n${piece}\n</${transcriptTag}>`,
    earlier === undefined
      ? "Summarise the transcript."
      : "The earlier summary stands for what came before the transcript. Give it brought up to date with the transcript: keep what still holds, change what has changed.",
    `Use at most ${Math.floor(most / 2)} words.`
  ]
  if (flaw !== undefined) parts.push(`Your last answer could not be used: ${flaw}.`)
  return parts.join("\n\n")
}

/** What is wrong with a text as the summary of something of a length, if anything. */
const flawOf = (text: string, finish: ModelFinish["reason"], length: number): string | undefined => {
  if (finish === "content-filter") return "the model's provider withheld the summary"
  if (text === "") return "the summary was empty"
  if (finish === "length") return "the summary was cut at its greatest length"
  const missing = Summary.missing(text)
  if (missing.length > 0) return `the summary lacks the headings ${missing.map((it) => `"${it}"`).join(", ")}`
  return text.length >= length ? "the summary is longer than what it stands for" : undefined
}

/** A text without the fence that some models put around it. */
const unwrapped = (said: string): string => {
  const text = said.trim()
  const fenced = /^```(?:markdown|md)?\n([\s\S]*)\n```$/.exec(text)
  return (fenced?.[1] ?? text).trim()
}
