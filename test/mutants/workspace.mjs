/**
 * Faults of what a workspace tells: its files of instructions, its skills, and the agents that have them.
 */

const agentProblem = "src/programs/agentProblem.ts"
const conversation = "src/services/Conversation.ts"
const format = "src/layers/sql/format.ts"
const operation = "src/programs/operation.ts"
const skill = "src/programs/skill.ts"
const skillFile = "src/programs/skillFile.ts"
const skillFolder = "src/programs/skillFolder.ts"
const skillTools = "src/programs/skillTools.ts"
const view = "src/services/Workspace.ts"
const workspace = "src/programs/workspace.ts"
const byAgents = ["test/programs/agents.test.ts"]
const byFormat = ["test/layers/sql/format.test.ts"]
const byGate = ["test/gate/gate.test.ts"]
const byOnce = ["test/programs/once.test.ts"]
const byPrompt = ["test/programs/prompt.test.ts"]
const byResumption = ["test/programs/resumption.test.ts"]
const bySkills = ["test/programs/skills.test.ts"]
const byWorkspace = ["test/programs/workspace.test.ts"]

export const workspaces = [
  {
    name: "workspace: the farthest folder is looked at first",
    file: workspace,
    find: `parts.slice(0, depth).join("/")).toReversed()`,
    replace: `parts.slice(0, depth).join("/"))`,
    tests: byWorkspace
  },
  {
    name: "workspace: CLAUDE.md stands before AGENTS.md",
    file: workspace,
    find: `["AGENTS.md", "CLAUDE.md"]`,
    replace: `["CLAUDE.md", "AGENTS.md"]`,
    tests: byWorkspace
  },
  {
    name: "workspace: all files together have no bound",
    file: workspace,
    find: "room -= guide.taken",
    replace: "room -= 0",
    tests: byWorkspace
  },
  {
    name: "workspace: one file takes what there is room for",
    file: workspace,
    find: "Math.min(room, maxGuide)",
    replace: "room",
    tests: byWorkspace
  },
  {
    name: "workspace: a cut leaves half of a character",
    file: workspace,
    find: ".decode(bytes, { stream: true })",
    replace: ".decode(bytes)",
    tests: byWorkspace
  },
  {
    name: "workspace: a file that is no text hides the next one of its folder",
    file: workspace,
    find: `        skip({ path, reason: "it is not text" })
        continue`,
    replace: `        skip({ path, reason: "it is not text" })
        return undefined`,
    tests: byWorkspace
  },
  {
    name: "workspace: a file that cannot be read is not told",
    file: workspace,
    find: "        if (read.left.reason === absent) continue\n        skip({ path, reason: read.left.reason })\n",
    replace: "        if (read.left.reason === absent) continue\n",
    tests: byGate
  },
  {
    name: "workspace: a file that is not there is told",
    file: workspace,
    find: "        if (read.left.reason === absent) continue\n        skip(",
    replace: "        skip(",
    tests: byWorkspace
  },
  {
    name: "workspace: a skill that a nearer one hides is not told",
    file: workspace,
    find: "if (skills.some(({ name }) => name === skill.name))",
    replace: "if (skills.includes(skill))",
    tests: byWorkspace
  },
  {
    name: "workspace: a skill that the agent's hides is not told",
    file: workspace,
    find: "if (agent.skills.some(({ name }) => name === skill.name))",
    replace: "if (agent.skills.includes(skill))",
    tests: byWorkspace
  },
  {
    name: "workspace: its skills stand above the agent's",
    file: workspace,
    find: "[...agent.skills, ...skills]",
    replace: "[...skills, ...agent.skills]",
    tests: byWorkspace
  },
  {
    name: "workspace: skills have no bound",
    file: workspace,
    find: "else if (skills.length + agent.skills.length < maxSkills) skills.push(skill)",
    replace: "else if (skills.length < Number.MAX_SAFE_INTEGER) skills.push(skill)",
    tests: byWorkspace
  },
  {
    name: "workspace: the agent's skills do not count",
    file: workspace,
    find: "skills.length + agent.skills.length < maxSkills",
    replace: "skills.length < maxSkills",
    tests: byWorkspace
  },
  {
    name: "workspace: a link to a folder of a skill is passed over",
    file: workspace,
    find: `if (type === "file" || name`,
    replace: `if (type !== "directory" || name`,
    tests: bySkills
  },
  {
    name: "workspace: hidden folders are taken for skills",
    file: workspace,
    find: ` || name.startsWith(".")`,
    replace: "",
    tests: byWorkspace
  },
  {
    name: "workspace: a look has no bound",
    file: workspace,
    find: "duration: maxLook,",
    replace: "duration: Number.POSITIVE_INFINITY,",
    tests: byWorkspace
  },
  {
    name: "workspace: a sandbox that breaks breaks the prompt",
    file: workspace,
    find: 'Effect.catchAllCause(() => Effect.succeed(given("the sandbox failed")))',
    replace: 'Effect.catchAll(() => Effect.succeed(given("the sandbox failed")))',
    tests: byWorkspace
  },
  {
    name: "workspace: an agent that is kept from it reads it",
    file: workspace,
    find: `  if (agent.workspace === "off") return undefined\n`,
    replace: "",
    tests: byWorkspace
  },
  {
    name: "workspace: what it told holds on where there is none any more",
    file: workspace,
    find: "ref.agent.skills.length === 0 && before === Workspace.nothing",
    replace: "ref.agent.skills.length === 0",
    tests: byWorkspace
  },
  {
    name: "workspace: skills that came since are loaded by what goes on",
    file: workspace,
    find: "[...skills].filter(([name]) => listed.has(name))",
    replace: "[...skills].filter(([name]) => name !== listed)",
    tests: byResumption
  },
  {
    name: "workspace: what is rolled back is what a view is compared with",
    file: operation,
    find: "goesBack ? conversation.workspaceBefore : conversation.workspace",
    replace: "goesBack ? conversation.workspace : conversation.workspace",
    tests: byWorkspace
  },
  {
    name: "workspace: it is recorded with each operation",
    file: workspace,
    find: "Workspace.isSame(before, view) ? []",
    replace: "before === view ? []",
    tests: byWorkspace
  },
  {
    name: "workspace: another description of a skill is no change",
    file: view,
    find: "skills.map(({ description, name }) => [name, description])",
    replace: "skills.map(({ name }) => [name])",
    tests: byWorkspace
  },
  {
    name: "workspace: what is not used any more is no change",
    file: view,
    find: "skipped.map(({ path, reason }) => [path, reason])",
    replace: "skipped.length < 0",
    tests: byWorkspace
  },
  {
    name: "workspace: a skill that is described in another way is not told",
    file: view,
    find: "skill.name !== name || skill.description !== description",
    replace: "skill.name !== name || skill.description === undefined || !description",
    tests: byWorkspace
  },
  {
    name: "workspace: a skill that is gone is not told",
    file: view,
    find: "if (gone.length > 0) parts",
    replace: "if (gone.length > 1e9) parts",
    tests: byWorkspace
  },
  {
    name: "workspace: a file that is gone is not told",
    file: view,
    find: "if (!after.files.some((file) => file.path === path)) parts",
    replace: "if (after.files === before.files) parts",
    tests: byWorkspace
  },
  {
    name: "workspace: a file closes the fence around it",
    file: view,
    find: "longest + 1",
    replace: "longest",
    tests: byWorkspace
  },
  {
    name: "workspace: a description of several lines breaks the list",
    file: view,
    find: `description.replace(/\\s+/g, " ")`,
    replace: "description",
    tests: byWorkspace
  },
  {
    name: "workspace: the instructions change with it",
    file: conversation,
    find: "first: known?.first ?? entry",
    replace: "first: entry",
    tests: byWorkspace
  },
  {
    name: "workspace: changes are told against what it was at first",
    file: conversation,
    find: "Workspace.changeOf(known.last, entry)",
    replace: "Workspace.changeOf(known.first, entry)",
    tests: byWorkspace
  },
  {
    name: "workspace: a change stands as a word of the user's",
    file: conversation,
    find: `this.say(entry.id, [{ type: "text", text: change, note: true }])`,
    replace: `this.say(entry.id, [{ type: "text", text: change }])`,
    tests: byWorkspace
  },
  {
    name: "workspace: a head that goes back keeps what was told since",
    file: conversation,
    find: "    this.told = before.told\n",
    replace: "",
    tests: byWorkspace
  },
  {
    name: "workspace: a look cannot be interrupted",
    file: operation,
    find: "restore(looking)",
    replace: "looking",
    tests: byWorkspace
  },
  {
    name: "workspace: an interrupted look forgets what is owed",
    file: operation,
    find: "before !== undefined && Cause.isInterrupted(cause)",
    replace: "before === undefined && Cause.isInterrupted(cause)",
    tests: byWorkspace
  },
  {
    name: "workspace: what it tells comes after the input",
    file: operation,
    find: "...found.first, ...first]",
    replace: "...first, ...found.first]",
    tests: byWorkspace
  },
  {
    name: "skill: what its folder is called does not matter",
    file: skillFile,
    find: "if (name !== folder) {",
    replace: "if (name === undefined) {",
    tests: bySkills
  },
  {
    name: "skill: the depth of its front matter has no bound",
    file: skillFile,
    find: "?? []).length > maxNested",
    replace: "?? []).length > maxFrontMatter",
    tests: byGate
  },
  {
    name: "skill: what the parser warns of is taken",
    file: skillFile,
    find: "[...document.errors, ...document.warnings]",
    replace: "[...document.errors]",
    tests: byGate
  },
  {
    name: "skill: a name of digits is a number",
    file: skillFile,
    find: `{ schema: "failsafe", lineCounter`,
    replace: `{ lineCounter`,
    tests: bySkills
  },
  {
    name: "skill: the longest compatibility is refused",
    file: skillFile,
    find: "compatibility.length > maxCompatibility",
    replace: "compatibility.length >= maxCompatibility",
    tests: bySkills
  },
  {
    name: "skill: a file that is too long is cut without a word",
    file: skillFolder,
    find: "limit: maxSkillFile + 1",
    replace: "limit: maxSkillFile",
    tests: bySkills
  },
  {
    name: "skill: a skill.md is none",
    file: skillFolder,
    find: `name === "SKILL.md" ? read("skill.md") : `,
    replace: "",
    tests: bySkills
  },
  {
    name: "skill: its files are listed however deep they lie",
    file: skillFolder,
    find: `depth >= maxDepth || name`,
    replace: `name`,
    tests: bySkills
  },
  {
    name: "skill: its files are listed however many there are",
    file: skillFolder,
    find: "return found.slice(0, maxFiles).toSorted()",
    replace: "return found.toSorted()",
    tests: bySkills
  },
  {
    name: "skill: the files of its repository are listed",
    file: skillFolder,
    find: ` || name === ".git" || name === "node_modules"`,
    replace: "",
    tests: bySkills
  },
  {
    name: "skill: a folder whose name begins as its own is within it",
    file: skillFolder,
    find: "place.startsWith(`${root}/`)",
    replace: "place.startsWith(root)",
    tests: bySkills
  },
  {
    name: "skill: a folder that was swapped while it was read is not seen",
    file: skillFolder,
    find: "after === before ? Effect.succeed(bytes) : outside",
    replace: "after !== undefined ? Effect.succeed(bytes) : outside",
    tests: bySkills
  },
  {
    name: "skill: a folder is named as it was given",
    file: "src/layers/SkillFolder.ts",
    find: "path.basename(root)",
    replace: "path.basename(folder)",
    tests: bySkills
  },
  {
    name: "skill: a page ends within a character",
    file: skillTools,
    find: "while (end > pageBytes - 3 && isContinuation(bytes[end]!)) end--",
    replace: "while (end > pageBytes && isContinuation(bytes[end]!)) end--",
    tests: byWorkspace
  },
  {
    name: "skill: the next page is told from the page's beginning",
    file: skillTools,
    find: "offset=${offset + end}",
    replace: "offset=${end}",
    tests: byWorkspace
  },
  {
    name: "skill: a page does not say that the file goes on",
    file: skillTools,
    find: "limit: pageBytes + 1",
    replace: "limit: pageBytes",
    tests: byWorkspace
  },
  {
    name: "skill: a file that is no text is shown",
    file: skillTools,
    find: `  if (bytes.includes(0)) return "[A binary file; it is not shown.]"\n`,
    replace: "",
    tests: byWorkspace
  },
  {
    name: "skill: a page before the beginning is read",
    file: skillTools,
    find: " || offset < 0) {",
    replace: ") {",
    tests: byWorkspace
  },
  {
    name: "skill: its tools are offered where there is none",
    file: skillTools,
    find: "hasSkills(running) ? specs : none",
    replace: "specs",
    tests: byWorkspace
  },
  {
    name: "skill: a tool may have the name of theirs",
    file: "src/programs/toolset.ts",
    find: `  "activate_skill",\n`,
    replace: "",
    tests: byPrompt
  },
  {
    name: "skill: another skill of the same words is the same operation",
    file: skill,
    find: "[name, content])",
    replace: "content)",
    tests: byOnce
  },
  {
    name: "skill: the record does not say which",
    file: skill,
    find: "request: { ...requestOf(options, wanted), skill: cleanText(name) }",
    replace: "request: requestOf(options, wanted)",
    tests: byWorkspace
  },
  {
    name: "skill: what the workspace told before is not recorded with it",
    file: skill,
    find: "first: [...first, Draft.user(",
    replace: "first: [...first.slice(first.length), Draft.user(",
    tests: byWorkspace
  },
  {
    name: "agents: one that was refused is sound from then on",
    file: agentProblem,
    find: "if (problem === undefined) sound.add(agent)",
    replace: "if (isObject(agent)) sound.add(agent)",
    tests: byAgents
  },
  {
    name: "agents: a skill without a way to its files is one",
    file: agentProblem,
    find: `typeof skill.read === "function" &&`,
    replace: "",
    tests: byAgents
  },
  {
    name: "agents: a subagent has the name of a delegate that is not turned off",
    file: agentProblem,
    find: `name === Agent.generalDelegate && agent.delegate === "general"`,
    replace: `name === Agent.generalDelegate && agent.delegate === "off"`,
    tests: byAgents
  },
  {
    name: "agents: two skills have one name",
    file: agentProblem,
    find: "    seen.add(skill.name!)\n",
    replace: "",
    tests: byAgents
  },
  {
    name: "format: a database that was taken over says that it is the earlier one",
    file: format,
    find: "UPDATE baton_format SET format = ${formatVersion}",
    replace: "UPDATE baton_format SET format = format",
    tests: byFormat
  },
  {
    name: "agents: a skill without its files is one",
    file: agentProblem,
    find: "Effect.isEffect(skill.files)",
    replace: "true",
    tests: byAgents
  },
  {
    name: "workspace: what another agent was told goes with the instructions of one that is kept from it",
    file: "src/programs/instructions.ts",
    find: `agent.workspace === "off"`,
    replace: "false",
    tests: byWorkspace
  },
  {
    name: "skills: the reason is that of any folder of the name",
    file: skill,
    find: "/${skillsFolder}/${name}/",
    replace: "/${name}/",
    tests: byWorkspace
  },
  {
    name: "format: every earlier one is taken over",
    file: format,
    find: "if (earlier.has(format))",
    replace: "if (earlier.has(format) || format < formatVersion)",
    tests: byFormat
  }
]
