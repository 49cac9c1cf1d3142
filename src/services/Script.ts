/**
 * The language of the scripted model: what it says is chosen by what the history holds, so that the same history
 * always brings the same reply, in whatever process and after whatever restart.
 */
import type * as Effect from "effect/Effect"
import type { Message, ToolResult } from "./Conversation.js"
import { type ModelError, ModelRejected } from "./Errors.js"
import type { ModelEvent, ModelFinish, ModelRequest } from "./Model.js"
import * as Summary from "./Summary.js"
import type { Usage } from "./Usage.js"

/** A call that a turn makes. */
export interface Call {
  readonly name: string
  readonly args: unknown
  /** Default: made of the turn's place in the history. */
  readonly id?: string | undefined
}

/** One reply. */
export interface Turn {
  readonly reasoning?: string | undefined
  readonly text?: string | undefined
  readonly calls?: ReadonlyArray<Call> | undefined
  /** How many characters each delta of the text holds; default: all of them. */
  readonly chunk?: number | undefined
  /** Run before anything is said: a gate, or a delay. */
  readonly before?: Effect.Effect<void> | undefined
  /** Fails after what was said. */
  readonly fail?: ModelError | undefined
  readonly finish?: ModelFinish["reason"] | undefined
  readonly usage?: Usage | undefined
}

/** What a script can see. */
export interface View {
  readonly request: ModelRequest
  /** The last text of the user, not of the engine. Earlier prompts that were never answered stand before it in the same message. */
  readonly prompt: string
  /** How many replies were given since the last user message. */
  readonly step: number
  /** The results of the last reply's calls; none where the last message is the user's. */
  readonly results: ReadonlyArray<ToolResult>
  /** Every result since the last user message. */
  readonly allResults: ReadonlyArray<ToolResult>
}

export type Reply = Turn | string | ((view: View) => Turn | string)

/** The replies to one kind of prompt, one for each step; the last one is repeated. */
export interface Scene {
  readonly matches: (view: View) => boolean
  /** Whether it takes requests for summaries, and no others; default: it takes none. */
  readonly summaries?: boolean | undefined
  readonly turns: ReadonlyArray<Reply>
}

export type Script = ReadonlyArray<Scene>

/** A scene for prompts that hold a text or match an expression, or for views of which something holds. */
export const on = (what: string | RegExp | ((view: View) => boolean), ...turns: ReadonlyArray<Reply>): Scene => ({
  matches:
    typeof what === "function"
      ? what
      : typeof what === "string"
        ? (view) => view.prompt.includes(what)
        : (view) => what.test(view.prompt),
  turns
})

/** A scene for every prompt that no scene before it takes. */
export const always = (...turns: ReadonlyArray<Reply>): Scene => ({ matches: () => true, turns })

/**
 * A scene for requests for a summary of the conversation, whose prompt is a transcript: each has the first reply. Where a
 * script has none, the scripted model writes one that holds the first request.
 */
export const summaries = (reply: Reply): Scene => ({ matches: () => true, summaries: true, turns: [reply] })

/** A turn of calls only. */
export const calls = (...list: ReadonlyArray<Call>): Turn => ({ calls: list })

/** A call. */
export const call = (name: string, args: unknown = {}, id?: string): Call => ({ name, args, id })

/** A call of the task tool. */
export const task = (
  prompt: string,
  options?: { readonly description?: string; readonly agent?: string; readonly cwd?: string }
): Call => ({ name: "task", args: { prompt, ...options } })

/** What a request looks like to a script. */
export const view = (request: ModelRequest): View => {
  const { messages } = request
  let from = messages.length - 1
  while (from >= 0 && textOf(messages[from]) === "") from--
  const since = messages.slice(from + 1)
  const tools = since.flatMap((message) => (message.role === "tool" ? [message.results] : []))
  // A note of the engine may follow the results.
  const last = messages.findLast((message) => message.role !== "user" || textOf(message) !== "")
  return {
    request,
    prompt: textOf(messages[from]),
    step: since.filter((message) => message.role === "assistant").length,
    results: last?.role === "tool" ? (tools.at(-1) ?? []) : [],
    allResults: tools.flat()
  }
}

/** How the reason begins of a prompt that no scene takes. */
export const noScene = "no scene of the script takes the prompt"

/** The reply of a script to a request, or what is wrong where no scene takes it. */
export const choose = (script: Script, request: ModelRequest): Turn | ModelRejected => {
  const seen = view(request)
  const isSummary = Summary.isAsked(request)
  const scene = script.find((it) => (it.summaries ?? false) === isSummary && it.matches(seen))
  if (isSummary && scene === undefined) return { text: summaryOf(seen.prompt) }
  const reply = scene?.turns[Math.min(seen.step, scene.turns.length - 1)]
  if (reply === undefined) {
    const prompt = JSON.stringify(seen.prompt.length > 80 ? `${seen.prompt.slice(0, 80)}…` : seen.prompt)
    return new ModelRejected({ model: request.model, reason: `${noScene} ${prompt}` })
  }
  const turn = typeof reply === "function" ? reply(seen) : reply
  return typeof turn === "string" ? { text: turn } : turn
}

/** A summary of a transcript by its first request. */
const summaryOf = (transcript: string): string => {
  const [, goal = "None."] = /^(?:\[user\]|## Goal\n) ?(.{1,500})/m.exec(transcript) ?? []
  return Summary.headings.map((it) => `## ${it}\n${it === "Goal" ? goal : "None."}`).join("\n")
}

/** The events of a turn; the ids of its calls are told by their place in the history. */
export const eventsOf = (turn: Turn, request: ModelRequest): ReadonlyArray<ModelEvent> => {
  const events: Array<ModelEvent> = []
  if (turn.reasoning !== undefined) {
    events.push({ _tag: "ReasoningDelta", text: turn.reasoning }, { _tag: "ReasoningEnd" })
  }
  if (turn.text !== undefined) {
    const size = turn.chunk ?? turn.text.length
    for (let i = 0; i < turn.text.length; i += size) {
      events.push({ _tag: "TextDelta", text: turn.text.slice(i, i + size) })
    }
  }
  for (const [i, { args, id, name }] of (turn.calls ?? []).entries()) {
    events.push({ _tag: "ToolCall", id: id ?? `call_${request.messages.length}_${i}`, name, args })
  }
  return events
}

/** The end of a turn; usage is estimated at four characters a token where the script gives none. */
export const finishOf = (turn: Turn, request: ModelRequest): ModelFinish => ({
  reason: turn.finish ?? (turn.calls !== undefined && turn.calls.length > 0 ? "tool-calls" : "stop"),
  usage: turn.usage ?? {
    input: Math.ceil(request.messages.reduce((sum, message) => sum + sizeOf(message), 0) / 4),
    output: Math.ceil(((turn.text?.length ?? 0) + (turn.reasoning?.length ?? 0) + callsSize(turn)) / 4),
    cacheRead: 0,
    cacheWrite: 0,
    reasoning: Math.ceil((turn.reasoning?.length ?? 0) / 4)
  }
})

const callsSize = (turn: Turn): number =>
  (turn.calls ?? []).reduce((sum, { args, name }) => sum + name.length + JSON.stringify(args).length, 0)

const sizeOf = (message: Message): number =>
  message.role === "tool"
    ? message.results.reduce((sum, result) => sum + result.text.length, 0)
    : message.content.reduce(
        (sum: number, part) => sum + ("text" in part ? part.text.length : "args" in part ? 40 : 0),
        0
      )

const textOf = (message: Message | undefined): string => {
  const last =
    message?.role === "user"
      ? message.content.findLast((part) => part.type === "text" && part.note === undefined)
      : undefined
  return last?.type === "text" ? last.text : ""
}
