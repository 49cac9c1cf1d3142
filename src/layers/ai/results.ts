/**
 * What tools gave, to the letter.
 */

/**
 * The text of a result as a package has put it. `@effect/ai-anthropic` and `@effect/ai-openai` send every result as
 * JSON, so that a text comes in quotes and its lines as `\n`: that makes a file longer and harder to read for a model.
 */
export const unquoted = (content: unknown): unknown => {
  if (typeof content !== "string" || !content.startsWith('"')) return content
  const value: unknown = JSON.parse(content)
  return typeof value === "string" ? value : content
}
