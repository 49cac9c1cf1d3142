/**
 * The command line of the executable.
 */
import * as Args from "@effect/cli/Args"
import type * as CliApp from "@effect/cli/CliApp"
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Span from "@effect/cli/HelpDoc/Span"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import { isPlatformError } from "@effect/platform/Error"
import * as Terminal from "@effect/platform/Terminal"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Agent from "../services/Agent.js"
import { Events } from "../services/Events.js"
import type { Thinking } from "../services/Model.js"
import { choose, type ModelChoice } from "../services/ModelChoice.js"
import { SandboxTools } from "../services/Sandbox.js"
import { Sessions } from "../services/Session.js"
import { drawing, type Format, summary, textLines } from "./render.js"
import { clean, oneLine } from "./tree.js"

/** What a run of the executable is to work with. */
export interface Setup {
  /** The folder that the session works in. */
  readonly cwd: string
  readonly model: ModelChoice
}

/** How the executable is put together. */
export interface Executable<E> {
  readonly version: string
  /** Sessions with the model, working in the folder with the tools of a sandbox. */
  readonly engine: (setup: Setup) => Layer.Layer<Sessions | Events, E>
}

/** Runs the command that the arguments name, as `process.argv` has them. Errors are told before it fails with them. */
export const run = <E>(
  args: ReadonlyArray<string>,
  executable: Executable<E>
): Effect.Effect<void, unknown, CliApp.CliApp.Environment> =>
  Command.run(baton(executable), {
    name: "baton",
    version: executable.version,
    summary: Span.text("Sessions of AI agents that delegate to each other"),
    footer
  })(args).pipe(Effect.provideService(CliConfig.CliConfig, CliConfig.make({ showBuiltIns: false })))

/** 0 completed, 1 failed, 2 usage or configuration, 3 the session is busy, 130 interrupted. */
export const exitCode = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  const failure = Cause.failureOption(exit.cause)
  if (Option.isNone(failure)) return Cause.isInterrupted(exit.cause) ? 130 : 1
  const error = failure.value
  if (ValidationError.isValidationError(error)) return 2
  const tag = typeof error === "object" && error !== null && "_tag" in error ? error._tag : undefined
  return typeof tag === "string" ? (codes[tag] ?? 1) : 1
}

const codes: Readonly<Record<string, number>> = {
  ModelNotUsable: 2,
  ModelNotConfigured: 2,
  InvalidInput: 2,
  InvalidSessionId: 2,
  // Of the folder to work in: what fails in a tool is told to the model.
  SandboxError: 2,
  SessionBusy: 3
}

// ------------------------------------------------------------------------------------------------ the command

const text = Args.text({ name: "text" }).pipe(Args.withDescription("What the session is asked, in one argument."))

const options = {
  session: Options.text("session").pipe(
    Options.withDescription("The session's name. Sessions are kept in memory and end with the command."),
    Options.withDefault("main")
  ),
  cwd: Options.directory("cwd", { exists: "yes" }).pipe(
    Options.withDescription("The folder to work in."),
    Options.withDefault(".")
  ),
  model: Options.text("model").pipe(
    Options.withDescription(
      "anthropic/<id>, openai/<id>, compatible/<id> or scripted. Default: told by the keys in the environment."
    ),
    Options.optional
  ),
  fallback: Options.text("fallback").pipe(
    Options.withPseudoName("model"),
    Options.withDescription("A model to try when the others are not available. May be given several times."),
    Options.repeated
  ),
  thinking: Options.choice("thinking", ["off", "low", "medium", "high"]).pipe(
    Options.withDescription("How hard the model is asked to think. Default: the provider's."),
    Options.optional
  ),
  onBusy: Options.choice("on-busy", ["reject", "wait", "interrupt"]).pipe(
    Options.withDescription("What to do when the session is held by another operation."),
    Options.withDefault("reject" as const)
  ),
  json: Options.boolean("json").pipe(Options.withDescription("Print events instead, one JSON object a line."))
}

const footer = HelpDoc.blocks([
  HelpDoc.h1("ENVIRONMENT"),
  HelpDoc.p("ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL (without /v1)"),
  HelpDoc.p("OPENAI_API_KEY, OPENAI_BASE_URL (with /v1; of compatible/<id> too, which may need no key)"),
  HelpDoc.p("NO_COLOR  no colours"),
  HelpDoc.h1("EXIT CODES"),
  HelpDoc.p("0 completed, 1 failed, 2 usage or configuration, 3 the session is busy, 130 interrupted")
])

const baton = <E>(executable: Executable<E>) =>
  Command.make("baton").pipe(
    Command.withDescription("Runs sessions of AI agents."),
    Command.withSubcommands([
      Command.make("prompt", { text, ...options }, (given) => promptCommand(executable, given)).pipe(
        Command.withDescription('Prompts a session and draws what it does. Try: baton prompt "inspect the diff"')
      )
    ])
  )

interface Given {
  readonly text: string
  readonly session: string
  readonly cwd: string
  readonly model: Option.Option<string>
  readonly fallback: ReadonlyArray<string>
  readonly thinking: Option.Option<Thinking>
  readonly onBusy: "reject" | "wait" | "interrupt"
  readonly json: boolean
}

const promptCommand = <E>(executable: Executable<E>, given: Given) =>
  Effect.gen(function* () {
    const model = yield* choose({ model: Option.getOrUndefined(given.model), fallbacks: given.fallback })
    const terminal = yield* Terminal.Terminal
    const isTerminal = yield* terminal.isTTY
    const colours = isTerminal && (yield* coloursAllowed)
    const format: Format = given.json ? "json" : isTerminal ? "live" : "plain"
    const names = [`${model.model} (${model.reason})`, ...model.fallbacks].map((name) => oneLine(name))
    const header = `baton ${executable.version} · model ${names.join(", else ")}`
    if (format === "json") yield* Console.error(header)
    else yield* terminal.display(`${(yield* fit(header)).join("\n")}\n`)
    yield* Effect.provide(converse(given, model, format, colours), executable.engine({ cwd: given.cwd, model }))
  }).pipe(Effect.onError(tell))

const converse = (given: Given, model: ModelChoice, format: Format, colours: boolean) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    const sessions = yield* Sessions
    const tools = yield* SandboxTools
    const agent = Agent.make("baton", { instructions, tools })
    const session = yield* sessions.open({ id: given.session, agent })
    const queue = yield* (yield* Events).subscribe()
    const call = session.prompt(given.text, { onBusy: given.onBusy, thinking: Option.getOrUndefined(given.thinking) })
    const { exit, tree } = yield* drawing(queue, format, colours, call)
    if (Exit.isFailure(exit)) return yield* Effect.failCause(exit.cause)
    if (format === "json") return
    const lines = yield* fit(exit.value.text)
    const footer = yield* fit(summary(tree, { estimated: model.model === "scripted" }))
    yield* terminal.display(["", ...lines, "", ...footer].map((line) => `${line}\n`).join(""))
  }).pipe(Effect.scoped)

const instructions =
  "You work in a folder of this machine by your tools, with the rights of the user who asks you. Look before you answer, delegate independent pieces of work by several task calls in one turn, and change nothing unless you are asked to."

/** Text in lines for the terminal; as it is where the output is none. */
const fit = (text: string): Effect.Effect<ReadonlyArray<string>, never, Terminal.Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    return textLines(text, (yield* terminal.isTTY) ? (yield* terminal.columns) || 80 : Number.POSITIVE_INFINITY)
  })

const coloursAllowed = Effect.map(
  Effect.orElseSucceed(Config.option(Config.string("NO_COLOR")), () => Option.none<string>()),
  (value) => Option.getOrElse(value, () => "") === ""
)

/** Says on the error output why a command did not complete. */
const tell = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  const failure = Cause.failureOption(cause)
  if (Option.isNone(failure)) {
    return Console.error(Cause.isInterrupted(cause) ? "Interrupted." : clean(Cause.pretty(cause)))
  }
  const error = failure.value
  // The parser has told its own, and a closed output takes no word.
  if (ValidationError.isValidationError(error) || isPlatformError(error)) return Effect.void
  return Console.error(clean(error instanceof Error ? error.message : String(error)))
}
