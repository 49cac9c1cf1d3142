/**
 * The executable, put together.
 */
import { createRequire } from "node:module"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Cli from "../programs/cli.js"
import * as CliEngine from "./CliEngine.js"
import * as Stdio from "./Stdio.js"

const { version } = createRequire(import.meta.url)("../../package.json") as { readonly version: string }

/** Runs the process. It ends with the exit code of `Cli.exitCode`. */
export const main = (): void =>
  Cli.run(process.argv, { version, engine: CliEngine.layer }).pipe(
    Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, Stdio.layer)),
    NodeRuntime.runMain({
      disableErrorReporting: true,
      teardown: (exit, onExit) => onExit(Cli.exitCode(exit))
    })
  )
