/** An agent that triages an issue with two subagents, a packaged skill and a sandbox in memory. */
import { fileURLToPath } from "node:url"
import { Effect, Layer } from "effect"
import { Agent, Engine, type Model, Sessions } from "effect-baton"
import { BuiltinTools, SkillFolder } from "effect-baton/node"
import { VirtualSandbox } from "effect-baton/virtual"

const reader = Agent.make("reader", {
  description: "Reads the sources and says where something is done",
  instructions: "Answer with file and line. Change nothing.",
  tools: [BuiltinTools.read, BuiltinTools.grep],
  delegate: "off"
})

const fixer = Agent.make("fixer", {
  description: "Changes a file as it is told, and runs it",
  instructions: "Make the smallest change that helps.",
  tools: [BuiltinTools.read, BuiltinTools.edit, BuiltinTools.bash],
  delegate: "off"
})

const files = { "run.sh": "echo $((1 / 0))\n", "AGENTS.md": "Every script ends with exit code 0.\n" }

/** Works with any model: a real one, or a script in a test. */
export const triage = (issue: string): Effect.Effect<string, unknown, Model.Model> =>
  Effect.gen(function* () {
    const labels = yield* SkillFolder.load(fileURLToPath(new URL("skills/labels", import.meta.url)))
    const agent = Agent.make("triage", {
      instructions: "Find the cause, have it fixed, and answer with the labels.",
      skills: [labels],
      subagents: [reader, fixer],
      delegate: "off"
    })
    const session = yield* (yield* Sessions.Sessions).open({ id: "issue", agent })
    return (yield* session.prompt(issue)).text
  }).pipe(Effect.provide(Layer.provideMerge(Engine.layerMemory, VirtualSandbox.layer({ files }))))
