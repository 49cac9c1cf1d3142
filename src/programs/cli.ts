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
import type { PlatformError } from "@effect/platform/Error"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Agent from "../services/Agent.js"
import { SessionBusy, SessionNotFound, SessionStoreError } from "../services/Errors.js"
import type { Event } from "../services/Event.js"
import { Events } from "../services/Events.js"
import type { Thinking } from "../services/Model.js"
import { choose, type ModelChoice } from "../services/ModelChoice.js"
import { SandboxTools } from "../services/Sandbox.js"
import { type Session, Sessions } from "../services/Session.js"
import { type SessionRow, SessionStore } from "../services/SessionStore.js"
import { type Leftover, leftIn, outcomeOf } from "./leftovers.js"
import { drawing, type Format, jsonLine, summary, textLines } from "./render.js"
import { listed, tableLines } from "./sessionTable.js"
import { stoppable } from "./stoppable.js"
import { clean, node, oneLine, type Tree } from "./tree.js"

/** Where a run of the executable finds its sessions. */
export interface Place {
  /** The folder that sessions work in. */
  readonly cwd: string
  /** The file of the sessions, or `memory`; `undefined` for the one in the folder. */
  readonly store: string | undefined
}

/** What a run of the executable is to work with. */
export interface Setup extends Place {
  readonly model: ModelChoice
}

/** How the executable is put together. */
export interface Executable<E> {
  readonly version: string
  /** Sessions with the model, working in the folder with the tools of a sandbox, and what they are kept in. */
  readonly engine: (setup: Setup) => Layer.Layer<Sessions | Events | SessionStore, E>
  /** What sessions are kept in, alone. */
  readonly store: (place: Place) => Layer.Layer<SessionStore, E>
  /** Whether that is there already. */
  readonly exists: (place: Place) => Effect.Effect<boolean>
  /** Completes when the process is told to end without an end of what runs in it. */
  readonly stop: Effect.Effect<void>
  /** Whether an engine, by its name, has ended, as far as can be told. */
  readonly isGone: (owner: string) => boolean
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

/**
 * 0 completed, 1 failed, 2 usage or configuration, 3 the session is busy, 130 interrupted, 143 stopped and left to be
 * resumed: those of a process that SIGINT or SIGTERM ended.
 */
export const exitCode = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  const failure = Cause.failureOption(exit.cause)
  if (Option.isNone(failure)) return Cause.isInterrupted(exit.cause) ? 130 : 1
  const error = failure.value
  if (ValidationError.isValidationError(error)) return 2
  // Opening the store is configuration; what fails later has happened.
  if (error instanceof SessionStoreError) return error.operation === "open" ? 2 : 1
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
  SessionNotFound: 2,
  UnsupportedFormat: 2,
  SessionBusy: 3,
  Stopped: 143
}

// ------------------------------------------------------------------------------------------------ the command

const text = Args.text({ name: "text" }).pipe(Args.withDescription("What the session is asked, in one argument."))

const cwd = Options.directory("cwd", { exists: "yes" }).pipe(
  Options.withDescription("The folder to work in."),
  Options.withDefault(".")
)

const store = Options.text("store").pipe(
  Options.withPseudoName("file"),
  Options.withDescription(
    "The SQLite file that sessions are kept in, or memory for none. Default: .baton/sessions.db in the folder."
  ),
  Options.optional
)

const model = Options.text("model").pipe(
  Options.withDescription(
    "anthropic/<id>, openai/<id>, compatible/<id> or scripted. Default: told by the keys in the environment."
  ),
  Options.optional
)

const fallback = Options.text("fallback").pipe(
  Options.withPseudoName("model"),
  Options.withDescription("A model to try when the others are not available. May be given several times."),
  Options.repeated
)

const json = Options.boolean("json").pipe(Options.withDescription("Print events instead, one JSON object a line."))

const promptOptions = {
  session: Options.text("session").pipe(
    Options.withDescription("The session's name. It goes on from where the last command left it."),
    Options.withDefault("main")
  ),
  cwd,
  store,
  model,
  fallback,
  thinking: Options.choice("thinking", ["off", "low", "medium", "high"]).pipe(
    Options.withDescription("How hard the model is asked to think. Default: the provider's."),
    Options.optional
  ),
  onBusy: Options.choice("on-busy", ["reject", "wait", "interrupt"]).pipe(
    Options.withDescription(
      "What to do when the session is held by another operation. One in another process can only be waited for."
    ),
    Options.withDefault("reject" as const)
  ),
  operationId: Options.text("operation-id").pipe(
    Options.withPseudoName("id"),
    Options.withDescription(
      "Names this prompt: given again with the same text it is not run twice but gives its outcome."
    ),
    Options.optional
  ),
  json
}

const resumeOptions = {
  session: Options.text("session").pipe(
    Options.withDescription("The session's name. Default: all that have something unfinished."),
    Options.optional
  ),
  cwd,
  store,
  model,
  fallback,
  onBusy: Options.choice("on-busy", ["reject", "wait"]).pipe(
    Options.withDescription("What to do when another process is at the session."),
    Options.withDefault("reject" as const)
  ),
  json
}

const sessionsOptions = {
  cwd,
  store,
  json: Options.boolean("json").pipe(Options.withDescription("Print one JSON object a line, for each session."))
}

const footer = HelpDoc.blocks([
  HelpDoc.h1("ENVIRONMENT"),
  HelpDoc.p("ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL (without /v1)"),
  HelpDoc.p("OPENAI_API_KEY, OPENAI_BASE_URL (with /v1; of compatible/<id> too, which may need no key)"),
  HelpDoc.p("NO_COLOR  no colours"),
  HelpDoc.h1("SIGNALS"),
  HelpDoc.p(
    "SIGINT interrupts what runs. SIGTERM leaves it unfinished, to be resumed by the next command on its session."
  ),
  HelpDoc.h1("EXIT CODES"),
  HelpDoc.p(
    "0 completed, 1 failed, 2 usage or configuration, 3 the session is busy, 130 interrupted, 143 stopped by SIGTERM"
  )
])

const baton = <E>(executable: Executable<E>) =>
  Command.make("baton").pipe(
    Command.withDescription("Runs sessions of AI agents."),
    Command.withSubcommands([
      Command.make("prompt", { text, ...promptOptions }, (given) => promptCommand(executable, given)).pipe(
        Command.withDescription('Prompts a session and draws what it does. Try: baton prompt "inspect the diff"')
      ),
      Command.make("resume", resumeOptions, (given) => resumeCommand(executable, given)).pipe(
        Command.withDescription("Goes on with what was cut off when the process ended that ran it.")
      ),
      Command.make("sessions", sessionsOptions, (given) => sessionsCommand(executable, given)).pipe(
        Command.withDescription("Lists the sessions, and what is unfinished in them.")
      )
    ])
  )

interface Located {
  readonly cwd: string
  readonly store: Option.Option<string>
}

interface Modelled extends Located {
  readonly model: Option.Option<string>
  readonly fallback: ReadonlyArray<string>
  readonly json: boolean
}

interface PromptGiven extends Modelled {
  readonly text: string
  readonly session: string
  readonly thinking: Option.Option<Thinking>
  readonly onBusy: "reject" | "wait" | "interrupt"
  readonly operationId: Option.Option<string>
}

interface ResumeGiven extends Modelled {
  readonly session: Option.Option<string>
  readonly onBusy: "reject" | "wait"
}

const promptCommand = <E>(executable: Executable<E>, given: PromptGiven) =>
  withEngine(executable, given, (screen) =>
    Effect.gen(function* () {
      const queue = yield* (yield* Events).subscribe()
      const operationId = Option.getOrUndefined(given.operationId)
      const row = yield* free(executable, screen, given.session, given.onBusy === "wait" ? "tell" : "leave")
      const left = row === undefined ? undefined : yield* leftIn(yield* SessionStore, row)
      const session = yield* (yield* Sessions).open({ id: given.session, agent: yield* worker })
      if (left !== undefined && session.resumed?.operationId === left.operationId) {
        const [error] = yield* resumed(screen, queue, [{ left, session }], operationId)
        if (error !== undefined) yield* Console.error(clean(error.message))
      }
      const thinking = Option.getOrUndefined(given.thinking)
      const call = session.prompt(given.text, { onBusy: given.onBusy, thinking, operationId })
      const { exit, tree } = yield* drawing(queue, screen.format, screen.colours, call)
      if (Exit.isFailure(exit)) return yield* Effect.failCause(exit.cause)
      yield* conclude(screen, exit.value.text, tree)
    })
  )

const resumeCommand = <E>(executable: Executable<E>, given: ResumeGiven) =>
  Effect.gen(function* () {
    const named = Option.getOrUndefined(given.session)
    if (!(yield* executable.exists(placeOf(given)))) {
      const none = named === undefined ? nothingLeft(given.json) : new SessionNotFound({ session: oneLine(named) })
      return yield* Effect.onError(none, tell)
    }
    yield* withEngine(executable, given, (screen) =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const sessions = yield* Sessions
        const queue = yield* (yield* Events).subscribe()
        const agent = yield* worker
        const found: Array<Resumption> = []
        for (const id of yield* unfinished(named)) {
          const row = yield* free(executable, screen, id, given.onBusy === "wait" ? "wait" : "leave")
          const left = row === undefined ? undefined : yield* leftIn(store, row)
          if (row === undefined || left === undefined) continue
          const busy = heldBy(row)
          if (busy !== undefined) {
            if (named !== undefined) return yield* busy
            yield* screen.say(busy.message)
          } else if (row.agent !== agent.name) {
            const whose = `Session "${oneLine(id)}" is unfinished and of agent "${oneLine(row.agent)}"`
            yield* screen.say(`${whose}, which this command does not know: it is left.`)
          } else found.push({ left, session: yield* sessions.open({ id, agent }) })
        }
        const begun = found.filter(({ left, session }) => session.resumed?.operationId === left.operationId)
        if (begun.length === 0) return yield* nothingLeft(given.json)
        const [error, ...more] = yield* resumed(screen, queue, begun, undefined)
        for (const { message } of more) yield* Console.error(clean(message))
        if (error !== undefined) return yield* error
      })
    )
  })

const sessionsCommand = <E>(executable: Executable<E>, given: Located & { readonly json: boolean }) =>
  Effect.gen(function* () {
    const place = placeOf(given)
    const terminal = yield* Terminal.Terminal
    if (!(yield* executable.exists(place))) {
      return given.json ? undefined : yield* terminal.display("There are no sessions.\n")
    }
    const all = yield* stoppable(
      executable.store(place),
      executable.stop,
      false,
      Effect.flatMap(SessionStore, (store) => listed(store, executable.isGone))
    )
    const lines = given.json
      ? all.map((it) => jsonLine(it))
      : all.length === 0
        ? ["There are no sessions."]
        : tableLines(all, yield* Clock.currentTimeMillis)
    yield* terminal.display(lines.map((line) => `${line}\n`).join(""))
  }).pipe(Effect.onError(tell))

// ------------------------------------------------------------------------------------------------ their parts

/** How what happens is shown. */
interface Screen {
  readonly format: Format
  readonly colours: boolean
  /** Whether the figures of usage are estimated. */
  readonly estimated: boolean
  /** Shows a line that is not about an event. */
  readonly say: (line: string) => Effect.Effect<void, PlatformError, Terminal.Terminal>
}

const placeOf = ({ cwd, store }: Located): Place => ({ cwd, store: Option.getOrUndefined(store) })

/** Says what works, and runs a command's body in an engine. */
const withEngine = <E, E2>(
  executable: Executable<E>,
  given: Modelled,
  body: (screen: Screen) => Effect.Effect<void, E2, Sessions | Events | SessionStore | Scope.Scope | Terminal.Terminal>
) =>
  Effect.gen(function* () {
    const choice = yield* choose({ model: Option.getOrUndefined(given.model), fallbacks: given.fallback })
    const terminal = yield* Terminal.Terminal
    const isTerminal = yield* terminal.isTTY
    const colours = isTerminal && (yield* coloursAllowed)
    const format: Format = given.json ? "json" : isTerminal ? "live" : "plain"
    const say = (line: string) =>
      given.json
        ? Console.error(clean(line))
        : Effect.flatMap(fit(line), (lines) => terminal.display(`${lines.join("\n")}\n`))
    const names = [`${choice.model} (${choice.reason})`, ...choice.fallbacks].map((name) => oneLine(name))
    yield* say(`baton ${executable.version} · model ${names.join(", else ")}`)
    const place = placeOf(given)
    yield* stoppable(
      executable.engine({ ...place, model: choice }),
      executable.stop,
      place.store !== "memory",
      Effect.scoped(body({ format, colours, say, estimated: choice.model === "scripted" }))
    )
  }).pipe(Effect.onError(tell))

/** The agent that works in the sessions. */
const worker = Effect.map(SandboxTools, (tools) => Agent.make("baton", { instructions, tools }))

/** The sessions to resume: those with something unfinished, or the one that was named. */
const unfinished = (named: string | undefined) =>
  Effect.gen(function* () {
    const store = yield* SessionStore
    if (named === undefined) {
      const rows = yield* store.unsettled
      return rows.flatMap(({ id, parent, running }) => (parent === null && running !== null ? [id] : []))
    }
    if ((yield* store.get(named)) === undefined) return yield* new SessionNotFound({ session: oneLine(named) })
    return [named]
  })

/**
 * A session as it stands when no dead process has it any more. One that lives is left to what it does, told of, or
 * waited for.
 */
const free = <E>(executable: Executable<E>, screen: Screen, id: string, held: "leave" | "tell" | "wait") =>
  Effect.gen(function* () {
    const store = yield* SessionStore
    for (let said = ""; ;) {
      const row = yield* store.get(id)
      if (row === undefined || !row.leased || row.owner === null) return row
      const isGone = executable.isGone(row.owner)
      if (!isGone && held === "leave") return row
      const line = isGone
        ? `The process that held session "${oneLine(id)}" has gone. Its hold ends within seconds.`
        : `Session "${oneLine(id)}" is held by another process (${oneLine(row.owner)}): waiting.`
      if (line !== said) yield* screen.say((said = line))
      if (!isGone && held === "tell") return row
      yield* Effect.sleep(lookEvery)
    }
  })

/** The pause between two looks at a session that another process has, in milliseconds. */
const lookEvery = 250

/** The refusal of a session that another process has, where one does. */
const heldBy = ({ id, leased, owner, running }: SessionRow): SessionBusy | undefined =>
  !leased || owner === null || running === null
    ? undefined
    : new SessionBusy({
        session: id,
        requested: running.kind,
        running: running.kind,
        operationId: running.operationId,
        since: running.since,
        owner
      })

interface Resumption {
  readonly left: Leftover
  readonly session: Session
}

/** What was resumed did not complete. */
class ResumptionFailed extends Data.TaggedError("ResumptionFailed")<{
  readonly left: Leftover
  readonly reason: string
}> {
  override get message() {
    return `The resumed ${this.left.kind} of session "${this.left.session}" did not complete. ${this.reason}`
  }
}

/**
 * Draws what is being resumed until it has ended, and shows what it brought, unless that is what is asked for next.
 * Interruption interrupts it, as its caller. Gives an error for each that did not complete.
 */
const resumed = (
  screen: Screen,
  queue: Queue.Dequeue<Event>,
  resumptions: ReadonlyArray<Resumption>,
  next: string | undefined
) =>
  Effect.gen(function* () {
    const { colours, format } = screen
    for (const { attempt, input, kind, session } of resumptions.map(({ left }) => left)) {
      const what = `${kind}${input === "" ? "" : ` "${oneLine(input).slice(0, maxInput).toWellFormed()}"`}`
      yield* screen.say(`Resuming ${what} of session "${oneLine(session)}", which was cut off (attempt ${attempt}).`)
    }
    const all = Effect.forEach(
      resumptions,
      ({ session: { resumed } }) =>
        resumed === undefined
          ? Effect.void
          : Effect.onInterrupt(Effect.zipRight(resumed.started, resumed.ended), () => resumed.interrupt),
      { concurrency: "unbounded", discard: true }
    )
    const past = resumptions.flatMap(({ left }) => left.events)
    const { exit, tree } = yield* drawing(queue, format, colours, all, past)
    if (Exit.isFailure(exit)) return yield* Effect.failCause(exit.cause)
    const wasCut = tree.roots.some((root) => node(tree, root)?.status === "interrupted")
    const answers: Array<string> = []
    const failures: Array<ResumptionFailed> = []
    for (const { left, session } of resumptions) {
      const outcome = outcomeOf(yield* session.history, left.operationId)
      if (outcome?.end.outcome === "completed") {
        if (left.operationId === next) continue
        answers.push(resumptions.length === 1 ? outcome.text : `${left.session}:\n${outcome.text}`)
      } else {
        // The engine ends, and nothing is to be done in it any more.
        if (outcome === undefined && wasCut) return yield* Effect.interrupt
        const reason =
          outcome === undefined
            ? "Another process went on with it."
            : (outcome.end.error?.message ?? "It was interrupted.")
        failures.push(new ResumptionFailed({ left, reason }))
      }
    }
    if (answers.length > 0) yield* conclude(screen, answers.join("\n\n"), tree)
    return failures
  })

/** How much of an input is told, in UTF-16 code units. */
const maxInput = 60

const nothingLeft = (json: boolean) =>
  Effect.flatMap(Terminal.Terminal, (terminal) => {
    const line = "There is nothing to resume."
    return json ? Console.error(line) : terminal.display(`${line}\n`)
  })

/** Shows what was brought, and how it went. */
const conclude = ({ estimated, format }: Screen, text: string, tree: Tree) =>
  Effect.gen(function* () {
    if (format === "json") return
    const terminal = yield* Terminal.Terminal
    const lines = yield* fit(text)
    const how = tree.roots.length === 0 ? "It was run before: this is what it brought." : summary(tree, { estimated })
    const footer = yield* fit(how)
    yield* terminal.display(["", ...lines, "", ...footer].map((line) => `${line}\n`).join(""))
  })

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
