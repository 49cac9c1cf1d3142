/**
 * The command `export`.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { exportSession } from "../archive/export.js"
import { plural } from "../counts.js"
import { oneLine } from "../tree.js"
import type { Executable } from "./Executable.js"
import { made } from "./files.js"
import { rowOf } from "./named.js"
import type { HistoryGiven } from "./options.js"
import { print, said } from "./screen.js"
import { overStore } from "./stored.js"
import { waiting } from "./waiting.js"

interface ExportGiven extends HistoryGiven {
  readonly out: Option.Option<string>
}

/** Writes a session to an output, or to a file that is not there yet. Either is as the session was, or there is no file. */
export const exportCommand = <E>(executable: Executable<E>, given: ExportGiven) =>
  overStore(
    executable,
    given,
    Effect.gen(function* () {
      const { session } = given
      yield* rowOf(session)
      if (Option.isNone(given.out)) yield* written(session, print)
      else {
        const out = given.out.value
        const lines = yield* waiting(
          executable.errors,
          "Exporting",
          made(out, (write) => written(session, write))
        )
        const sentence = `Session "${oneLine(session)}" is in ${oneLine(out)}: ${plural(lines, "line")}.`
        yield* said(given, { session, out, lines }, sentence)
      }
    })
  )

/** Writes the lines piece by piece, and gives how many there were. */
const written = <E, R>(session: string, write: (text: string) => Effect.Effect<void, E, R>) =>
  Stream.runFoldEffect(Stream.chunks(exportSession(session)), 0, (count, chunk) =>
    Chunk.isEmpty(chunk)
      ? Effect.succeed(count)
      : Effect.as(write(`${Chunk.join(chunk, "\n")}\n`), count + chunk.length)
  )
