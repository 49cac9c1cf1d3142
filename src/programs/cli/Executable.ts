/**
 * How the executable is put together.
 */
import type * as Terminal from "@effect/platform/Terminal"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import type * as Agent from "../../services/Agent.js"
import type { AgentNotUsable } from "../../services/AgentFile.js"
import type { Events } from "../../services/Events.js"
import type { ModelChoice } from "../../services/ModelChoice.js"
import type { Sandbox, SandboxTools } from "../../services/Sandbox.js"
import type { Sessions } from "../../services/Session.js"
import type { SessionStore } from "../../services/SessionStore.js"
import type { Needs } from "../engine.js"

/** Where a run of the executable finds its sessions. */
export interface Place {
  /** The folder that sessions work in. */
  readonly cwd: string
  /** The file of the sessions, or `memory`; `undefined` for the one in the folder. */
  readonly store: string | undefined
}

/** What a run of the executable is to work with. */
export interface Setup extends Place {
  /** The file of the agent, where one was named. */
  readonly agentFile?: string | undefined
  readonly model: ModelChoice
}

/** How the executable is put together. */
export interface Executable<E> {
  readonly version: string
  /** Sessions with the model, working in the folder with the tools of a sandbox, and what they are kept in. */
  readonly engine: (setup: Setup) => Layer.Layer<Sessions | Events | SessionStore | Sandbox, E>
  /** The sandbox of a folder and its tools, alone. */
  readonly sandbox: (cwd: string) => Layer.Layer<Sandbox | SandboxTools, E>
  /** The agent that a file holds. */
  readonly agent: (file: string) => Effect.Effect<Agent.Agent<Sandbox>, AgentNotUsable>
  /** What errors and notices are shown on. */
  readonly errors: Pick<Terminal.Terminal, "isTTY" | "columns" | "display">
  /** What writes to histories and asks nobody: an engine over what sessions are kept in, without models and folder. */
  readonly histories: (place: Place) => Layer.Layer<Needs, E>
  /** What sessions are kept in, alone. */
  readonly store: (place: Place) => Layer.Layer<SessionStore, E>
  /** Whether that is there already. */
  readonly exists: (place: Place) => Effect.Effect<boolean>
  /** What the process is given to read, to its end. */
  readonly input: Stream.Stream<Uint8Array>
  /** Completes when the process is told to end without an end of what runs in it. */
  readonly stop: Effect.Effect<void>
  /** Whether an engine, by its name, has ended, as far as can be told. */
  readonly isGone: (owner: string) => boolean
}
