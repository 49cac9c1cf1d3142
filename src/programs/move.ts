/**
 * Moving the head of a session: the conversation goes on from an earlier entry, or from one that was left before.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { isOwn, wayTo } from "../services/Conversation.js"
import * as Draft from "../services/Draft.js"
import type { Entry, UserPart } from "../services/Entry.js"
import { type EntryNotFound, InvalidInput } from "../services/Errors.js"
import { Sandbox } from "../services/Sandbox.js"
import type { Moved, MoveError, MoveOptions, RewindOptions, Rewound, SessionRef } from "../services/Session.js"
import { type Engine, engineOf, type Needs } from "./engine.js"
import { plainOptions, policyProblem } from "./input.js"
import { entryProblem, find, type Named, standsAt, wholeOf } from "./log.js"
import { type Note, noted } from "./noted.js"

/**
 * Moves the head to an entry: the next operation goes on from there. The entry may be anywhere in the history, also where
 * the head has moved away from, since nothing is lost; a name tells it too, and `null` is before the first. Where the
 * conversation stands there already nothing is written.
 *
 * With `files` the files of the sandbox that the session changed are brought to how they were then, after the write and
 * while the session is held: interrupted meanwhile, or where that fails, the head has moved, and moving there once more
 * goes on with them.
 */
export const moveTo = (
  ref: SessionRef<unknown>,
  target: Named | null,
  given?: MoveOptions
): Effect.Effect<Moved, MoveError, Needs> =>
  Effect.suspend(() => {
    const problem = entryProblem(target, "target", true)
    if (problem !== undefined) return problem
    return moving(ref, given, (entries) => {
      const to = find(ref.id, entries, target)
      return typeof to === "object" && to !== null ? to : { to, more: {} }
    })
  })

/**
 * Moves the head to before the last prompts, skills, tasks and commands on the way to it, and gives the input of the
 * earliest of them, to be changed and prompted anew. As `moveTo` otherwise.
 */
export const rewind = (ref: SessionRef<unknown>, given?: RewindOptions): Effect.Effect<Rewound, MoveError, Needs> =>
  Effect.suspend(() => {
    const steps: unknown = plainSteps(given)
    if (typeof steps !== "number" || !Number.isInteger(steps) || steps < 1) {
      return new InvalidInput({ path: "steps", reason: "it is not a whole number from 1" })
    }
    return moving(ref, given, (entries, head) => {
      const starts = wayTo(entries, head).filter(isStep)
      const start = starts.at(-steps)
      if (start === undefined) {
        const there = starts.length === 1 ? "is only 1" : `are only ${starts.length}`
        return new InvalidInput({ path: "steps", reason: `there ${there} to go back` })
      }
      return { to: start.parentId, more: { input: inputOf(entries, start) } }
    })
  })

const plainSteps = (options: RewindOptions | undefined): unknown => {
  const plain = plainOptions(options)
  // What is wrong with them as a whole is told later.
  const steps = plain instanceof InvalidInput ? undefined : plain?.steps
  return steps === undefined ? 1 : steps
}

type Started = Extract<Entry, { readonly _tag: "OperationStarted" }>

const isStep = (entry: Entry): entry is Started => entry._tag === "OperationStarted" && entry.kind !== "compact"

/** What an operation was asked, in the words of whoever asked. */
const inputOf = (entries: ReadonlyArray<Entry>, start: Started): ReadonlyArray<UserPart> => {
  if (start.kind === "task") return start.request?.input ?? []
  for (const entry of entries.slice(start.id)) {
    if (entry._tag === "OperationSettled") break
    if (start.kind === "shell") {
      const call = entry._tag === "Assistant" ? entry.content.find((part) => part.type === "tool-call") : undefined
      if (call !== undefined) return [{ type: "text", text: commandOf(call.args) }]
    } else if (entry._tag === "User") {
      const own = ownParts(entry.content)
      if (own.length > 0) return own
    }
  }
  return []
}

/** The arguments of a recorded call may be anything. */
const commandOf = (args: unknown): string => {
  const isNamed = typeof args === "object" && args !== null && "command" in args
  return isNamed && typeof args.command === "string" ? args.command : ""
}

/** What of an input is the user's own. */
export const ownParts = (content: ReadonlyArray<UserPart>): ReadonlyArray<UserPart> => content.filter(isOwn)

/** Holds the session, finds out where to go, and goes there. */
const moving = <More extends object>(
  ref: SessionRef<unknown>,
  given: MoveOptions | undefined,
  target: (
    entries: ReadonlyArray<Entry>,
    head: number | null
  ) => { readonly to: number | null; readonly more: More } | EntryNotFound | InvalidInput
): Effect.Effect<Moved & More, MoveError, Needs> =>
  Effect.withFiberRuntime<Moved & More, MoveError, Needs>((fiber) => {
    const options = plainOptions(given)
    if (options instanceof InvalidInput) return options
    const { files, onBusy } = options ?? {}
    const restore = files === true ? restorer(engineOf(fiber, ref.context)) : undefined
    const problem =
      policyProblem(onBusy, false) ??
      (files === undefined || typeof files === "boolean"
        ? undefined
        : new InvalidInput({ path: "files", reason: "it is neither true nor false" })) ??
      (files === true && restore === undefined
        ? new InvalidInput({ path: "files", reason: "the sandbox keeps no earlier state of its files" })
        : undefined)
    if (problem !== undefined) return problem
    return noted<Moved & More, MoveError>(ref, { kind: "move", onBusy }, (engine, journal) =>
      Effect.flatMap(
        wholeOf(engine, ref, journal),
        (entries): Effect.Effect<Note<Moved & More, MoveError>, MoveError> => {
          const found = target(entries, journal.head)
          if (!("to" in found)) return found
          const { more, to } = found
          const from = standsAt(entries, journal.head)
          const isThere = from === standsAt(entries, to)
          const moved: Moved = { from, to, entry: isThere ? undefined : journal.nextSeq }
          const after = (): Effect.Effect<Moved & More, MoveError> => {
            if (restore === undefined) return Effect.succeed({ ...moved, ...more })
            const way = new Set(wayTo(entries, to).map(({ id }) => id))
            return Effect.map(
              restore(ref.incarnation, (place) => way.has(place)),
              (restored) => ({ ...moved, ...more, files: restored })
            )
          }
          if (isThere) return Effect.succeed({ drafts: [], after: Effect.suspend(after) })
          return Effect.map(engine.history.at(journal, to, entries), (conversation) => ({
            drafts: [Draft.headMoved(to)],
            moved: conversation,
            after: Effect.suspend(after)
          }))
        }
      )
    )
  })

/** What brings the sandbox's files back, where it can. */
const restorer = ({ context }: Engine) => {
  const sandbox = Context.getOption(context as Context.Context<unknown>, Sandbox)
  return sandbox._tag === "Some" ? sandbox.value.restore : undefined
}
