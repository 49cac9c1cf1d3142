import { symlinkSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import { afterEach } from "vitest"
import { BuiltinTools } from "effect-baton/node"
import * as AgentFile from "../../src/layers/AgentFile.js"
import { removeFolders, temporary } from "../support/repositories.js"

afterEach(removeFolders)

const load = (files: Readonly<Record<string, string>>, name: string) =>
  Effect.suspend(() => AgentFile.load(join(temporary(files), name)))

/** What is said of a file, without its name. */
const refused = (files: Readonly<Record<string, string>>, name = Object.keys(files)[0]!) =>
  Effect.map(Effect.flip(load(files, name)), ({ message }) =>
    message.replace(/^The agent file "[^"]*" cannot be used/, "").replaceAll(/\/\S* cli \w+\//g, "")
  )

const triage = `import { Agent, Tool } from "effect-baton"
import { BuiltinTools } from "effect-baton/node"
import { Schema } from "effect"
import * as Effect from "effect/Effect"
import { title } from "./title.js"

interface Ticket {
  readonly title: string
}
const ticket = Tool.make("ticket", {
  description: "Looks a ticket up",
  parameters: Schema.Struct({ id: Schema.Number }),
  run: ({ id }) => Effect.succeed({ id, title } satisfies Ticket & { id: number })
})
const reproducer = Agent.make("reproducer", { description: "Reproduces one issue", tools: BuiltinTools.tools })
`

describe("an agent's file", () => {
  it.live("in TypeScript, in a folder without packages, has a tool and a subagent", () =>
    Effect.gen(function* () {
      const files = {
        "title.ts": 'export const title: string = "Crash"\n',
        "by default.ts": `${triage}export default Agent.make("triage", { tools: [ticket], subagents: [reproducer] })\n`,
        "by name.mts": `${triage}export const agent = Agent.make("triage", { tools: [ticket], subagents: [reproducer] })\n`
      }
      for (const name of ["by default.ts", "by name.mts"]) {
        const agent = yield* load(files, name)
        assert.strictEqual(agent.name, "triage")
        assert.deepStrictEqual(
          agent.tools.map(({ name }) => name),
          ["ticket"]
        )
        assert.deepStrictEqual(
          agent.subagents[0]?.tools.map(({ name }) => name),
          BuiltinTools.tools.map(({ name }) => name)
        )
      }
    })
  )

  it.live("in JavaScript is a module by whatever name", () =>
    Effect.gen(function* () {
      const text = 'import { Agent } from "effect-baton"\nexport default Agent.make("x", { skills: [] })\n'
      for (const name of ["a.js", "a.mjs"]) assert.strictEqual((yield* load({ [name]: text }, name)).name, "x")
      const common = 'const { agent } = require("./own.cjs")\nmodule.exports = { agent }\n'
      const own = 'exports.agent = { name: "y", tools: [], subagents: [] }\n'
      // It lacks what Agent.make would have put there.
      assert.strictEqual(
        yield* refused({ "a.js": common, "own.cjs": own }),
        ", at agent.description: it is not a text."
      )
    })
  )

  it.live("takes the packages that it finds where it stands", () =>
    Effect.gen(function* () {
      const folder = temporary({
        "node_modules/effect-baton/package.json":
          '{ "name": "effect-baton", "type": "module", "exports": { ".": "./a.js", "./package.json": "./package.json" } }',
        "node_modules/effect-baton/a.js": `export const Agent = { make: (name) => ({ name: "theirs-" + name, description: "", instructions: "", tools: [], subagents: [], skills: [], limits: {}, delegate: "general", workspace: "read" }) }`,
        "a.ts":
          'import { Agent } from "effect-baton"\nimport { Effect } from "effect"\nexport default Agent.make(typeof Effect.succeed)\n'
      })
      assert.strictEqual((yield* AgentFile.load(join(folder, "a.ts"))).name, "theirs-function")
    })
  )

  it.live("is refused in words with its line, as far as there is one", () =>
    Effect.gen(function* () {
      const agent = 'import { Agent } from "effect-baton"\n'
      assert.strictEqual(yield* refused({}, "a.json"), ": no such file or folder.")
      assert.strictEqual(yield* refused({}, "a.ts"), ": no such file or folder.")
      assert.strictEqual(yield* refused({ "a.json/b": "" }, "a.json"), ": it is a folder.")
      assert.strictEqual(yield* refused({ "a.toml": "" }), ": its name ends in none of .json, .ts, .mts, .js, .mjs.")
      assert.strictEqual(yield* refused({ "a.json": " ".repeat(1024 * 1024 + 1) }), ": it has more than 1048576 bytes.")
      assert.match(
        yield* refused({ "a.ts": `${agent}\nexport default Agent.make(\n  "x",,\n)\n` }),
        /^, at line 4: it is not TypeScript or JavaScript: Unexpected token/
      )
      assert.strictEqual(
        yield* refused({ "a.ts": `${agent}\nthrow new Error("own words.")\n` }),
        ", at line 3: it failed to load: own words."
      )
      assert.strictEqual(yield* refused({ "a.ts": 'throw "a text"\n' }), ": it failed to load: a text.")
      assert.strictEqual(
        yield* refused({ "a.ts": 'import "./b.js"\n', "b.ts": "\n\nconst x: number = nope\n" }),
        `, at ${"b.ts:3"}: it failed to load: nope is not defined.`
      )
      assert.match(
        yield* refused({ "a.ts": 'import x from "left-pad"\nexport default x\n' }),
        /: it imports "left-pad", which is not there\.$/
      )
      assert.strictEqual(
        yield* refused({ "a.ts": "export const other = 1\n" }),
        ": it has no default export, and none that is named agent."
      )
      assert.strictEqual(
        yield* refused({ "a.ts": "export default () => 1\n" }),
        ": what it exports is no agent: Agent.make of effect-baton makes one."
      )
      assert.match(
        yield* refused({ "a.ts": `${agent}export default Agent.make("1")\n` }),
        /^, at agent\.name: it is not a name/
      )
      assert.strictEqual(
        yield* refused({ "a.ts": `${agent}export default Agent.make("x", { nope: 1 } as object)\n` }),
        ", at agent.nope: there is no such field."
      )
    })
  )

  it.live("in JSON names folders of skills and files from where it stands", () =>
    Effect.gen(function* () {
      const skill = (name: string) => `---\nname: ${name}\ndescription: Makes a release\n---\nDo it.\n`
      const folder = temporary({
        "agents/a.json":
          '{ "name": "a", "skills": ["../skills/release"], "instructions": { "file": "a.md" }, "subagents": ["more/b.json"] }',
        "agents/a.md": "Do.",
        "agents/more/b.json": '{ "name": "b", "skills": ["../../skills/wrong"] }',
        "skills/release/SKILL.md": skill("release"),
        "skills/release/notes/how.md": "How.",
        "skills/wrong/SKILL.md": skill("right"),
        "secret.md": "Secret."
      })
      symlinkSync(join(folder, "secret.md"), join(folder, "skills/release/link.md"))
      const wrong = yield* Effect.flip(AgentFile.load(join(folder, "agents/a.json")))
      assert.strictEqual(
        wrong.message,
        `The agent file "${join(folder, "agents/more/b.json")}" cannot be used, at agent.skills[0]: ${join(folder, "skills/wrong/SKILL.md")}:2: its name "right" is not that of its folder, "wrong".`
      )
      const whole = temporary({
        "a.json": '{ "name": "a", "skills": ["release"] }',
        "release/SKILL.md": skill("release"),
        "release/notes/how.md": "How.",
        "secret.md": "Secret."
      })
      symlinkSync(join(whole, "secret.md"), join(whole, "release/link.md"))
      const [release] = (yield* AgentFile.load(join(whole, "a.json"))).skills
      assert.strictEqual(release?.instructions, "Do it.")
      assert.deepStrictEqual(yield* release!.files, ["notes/how.md"])
      const all = { offset: 0, limit: 100 }
      assert.strictEqual(new TextDecoder().decode(yield* release!.read("notes/how.md", all)), "How.")
      for (const path of ["../secret.md", "link.md", join(whole, "secret.md")]) {
        assert.isTrue(Either.isLeft(yield* Effect.either(release!.read(path, all))), path)
      }
    })
  )
})
