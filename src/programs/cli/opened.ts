/**
 * Opening the session of a command.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Queue from "effect/Queue"
import type * as Agent from "../../services/Agent.js"
import type { Event } from "../../services/Event.js"
import type { Sandbox } from "../../services/Sandbox.js"
import { Sessions } from "../../services/Session.js"
import { SessionStore } from "../../services/SessionStore.js"
import { leftIn } from "../leftovers.js"
import { clean, oneLine } from "../tree.js"
import type { Executable } from "./Executable.js"
import type { SessionGiven } from "./options.js"
import { free, resumed } from "./resumption.js"
import type { Screen } from "./screen.js"

/** Opens the session, once nothing is left in it of a process that ended: that is gone on with first, and drawn. */
export const opened = <E>(
  executable: Executable<E>,
  screen: Screen,
  queue: Queue.Dequeue<Event>,
  given: SessionGiven,
  agent: Agent.Agent<Sandbox>
) =>
  Effect.gen(function* () {
    const row = yield* free(executable, screen, given.session, given.onBusy === "wait" ? "tell" : "leave")
    if (row !== undefined && row.agent !== agent.name) {
      const [before, now] = [row.agent, agent.name].map((name) => JSON.stringify(oneLine(name)))
      yield* screen.say(`Session "${oneLine(row.id)}" was begun by agent ${before}, and goes on with ${now}.`)
    }
    const left = row === undefined ? undefined : yield* leftIn(yield* SessionStore, row)
    const session = yield* (yield* Sessions).open({ id: given.session, agent })
    if (left !== undefined && session.resumed?.operationId === left.operationId) {
      const [error] = yield* resumed(screen, queue, [{ left, session }], Option.getOrUndefined(given.operationId))
      if (error !== undefined) yield* Console.error(clean(error.message))
    }
    return session
  })
