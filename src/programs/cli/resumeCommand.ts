/**
 * The command `resume`.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Events } from "../../services/Events.js"
import { Sessions } from "../../services/Session.js"
import { SessionStore } from "../../services/SessionStore.js"
import { leftIn } from "../leftovers.js"
import { clean, oneLine } from "../tree.js"
import { tell } from "./ending.js"
import type { Executable } from "./Executable.js"
import { notThere } from "./named.js"
import type { EngineGiven } from "./options.js"
import { free, heldBy, nothingLeft, resumed, type Resumption, unfinished } from "./resumption.js"
import { placeOf, withEngine } from "./withEngine.js"

interface ResumeGiven extends EngineGiven {
  readonly session: Option.Option<string>
  readonly onBusy: "reject" | "wait"
}

export const resumeCommand = <E>(executable: Executable<E>, given: ResumeGiven) =>
  Effect.gen(function* () {
    const named = Option.getOrUndefined(given.session)
    if (!(yield* executable.exists(placeOf(given)))) {
      const none = named === undefined ? nothingLeft(given.json) : notThere(named)
      return yield* Effect.onError(none, tell)
    }
    yield* withEngine(executable, given, (screen, agent) =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const sessions = yield* Sessions
        const queue = yield* (yield* Events).subscribe()
        const found: Array<Resumption> = []
        for (const id of yield* unfinished(named)) {
          const row = yield* free(executable, screen, id, given.onBusy === "wait" ? "wait" : "leave")
          const left = row === undefined ? undefined : yield* leftIn(store, row)
          if (row === undefined || left === undefined) continue
          const busy = heldBy(row)
          if (busy !== undefined) {
            if (named !== undefined) return yield* busy
            yield* screen.say(busy.message)
          } else if (row.agent !== agent.name) {
            const whose = `Session "${oneLine(id)}" is unfinished and of agent "${oneLine(row.agent)}"`
            yield* screen.say(`${whose}, which this command does not know: it is left.`)
          } else found.push({ left, session: yield* sessions.open({ id, agent }) })
        }
        const begun = found.filter(({ left, session }) => session.resumed?.operationId === left.operationId)
        if (begun.length === 0) return yield* nothingLeft(given.json)
        const [error, ...more] = yield* resumed(screen, queue, begun, undefined)
        for (const { message } of more) yield* Console.error(clean(message))
        if (error !== undefined) return yield* error
      })
    )
  })
