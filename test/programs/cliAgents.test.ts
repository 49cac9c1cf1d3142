/**
 * Agents in files, and the commands besides `prompt`, as processes.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Event } from "effect-baton"
import { afterEach, assert, describe, it, vi } from "vitest"
import { bundled } from "../support/bundle.js"
import { type Options, type Run, run, slowCli } from "../support/cli.js"
import { isAlive } from "../support/folder.js"
import { removeFolders, temporary } from "../support/repositories.js"

afterEach(removeFolders)

/** Each process takes a second or two. */
vi.setConfig({ testTimeout: 90_000 })

const slow = async (args: ReadonlyArray<string>, cwd: string, options: Options = {}) =>
  run(args, { program: await bundled(slowCli), cwd, ...options })

/** Where there is another model; the engine of these tests has one that answers to every name. */
const elsewhere = { env: { OPENAI_BASE_URL: "http://127.0.0.1:9/v1" } }

/** Who answered. */
const modelsOf = ({ out }: Run) =>
  out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Event.Event)
    .flatMap((event) => (event._tag === "AssistantMessage" ? [event.model] : []))

/** The answer: what stands between the tree and the summary. */
const answerOf = ({ out }: Run): string => out.split("\n\n").slice(1, -1).join("\n\n")

const agentTs = `import { Agent, Tool } from "effect-baton"
import { Effect, Schema } from "effect"

interface Ticket {
  readonly id: number
  readonly title: string
}

const ticket = Tool.make("ticket", {
  description: "Looks a ticket up by its number",
  parameters: Schema.Struct({ id: Schema.Number }),
  run: ({ id }) => Effect.succeed<Ticket>({ id, title: "Crash on start" })
})

const reproducer = Agent.make("reproducer", { description: "Reproduces one issue", tools: [ticket] })

export default Agent.make("triage", { instructions: "Triage.", tools: [ticket], subagents: [reproducer] })
`

const skill = (name: string) => `---\nname: ${name}\ndescription: Makes a release\n---\nTag it.\n`

const agentJson = JSON.stringify({
  name: "triage",
  description: "Triages issues",
  instructions: { file: "how.md" },
  model: "scripted",
  fallbacks: ["scripted"],
  thinking: "low",
  tools: ["read", "grep"],
  skills: ["skills/release"],
  subagents: [{ name: "reproducer", description: "Reproduces one issue", tools: ["bash"] }, "other.json"],
  delegate: "off",
  workspace: "read",
  limits: { turns: 8, wallTime: 60_000 }
})

const workspace = {
  "agent.json": agentJson,
  "other.json": JSON.stringify({
    name: "other",
    tools: [],
    model: "anthropic/claude-x",
    delegate: "off",
    workspace: "off"
  }),
  "how.md": "Triage it.",
  "AGENTS.md": "Be kind.\n",
  "skills/release/SKILL.md": skill("release"),
  ".agents/skills/good/SKILL.md": skill("good"),
  ".agents/skills/bad/SKILL.md": skill("worse")
}

describe("--agent", () => {
  it("works with the tools and subagents of a TypeScript module, in a folder without packages", async () => {
    const cwd = temporary({ "agent.ts": agentTs })
    // What the module imports is what the process has, module by module.
    const asItIs = { program: slowCli }
    const own = await slow(["prompt", "a ticket", "--agent", join(cwd, "agent.ts")], cwd, asItIs)
    assert.strictEqual(own.code, 0)
    assert.strictEqual(answerOf(own), 'Found: {"id":7,"title":"Crash on start"}')
    const task = await slow(["task", "a ticket", "--agent", "agent.ts", "--agent-name", "reproducer"], cwd, asItIs)
    assert.strictEqual(task.code, 0, task.err)
    assert.strictEqual(answerOf(task), 'Found: {"id":7,"title":"Crash on start"}')
    const delegated = await slow(["prompt", "delegate", "--agent", "agent.ts"], cwd, asItIs)
    assert.include(answerOf(delegated), 'Brought: Found: {"id":7,"title":"Crash on start"}')
    const general = await slow(["prompt", "again"], cwd)
    assert.include(general.out, 'Session "main" was begun by agent "triage", and goes on with "baton".\n')
    assert.deepStrictEqual(readdirSync(cwd).toSorted(), [".baton", "agent.ts"], "nothing is left beside the file")
  })

  it("is refused with the file's name and exit code 2, before anything is made", async () => {
    const cwd = temporary({
      "bad.ts": 'import { Agent } from "effect-baton"\n\nexport default Agent.make(,)\n',
      "cycle.json": '{ "name": "x", "subagents": ["cycle.json"] }',
      "key.json": '{ "name": "x", "model": "anthropic/claude-x" }',
      "broken.json": '{ "name": "x", "skills": ["skills/release"] }',
      "skills/release/SKILL.md": skill("other")
    })
    const refused = async (command: ReadonlyArray<string>, file: string, says: RegExp) => {
      const done = await run([...command, "--agent", file], { cwd })
      assert.match(done.err, says)
      assert.notInclude(done.err, "    at ")
      assert.strictEqual(done.code, 2)
      assert.strictEqual(done.out, "")
    }
    await refused(
      ["prompt", "hi"],
      "none.json",
      /^The agent file "none\.json" cannot be used: no such file or folder\.\n$/
    )
    await refused(["task", "hi"], "bad.ts", /^The agent file "bad\.ts" cannot be used, at line 3: it is not TypeScript/)
    await refused(
      ["skill", "x"],
      "cycle.json",
      /at agent\.subagents\[0\]: it goes round: cycle\.json -> cycle\.json\.\n$/
    )
    await refused(
      ["shell", "true"],
      "broken.json",
      /at agent\.skills\[0\]: skills\/release\/SKILL\.md:2: its name "other"/
    )
    await refused(["agent", "show"], "broken.json", /at agent\.skills\[0\]/)
    await refused(["prompt", "hi"], "key.json", /^The model anthropic\/claude-x needs ANTHROPIC_API_KEY/)
    assert.isFalse(existsSync(join(cwd, ".baton")))
  })

  it("asks the model that the agent names, unless the command line names one", async () => {
    const cwd = temporary({ "agent.json": '{ "name": "x", "model": "openai/gpt-5", "tools": [] }' })
    const env = { OPENAI_API_KEY: "key", OPENAI_BASE_URL: "http://127.0.0.1:9/v1" }
    const named = await run(["agent", "show", "--agent", "agent.json"], { cwd, env })
    assert.match(named.out, /^model +openai\/gpt-5 \(as its agent x asks, at 127\.0\.0\.1:9\)$/m)
    const asked = await run(["prompt", "hi", "--agent", "agent.json", "--model", "scripted"], { cwd, env })
    assert.strictEqual(asked.code, 0)
    assert.match(asked.out, /^baton \S+ · model scripted \(as asked\)\n/)
    assert.match(answerOf(asked), /^I am the scripted model/)
  })

  it("gives a module up that never ends to load, when the process is to end", async () => {
    const text = 'import { writeFileSync } from "node:fs"\nwriteFileSync("up", "")\nawait new Promise(() => {})\n'
    for (const [signal, code, err] of [
      ["SIGTERM", 143, "Stopped.\n"],
      ["SIGINT", 130, "Interrupted.\n"]
    ] as const) {
      const cwd = temporary({ "agent.mjs": text })
      const interrupt = { when: () => existsSync(join(cwd, "up")), signals: [signal] }
      const done = await run(["prompt", "hi", "--agent", "agent.mjs"], { cwd, interrupt })
      assert.deepStrictEqual(done, { code, out: "", err })
      assert.isFalse(existsSync(join(cwd, ".baton")))
    }
  })

  it("goes on with what an agent was at", async () => {
    const cwd = temporary({ "agent.json": '{ "name": "triage" }' })
    const hanging = () => existsSync(join(cwd, "hanging"))
    const cut = await slow(["prompt", "hang", "--agent", "agent.json"], cwd, {
      env: { HANG: "1" },
      interrupt: { when: hanging, signals: ["SIGTERM"] }
    })
    assert.strictEqual(cut.code, 143)
    const stranger = await slow(["resume"], cwd)
    assert.include(stranger.out, 'of agent "triage", which this command does not know: it is left.')
    const done = await slow(["resume", "--agent", "agent.json"], cwd)
    assert.strictEqual(done.code, 0)
    assert.strictEqual(answerOf(done), "It hangs no more.")
  })
})

describe("baton skill", () => {
  it("prompts with a skill of the agent or of the workspace, and names those that there are", async () => {
    const cwd = temporary(workspace)
    const own = await run(["skill", "release", "--args", "of today", "--agent", "agent.json"], { cwd })
    assert.strictEqual(own.code, 0)
    assert.include(own.out, "✔ skill of today")
    const [operation] = (await run(["skill", "good", "--json"], { cwd })).out.split("\n")
    assert.deepInclude(JSON.parse(operation!), { _tag: "OperationStarted", kind: "skill" })
    const unknown = await run(["skill", "nope", "--agent", "agent.json"], { cwd })
    assert.strictEqual(unknown.err, 'There is no skill "nope" (known skills: good, release).\n')
    assert.strictEqual(unknown.code, 2)
    const bad = await run(["skill", "bad"], { cwd })
    assert.include(
      bad.err,
      'What was found under that name is not used: its name "worse" is not that of its folder, "bad"'
    )
    assert.strictEqual(bad.code, 2)
  })
})

describe("baton task", () => {
  it("delegates to a subagent or the general delegate, and names those that there are", async () => {
    const subs = { name: "a", subagents: [{ name: "sub", description: "s", model: "compatible/none" }] }
    const cwd = temporary({ ...workspace, "subs.json": JSON.stringify(subs) })
    const general = await slow(["task", "again"], cwd)
    assert.strictEqual(general.code, 0)
    assert.strictEqual(answerOf(general), "Here I am.")
    const named = await slow(
      ["task", "again", "--agent-name", "reproducer", "--agent", "agent.json", "--session", "b"],
      cwd
    )
    assert.strictEqual(answerOf(named), "Here I am.")
    const unknown = await slow(["task", "again", "--agent-name", "nope", "--agent", "agent.json"], cwd)
    assert.strictEqual(unknown.err, 'There is no agent "nope" (known agents: reproducer, other).\n')
    assert.strictEqual(unknown.code, 2)
    const { entries } = JSON.parse((await run(["sessions", "--json"], { cwd })).out.split("\n")[0]!) as {
      entries: number
    }
    await slow(["task", "again", "--agent-name", "nope"], cwd)
    const listed = (await run(["sessions", "--json"], { cwd })).out.split("\n")[0]!
    assert.deepInclude(JSON.parse(listed), { session: "main", entries }, "nothing was written")
    const asked = ["task", "again", "--agent-name", "sub", "--agent", "subs.json", "--json"]
    assert.deepStrictEqual(modelsOf(await slow(asked, cwd, elsewhere)), ["compatible/none"])
    assert.deepStrictEqual(modelsOf(await slow([...asked, "--model", "scripted"], cwd, elsewhere)), ["scripted"])
    const empty = await slow(["task", ""], cwd)
    assert.strictEqual(empty.err, "Invalid input at input: it is empty.\n")
    assert.strictEqual(empty.code, 2)
  })
})

describe("baton shell", () => {
  it("prints what the command printed, as it is, and ends with its exit code", async () => {
    const cwd = temporary()
    const done = await run(["shell", "printf '\\033[31mred\\n'; printf '\\033[1mbold' >&2; exit 7"], { cwd })
    assert.deepStrictEqual(done, { code: 7, out: "\u001b[31mred\n", err: "\u001b[1mbold" })
    const fine = await run(["shell", "pwd"], { cwd })
    assert.deepStrictEqual(fine, { code: 0, out: `${cwd}\n`, err: "" })
    const late = await run(["shell", "echo begun; sleep 1000", "--timeout", "3"], { cwd })
    assert.deepStrictEqual(late, { code: 124, out: "begun\n", err: "" })
    const listed = await run(["sessions", "--json"], { cwd })
    assert.deepInclude(JSON.parse(listed.out), { session: "main", entries: 18, running: null })
  })

  it("prints events as JSON lines, and the result as the last one", async () => {
    const done = await run(["shell", "echo out; echo err >&2; exit 3", "--json"])
    assert.strictEqual(done.code, 3)
    const lines = done.out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Event.Event)
    assert.deepStrictEqual(lines.at(-1) as object, {
      _tag: "ShellResult",
      stdout: "out\n",
      stderr: "err\n",
      exitCode: 3,
      dropped: { stdout: 0, stderr: 0 }
    })
    assert.deepStrictEqual(
      lines.slice(0, -1).map(({ _tag }) => _tag),
      [
        "OperationStarted",
        "UserMessage",
        "AssistantMessage",
        "ToolStarted",
        "ToolSettled",
        "OperationCompleted",
        "Idle"
      ]
    )
  })

  it("keeps the output to the command's where something is gone on with first", async () => {
    const cwd = temporary()
    const cut = await slow(["prompt", "hang"], cwd, {
      env: { HANG: "1" },
      interrupt: { when: () => existsSync(join(cwd, "hanging")), signals: ["SIGTERM"] }
    })
    assert.strictEqual(cut.code, 143)
    const done = await slow(["shell", "echo hi"], cwd)
    assert.strictEqual(done.out, "hi\n")
    assert.include(done.err, 'Resuming prompt "hang" of session "main"')
    assert.include(done.err, "It hangs no more.")
    assert.strictEqual(done.code, 0)
  })

  it("resumes with the model that is asked for, whatever its agent names", async () => {
    const named = (model?: string) => JSON.stringify({ name: "a", model })
    const cwd = temporary({ "plain.json": named(), "other.json": named("compatible/none") })
    const cut = await slow(["prompt", "hang", "--agent", "plain.json"], cwd, {
      env: { HANG: "1" },
      interrupt: { when: () => existsSync(join(cwd, "hanging")), signals: ["SIGTERM"] }
    })
    assert.strictEqual(cut.code, 143)
    const done = await slow(["resume", "--agent", "other.json", "--model", "scripted", "--json"], cwd, elsewhere)
    assert.match(done.err, /model scripted \(as asked\)/)
    assert.deepStrictEqual(modelsOf(done), ["scripted"])
    assert.strictEqual(done.code, 0)
  })

  it("is refused with 3 while another process holds the session", async () => {
    const cwd = temporary()
    let isOver = false
    const holder = slow(["prompt", "hang"], cwd, {
      env: { HANG: "1" },
      interrupt: { when: () => isOver, signals: ["SIGINT"] }
    })
    await vi.waitUntil(() => existsSync(join(cwd, "hanging")), { timeout: 30_000 })
    const busy = await run(["shell", "echo hi"], { cwd })
    assert.strictEqual(busy.code, 3)
    assert.strictEqual(busy.out, "")
    assert.match(busy.err, /^Session "main" is already running prompt in another process/)
    isOver = true
    assert.strictEqual((await holder).code, 130)
  })

  it("refuses what is wrong with 2, and ends with the command when it is interrupted", async () => {
    const cwd = temporary()
    const empty = await run(["shell", " "], { cwd })
    assert.deepStrictEqual(empty, { code: 2, out: "", err: "Invalid input at command: it is empty.\n" })
    const never = await run(["shell", "true", "--timeout", "0"], { cwd })
    assert.deepStrictEqual(never, {
      code: 2,
      out: "",
      err: "Invalid input at timeout: it is not a number of seconds above 0.\n"
    })
    const file = join(cwd, "pid")
    const cut = await run(["shell", "echo $$ > pid; sleep 1000"], {
      cwd,
      interrupt: { when: () => existsSync(file) && readFileSync(file, "utf8").endsWith("\n"), signals: ["SIGINT"] }
    })
    assert.deepStrictEqual(cut, { code: 130, out: "", err: "Interrupted.\n" })
    assert.isFalse(isAlive(Number(readFileSync(file, "utf8"))))
  })
})

describe("baton", () => {
  it("tells on one page what there is", async () => {
    const help = await run(["--help"])
    assert.strictEqual(help.code, 0)
    const names = (title: string) =>
      help.out
        .split(`\n${title}\n`)[1]!
        .split("\n\n")[0]!
        .split("\n")
        .flatMap((line) => /^ {2}(\w+)/.exec(line)?.[1] ?? [])
    assert.deepStrictEqual(names("COMMANDS"), ["prompt", "skill", "task", "shell", "agent", "resume", "sessions"])
    const histories = ["tree", "transcript", "search", "label", "move", "rewind", "fork", "compact"]
    assert.deepStrictEqual(names("HISTORY"), histories)
    assert.deepStrictEqual(names("KEEPING"), ["export", "import", "remove", "prune"])
    assert.isAtMost(help.out.split("\n").length, 50, "a page")
    for (const line of help.out.split("\n")) assert.isAtMost(line.length, 100)
    for (const title of ["ENVIRONMENT", "SIGNALS", "EXIT CODES"]) assert.include(help.out, `\n${title}\n`)
    assert.deepStrictEqual(await run([]), help)
    assert.deepStrictEqual(await run(["-h"]), help)
  })
})

describe("baton agent show", () => {
  it("shows what an agent has, and writes nothing", async () => {
    const cwd = temporary(workspace)
    const shown = await run(["agent", "show", "--agent", "agent.json"], { cwd, env: { OPENAI_API_KEY: "canary" } })
    assert.strictEqual(shown.err, "")
    assert.strictEqual(shown.code, 0)
    const lines = shown.out.split("\n")
    // What tools say of themselves is theirs.
    assert.deepStrictEqual(
      lines.map((line) => line.replace(/^( {2}(?:read|grep)) .*$/, "$1")),
      [
        "triage",
        "Triages issues",
        "",
        "model         scripted (as its agent triage asks), else scripted",
        "thinking      low",
        "limits        turns 8, wallTime 60,000 ms",
        "instructions  10 characters",
        "workspace     its instructions and skills are read",
        "delegate      off",
        "",
        "TOOLS",
        "  read",
        "  grep",
        "",
        "SKILLS",
        "  release  Makes a release",
        "",
        "SKILLS OF THE WORKSPACE",
        "  good  Makes a release",
        "",
        "INSTRUCTIONS OF THE WORKSPACE",
        "  AGENTS.md  9 bytes",
        "",
        "NOT USED",
        '  .agents/skills/bad/SKILL.md:2  its name "worse" is not that of its folder, "bad"',
        "",
        "SUBAGENTS",
        "  ├─ reproducer  Reproduces one issue",
        "  │    tools bash",
        "  └─ other",
        "       no tools · model anthropic/claude-x · workspace off · delegate off",
        ""
      ]
    )
    const json = await run(["agent", "show", "--agent", "agent.json", "--json"], { cwd })
    const view = JSON.parse(json.out) as { readonly subagents: ReadonlyArray<object> }
    assert.deepInclude(view as object, {
      name: "triage",
      model: "scripted",
      wouldUse: "scripted (as its agent triage asks), else scripted",
      instructions: 10,
      files: [{ path: "AGENTS.md", bytes: 9 }],
      workspaceSkills: [{ name: "good", description: "Makes a release" }]
    })
    assert.deepInclude(view.subagents[0], { name: "reproducer", delegate: "general" })
    const general = await run(["agent", "show"], { cwd })
    assert.match(general.out, /^baton\n\nmodel +scripted \(embedded; no API key is set\)\n/)
    const unusable = await run(["agent", "show", "--model", "openai/gpt-5"], { cwd })
    assert.match(unusable.out, /^model +none\. The model openai\/gpt-5 needs OPENAI_API_KEY in the environment\.$/m)
    assert.notInclude(shown.out + json.out, "canary")
    assert.isFalse(existsSync(join(cwd, ".baton")))
  })

  it("has help for each command", async () => {
    for (const command of [["prompt"], ["skill"], ["task"], ["shell"], ["resume"], ["compact"], ["agent", "show"]]) {
      const help = await run([...command, "--help"])
      assert.strictEqual(help.code, 0)
      assert.include(help.out.replace(/\s+/g, " "), "A module is run, with your rights.", command.join(" "))
    }
  })
})
