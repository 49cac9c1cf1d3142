import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Agent, Skill, Tool } from "effect-baton"
import stringWidth from "string-width"
import { viewLines, viewOf } from "../../src/programs/agentView.js"
import { table } from "../../src/programs/table.js"
import { filesSandbox } from "../support/filesSandbox.js"

const long = "漢字 and a description that goes on and on, as those do that are written for models. ".repeat(4)

const inner = Agent.make("inner", {
  description: `\u001b[31m${long}`,
  tools: [Tool.make("look", { description: long, run: () => 1 })],
  skills: [Skill.make("release", { description: long, instructions: "Do it." })],
  model: "anthropic/claude-sonnet-5",
  fallbacks: ["scripted"],
  thinking: "low",
  limits: { toolDeadline: 1_000 },
  workspace: "off"
})

const agent = Agent.make("triage", {
  description: `${long}\n\nIts second paragraph.`,
  tools: [Tool.make("ticket", { description: "First.\nSecond.", run: () => 1 })],
  skills: [Skill.make("release", { description: long, instructions: "Do it." })],
  subagents: [Agent.make("middle", { subagents: [inner] }), inner],
  limits: { turns: 3, modelIdle: 60_000 }
})

const skill = (name: string) => `---\nname: ${name}\ndescription: ${long.trim()}\n---\nDo it.\n`

const files = filesSandbox(
  new Map([
    ["AGENTS.md", "Be kind.\n"],
    [".agents/skills/release/SKILL.md", skill("release")],
    [".agents/skills/own/SKILL.md", skill("own")],
    [".agents/skills/broken/SKILL.md", "no front matter"]
  ])
)

describe("what an agent has", () => {
  it.effect("is its own, and what the workspace adds", () =>
    Effect.gen(function* () {
      const view = yield* viewOf(files, agent, "scripted (as asked)")
      assert.deepStrictEqual(
        view.workspaceSkills.map(({ name }) => name),
        ["own"]
      )
      assert.deepStrictEqual(view.files, [{ path: "AGENTS.md", bytes: 9 }])
      assert.deepStrictEqual(view.skipped, [
        {
          path: ".agents/skills/broken/SKILL.md:1",
          reason: "it does not begin with front matter, between lines of ---"
        },
        { path: ".agents/skills/release", reason: "the agent has a skill of the same name" }
      ])
      assert.deepStrictEqual(view.tools, [{ name: "ticket", description: "First." }])
      assert.deepInclude(view.subagents[0]?.subagents[0] as object, {
        name: "inner",
        model: "anthropic/claude-sonnet-5",
        workspace: "off"
      })
      const off = yield* viewOf(files, { ...agent, workspace: "off" }, "")
      assert.deepStrictEqual([off.workspaceSkills, off.files, off.skipped], [[], [], []])
    })
  )

  it.effect("fits the width, and tells nothing to the terminal", () =>
    Effect.gen(function* () {
      const view = yield* viewOf(files, agent, "scripted (as asked)")
      for (const width of [40, 80, 200]) {
        const lines = viewLines(view, width, false)
        for (const line of lines) assert.isAtMost(stringWidth(line), width, line)
        assert.notMatch(lines.join(""), /\p{Cc}/u)
        assert.include(lines.join("\n"), "limits        turns 3,")
      }
      const [title] = viewLines(view, 80, true)
      assert.strictEqual(title, "\u001b[1mtriage\u001b[22m")
      const tree = viewLines(view, Number.POSITIVE_INFINITY, false).slice(-7)
      assert.deepStrictEqual(
        tree.map((line) => line.replace(/ {2}漢字.*$/, "")),
        [
          "SUBAGENTS",
          "  ├─ middle",
          "  │  │ no tools",
          "  │  └─ inner",
          "  │       tools look · skills release · model anthropic/claude-sonnet-5, else scripted · thinking low · toolDeadline 1,000 ms · workspace off",
          "  └─ inner",
          "       tools look · skills release · model anthropic/claude-sonnet-5, else scripted · thinking low · toolDeadline 1,000 ms · workspace off"
        ]
      )
    })
  )
})

describe("a table", () => {
  it("puts a text below its name where there is no room beside it", () => {
    assert.deepStrictEqual(table([["a name", "some text"]], 27), ["a name", "  some text"])
    assert.deepStrictEqual(
      table(
        [
          ["a", "b"],
          ["long", ""]
        ],
        80
      ),
      ["a     b", "long"]
    )
  })
})
