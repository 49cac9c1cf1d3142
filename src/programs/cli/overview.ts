/**
 * What the executable can do, on one page.
 */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Terminal from "@effect/platform/Terminal"
import * as Effect from "effect/Effect"
import picocolors from "picocolors"
import { textLines } from "../render.js"
import { type Row, table } from "../table.js"
import { coloursAllowed } from "./screen.js"

export const summary = "Sessions of AI agents that delegate to each other"

/** What each command does. */
export const about = {
  prompt: 'Prompts a session and draws what it does. Try: baton prompt "inspect the diff"',
  skill: "Prompts a session with a skill: one of the agent's, or of .agents/skills.",
  task: "Delegates work to a child session, and shows what it brought.",
  shell: "Runs a command, tells the session's model of it, and ends with its exit code.",
  agent: "Looks at agents.",
  "agent show": "Shows what an agent has in a folder, and writes nothing.",
  resume: "Goes on with what was cut off when the process ended that ran it.",
  sessions: "Lists the sessions, and what is unfinished in them.",
  tree: "Draws what happened in a session: entries, branches, tasks, and where it stands.",
  transcript: "Prints a session as Markdown.",
  search: "Finds entries by their words, in all sessions.",
  label: "Names an entry, by default the last of the conversation.",
  move: "Lets the conversation go on from another entry. Nothing is lost.",
  rewind: "Goes back to before what was asked last, and shows it.",
  fork: "Makes a session that shares the entries of another one.",
  compact: "Puts a summary in the place of the older part of a conversation.",
  export: "Writes a session with its tasks as lines of JSON.",
  import: "Takes in what was exported.",
  remove: "Removes a session with its tasks, for good.",
  prune: "Removes sessions by their age, number and size."
}

const commands: ReadonlyArray<Row> = [
  ["prompt <text>", about.prompt],
  ["skill <name>", about.skill],
  ["task <text>", about.task],
  ["shell <command>", about.shell],
  ["agent show", about["agent show"]],
  ["resume", about.resume],
  ["sessions", about.sessions]
]

const histories: ReadonlyArray<Row> = [
  ["tree", about.tree],
  ["transcript", about.transcript],
  ["search <words>", about.search],
  ["label <name>", about.label],
  ["move <entry>", about.move],
  ["rewind", about.rewind],
  ["fork <name>", about.fork],
  ["compact", about.compact]
]

const keeping: ReadonlyArray<Row> = [
  ["export", about.export],
  ["import <file>", about.import],
  ["remove <session>", about.remove],
  ["prune", about.prune]
]

const options: ReadonlyArray<Row> = [
  ["--help", "Of a command: its options."],
  ["--version", "The version."],
  ["--completions <shell>", "A script that completes commands, for bash, zsh, fish or sh."]
]

/** What holds for all commands, as paragraphs. */
const common: ReadonlyArray<readonly [title: string, paragraphs: ReadonlyArray<string>]> = [
  [
    "ENVIRONMENT",
    [
      "ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL (without /v1)",
      "OPENAI_API_KEY, OPENAI_BASE_URL (with /v1; of compatible/<id> too, which may need no key)",
      "NO_COLOR  no colours"
    ]
  ],
  [
    "SIGNALS",
    ["SIGINT interrupts what runs. SIGTERM leaves it unfinished, to be resumed by the next command on its session."]
  ],
  [
    "EXIT CODES",
    [
      "0 completed, 1 failed, 2 usage or configuration, 3 the session is busy, 130 interrupted, 143 stopped by SIGTERM",
      "baton shell ends with the code of its command, and with 124 where that took too long."
    ]
  ]
]

/** Stands below the help of each command. */
export const footer = HelpDoc.blocks(
  common.flatMap(([title, paragraphs]) => [HelpDoc.h1(title), ...paragraphs.map((it) => HelpDoc.p(it))])
)

/** Whether arguments ask for the overview: there are none, or nothing but the wish for help. */
export const isWanted = (args: ReadonlyArray<string>): boolean =>
  args.length === 2 || (args.length === 3 && (args[2] === "--help" || args[2] === "-h"))

/** Prints it. */
export const overview = (version: string) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    const isTerminal = yield* terminal.isTTY
    const paint = picocolors.createColors(isTerminal && (yield* coloursAllowed))
    const width = Math.min((isTerminal ? yield* terminal.columns : 0) || 100, 100) - 2
    const lines = [`baton ${version}: ${summary.charAt(0).toLowerCase()}${summary.slice(1)}`]
    const section = (title: string, rows: ReadonlyArray<string>) =>
      lines.push("", paint.bold(title), ...rows.map((row) => `  ${row}`))
    section("USAGE", ["baton <command> [options]"])
    section("COMMANDS", table(commands, width))
    section("HISTORY", table(histories, width))
    section("KEEPING", table(keeping, width))
    section("OPTIONS", table(options, width))
    for (const [title, paragraphs] of common)
      section(
        title,
        paragraphs.flatMap((it) => textLines(it, width))
      )
    yield* terminal.display(lines.map((line) => `${line}\n`).join(""))
  })
