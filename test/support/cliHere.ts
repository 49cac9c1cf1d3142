/**
 * Runs of the executable's program in this process, with a terminal that is none.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Terminal from "@effect/platform/Terminal"
import { ConfigProvider, Console, Effect, Layer, Stream } from "effect"
import * as CliEngine from "../../src/layers/CliEngine.js"
import * as CliStore from "../../src/layers/CliStore.js"
import { isGone } from "../../src/layers/history/ownerName.js"
import * as Cli from "../../src/programs/cli.js"
import type { Run } from "./cli.js"

export interface Screen {
  /** Columns of a terminal; without them the output is none. */
  readonly columns?: number
  readonly env?: Readonly<Record<string, string>>
}

export const runHere = async (args: ReadonlyArray<string>, { columns, env = {} }: Screen = {}): Promise<Run> => {
  let out = ""
  let err = ""
  const write = (text: string) => Effect.sync(() => void (out += text))
  const terminal = Terminal.Terminal.of({
    columns: Effect.succeed(columns ?? 0),
    rows: Effect.succeed(24),
    isTTY: Effect.succeed(columns !== undefined),
    readInput: Effect.dieMessage("nobody types"),
    readLine: Effect.dieMessage("nobody types"),
    display: write
  })
  const console = await Effect.runPromise(Console.consoleWith(Effect.succeed))
  const said: Console.Console = {
    ...console,
    log: (...all) => write(`${all.join(" ")}\n`),
    error: (...all) => Effect.sync(() => void (err += `${all.join(" ")}\n`))
  }
  const exit = await Cli.run(["node", "baton", ...args], {
    version: "0.0.0",
    engine: CliEngine.layer,
    histories: CliEngine.histories,
    sandbox: CliEngine.sandbox,
    agent: () => Effect.dieMessage("no agent is read"),
    errors: { isTTY: Effect.succeed(false), columns: Effect.succeed(0), display: () => Effect.void },
    input: Stream.empty,
    store: CliStore.layer,
    exists: CliStore.exists,
    stop: Effect.never,
    isGone
  }).pipe(
    Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, Layer.succeed(Terminal.Terminal, terminal))),
    Effect.withConsole(said),
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)))),
    Effect.runPromiseExit
  )
  return { code: Cli.exitCode(exit), out, err }
}
