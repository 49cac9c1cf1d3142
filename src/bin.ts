#!/usr/bin/env node
import { createRequire } from "node:module"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CliEngine from "./layers/CliEngine.js"
import * as Stdio from "./layers/Stdio.js"
import * as Cli from "./programs/cli.js"

const { version } = createRequire(import.meta.url)("../package.json") as { readonly version: string }

Cli.run(process.argv, { version, engine: CliEngine.layer }).pipe(
  Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, Stdio.layer)),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Cli.exitCode(exit))
  })
)
