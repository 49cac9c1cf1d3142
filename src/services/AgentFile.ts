/**
 * Agents that stand in files.
 */
import * as Data from "effect/Data"
import { ToolNameConflict, type InvalidInput } from "./Errors.js"

/** A file holds no agent that can be used. */
export class AgentNotUsable extends Data.TaggedError("AgentNotUsable")<{
  /** As it was named. */
  readonly file: string
  /** Where in the agent, for instance `agent.subagents[0].model`; or in the file, for instance `line 3`. */
  readonly at?: string | undefined
  readonly reason: string
  readonly cause?: unknown
}> {
  override get message() {
    const where = this.at === undefined ? "" : `, at ${this.at}`
    return `The agent file ${JSON.stringify(this.file)} cannot be used${where}: ${this.reason}.`
  }
}

/** What is wrong with the agent of a file, by what is wrong with the agent. */
export const ofProblem = (file: string, problem: InvalidInput | ToolNameConflict): AgentNotUsable =>
  problem instanceof ToolNameConflict
    ? new AgentNotUsable({ file, reason: problem.message.replace(/\.$/, "") })
    : new AgentNotUsable({ file, at: problem.path, reason: problem.reason })
