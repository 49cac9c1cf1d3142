/**
 * How long a reply may be and how hard the model thinks, as Anthropic puts it.
 */
import type { ModelRequest, Thinking } from "../../services/Model.js"
import { record, text } from "../ai/json.js"

/**
 * Fields of the request's body. Neither adaptive thinking nor `output_config` are among the types of the package.
 *
 * From 4.6 on a model decides by itself how much it thinks, and takes an effort in place of a budget; from 5 on it does
 * so without being asked. `display`: from 4.7 on a thought comes without its text unless one asks for it.
 */
export const settings = (
  model: string,
  request: ModelRequest,
  options: { readonly maxTokens?: number | undefined }
): object => {
  const reply = options.maxTokens ?? 8192
  const most = Math.max(1, Math.floor(request.maxOutput ?? Number.POSITIVE_INFINITY))
  const room = (thoughts: number) => ({ max_tokens: Math.min(reply + thoughts, most) })
  const { thinking } = request
  const version = versionOf(model)
  if (thinking === undefined) return room(version >= 5 ? budgets.high : 0)
  if (thinking === "off") {
    if (version < 5) return room(0)
    return /^claude-(opus|sonnet)-5(?!-\d{1,2}(?!\d))/.test(model)
      ? { ...room(0), thinking: { type: "disabled" } }
      : // The others refuse to be told not to think.
        { ...room(budgets.low), output_config: { effort: "low" } }
  }
  if (version >= 4.06) {
    return {
      ...room(budgets[thinking]),
      thinking: { type: "adaptive", display: "summarized" },
      output_config: { effort: thinking }
    }
  }
  const budget = Math.min(budgets[thinking], most - leastReply)
  return budget < leastBudget || continuesWithoutThinking(request)
    ? room(0)
    : { ...room(budget), thinking: { type: "enabled", budget_tokens: budget } }
}

/** Tokens of thinking. Where the model decides how much it thinks, what a reply may have for it. */
const budgets: Readonly<Record<Exclude<Thinking, "off">, number>> = { low: 2048, medium: 8192, high: 20_480 }

/** The least that Anthropic takes for a budget. */
const leastBudget = 1024

/** What a reply keeps for itself where both have to fit into a limit. */
const leastReply = 1024

/** The version in a model's name, its second number as hundredths; 0 where the name is of another kind. */
const versionOf = (model: string): number => {
  const [, major, minor] = /^claude-[a-z]+-(\d{1,2})(?:-(\d{1,2}))?(?!\d)/.exec(model) ?? []
  return major === undefined ? 0 : Number(major) + Number(minor ?? 0) / 100
}

/**
 * Whether the request goes on after calls that were made without thinking, by another model or at another level: then
 * Anthropic refuses a budget, because the reply that it continues has to begin with a thought.
 */
const continuesWithoutThinking = ({ messages }: ModelRequest): boolean => {
  // Results, and what the user says after an interruption, are one message to Anthropic.
  const results = messages.at(-1)?.role === "user" ? -2 : -1
  if (messages.at(results)?.role !== "tool") return false
  const last = messages.at(results - 1)
  if (last?.role !== "assistant") return false
  const [first] = last.content
  if (first?.type !== "reasoning") return true
  const own = record(record(first.metadata)["anthropic"])
  return text(own["signature"]) === "" && text(own["redactedData"]) === ""
}
