/**
 * The command `shell`.
 */
import * as Terminal from "@effect/platform/Terminal"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { InvalidInput } from "../../services/Errors.js"
import { Events } from "../../services/Events.js"
import type { ExecResult } from "../../services/Sandbox.js"
import { drawing, jsonLine } from "../render.js"
import { clean } from "../tree.js"
import { CommandExited, tell } from "./ending.js"
import type { Executable } from "./Executable.js"
import { opened } from "./opened.js"
import type { SessionGiven } from "./options.js"
import { withEngine } from "./withEngine.js"

interface ShellGiven extends SessionGiven {
  readonly command: string
  /** In seconds. */
  readonly timeout: Option.Option<number>
}

/**
 * Runs a command, prints what it printed, and ends with its exit code. On its outputs stands nothing else: what is to be
 * said besides goes to the errors.
 */
export const shellCommand = <E>(executable: Executable<E>, given: ShellGiven) =>
  Effect.gen(function* () {
    const seconds = Option.getOrUndefined(given.timeout)
    if (seconds !== undefined && !(seconds > 0)) {
      const wrong = new InvalidInput({ path: "timeout", reason: "it is not a number of seconds above 0" })
      return yield* Effect.onError(wrong, tell)
    }
    const terminal = yield* Terminal.Terminal
    const ran = withEngine(
      executable,
      given,
      (screen, agent) =>
        Effect.gen(function* () {
          const queue = yield* (yield* Events).subscribe()
          const session = yield* opened(executable, screen, queue, given, agent)
          const call = session.shell(given.command, {
            onBusy: given.onBusy,
            operationId: Option.getOrUndefined(given.operationId),
            timeout: seconds === undefined ? undefined : seconds * 1_000
          })
          if (given.json) {
            const { exit } = yield* drawing(queue, "json", false, call)
            if (Exit.isFailure(exit)) return yield* Effect.failCause(exit.cause)
            yield* terminal.display(`${jsonLine({ _tag: "ShellResult", ...exit.value })}\n`)
            return yield* ended(exit.value)
          }
          const result = yield* call
          yield* shown(terminal, result.stdout)
          yield* shown(executable.errors, result.stderr)
          for (const [name, bytes] of Object.entries(result.dropped)) {
            if (bytes > 0) yield* Console.error(`(${bytes} bytes at the beginning of ${name} were not kept.)`)
          }
          return yield* ended(result)
        }),
      false
    )
    yield* given.json ? ran : Effect.provideService(ran, Terminal.Terminal, { ...terminal, ...executable.errors })
  })

/** As it came, or fit for a terminal. */
const shown = ({ display, isTTY }: Executable<never>["errors"], text: string) =>
  Effect.flatMap(isTTY, (isTerminal) => (text === "" ? Effect.void : display(isTerminal ? clean(text) : text)))

const ended = ({ exitCode }: ExecResult) => (exitCode === 0 ? Effect.void : new CommandExited({ code: exitCode }))
