/**
 * The command line of the executable.
 */
import type * as CliApp from "@effect/cli/CliApp"
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as Span from "@effect/cli/HelpDoc/Span"
import * as Effect from "effect/Effect"
import type { Executable } from "./cli/Executable.js"
import { compactCommand } from "./cli/compactCommand.js"
import { exportCommand } from "./cli/exportCommand.js"
import { forkCommand } from "./cli/forkCommand.js"
import { importCommand } from "./cli/importCommand.js"
import { labelCommand } from "./cli/labelCommand.js"
import { moveCommand, rewindCommand } from "./cli/moveCommand.js"
import * as given from "./cli/options.js"
import { about, footer, isWanted, overview, summary } from "./cli/overview.js"
import { promptCommand, skillCommand, taskCommand } from "./cli/promptCommand.js"
import { pruneCommand } from "./cli/pruneCommand.js"
import { removeCommand } from "./cli/removeCommand.js"
import { resumeCommand } from "./cli/resumeCommand.js"
import { searchCommand } from "./cli/searchCommand.js"
import { sessionsCommand } from "./cli/sessionsCommand.js"
import { shellCommand } from "./cli/shellCommand.js"
import { showCommand } from "./cli/showCommand.js"
import { transcriptCommand } from "./cli/transcriptCommand.js"
import { treeCommand } from "./cli/treeCommand.js"

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
      })(inOrder(args)).pipe(Effect.provideService(CliConfig.CliConfig, CliConfig.make({ showBuiltIns: false })))

/** The parser takes no option behind a lone dash, which stands for the standard input: it goes behind the options. */
const inOrder = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const isValue = (at: number) => args[at - 1]!.startsWith("--") && args[at - 1] !== "--json"
  const dash = args[2] === "import" ? args.findIndex((arg, at) => at > 2 && arg === "-" && !isValue(at)) : -1
  return dash === -1 ? args : [...args.toSpliced(dash, 1), "-"]
}

const baton = <E>(executable: Executable<E>) =>
  Command.make("baton").pipe(
    Command.withDescription("Runs sessions of AI agents."),
    Command.withSubcommands([...running(executable), ...histories(executable), ...keeping(executable)])
  )

const running = <E>(executable: Executable<E>) =>
  [
    Command.make("prompt", { text: given.text, ...given.promptOptions }, (it) => promptCommand(executable, it)).pipe(
      Command.withDescription(about.prompt)
    ),
    Command.make("skill", { name: given.skillName, ...given.skillOptions }, (it) => skillCommand(executable, it)).pipe(
      Command.withDescription(about.skill)
    ),
    Command.make("task", { text: given.text, ...given.taskOptions }, (it) => taskCommand(executable, it)).pipe(
      Command.withDescription(about.task)
    ),
    Command.make("shell", { command: given.command, ...given.shellOptions }, (it) => shellCommand(executable, it)).pipe(
      Command.withDescription(about.shell)
    ),
    Command.make("agent").pipe(
      Command.withDescription(about.agent),
      Command.withSubcommands([
        Command.make("show", given.showOptions, (it) => showCommand(executable, it)).pipe(
          Command.withDescription(about["agent show"])
        )
      ])
    ),
    Command.make("resume", given.resumeOptions, (it) => resumeCommand(executable, it)).pipe(
      Command.withDescription(about.resume)
    ),
    Command.make("sessions", given.sessionsOptions, (it) => sessionsCommand(executable, it)).pipe(
      Command.withDescription(about.sessions)
    )
  ] as const

const histories = <E>(executable: Executable<E>) =>
  [
    Command.make("tree", given.treeOptions, (it) => treeCommand(executable, it)).pipe(
      Command.withDescription(about.tree)
    ),
    Command.make("transcript", given.transcriptOptions, (it) => transcriptCommand(executable, it)).pipe(
      Command.withDescription(about.transcript)
    ),
    Command.make("search", { words: given.words, ...given.searchOptions }, (it) => searchCommand(executable, it)).pipe(
      Command.withDescription(about.search)
    ),
    Command.make("label", { name: given.labelName, ...given.labelOptions }, (it) => labelCommand(executable, it)).pipe(
      Command.withDescription(about.label)
    ),
    Command.make("move", { to: given.target, ...given.moveOptions }, (it) => moveCommand(executable, it)).pipe(
      Command.withDescription(about.move)
    ),
    Command.make("rewind", given.rewindOptions, (it) => rewindCommand(executable, it)).pipe(
      Command.withDescription(about.rewind)
    ),
    Command.make("fork", { name: given.newName, ...given.forkOptions }, (it) => forkCommand(executable, it)).pipe(
      Command.withDescription(about.fork)
    ),
    Command.make("compact", given.compactOptions, (it) => compactCommand(executable, it)).pipe(
      Command.withDescription(about.compact)
    )
  ] as const

const keeping = <E>(executable: Executable<E>) =>
  [
    Command.make("export", given.exportOptions, (it) => exportCommand(executable, it)).pipe(
      Command.withDescription(about.export)
    ),
    Command.make("import", { file: given.archive, ...given.importOptions }, (it) => importCommand(executable, it)).pipe(
      Command.withDescription(about.import)
    ),
    Command.make("remove", { session: given.sessionName, ...given.removeOptions }, (it) =>
      removeCommand(executable, it)
    ).pipe(Command.withDescription(about.remove)),
    Command.make("prune", given.pruneOptions, (it) => pruneCommand(executable, it)).pipe(
      Command.withDescription(about.prune)
    )
  ] as const
