/**
 * The command `remove`.
 */
import * as Effect from "effect/Effect"
import type { Removed } from "../../services/Retention.js"
import { sizeOf } from "../amounts.js"
import { number, plural } from "../counts.js"
import { remove } from "../sessions.js"
import { oneLine } from "../tree.js"
import type { Executable } from "./Executable.js"
import type { HistoryGiven } from "./options.js"
import { said } from "./screen.js"
import { overHistories } from "./stored.js"

export const removeCommand = <E>(executable: Executable<E>, given: HistoryGiven) =>
  overHistories(
    executable,
    given,
    Effect.gen(function* () {
      const { session } = given
      const removed = yield* remove(session)
      const sentence = `Session "${oneLine(session)}"${tasksOf(removed)} is removed: ${contentOf(removed)}.`
      yield* said(given, { session, ...removed }, sentence)
    })
  )

/** What was in it. */
export const contentOf = ({ bytes, entries }: Pick<Removed, "bytes" | "entries">): string =>
  `${entries === 1 ? "1 entry" : `${number(entries)} entries`}, ${sizeOf(bytes)}`

const tasksOf = ({ sessions }: Removed): string =>
  sessions.length < 2 ? "" : ` with ${plural(sessions.length - 1, "session")} of its tasks`
