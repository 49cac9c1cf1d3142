/**
 * A scenario that uses everything that recovery has to deal with, and what must hold after any cut of it.
 */
import { Effect, Schema } from "effect"
import { Agent, Conversation, type Entry, Script, Tool } from "effect-baton"
import { Messages } from "effect-baton/testing"

/** What tools did, outside of any store: one line for each run of a call. */
export interface Effected {
  readonly tool: string
  readonly key: string
}

/** Agents and scripts whose tools write down what they do. */
export const scenario = <E>(effected: (it: Effected) => Effect.Effect<void, E>) => {
  const tool = (name: string, effects?: Tool.Effects) =>
    Tool.make(name, {
      description: name,
      effects,
      run: (_, { key }) => Effect.as(effected({ tool: name, key }), `${name} done`)
    })
  const digger = Agent.make("digger", { tools: [tool("dig"), tool("survey", "pure")], delegate: "off" })
  const counter = Agent.make("counter", {
    tools: [tool("weigh")],
    delegate: "off",
    resultSchema: Schema.Struct({ count: Schema.Number })
  })
  const nested = Agent.make("nested", { tools: [tool("hold")], subagents: [digger], delegate: "off" })
  const agent = Agent.make("lead", {
    tools: [tool("plain"), tool("look", "pure"), tool("pay", "idempotent"), tool("hold")],
    subagents: [digger, counter, nested],
    delegate: "off"
  })
  const dig = { agent: "digger" }
  const script = [
    Script.on(
      "go",
      Script.calls(Script.call("plain"), Script.call("look"), Script.call("pay"), Script.call("unknown")),
      { text: "half way", calls: [Script.task("dig here", dig), Script.task("dig there", dig), Script.call("plain")] },
      Script.calls(Script.task("count", { agent: "counter" }), Script.task("deep", { agent: "nested" })),
      "gone"
    ),
    Script.on("dig", Script.calls(Script.call("dig"), Script.call("survey")), "dug"),
    Script.on("count", Script.calls(Script.call("weigh")), Script.calls(Script.call("finish", { count: 3 }))),
    Script.on(/^deep/, Script.calls(Script.task("dig deep", dig), Script.call("hold")), "deep down"),
    Script.on("answer", Script.calls(Script.call("plain")), Script.calls(Script.call("finish", { answer: 42 }))),
    Script.always("ok")
  ]
  return { agent, script }
}

/** What the tools may not do twice. */
export const onlyOnce: ReadonlySet<string> = new Set(["plain", "dig", "weigh", "hold"])

type Kept = ReadonlyMap<
  string,
  { readonly entries: ReadonlyArray<Entry.Entry>; readonly row: { readonly running: unknown } }
>

/** What is wrong with what a store holds at rest; empty where everything is as it must be. */
export const problems = (kept: Kept): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  for (const [id, { entries, row }] of kept) {
    if (row.running !== null) wrong.push(`${id}: an operation is unfinished`)
    entries.forEach((entry, i) => {
      if (entry.id !== i + 1) wrong.push(`${id}: entry ${i + 1} is numbered ${entry.id}`)
    })
    let running: string | undefined
    const calls = new Map<string, number>()
    const links = new Map<string, number>()
    const started = new Set<string>()
    for (const [i, entry] of entries.entries()) {
      // An operation that goes back begins with that.
      const next = entries[i + 1]
      const goesBack = entry._tag === "HeadMoved" && next?._tag === "OperationStarted"
      if (goesBack && running === undefined && next.operationId === entry.operationId) continue
      if ((entry._tag === "HeadMoved" || entry._tag === "Label") && running === undefined) continue
      if (entry._tag === "OperationStarted") {
        if (running !== undefined) wrong.push(`${id}: ${entry.operationId} started within ${running}`)
        running = entry.operationId
      } else if (entry.operationId !== running) wrong.push(`${id}: entry ${entry.id} belongs to nothing that runs`)
      else if (entry._tag === "OperationSettled") running = undefined
      else if (entry._tag === "Assistant") {
        for (const part of entry.content) if (part.type === "tool-call") calls.set(part.id, 0)
      } else if (entry._tag === "ToolStarted") {
        if (started.has(entry.callId)) wrong.push(`${id}: call ${entry.callId} was started twice`)
        started.add(entry.callId)
      } else if (entry._tag === "ToolSettled") calls.set(entry.callId, (calls.get(entry.callId) ?? 9) + 1)
      else if (entry._tag === "TaskLink") links.set(entry.taskId, 0)
      else if (entry._tag === "TaskSettled") links.set(entry.taskId, (links.get(entry.taskId) ?? 9) + 1)
    }
    if (running !== undefined) wrong.push(`${id}: ${running} has no end`)
    for (const [call, ends] of calls) if (ends !== 1) wrong.push(`${id}: call ${call} has ${ends} ends`)
    for (const [task, ends] of links) if (ends !== 1) wrong.push(`${id}: task ${task} has ${ends} ends`)
    for (const problem of Messages.problems(messagesOf(entries))) wrong.push(`${id}: ${problem}`)
  }
  return wrong
}

/** What a model would be sent: its head may have been moved to anywhere. */
const messagesOf = (entries: ReadonlyArray<Entry.Entry>) =>
  Conversation.Conversation.at(entries, entries.length === 0 ? null : entries.length).messages()

/** Runs of calls that were made twice and may not be. */
export const doubled = (runs: ReadonlyArray<Effected>): ReadonlyArray<string> => {
  const seen = new Set<string>()
  const twice: Array<string> = []
  for (const { key, tool } of runs) {
    if (onlyOnce.has(tool) && seen.has(key)) twice.push(`${tool} ${key}`)
    seen.add(key)
  }
  return twice
}
