/**
 * What the providers' documentation asks of a request, as functions that say what is wrong with a body.
 */
export { anthropicProblems, type Signed } from "./rules/anthropic.js"
export { chatProblems } from "./rules/chat.js"
export { type Items, responsesProblems } from "./rules/responses.js"
