/**
 * What other processes have or had of a session, and going on with it.
 */
import * as Terminal from "@effect/platform/Terminal"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Queue from "effect/Queue"
import { SessionBusy } from "../../services/Errors.js"
import type { Event } from "../../services/Event.js"
import type { Session } from "../../services/Session.js"
import { type SessionRow, SessionStore } from "../../services/SessionStore.js"
import { type Leftover, outcomeOf } from "../leftovers.js"
import { drawing } from "../render.js"
import { node, oneLine } from "../tree.js"
import type { Executable } from "./Executable.js"
import { rowOf } from "./named.js"
import { conclude, type Screen } from "./screen.js"

/** The sessions to resume: those with something unfinished, or the one that was named. */
export const unfinished = (named: string | undefined) =>
  Effect.gen(function* () {
    if (named !== undefined) return [(yield* rowOf(named)).id]
    const rows = yield* (yield* SessionStore).unsettled
    return rows.flatMap(({ id, parent, running }) => (parent === null && running !== null ? [id] : []))
  })

/**
 * A session as it stands when no dead process has it any more. One that lives is left to what it does, told of, or
 * waited for.
 */
export const free = <E>(executable: Executable<E>, screen: Screen, id: string, held: "leave" | "tell" | "wait") =>
  Effect.gen(function* () {
    const store = yield* SessionStore
    for (let said = ""; ;) {
      const row = yield* store.get(id)
      if (row === undefined || !row.leased || row.owner === null) return row
      const isGone = executable.isGone(row.owner)
      if (!isGone && held === "leave") return row
      const line = isGone
        ? `The process that held session "${oneLine(id)}" has gone. Its hold ends within seconds.`
        : `Session "${oneLine(id)}" is held by another process (${oneLine(row.owner)}): waiting.`
      if (line !== said) yield* screen.say((said = line))
      if (!isGone && held === "tell") return row
      yield* Effect.sleep(lookEvery)
    }
  })

/** The pause between two looks at a session that another process has, in milliseconds. */
const lookEvery = 250

/** The refusal of a session that another process has, where one does. */
export const heldBy = ({ id, leased, owner, running }: SessionRow): SessionBusy | undefined =>
  !leased || owner === null || running === null
    ? undefined
    : new SessionBusy({
        session: id,
        requested: running.kind,
        running: running.kind,
        operationId: running.operationId,
        since: running.since,
        owner
      })

export interface Resumption {
  readonly left: Leftover
  readonly session: Session
}

/** What was resumed did not complete. */
class ResumptionFailed extends Data.TaggedError("ResumptionFailed")<{
  readonly left: Leftover
  readonly reason: string
}> {
  override get message() {
    return `The resumed ${this.left.kind} of session "${this.left.session}" did not complete. ${this.reason}`
  }
}

/**
 * Draws what is being resumed until it has ended, and shows what it brought, unless that is what is asked for next.
 * Interruption interrupts it, as its caller. Gives an error for each that did not complete.
 */
export const resumed = (
  screen: Screen,
  queue: Queue.Dequeue<Event>,
  resumptions: ReadonlyArray<Resumption>,
  next: string | undefined
) =>
  Effect.gen(function* () {
    const { colours, format } = screen
    for (const { attempt, input, kind, session } of resumptions.map(({ left }) => left)) {
      const what = `${kind}${input === "" ? "" : ` "${oneLine(input).slice(0, maxInput).toWellFormed()}"`}`
      yield* screen.say(`Resuming ${what} of session "${oneLine(session)}", which was cut off (attempt ${attempt}).`)
    }
    const all = Effect.forEach(
      resumptions,
      ({ session: { resumed } }) =>
        resumed === undefined
          ? Effect.void
          : Effect.onInterrupt(Effect.zipRight(resumed.started, resumed.ended), () => resumed.interrupt),
      { concurrency: "unbounded", discard: true }
    )
    const past = resumptions.flatMap(({ left }) => left.events)
    const { exit, tree } = yield* drawing(queue, format, colours, all, past)
    if (Exit.isFailure(exit)) return yield* Effect.failCause(exit.cause)
    const wasCut = tree.roots.some((root) => node(tree, root)?.status === "interrupted")
    const answers: Array<string> = []
    const failures: Array<ResumptionFailed> = []
    for (const { left, session } of resumptions) {
      const outcome = outcomeOf(yield* session.history, left.operationId)
      if (outcome?.end.outcome === "completed") {
        if (left.operationId === next) continue
        answers.push(resumptions.length === 1 ? outcome.text : `${left.session}:\n${outcome.text}`)
      } else {
        // The engine ends, and nothing is to be done in it any more.
        if (outcome === undefined && wasCut) return yield* Effect.interrupt
        const reason =
          outcome === undefined
            ? "Another process went on with it."
            : (outcome.end.error?.message ?? "It was interrupted.")
        failures.push(new ResumptionFailed({ left, reason }))
      }
    }
    if (answers.length > 0) yield* conclude(screen, answers.join("\n\n"), tree)
    return failures
  })

/** How much of an input is told, in UTF-16 code units. */
const maxInput = 60

export const nothingLeft = (json: boolean) =>
  Effect.flatMap(Terminal.Terminal, (terminal) => {
    const line = "There is nothing to resume."
    return json ? Console.error(line) : terminal.display(`${line}\n`)
  })
