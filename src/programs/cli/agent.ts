/**
 * The agent that works in the sessions.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Agent from "../../services/Agent.js"
import type { AgentNotUsable } from "../../services/AgentFile.js"
import { type Sandbox, SandboxTools } from "../../services/Sandbox.js"
import { Stopped } from "../stoppable.js"
import type { Executable } from "./Executable.js"
import type { Modelled } from "./options.js"

/** The one of the file that was named, if one was. A module may take its time: it is given up when the process is to end. */
export const agentOf = <E>(
  executable: Executable<E>,
  { agent }: Pick<Modelled, "agent">
): Effect.Effect<Agent.Agent<Sandbox> | undefined, AgentNotUsable | Stopped> =>
  Option.isNone(agent)
    ? Effect.succeed(undefined)
    : Effect.raceFirst(executable.agent(agent.value), Effect.zipRight(executable.stop, new Stopped({ isKept: false })))

/** The one that works where none was named. */
export const worker = Effect.map(SandboxTools, (tools) => Agent.make("baton", { instructions, tools }))

const instructions =
  "You work in a folder of this machine by your tools, with the rights of the user who asks you. Look before you answer, delegate independent pieces of work by several task calls in one turn, and change nothing unless you are asked to."
