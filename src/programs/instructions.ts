/**
 * The instructions that go with a request.
 */
import type * as Agent from "../services/Agent.js"
import type { Conversation } from "../services/Conversation.js"
import { cleanText } from "../services/Json.js"
import * as Workspace from "../services/Workspace.js"

/** The agent's own, and what the workspace told; they stay as they are until the conversation is compacted. */
export const instructionsOf = (agent: Agent.Any, conversation: Conversation): string => {
  // What was told first may be what is kept from this agent.
  const told = agent.workspace === "off" ? Workspace.instructionsOf(conversation.workspace) : conversation.instructions
  const own = cleanText(agent.instructions)
  return told === "" ? own : own === "" ? told : `${own}\n\n${told}`
}
