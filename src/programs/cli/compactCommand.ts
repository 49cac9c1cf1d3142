/**
 * The command `compact`.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { Events } from "../../services/Events.js"
import type { Compaction } from "../../services/Session.js"
import { number } from "../counts.js"
import { drawing, jsonLine } from "../render.js"
import { tell } from "./ending.js"
import type { Executable } from "./Executable.js"
import { notThere, rowOf } from "./named.js"
import { opened } from "./opened.js"
import type { SessionGiven } from "./options.js"
import { conclude, show } from "./screen.js"
import { placeOf, withEngine } from "./withEngine.js"

interface CompactGiven extends SessionGiven {
  readonly instructions: Option.Option<string>
}

export const compactCommand = <E>(executable: Executable<E>, given: CompactGiven) =>
  Effect.gen(function* () {
    const { session: id } = given
    if (!(yield* executable.exists(placeOf(given)))) {
      return yield* Effect.onError(notThere(id), tell)
    }
    yield* withEngine(executable, given, (screen, agent) =>
      Effect.gen(function* () {
        yield* rowOf(id)
        const queue = yield* (yield* Events).subscribe()
        const session = yield* opened(executable, screen, queue, given, agent)
        const call = session.compact({
          instructions: Option.getOrUndefined(given.instructions),
          // The agent may name another one for its summaries.
          model: Option.getOrUndefined(given.model),
          onBusy: given.onBusy,
          operationId: Option.getOrUndefined(given.operationId)
        })
        const { exit, tree } = yield* drawing(queue, screen.format, screen.colours, call)
        if (Exit.isFailure(exit)) return yield* Effect.failCause(exit.cause)
        if (given.json) yield* show([jsonLine(exit.value)])
        yield* conclude(screen, told(exit.value), tree)
      })
    )
  })

const told = (compaction: Compaction): string =>
  compaction._tag === "NothingToCompact"
    ? "There is nothing to compact."
    : `${number(compaction.tokensBefore)} -> ${number(compaction.tokensAfter)} tokens`
