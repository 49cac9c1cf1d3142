/**
 * The options of the commands.
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import type * as Option from "effect/Option"
import type { Thinking } from "../../services/Model.js"

export const skillName = Args.text({ name: "name" }).pipe(Args.withDescription("The skill."))

export const command = Args.text({ name: "command" }).pipe(
  Args.withDescription(
    "The command line, in one argument. The last megabyte of each of its outputs is printed when it has ended."
  )
)

export const text = Args.text({ name: "text" }).pipe(
  Args.withDescription("What the session is asked, in one argument.")
)

export const words = Args.text({ name: "words" }).pipe(
  Args.withDescription("What is looked for, in one argument: entries that have all of its words.")
)

export const target = Args.text({ name: "entry" }).pipe(
  Args.withDescription("The entry to go on from: its number, its name, or start for before the first.")
)

export const newName = Args.text({ name: "name" }).pipe(Args.withDescription("The name of the new session."))

export const labelName = Args.text({ name: "name" }).pipe(Args.withDescription("The name of the entry."))

export const archive = Args.text({ name: "file" }).pipe(
  Args.withDescription("The file of an export, or - for the standard input.")
)

export const sessionName = Args.text({ name: "session" }).pipe(Args.withDescription("The session's name."))

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

const agent = Options.text("agent").pipe(
  Options.withPseudoName("file"),
  Options.withDescription(
    "The agent that works: a .json file, or a .ts, .mts, .js or .mjs module that exports one by default or as agent. A module is run, with your rights. Default: a general one."
  ),
  Options.optional
)

const engineOptions = { cwd, store, agent, model, fallback, json }

const sessionOptions = {
  session: Options.text("session").pipe(
    Options.withDescription("The session's name. It goes on from where the last command left it."),
    Options.withDefault("main")
  ),
  ...engineOptions,
  onBusy: Options.choice("on-busy", ["reject", "wait", "interrupt"]).pipe(
    Options.withDescription(
      "What to do when the session is held by another operation. One in another process can only be waited for."
    ),
    Options.withDefault("reject" as const)
  ),
  operationId: Options.text("operation-id").pipe(
    Options.withPseudoName("id"),
    Options.withDescription(
      "Names what is asked: given again with the same input it is not run twice but gives its outcome."
    ),
    Options.optional
  )
}

export const promptOptions = {
  ...sessionOptions,
  thinking: Options.choice("thinking", ["off", "low", "medium", "high"]).pipe(
    Options.withDescription("How hard the model is asked to think. Default: the provider's."),
    Options.optional
  )
}

export const skillOptions = {
  ...promptOptions,
  args: Options.text("args").pipe(
    Options.withPseudoName("text"),
    Options.withDescription("What the skill is to be used for."),
    Options.optional
  )
}

export const taskOptions = {
  ...promptOptions,
  agentName: Options.text("agent-name").pipe(
    Options.withPseudoName("name"),
    Options.withDescription("One of the agent's subagents, or general. Default: general."),
    Options.optional
  )
}

export const shellOptions = {
  ...sessionOptions,
  timeout: Options.float("timeout").pipe(
    Options.withPseudoName("seconds"),
    Options.withDescription("When the command is killed, and the exit code is 124. Default: never."),
    Options.optional
  )
}

export const showOptions = {
  agent,
  cwd,
  model,
  fallback,
  json: Options.boolean("json").pipe(Options.withDescription("Print it as one JSON object."))
}

export const resumeOptions = {
  session: Options.text("session").pipe(
    Options.withDescription("The session's name. Default: all that have something unfinished."),
    Options.optional
  ),
  ...engineOptions,
  onBusy: Options.choice("on-busy", ["reject", "wait"]).pipe(
    Options.withDescription("What to do when another process is at the session."),
    Options.withDefault("reject" as const)
  ),
  json
}

export const sessionsOptions = {
  cwd,
  store,
  json: Options.boolean("json").pipe(Options.withDescription("Print one JSON object a line, for each session."))
}

const asJson = Options.boolean("json").pipe(Options.withDescription("Print it as JSON, one object a line."))

/** Of commands that work on what is stored, and ask nobody. */
const storedOptions = { cwd, store, json: asJson }

const historyOptions = {
  session: Options.text("session").pipe(Options.withDescription("The session's name."), Options.withDefault("main")),
  ...storedOptions
}

export const treeOptions = {
  ...historyOptions,
  depth: Options.integer("depth").pipe(
    Options.withPseudoName("n"),
    Options.withDescription("How deep sessions of tasks are drawn, and their tasks' in turn. Default: 1."),
    Options.optional
  )
}

export const transcriptOptions = {
  ...historyOptions,
  tasks: Options.choice("tasks", ["nested", "sections", "off"]).pipe(
    Options.withDescription("Where sessions of tasks are told: where each was begun, behind the rest, or nowhere."),
    Options.withDefault("sections" as const)
  )
}

export const searchOptions = {
  session: Options.text("session").pipe(
    Options.withDescription("In this session only, and not in those of its tasks. Default: in all."),
    Options.optional
  ),
  limit: Options.integer("limit").pipe(
    Options.withPseudoName("n"),
    Options.withDescription("How many entries at most, the newest first. Default: 20."),
    Options.optional
  ),
  ...storedOptions
}

export const labelOptions = {
  ...historyOptions,
  at: Options.integer("at").pipe(
    Options.withPseudoName("entry"),
    Options.withDescription("The entry, by its number. Default: the one that the conversation stands at."),
    Options.optional
  ),
  remove: Options.boolean("remove").pipe(Options.withDescription("Take the name away."))
}

export const moveOptions = historyOptions

export const rewindOptions = {
  ...historyOptions,
  steps: Options.integer("steps").pipe(
    Options.withPseudoName("n"),
    Options.withDescription("How many prompts, skills, tasks and commands are left behind. Default: 1."),
    Options.optional
  )
}

export const forkOptions = {
  ...historyOptions,
  at: Options.text("at").pipe(
    Options.withPseudoName("entry"),
    Options.withDescription("The last entry that they share, by its number or its name. Default: the last there is."),
    Options.optional
  )
}

export const compactOptions = {
  ...sessionOptions,
  instructions: Options.text("instructions").pipe(
    Options.withPseudoName("text"),
    Options.withDescription("What the summary is to heed."),
    Options.optional
  )
}

export const exportOptions = {
  ...historyOptions,
  out: Options.text("out").pipe(
    Options.withPseudoName("file"),
    Options.withDescription("The file to make; one that is there stays as it is. Default: the standard output."),
    Options.optional
  )
}

export const importOptions = {
  as: Options.text("as").pipe(
    Options.withPseudoName("name"),
    Options.withDescription("The session's name in place of its own."),
    Options.optional
  ),
  ...storedOptions
}

export const removeOptions = storedOptions

export const pruneOptions = {
  olderThan: Options.text("older-than").pipe(
    Options.withPseudoName("time"),
    Options.withDescription("Remove what was used last longer ago than this: 30d, 12h, 90min."),
    Options.optional
  ),
  maxSessions: Options.integer("max-sessions").pipe(
    Options.withPseudoName("n"),
    Options.withDescription("How many sessions may stay; those of tasks are not counted."),
    Options.optional
  ),
  maxBytes: Options.text("max-bytes").pipe(
    Options.withPseudoName("size"),
    Options.withDescription("How much may stay of what was said and done, as an export has it: 500MB, 2GiB."),
    Options.optional
  ),
  dryRun: Options.boolean("dry-run").pipe(Options.withDescription("Remove nothing, and show what would be.")),
  ...storedOptions
}

export interface Located {
  readonly cwd: string
  readonly store: Option.Option<string>
}

/** How a command works on the history of one session. */
export interface HistoryGiven extends Located {
  readonly session: string
  readonly json: boolean
}

export interface Modelled {
  readonly agent: Option.Option<string>
  readonly model: Option.Option<string>
  readonly fallback: ReadonlyArray<string>
}

/** What an engine is put together by. */
export interface EngineGiven extends Located, Modelled {
  readonly json: boolean
}

/** How an operation of one session is asked for. */
export interface SessionGiven extends EngineGiven {
  readonly session: string
  readonly onBusy: "reject" | "wait" | "interrupt"
  readonly operationId: Option.Option<string>
}

/** How one is asked for whose model is asked. */
export interface PromptGiven extends SessionGiven {
  readonly thinking: Option.Option<Thinking>
}
