/**
 * How large a conversation may become, and where it is cut when the older part of it is summarised.
 */
import { type Conversation, isOwn, type Message } from "../services/Conversation.js"
import type { ModelInfo } from "../services/Model.js"
import { messagesTokens } from "./estimate.js"

/** The figures of a model's window, in tokens. */
export interface Figures {
  readonly window: number
  /** Kept free for the reply, and for what an estimate is short of. */
  readonly reserve: number
  /** A request that is larger has its older part summarised first. */
  readonly threshold: number
  /** The most of the newest messages that stay as they are. */
  readonly keep: number
  /** The longest summary. */
  readonly summary: number
  /** So much has to be new since the last compaction before the next one. */
  readonly spacing: number
}

/** The most that is kept free, the most that stays, and what has to be new between two compactions, in tokens. */
const most = { reserve: 20_000, keep: 8_000, spacing: 8_000, summary: 4_096 }

/** The least that is kept free, and what a summary takes in a small window, in tokens. */
const least = { reserve: 1_024, summary: 1_500 }

/** The figures where the window is known; chosen so that what a compaction leaves has room for `spacing` new tokens. */
export const figuresOf = (info: ModelInfo | undefined): Figures | undefined => {
  const window = info?.contextWindow
  if (window === undefined) return undefined
  const maxOutput = info?.maxOutput ?? Number.POSITIVE_INFINITY
  const reserve = Math.floor(Math.min(most.reserve, maxOutput, window / 2, Math.max(least.reserve, window / 3)))
  const threshold = window - reserve
  const spacing = Math.floor(Math.min(most.spacing, window / 2))
  const keep = Math.floor(Math.min(most.keep, Math.max(threshold / 8, threshold - most.spacing - least.summary)))
  const room = Math.max(threshold / 8, threshold - spacing - keep)
  return { window, reserve, threshold, keep, summary: Math.floor(Math.min(most.summary, maxOutput, room)), spacing }
}

/** What stays where the window is not known: no more than half of what there is. */
export const keepOf = (tokens: number): number => Math.floor(Math.min(most.keep, tokens / 2))

/** The longest summary where the window is not known. */
export const summaryOf = (maxOutput: number | undefined): number => Math.min(most.summary, maxOutput ?? most.summary)

/** Where a conversation is cut: the messages before `at` are summarised. */
export interface Cut {
  readonly at: number
  /** The entry that began the first message that stays. */
  readonly firstKept: number | null
}

/**
 * The longest tail of at most `keep` tokens that begins with a user's or an assistant's message: results are not parted
 * from their calls. Where there is none, the last reply and what follows it, if that has at most `turn` tokens; nothing
 * otherwise. `undefined` where nothing lies before it that could be summarised: neither a summary is summarised by
 * itself, nor what the user said last, which stays as it is anyway.
 *
 * A token of the estimate counts as `scale`.
 */
export const cutOf = (conversation: Conversation, keep: number, turn: number, scale: number): Cut | undefined => {
  const messages = conversation.messages()
  const starts = conversation.starts()
  let at = messages.length
  for (let i = messages.length - 1, tokens = 0; i >= 0; i--) {
    tokens += messagesTokens([messages[i]!]) * scale
    if (tokens > keep) break
    if (starts[i]! > 0) at = i
  }
  if (at === messages.length) {
    const last = messages.findLastIndex((message) => message.role === "assistant")
    if (last >= 0 && messagesTokens(messages.slice(last)) * scale <= turn) at = last
  }
  const older = withoutSummary(conversation, messages.slice(0, at))
  const own: ReadonlySet<unknown> = new Set(conversation.request)
  const isSaid = (message: Message) =>
    message.role === "user" ? message.content.some((part) => !own.has(part) && isOwn(part)) : true
  return older.some(isSaid) ? { at, firstKept: at === messages.length ? null : starts[at]! } : undefined
}

/** The first messages of a conversation without the summary that they begin with. */
export const withoutSummary = (
  { compacted }: Conversation,
  messages: ReadonlyArray<Message>
): ReadonlyArray<Message> => {
  const [first, ...rest] = messages
  if (compacted === undefined || first?.role !== "user") return messages
  return first.content.length === 1 ? rest : [{ role: "user", content: first.content.slice(1) }, ...rest]
}
