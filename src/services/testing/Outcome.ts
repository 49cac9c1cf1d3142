/**
 * What one run of an agent came to.
 */
import type { Exit } from "effect/Exit"
import type { Entry } from "../Entry.js"
import type { Event } from "../Event.js"
import type { ModelRequest } from "../Model.js"
import type { PromptError, Reply } from "../Session.js"
import type { StoreWrite } from "./StoreWrite.js"

/** As things stand when the prompts have ended, before anything else is asked of the session. */
export interface Outcome {
  readonly seed: number
  /** The step at which a prompt was interrupted; `undefined` where none was. */
  readonly step: number | undefined
  /** The session that was prompted; its children are in `histories` beside it. */
  readonly session: string
  /** How each prompt ended, in order. */
  readonly exits: ReadonlyArray<Exit<Reply, PromptError>>
  readonly histories: ReadonlyMap<string, ReadonlyArray<Entry>>
  /** What was written, in order. */
  readonly writes: ReadonlyArray<StoreWrite>
  /** What happened, in all sessions, in order. */
  readonly events: ReadonlyArray<Event>
  /** What the model was asked, in order. */
  readonly requests: ReadonlyArray<ModelRequest>
  /** The sessions that are held though nobody works in them. */
  readonly held: ReadonlyArray<string>
}
