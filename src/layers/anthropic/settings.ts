/**
 * How long a reply may be and how hard the model thinks, as Anthropic puts it.
 */
import type { ModelRequest, Thinking } from "../../services/Model.js"
import { record, text } from "../ai/json.js"

/** Fields of the request's body. `output_config` and adaptive thinking are not among the types of the package. */
export const settings = (
  model: string,
  request: ModelRequest,
  options: { readonly maxTokens?: number | undefined }
): object => {
  const reply = options.maxTokens ?? 8192
  const most = request.maxOutput ?? Number.POSITIVE_INFINITY
  const { thinking } = request
  const none = { max_tokens: Math.min(reply, most) }
  if (thinking === undefined || thinking === "off") return none
  if (isAdaptive(model)) {
    return {
      max_tokens: Math.min(reply + budgets[thinking], most),
      thinking: { type: "adaptive" },
      output_config: { effort: thinking }
    }
  }
  const budget = Math.min(budgets[thinking], most - leastReply)
  return budget < leastBudget || continuesWithoutThinking(request)
    ? none
    : {
        max_tokens: Math.min(reply + budget, most),
        thinking: { type: "enabled", budget_tokens: budget }
      }
}

/** Tokens of thinking. Where the model decides how much it thinks, what a reply may have for it. */
const budgets: Readonly<Record<Exclude<Thinking, "off">, number>> = { low: 2048, medium: 8192, high: 20_480 }

/** The least that Anthropic takes for a budget. */
const leastBudget = 1024

/** What a reply keeps for itself where both have to fit into a limit. */
const leastReply = 1024

/** From 4.6 on a model decides by itself how much it thinks, and takes an effort in place of a budget. */
const isAdaptive = (model: string): boolean => {
  const [, major, minor] = /^claude-[a-z]+-(\d{1,2})(?:-(\d{1,2}))?(?!\d)/.exec(model) ?? []
  return major !== undefined && Number(major) + Number(minor ?? 0) / 100 >= 4.06
}

/**
 * Whether the request goes on after calls that were made without thinking, by another model or at another level: then
 * Anthropic refuses a budget, because the reply that it continues has to begin with a thought.
 */
const continuesWithoutThinking = ({ messages }: ModelRequest): boolean => {
  if (messages.at(-1)?.role !== "tool") return false
  const last = messages.at(-2)
  if (last?.role !== "assistant") return false
  const [first] = last.content
  if (first?.type !== "reasoning") return true
  const own = record(record(first.metadata)["anthropic"])
  return text(own["signature"]) === "" && text(own["redactedData"]) === ""
}
