/**
 * The command `label`.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidInput } from "../../services/Errors.js"
import { label } from "../labels.js"
import { oneLine } from "../tree.js"
import { start } from "./entry.js"
import type { Executable } from "./Executable.js"
import type { HistoryGiven } from "./options.js"
import { said } from "./screen.js"
import { atRest, overHistories } from "./stored.js"

interface LabelGiven extends HistoryGiven {
  readonly name: string
  readonly at: Option.Option<number>
  readonly remove: boolean
}

export const labelCommand = <E>(executable: Executable<E>, given: LabelGiven) =>
  overHistories(
    executable,
    given,
    Effect.gen(function* () {
      const { name, remove, session } = given
      const at = Option.getOrUndefined(given.at)
      if (remove && at !== undefined) {
        return yield* new InvalidInput({ path: "entry", reason: "no entry keeps a name that is taken away" })
      }
      if (!remove && name === start) {
        return yield* new InvalidInput({ path: "label", reason: `"${start}" is what lies before the first entry` })
      }
      const named = yield* atRest(executable, session, (ref) => label(ref, name, remove ? null : at))
      const which = named.entry === null ? "No entry" : `Entry ${named.entry}`
      const sentence = `${which} of session "${oneLine(session)}" is named "${oneLine(named.label)}".`
      yield* said(given, { session, ...named }, sentence)
    })
  )
