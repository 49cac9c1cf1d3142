/**
 * The command line of the executable.
 */
import type * as CliApp from "@effect/cli/CliApp"
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as Span from "@effect/cli/HelpDoc/Span"
import * as Effect from "effect/Effect"
import type { Executable } from "./cli/Executable.js"
import {
  command,
  promptOptions,
  resumeOptions,
  sessionsOptions,
  shellOptions,
  showOptions,
  skillName,
  skillOptions,
  taskOptions,
  text
} from "./cli/options.js"
import { about, footer, isWanted, overview, summary } from "./cli/overview.js"
import { promptCommand, skillCommand, taskCommand } from "./cli/promptCommand.js"
import { resumeCommand } from "./cli/resumeCommand.js"
import { sessionsCommand } from "./cli/sessionsCommand.js"
import { shellCommand } from "./cli/shellCommand.js"
import { showCommand } from "./cli/showCommand.js"

export { exitCode } from "./cli/ending.js"
export type { Executable, Place, Setup } from "./cli/Executable.js"

/** Runs the command that the arguments name, as `process.argv` has them. Errors are told before it fails with them. */
export const run = <E>(
  args: ReadonlyArray<string>,
  executable: Executable<E>
): Effect.Effect<void, unknown, CliApp.CliApp.Environment> =>
  isWanted(args)
    ? overview(executable.version)
    : Command.run(baton(executable), {
        name: "baton",
        version: executable.version,
        summary: Span.text(summary),
        footer
      })(args).pipe(Effect.provideService(CliConfig.CliConfig, CliConfig.make({ showBuiltIns: false })))

const baton = <E>(executable: Executable<E>) =>
  Command.make("baton").pipe(
    Command.withDescription("Runs sessions of AI agents."),
    Command.withSubcommands([
      Command.make("prompt", { text, ...promptOptions }, (given) => promptCommand(executable, given)).pipe(
        Command.withDescription(about.prompt)
      ),
      Command.make("skill", { name: skillName, ...skillOptions }, (given) => skillCommand(executable, given)).pipe(
        Command.withDescription(about.skill)
      ),
      Command.make("task", { text, ...taskOptions }, (given) => taskCommand(executable, given)).pipe(
        Command.withDescription(about.task)
      ),
      Command.make("shell", { command, ...shellOptions }, (given) => shellCommand(executable, given)).pipe(
        Command.withDescription(about.shell)
      ),
      Command.make("agent").pipe(
        Command.withDescription(about.agent),
        Command.withSubcommands([
          Command.make("show", showOptions, (given) => showCommand(executable, given)).pipe(
            Command.withDescription(about["agent show"])
          )
        ])
      ),
      Command.make("resume", resumeOptions, (given) => resumeCommand(executable, given)).pipe(
        Command.withDescription(about.resume)
      ),
      Command.make("sessions", sessionsOptions, (given) => sessionsCommand(executable, given)).pipe(
        Command.withDescription(about.sessions)
      )
    ])
  )
