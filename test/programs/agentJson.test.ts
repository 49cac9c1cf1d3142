import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Skill, Tool } from "effect-baton"
import * as fc from "effect/FastCheck"
import { type Files, readAgent } from "../../src/programs/agentJson.js"
import { jsonMistake } from "../../src/programs/jsonMistake.js"

const tools = ["read", "grep"].map((name) => Tool.make(name, { description: name, run: () => 1 }))

const release = Skill.make("release", { description: "Makes a release", instructions: "Do it." })

/** Files by their names; one that is an object is its JSON. */
const filesOf = (all: Readonly<Record<string, unknown>>): Files => ({
  resolve: (_file, path) => path,
  read: (file) => {
    const text = all[file]
    if (text === undefined) return Effect.fail("no such file or folder")
    return Effect.succeed(typeof text === "string" ? text : JSON.stringify(text))
  },
  skill: (folder) => (folder === "release" ? Effect.succeed(release) : Effect.fail(`${folder}: it holds no SKILL.md`))
})

const read = (all: Readonly<Record<string, unknown>>) => readAgent(filesOf(all), tools, "a.json")

const refused = (agent: unknown, more: Readonly<Record<string, unknown>> = {}) =>
  Effect.map(Effect.flip(read({ "a.json": agent, ...more })), ({ message }) =>
    message.replace('The agent file "a.json" cannot be used', "")
  )

describe("an agent in JSON", () => {
  it.effect("has all that it names", () =>
    Effect.gen(function* () {
      const agent = yield* read({
        "a.json": {
          $schema: "x",
          name: "triage",
          description: "Triages",
          instructions: { file: "text.md" },
          model: "anthropic/claude-sonnet-5",
          fallbacks: ["scripted"],
          thinking: "high",
          tools: ["grep"],
          skills: ["release"],
          subagents: [{ name: "one", instructions: "As text." }, "b.json"],
          delegate: "off",
          workspace: "off",
          limits: { turns: 3 }
        },
        "b.json": '\uFEFF{ "name": "two", "tools": [] }',
        "text.md": "Triage it."
      })
      const [one, two] = agent.subagents
      assert.deepInclude(agent, {
        name: "triage",
        description: "Triages",
        instructions: "Triage it.",
        model: "anthropic/claude-sonnet-5",
        fallbacks: ["scripted"],
        thinking: "high",
        tools: [tools[1]!],
        skills: [release],
        delegate: "off",
        workspace: "off",
        limits: { turns: 3 },
        resultSchema: undefined
      })
      assert.strictEqual(one?.instructions, "As text.")
      assert.deepStrictEqual(one?.tools, tools)
      assert.strictEqual(two?.name, "two")
      assert.deepStrictEqual(two?.tools, [])
      assert.strictEqual(two?.delegate, "general")
      assert.strictEqual(two?.workspace, "read")
    })
  )

  it.effect("is refused with the field", () =>
    Effect.gen(function* () {
      const says = (fields: object, message: string) =>
        Effect.map(refused({ name: "x", ...fields }), (said) => assert.strictEqual(said, message))
      assert.strictEqual(yield* refused([]), ", at agent: it is not an object.")
      assert.match(yield* refused({}), /^, at agent\.name: it is not a name/)
      yield* says(
        { tols: [] },
        ", at agent.tols: there is no such field; there are name, description, instructions, model, fallbacks, thinking, tools, skills, subagents, delegate, workspace, compaction, limits."
      )

      yield* says({ delegate: null }, ", at agent.delegate: it is null; what is not given is left out.")
      yield* says({ delegate: "on" }, ', at agent.delegate: it is neither "general" nor "off".')
      yield* says({ description: 1 }, ", at agent.description: it is not a text.")
      yield* says({ instructions: 1 }, ', at agent.instructions: it is neither a text nor { "file": "a path" }.')
      yield* says(
        { instructions: { file: "b", x: 1 } },
        ', at agent.instructions: it is neither a text nor { "file": "a path" }.'
      )
      yield* says({ instructions: { file: "b.md" } }, ", at agent.instructions.file: b.md: no such file or folder.")
      yield* says({ tools: "read" }, ", at agent.tools: it is not a list.")
      yield* says({ tools: ["read", "x"] }, ', at agent.tools[1]: there is no tool "x" (known tools: read, grep).')
      yield* says({ tools: ["read", "read"] }, ': Two tools are named "read" (agent.tools[1]).')
      yield* says({ skills: [1] }, ", at agent.skills[0]: it is not the path of a folder.")
      yield* says({ skills: ["x"] }, ", at agent.skills[0]: x: it holds no SKILL.md.")
      yield* says({ skills: ["release", "release"] }, ', at agent.skills[1].name: another skill is named "release".')
      yield* says({ subagents: [1] }, ", at agent.subagents[0]: it is neither an agent nor the path of a file.")
      yield* says({ subagents: ["b.ts"] }, ", at agent.subagents[0]: it is not the path of a .json file.")
      yield* says(
        { subagents: [{ name: "y" }, { name: "y" }] },
        ', at agent.subagents[1].name: another subagent is named "y".'
      )
      yield* says(
        { subagents: [{ name: "y", model: "" }] },
        ", at agent.subagents[0].model: it is not a name: a text of 1 to 256 characters without control characters."
      )
      yield* says({ limits: { turn: 1 } }, ", at agent.limits.turn: there is no such limit.")
      yield* says({ limits: { turns: -1 } }, ", at agent.limits.turns: it is not a number from 0.")
    })
  )

  it.effect("is refused with the file that is wrong", () =>
    Effect.gen(function* () {
      const whole = { name: "x", subagents: [{ name: "y", subagents: ["b.json"] }] }
      const told = (b: unknown) => Effect.map(Effect.flip(read({ "a.json": whole, "b.json": b })), (it) => it.message)
      assert.strictEqual(
        yield* told({ name: "z", subagents: [{ name: "a.json", model: 1 }] }),
        'The agent file "b.json" cannot be used, at agent.subagents[0].name: it is not a name: a letter, and then at most 63 letters, digits, hyphens and underscores.'
      )
      assert.strictEqual(
        yield* told({ name: "z", subagents: ["a.json"] }),
        'The agent file "b.json" cannot be used, at agent.subagents[0]: it goes round: a.json -> b.json -> a.json.'
      )
      assert.strictEqual(yield* told(undefined), 'The agent file "b.json" cannot be used: no such file or folder.')
      assert.strictEqual(
        yield* told('{ "name": "z",\n  "tools": [,] }'),
        'The agent file "b.json" cannot be used, at line 2: it is not JSON: ",] }" stands there.'
      )
      assert.strictEqual(
        yield* told('{\n"name": "z"\n'),
        'The agent file "b.json" cannot be used, at line 3: it is not JSON: it ends too early.'
      )
    })
  )

  it.effect("names a file twice and gets one agent", () =>
    Effect.gen(function* () {
      const agent = yield* read({
        "a.json": { name: "x", subagents: [{ name: "y", subagents: ["b.json"] }, "b.json"] },
        "b.json": { name: "z" }
      })
      assert.strictEqual(agent.subagents[1], agent.subagents[0]?.subagents[0])
    })
  )
})

describe("the first mistake in JSON", () => {
  const at = (text: string) => {
    assert.throws(() => JSON.parse(text))
    const { found, line } = jsonMistake(text)
    return `${line} ${found}`
  }

  it("is found on its line", () => {
    assert.strictEqual(at(""), "1 ")
    assert.strictEqual(at("{\n,}"), "2 ,}")
    assert.strictEqual(at('{"a" 1}'), "1 1}")
    assert.strictEqual(at('{"a":\n:1}'), "2 :1}")
    assert.strictEqual(at("[1\n 2]"), "2 2]")
    assert.strictEqual(at("[1,\n]"), "2 ]")
    assert.strictEqual(at('{"a":1,\n\n}'), "3 }")
    assert.strictEqual(at("[1}"), "1 }")
    assert.strictEqual(at("[1]]"), "1 ]")
    assert.strictEqual(at("{'a': 1}"), "1 'a': 1}")
    assert.strictEqual(at('{"a": "x\ny"}'), '1 "x')
    assert.strictEqual(at("1 2"), "1 2")
    assert.strictEqual(at("[\u00a01]"), "1 1]")
    assert.strictEqual(at("{1:2}"), "1 1:2}")
    assert.strictEqual(at("[01]"), "1 1]")
  })

  it("is in no whole text before its end", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value, null, 1)
        assert.deepStrictEqual(jsonMistake(text), { line: text.split("\n").length, found: "" })
      })
    )
  })
})
