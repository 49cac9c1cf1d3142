/**
 * Running the body of a command in an engine.
 */
import * as Terminal from "@effect/platform/Terminal"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Agent from "../../services/Agent.js"
import type { Events } from "../../services/Events.js"
import { choose } from "../../services/ModelChoice.js"
import type { Sandbox } from "../../services/Sandbox.js"
import type { Sessions } from "../../services/Session.js"
import type { SessionStore } from "../../services/SessionStore.js"
import type { Format } from "../render.js"
import { stoppable } from "../stoppable.js"
import { clean, oneLine } from "../tree.js"
import { agentOf, worker } from "./agent.js"
import { tell } from "./ending.js"
import type { Executable, Place } from "./Executable.js"
import type { EngineGiven, Located } from "./options.js"
import { coloursAllowed, fit, type Screen } from "./screen.js"

export const placeOf = ({ cwd, store }: Located): Place => ({ cwd, store: Option.getOrUndefined(store) })

/** What the body of a command has. */
export type Provided = Sessions | Events | SessionStore | Sandbox | Scope.Scope | Terminal.Terminal

/** Says what works unless that is of no interest, and runs a command's body in an engine, with the agent. */
export const withEngine = <E, E2>(
  executable: Executable<E>,
  given: EngineGiven,
  body: (screen: Screen, agent: Agent.Agent<Sandbox>) => Effect.Effect<void, E2, Provided>,
  isTold = true
) =>
  Effect.gen(function* () {
    const own = yield* agentOf(executable, given)
    const asked = { model: Option.getOrUndefined(given.model), fallbacks: given.fallback, agent: own }
    const choice = yield* choose(asked)
    const terminal = yield* Terminal.Terminal
    const isTerminal = yield* terminal.isTTY
    const colours = isTerminal && (yield* coloursAllowed)
    const format: Format = given.json ? "json" : isTerminal ? "live" : "plain"
    const say = (line: string) =>
      given.json
        ? Console.error(clean(line))
        : Effect.flatMap(fit(line), (lines) => terminal.display(`${lines.join("\n")}\n`))
    const names = [`${choice.model} (${choice.reason})`, ...choice.fallbacks].map((name) => oneLine(name))
    if (isTold) yield* say(`baton ${executable.version} · model ${names.join(", else ")}`)
    const place = placeOf(given)
    // What the command line names stands above what the agent does.
    const asAsked: Effect.Effect<Agent.Agent<Sandbox>> =
      own === undefined ? worker : Effect.succeed({ ...own, model: choice.model, fallbacks: choice.fallbacks })
    const screen = { format, colours, say, estimated: choice.model === "scripted" }
    yield* stoppable(
      executable.engine({ ...place, model: choice, agentFile: Option.getOrUndefined(given.agent) }),
      executable.stop,
      place.store !== "memory",
      Effect.scoped(Effect.flatMap(asAsked, (agent) => body(screen, agent)))
    )
  }).pipe(Effect.onError(tell))
