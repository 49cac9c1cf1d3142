/**
 * Finds who takes a tool call.
 */
import type { ToolCallPart } from "../services/Entry.js"
import { copy } from "../services/Json.js"
import type { ToolCall } from "../services/Tool.js"
import type { Operation } from "./held.js"
import type { Past } from "./Past.js"
import type { Dispatched } from "./toolCalls.js"
import { skillCall } from "./skillTools.js"
import type { Toolset } from "./toolset.js"
import type { Wanted } from "./wanted.js"

/**
 * Calls that a record stands for get that, or are refused without one, where something is replayed. The others go to the tools, to the task tool, to the result that is wanted, or are refused with what would be right. What
 * a process had started that ended is run again only where that is harmless, and tasks are gone on with.
 */
export const dispatcher =
  (running: Operation, tools: Toolset, wanted: Wanted | undefined, past: Past | undefined) =>
  (call: ToolCallPart): Dispatched<unknown> => {
    const decision = running.replay?.decisionOn(call.id)
    if (wanted?.verdict === undefined && decision !== undefined && decision._tag !== "Own") return decision
    const started = past?.wasStarted(call.id) === true
    if (wanted?.verdict !== undefined) return { _tag: "NotRun" }
    if (wanted?.takes(call) === true) {
      return { _tag: "Handled", deadline: undefined, again: true, started, handle: () => wanted.handle(call) }
    }
    if (call.raw !== undefined) {
      return refused(`The arguments of "${call.name}" are not a JSON object. You sent: ${call.raw.slice(0, maxQuoted)}`)
    }
    if (call.name === "task") {
      const child = past?.taskOf(call.id)
      // A task is bounded by what it runs, not by a time.
      const handle = (context: ToolCall) => running.engine.taskTool.handle(running.ref, call.args, context, child)
      return { _tag: "Handled", deadline: Number.POSITIVE_INFINITY, again: true, started, handle }
    }
    const ofSkills = skillCall(running, call)
    if (ofSkills !== undefined) {
      return { _tag: "Handled", deadline: undefined, again: true, started, handle: () => ofSkills }
    }
    const tool = tools.byName.get(call.name)
    if (started && tool?.effects === undefined) return { _tag: "Unknown" }
    if (tool !== undefined) {
      return {
        _tag: "Handled",
        deadline: tool.deadline,
        again: tool.effects !== undefined,
        started,
        handle: (context) => tool.handle(copy(call.args), context)
      }
    }
    const known = tools.specs.map((spec) => spec.name)
    return refused(
      known.length === 0
        ? `There is no tool "${call.name}", nor any other.`
        : `There is no tool "${call.name}". The tools are: ${known.join(", ")}.`
    )
  }

/** How much of unusable arguments is quoted back, in UTF-16 code units. */
const maxQuoted = 500

const refused = (text: string): Dispatched<never> => ({ _tag: "Refused", text: text.toWellFormed() })
