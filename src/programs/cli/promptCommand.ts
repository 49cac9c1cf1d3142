/**
 * The commands `prompt`, `skill` and `task`: what a session's model is asked, and its answer.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { Events } from "../../services/Events.js"
import type { Reply, Session } from "../../services/Session.js"
import { drawing } from "../render.js"
import type { Executable } from "./Executable.js"
import { opened } from "./opened.js"
import type { PromptGiven } from "./options.js"
import { conclude } from "./screen.js"
import { withEngine } from "./withEngine.js"

export const promptCommand = <E>(executable: Executable<E>, given: PromptGiven & { readonly text: string }) =>
  answered(executable, given, (session, options) => session.prompt(given.text, options))

interface SkillGiven extends PromptGiven {
  readonly name: string
  readonly args: Option.Option<string>
}

export const skillCommand = <E>(executable: Executable<E>, given: SkillGiven) =>
  answered(executable, given, (session, options) =>
    session.skill(given.name, { ...options, args: Option.getOrUndefined(given.args) })
  )

interface TaskGiven extends PromptGiven {
  readonly text: string
  readonly agentName: Option.Option<string>
}

export const taskCommand = <E>(executable: Executable<E>, given: TaskGiven) =>
  answered(executable, given, (session, options) =>
    session.task(given.text, {
      ...options,
      agent: Option.getOrUndefined(given.agentName),
      // The agent of the task may name others.
      model: Option.getOrUndefined(given.model),
      fallbacks: given.fallback.length === 0 ? undefined : given.fallback
    })
  )

/** Runs a call that brings a reply, draws what happens, and shows the reply. */
const answered = <E, E2>(
  executable: Executable<E>,
  given: PromptGiven,
  call: (session: Session, options: CallOptions) => Effect.Effect<Pick<Reply, "text">, E2>
) =>
  withEngine(executable, given, (screen, agent) =>
    Effect.gen(function* () {
      const queue = yield* (yield* Events).subscribe()
      const session = yield* opened(executable, screen, queue, given, agent)
      const options = {
        onBusy: given.onBusy,
        operationId: Option.getOrUndefined(given.operationId),
        thinking: Option.getOrUndefined(given.thinking)
      }
      const { exit, tree } = yield* drawing(queue, screen.format, screen.colours, call(session, options))
      if (Exit.isFailure(exit)) return yield* Effect.failCause(exit.cause)
      yield* conclude(screen, exit.value.text, tree)
    })
  )

interface CallOptions {
  readonly onBusy: PromptGiven["onBusy"]
  readonly operationId: string | undefined
  readonly thinking: Option.Option.Value<PromptGiven["thinking"]> | undefined
}
