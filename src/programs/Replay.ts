/**
 * Results that are recorded, for calls that are not run.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Entry, Request, ToolCallPart } from "../services/Entry.js"
import { brief } from "../services/Json.js"
import type { Unrecorded } from "../services/Session.js"
import { describe } from "../services/Tool.js"
import { callsOf, type Past } from "./Past.js"

/** A result that stands for a call. */
export type Recorded = Extract<Entry, { readonly _tag: "ToolSettled" }>

/** What becomes of a call. */
export type Decision =
  | { readonly _tag: "Recorded"; readonly entry: Recorded }
  | { readonly _tag: "Refused"; readonly text: string }
  /** It is no concern of the replay's, or is run. */
  | { readonly _tag: "Own" }

/**
 * The records of a history after one of its entries. A call gets the result of the one of the same tool with the same
 * arguments: of several the first, then the second. The first call without a record that is run ends the replay: from
 * the next turn on nothing is looked up any more.
 */
export class Replay {
  /** Those that no call has yet, in order, by tool and arguments. */
  private readonly records = new Map<string, Array<Recorded>>()
  private readonly decisions = new Map<string, Decision>()
  /** The turn in which a call was run. */
  private endedIn: number | undefined
  private readonly isStarted: (callId: string) => boolean

  /** `entries` are those before the operation; `past` is what it has done, where it is gone on with. */
  constructor(
    entries: ReadonlyArray<Entry>,
    from: number | null,
    private readonly unrecorded: Unrecorded,
    past?: Past
  ) {
    const taken = new Set<number>()
    for (const entry of past?.entries ?? []) {
      if (entry._tag === "ToolSettled" && entry.replayed !== undefined) taken.add(entry.replayed)
    }
    for (const { call, entry } of recorded(entries, from)) {
      if (taken.has(entry.id)) continue
      const key = keyOf(call)
      const same = this.records.get(key)
      if (same === undefined) this.records.set(key, [entry])
      else same.push(entry)
    }
    this.endedIn = past === undefined ? undefined : firstRun(past)
    this.isStarted = (callId) => past?.wasStarted(callId) === true
  }

  /** The same for an operation that is gone on with: nobody is asked any more. */
  static again(entries: ReadonlyArray<Entry>, replay: NonNullable<Request["replay"]>, past: Past): Replay {
    return new Replay(entries, replay.from, replay.unrecorded === "run" ? "run" : "refuse", past)
  }

  /**
   * Decides on the calls of a turn, one after the other, before any of them is started. `isRun` tells whether a call would
   * be run, and is not refused for what it is.
   */
  decide(
    calls: ReadonlyArray<ToolCallPart>,
    turn: number,
    isRun: (call: ToolCallPart) => boolean
  ): Effect.Effect<void> {
    return Effect.forEach(
      calls,
      (call) => {
        const decision = this.known(call, turn)
        if (decision !== undefined) return this.note(call, decision)
        if (!isRun(call)) return this.note(call, own)
        if (this.unrecorded === "refuse") return this.note(call, refused)
        if (this.unrecorded === "run") return this.runs(call, turn)
        return Effect.flatMap(asked(this.unrecorded, call), (answer) =>
          answer._tag === "Own" ? this.runs(call, turn) : this.note(call, answer)
        )
      },
      { discard: true }
    )
  }

  /** What was decided on a call. */
  decisionOn(callId: string): Decision {
    return this.decisions.get(callId) ?? own
  }

  /** What nobody has to be asked for. */
  private known(call: ToolCallPart, turn: number): Decision | undefined {
    if (isOfResult(call.name) || call.raw !== undefined || this.isStarted(call.id)) return own
    if (this.endedIn !== undefined && turn > this.endedIn) return undefined
    const entry = this.records.get(keyOf(call))?.shift()
    return entry === undefined ? undefined : { _tag: "Recorded", entry }
  }

  private runs(call: ToolCallPart, turn: number): Effect.Effect<void> {
    this.endedIn ??= turn
    return this.note(call, own)
  }

  private note({ id }: ToolCallPart, decision: Decision): Effect.Effect<void> {
    this.decisions.set(id, decision)
    return Effect.void
  }
}

const own: Decision = { _tag: "Own" }

const noRecord =
  "There is no record of this call, and it was not run: only calls that were made before have results here."

const refused: Decision = { _tag: "Refused", text: noRecord }

/** The answer of whoever is asked whether a call may be run. */
const asked = (ask: Exclude<Unrecorded, string>, { args, id, name }: ToolCallPart): Effect.Effect<Decision> =>
  Effect.suspend(() => ask({ args, id, name })).pipe(
    Effect.map((yes) => (yes === true ? own : refused)),
    Effect.catchAllCause((cause) =>
      Cause.isInterrupted(cause)
        ? Effect.failCause(cause)
        : Effect.succeed({ _tag: "Refused", text: `${noRecord} ${brief(describe(Cause.squash(cause)))}` } as const)
    )
  )

/** The results that count as records, with their calls: of one that was itself replayed, the first of its kind. */
const recorded = (
  entries: ReadonlyArray<Entry>,
  from: number | null
): ReadonlyArray<{ readonly call: ToolCallPart; readonly entry: Recorded }> => {
  const calls = new Map<string, ToolCallPart>()
  const after = new Set<number>()
  const sources = new Set<number>()
  return entries.flatMap((entry) => {
    if (entry._tag === "Assistant") for (const call of callsOf(entry)) calls.set(call.id, call)
    if (from !== null && entry.parentId !== from && (entry.parentId === null || !after.has(entry.parentId))) return []
    after.add(entry.id)
    if (entry._tag !== "ToolSettled" || entry.outcome === "not-run") return []
    const call = calls.get(entry.callId)
    if (call === undefined || call.raw !== undefined || isOfResult(call.name)) return []
    const source = sourceOf(entries, entry)
    if (sources.has(source)) return []
    sources.add(source)
    return [{ call, entry }]
  })
}

const sourceOf = (entries: ReadonlyArray<Entry>, entry: Recorded): number => {
  const before = entry.replayed === undefined ? undefined : entries[entry.replayed - 1]
  return before?._tag === "ToolSettled" ? sourceOf(entries, before) : entry.id
}

/** The turn of an operation in which a call was run first. */
const firstRun = ({ entries }: Past): number | undefined => {
  let turn = 0
  for (const entry of entries) {
    if (entry._tag === "Assistant" && entry.finish !== "interrupted") turn++
    else if (entry._tag === "ToolStarted" && !isOfResult(entry.name)) return turn
  }
  return undefined
}

/** The calls by which a model finishes are the operation's own. */
const isOfResult = (name: string): boolean => name === "finish" || name === "give_up"

const keyOf = ({ args, name }: ToolCallPart): string => `${name} ${JSON.stringify(args, sorted)}`

/** The same object whatever the order of its keys. */
const sorted = (_: string, value: unknown): unknown =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    : value
