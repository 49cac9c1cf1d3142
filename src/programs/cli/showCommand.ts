/**
 * The command `agent show`.
 */
import * as Terminal from "@effect/platform/Terminal"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { choose } from "../../services/ModelChoice.js"
import { Sandbox } from "../../services/Sandbox.js"
import { viewLines, viewOf } from "../agentView.js"
import { jsonLine } from "../render.js"
import { stoppable } from "../stoppable.js"
import { agentOf, worker } from "./agent.js"
import { tell } from "./ending.js"
import type { Executable } from "./Executable.js"
import type { Modelled } from "./options.js"
import { coloursAllowed } from "./screen.js"

interface ShowGiven extends Modelled {
  readonly cwd: string
  readonly json: boolean
}

/** Shows what an agent would have in a folder. Makes no store, and asks no model. */
export const showCommand = <E>(executable: Executable<E>, given: ShowGiven) =>
  Effect.gen(function* () {
    const own = yield* agentOf(executable, given)
    const asked = { model: Option.getOrUndefined(given.model), fallbacks: given.fallback, agent: own }
    const wouldUse = yield* choose(asked).pipe(
      Effect.map(({ fallbacks, model, reason }) => [`${model} (${reason})`, ...fallbacks].join(", else ")),
      // It is shown all the same: that is what one looks for.
      Effect.catchTag("ModelNotUsable", ({ reason }) => Effect.succeed(`none. ${reason}`))
    )
    const view = yield* stoppable(
      executable.sandbox(given.cwd),
      executable.stop,
      false,
      Effect.gen(function* () {
        return yield* viewOf(yield* Sandbox, own ?? (yield* worker), wouldUse)
      })
    )
    const terminal = yield* Terminal.Terminal
    if (given.json) return yield* terminal.display(`${jsonLine(view)}\n`)
    const isTerminal = yield* terminal.isTTY
    const width = isTerminal ? (yield* terminal.columns) || 80 : Number.POSITIVE_INFINITY
    const lines = viewLines(view, width, isTerminal && (yield* coloursAllowed))
    yield* terminal.display(lines.map((line) => `${line}\n`).join(""))
  }).pipe(Effect.onError(tell))
