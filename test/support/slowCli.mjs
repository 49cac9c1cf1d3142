// The built executable's program with another script: a model that runs one long command by a child, or that says
// nothing while HANG is set.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import * as AgentFile from "../../dist/layers/AgentFile.js"
import * as CliEngine from "../../dist/layers/CliEngine.js"
import * as CliStore from "../../dist/layers/CliStore.js"
import * as Engine from "../../dist/layers/Engine.js"
import { isGone } from "../../dist/layers/history/ownerName.js"
import * as ScriptedModel from "../../dist/layers/ScriptedModel.js"
import * as Signals from "../../dist/layers/Signals.js"
import * as Stdio from "../../dist/layers/Stdio.js"
import * as Cli from "../../dist/programs/cli.js"
import { ModelRejected } from "../../dist/services/Errors.js"
import { always, call, calls, on, task } from "../../dist/services/Script.js"

const hang = Effect.suspend(() => {
  if (process.env.HANG === undefined) return Effect.void
  writeFileSync(join(process.cwd(), "hanging"), "")
  return Effect.never
})

const script = [
  on("sleep", calls(call("bash", { command: "echo $$ > pid; sleep 1000 & echo $! >> pid; wait" })), "slept"),
  on("then fail", { before: hang, fail: new ModelRejected({ model: "m", reason: "it will not" }) }),
  on("hang", { before: hang, text: "It hangs no more." }),
  on("again", "Here I am."),
  on("ticket", calls(call("ticket", { id: 7 })), (seen) => `Found: ${seen.results.at(-1).text}`),
  on("delegate", calls(task("ticket", { agent: "reproducer" })), (seen) => `Brought: ${seen.results.at(-1).text}`),
  on("evil", calls(call("bash", { command: "printf '\\033[31mred\\033[0m \\033]0;title\\007'" })), {
    text: "\u001b[2J\u001b]0;owned\u0007evil \u009b31m\u202eanswer\r\n",
    chunk: 3
  }),
  always(calls(task("sleep", { description: "a long command" })), "done")
]

const engine = (setup) =>
  Layer.provideMerge(Engine.layer, Layer.merge(CliStore.layer(setup), CliEngine.sandbox(setup.cwd))).pipe(
    Layer.provide(ScriptedModel.layer(script))
  )

Signals.run((stop) =>
  Cli.run(process.argv, {
    version: "0.0.0",
    engine,
    sandbox: CliEngine.sandbox,
    agent: AgentFile.load,
    errors: Stdio.errors,
    input: Stdio.input,
    histories: CliEngine.histories,
    store: CliStore.layer,
    exists: CliStore.exists,
    stop,
    isGone
  }).pipe(Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, Stdio.layer)))
).pipe(
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Cli.exitCode(exit))
  })
)
