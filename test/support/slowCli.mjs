// The built executable's program with another script: a model that runs one long command by a child.
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import * as BuiltinTools from "../../dist/layers/BuiltinTools.js"
import * as Engine from "../../dist/layers/Engine.js"
import * as NodeSandbox from "../../dist/layers/NodeSandbox.js"
import * as ScriptedModel from "../../dist/layers/ScriptedModel.js"
import * as Stdio from "../../dist/layers/Stdio.js"
import * as Cli from "../../dist/programs/cli.js"
import { always, call, calls, on, task } from "../../dist/services/Script.js"

const script = [
  on("sleep", calls(call("bash", { command: "echo $$ > pid; sleep 1000 & echo $! >> pid; wait" }))),
  on("evil", calls(call("bash", { command: "printf '\\033[31mred\\033[0m \\033]0;title\\007'" })), {
    text: "\u001b[2J\u001b]0;owned\u0007evil \u009b31m\u202eanswer\r\n",
    chunk: 3
  }),
  always(calls(task("sleep", { description: "a long command" })), "done")
]

const engine = ({ cwd }) =>
  Layer.provideMerge(Engine.layerMemory, Layer.provideMerge(BuiltinTools.layer, NodeSandbox.layer({ root: cwd }))).pipe(
    Layer.provide(ScriptedModel.layer(script))
  )

Cli.run(process.argv, { version: "0.0.0", engine }).pipe(
  Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, Stdio.layer)),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Cli.exitCode(exit))
  })
)
