/**
 * The command `fork`.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { fork } from "../fork.js"
import { oneLine } from "../tree.js"
import { entryOf } from "./entry.js"
import type { Executable } from "./Executable.js"
import { rowOf } from "./named.js"
import type { HistoryGiven } from "./options.js"
import { said } from "./screen.js"
import { handleOf, overHistories } from "./stored.js"

interface ForkGiven extends HistoryGiven {
  readonly name: string
  readonly at: Option.Option<string>
}

/** Makes a session of another one, which may be at work or left unfinished. */
export const forkCommand = <E>(executable: Executable<E>, given: ForkGiven) =>
  overHistories(
    executable,
    given,
    Effect.gen(function* () {
      const ref = handleOf(yield* rowOf(given.session))
      const { id } = yield* fork(ref, given.name, Option.getOrUndefined(Option.map(given.at, entryOf)))
      const { origin } = yield* rowOf(id)
      const entry = origin?.entry ?? 0
      const from = `of "${oneLine(given.session)}"`
      const what = entry === 0 ? `is as empty as that ${from}` : `goes on from entry ${entry} ${from}`
      yield* said(given, { session: id, from: given.session, entry }, `Session "${oneLine(id)}" ${what}.`)
    })
  )
