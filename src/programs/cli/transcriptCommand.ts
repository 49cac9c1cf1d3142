/**
 * The command `transcript`.
 */
import * as Effect from "effect/Effect"
import { jsonLine } from "../render.js"
import { transcript } from "../transcript.js"
import type { Executable } from "./Executable.js"
import type { HistoryGiven } from "./options.js"
import { print, show } from "./screen.js"
import { overStore } from "./stored.js"

interface TranscriptGiven extends HistoryGiven {
  readonly tasks: "nested" | "sections" | "off"
}

export const transcriptCommand = <E>(executable: Executable<E>, given: TranscriptGiven) =>
  overStore(
    executable,
    given,
    Effect.gen(function* () {
      const { session, tasks } = given
      const page = yield* transcript(session, { tasks })
      yield* given.json ? show([jsonLine({ session, transcript: page })]) : print(page)
    })
  )
