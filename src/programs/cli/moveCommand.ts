/**
 * The commands `move` and `rewind`.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { UserPart } from "../../services/Entry.js"
import type { Moved } from "../../services/Session.js"
import { moveTo, rewind } from "../move.js"
import { oneLine } from "../tree.js"
import { entryOf, placeOf, start } from "./entry.js"
import type { Executable } from "./Executable.js"
import type { HistoryGiven } from "./options.js"
import { fit, said, show } from "./screen.js"
import { atRest, overHistories } from "./stored.js"

interface MoveGiven extends HistoryGiven {
  readonly to: string
}

export const moveCommand = <E>(executable: Executable<E>, given: MoveGiven) =>
  overHistories(
    executable,
    given,
    Effect.gen(function* () {
      const to = given.to === start ? null : entryOf(given.to)
      const moved = yield* atRest(executable, given.session, (ref) => moveTo(ref, to))
      yield* said(given, told(given, moved), sentence(given, moved))
    })
  )

interface RewindGiven extends HistoryGiven {
  readonly steps: Option.Option<number>
}

/** Moves back, and shows what was asked there. */
export const rewindCommand = <E>(executable: Executable<E>, given: RewindGiven) =>
  overHistories(
    executable,
    given,
    Effect.gen(function* () {
      const steps = Option.getOrUndefined(given.steps)
      const { input, ...moved } = yield* atRest(executable, given.session, (ref) => rewind(ref, { steps }))
      yield* said(given, { ...told(given, moved), input }, `${sentence(given, moved)} It was asked there:`)
      if (!given.json) yield* show(["", ...(yield* fit(textOf(input)))])
    })
  )

const told = ({ session }: HistoryGiven, { entry, from, to }: Moved) => ({ session, from, to, entry: entry ?? null })

const sentence = ({ session }: HistoryGiven, { entry, to }: Moved): string =>
  `Session "${oneLine(session)}" goes on ${placeOf(to)}${entry === undefined ? ", as it did before" : ""}.`

const textOf = (input: ReadonlyArray<UserPart>): string =>
  input.map((part) => (part.type === "text" ? part.text : "[image]")).join("\n")
