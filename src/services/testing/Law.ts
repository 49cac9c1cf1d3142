/**
 * The laws that hold for every agent, by name, and those of them that can be read off an outcome.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Exit from "effect/Exit"
import { fold } from "../Conversation.js"
import type { Entry } from "../Entry.js"
import { ModelRejected } from "../Errors.js"
import { noScene } from "../Script.js"
import { unpaired } from "./EventPairs.js"
import { problems } from "./Messages.js"
import type { Outcome } from "./Outcome.js"

/** Each law in a sentence. */
export const laws = {
  opens: "the agent's session opens",
  ends: "a prompt ends",
  scripted: "the script takes every prompt",
  defects: "nothing dies of a defect",
  free: "the session is free afterwards",
  valid: "a history, cut after any entry, is one that a provider accepts",
  settled: "every call is settled exactly once",
  paired: "every start has exactly one end, before the end of what it is part of",
  deadline: "every tool ends before its deadline",
  invariant: "the agent's own invariant holds",
  next: "the next prompt works",
  left: "no fiber is left behind",
  crash: "after a crash at any write the next prompt works"
} as const

export type Law = keyof typeof laws

/** A law that a run did not keep, and what was seen. */
export interface Breach {
  readonly law: Law
  readonly detail: string
}

/** Where and how a law was broken. */
export interface LawBrokenFields {
  readonly law: Law
  /** What was seen. */
  readonly detail: string
  readonly seed: number
  /** The step at which the prompt was interrupted, if it was. */
  readonly step: number | undefined
  /** The number of writes after which the process crashed, if it did. */
  readonly crash: number | undefined
  /** What the run came to, where it came to an end. */
  readonly outcome: Outcome | undefined
}

/** A law does not hold for an agent. `seed`, `step` and `crash` are what `Laws.replay` needs to show it again. */
export class LawBroken extends Data.TaggedError("LawBroken")<LawBrokenFields> {
  constructor(fields: LawBrokenFields) {
    super(fields)
    // A test runner that prints the error's fields would print the whole run.
    Object.defineProperty(this, "outcome", { value: fields.outcome, enumerable: false })
  }

  override get message() {
    const where = [`seed ${this.seed}`]
    const replay = [`seed: ${this.seed}`]
    if (this.step !== undefined) {
      where.push(`interrupted at step ${this.step}`)
      replay.push(`step: ${this.step}`)
    }
    if (this.crash !== undefined) {
      where.push(`crashed after write ${this.crash}`)
      replay.push(`crash: ${this.crash}`)
    }
    return `The law "${laws[this.law]}" does not hold (${where.join(", ")}): ${this.detail}\nReplay it with Laws.replay(subject, { ${replay.join(", ")} }).`
  }
}

/** What an outcome breaks of the laws that it tells of. */
export const breaches = (outcome: Outcome): ReadonlyArray<Breach> => {
  const found: Array<Breach> = []
  const note = (law: Law, details: Iterable<string>): void => {
    for (const detail of details) found.push({ law, detail })
  }
  note("defects", defects(outcome))
  note("scripted", unscripted(outcome))
  note(
    "free",
    outcome.held.map((session) => `session ${JSON.stringify(session)} is still held.`)
  )
  note("valid", invalid(outcome))
  for (const [session, entries] of outcome.histories) note("settled", unsettled(session, entries))
  note("paired", sentences(unpaired(outcome.events)))
  note("deadline", overdue(outcome))
  return found
}

/** The calls of a history that have a start and no end. */
export const openCalls = (entries: Iterable<Entry>): ReadonlyArray<string> => {
  const open = new Map<string, string>()
  for (const entry of entries) {
    if (entry._tag === "ToolStarted")
      open.set(`${entry.operationId} ${entry.callId}`, `${entry.name} (${entry.callId})`)
    if (entry._tag === "ToolSettled") open.delete(`${entry.operationId} ${entry.callId}`)
  }
  return [...open.values()]
}

const sentences = (texts: ReadonlyArray<string>): ReadonlyArray<string> =>
  texts.length === 0 ? [] : [`${texts.join("; ")}.`]

/** A failure by name is an answer, and so is an interruption that was asked for. */
const defects = ({ exits, step }: Outcome): ReadonlyArray<string> =>
  exits.flatMap((exit, i) => {
    if (Exit.isSuccess(exit)) return []
    const { cause } = exit
    if (Cause.isDie(cause)) return [`prompt ${i + 1} died: ${Cause.pretty(cause)}`]
    return step === undefined && Cause.isInterrupted(cause) ? [`prompt ${i + 1} was interrupted by nobody.`] : []
  })

/** A prompt that the script does not take tries nothing of the agent. */
const unscripted = ({ exits }: Outcome): ReadonlyArray<string> =>
  exits.flatMap((exit) => {
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    return error instanceof ModelRejected && error.reason.startsWith(noScene) ? [error.message] : []
  })

const invalid = (outcome: Outcome): ReadonlyArray<string> => {
  for (const [i, { messages }] of outcome.requests.entries()) {
    const wrong = problems(messages)
    if (wrong.length > 0) return [`request ${i + 1}: ${wrong.join("; ")}.`]
  }
  for (const [session, entries] of outcome.histories) {
    for (let n = 1; n <= entries.length; n++) {
      const wrong = problems(fold(entries.slice(0, n)))
      if (wrong.length > 0) return [`session ${JSON.stringify(session)} cut after entry ${n}: ${wrong.join("; ")}.`]
    }
  }
  return []
}

/** The calls of each reply and their ends, up to the next reply or the end of the operation. */
const unsettled = (session: string, entries: ReadonlyArray<Entry>): ReadonlyArray<string> => {
  const found: Array<string> = []
  let calls = new Map<string, { readonly name: string; started: number; settled: number }>()
  const close = (): void => {
    for (const [id, { name, settled, started }] of calls) {
      if (settled !== 1) found.push(`the call ${id} of ${name} was settled ${settled} times`)
      if (started > 1) found.push(`the call ${id} of ${name} was started ${started} times`)
    }
    calls = new Map()
  }
  for (const entry of entries) {
    switch (entry._tag) {
      case "Assistant":
        close()
        for (const part of entry.content) {
          if (part.type === "tool-call") calls.set(part.id, { name: part.name, started: 0, settled: 0 })
        }
        break
      case "ToolStarted": {
        const call = calls.get(entry.callId)
        if (call === undefined) found.push(`${entry.name} (${entry.callId}) was started and not asked for`)
        else if (call.settled > 0) found.push(`${entry.name} (${entry.callId}) was started after its end`)
        else call.started++
        break
      }
      case "ToolSettled": {
        const call = calls.get(entry.callId)
        if (call === undefined) found.push(`${entry.name} (${entry.callId}) was settled and not asked for`)
        else call.settled++
        break
      }
      case "OperationSettled":
        close()
        break
    }
  }
  return found.length === 0 ? [] : [`in session ${JSON.stringify(session)} ${found.join("; ")}.`]
}

const overdue = ({ histories }: Outcome): ReadonlyArray<string> =>
  [...histories.values()].flatMap((entries) =>
    entries.flatMap((entry) =>
      entry._tag === "ToolSettled" && entry.outcome === "deadline"
        ? [`${entry.name} (${entry.callId}) was given up at its deadline.`]
        : []
    )
  )
