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
import * as CliStore from "./CliStore.js"
import { isGone } from "./history/ownerName.js"
import * as Signals from "./Signals.js"
import * as Stdio from "./Stdio.js"

const { version } = createRequire(import.meta.url)("../../package.json") as { readonly version: string }

/** What reads files of agents is loaded where one is named. */
const agent = (file: string) =>
  Effect.flatMap(
    Effect.promise(() => import("./AgentFile.js")),
    ({ load }) => load(file)
  )

/** Runs the process. It ends with the exit code of `Cli.exitCode`. */
export const main = (): void =>
  Signals.run((stop) =>
    Cli.run(process.argv, {
      version,
      engine: CliEngine.layer,
      sandbox: CliEngine.sandbox,
      agent,
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
