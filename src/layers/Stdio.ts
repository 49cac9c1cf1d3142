/**
 * The process that the executable runs in: its terminal and its outputs.
 */
import { stripVTControlCharacters } from "node:util"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import type * as Terminal from "@effect/platform/Terminal"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"

/** The terminal, and a Console that prints no control sequences where nobody would see what they do. */
export const layer: Layer.Layer<Terminal.Terminal> = Layer.unwrapScoped(
  Effect.gen(function* () {
    // Without a listener a reader that leaves (`| head`) would end the process with a stack. The write fails anyway.
    yield* listen(process.stdout, "error", () => {})
    yield* listen(process.stderr, "error", () => {})
    const noColor = yield* Effect.orElseSucceed(Config.withDefault(Config.string("NO_COLOR"), ""), () => "")
    const console = yield* Console.consoleWith(Effect.succeed)
    const plain = (isTTY: boolean) => (args: ReadonlyArray<unknown>) =>
      isTTY && noColor === "" ? args : args.map((it) => (typeof it === "string" ? stripVTControlCharacters(it) : it))
    const out = plain(process.stdout.isTTY)
    const err = plain(process.stderr.isTTY)
    const { unsafe } = console
    const fitted: Console.Console = {
      ...console,
      log: (...args) => console.log(...out(args)),
      error: (...args) => console.error(...err(args)),
      unsafe: { ...unsafe, log: (...args) => unsafe.log(...out(args)), error: (...args) => unsafe.error(...err(args)) }
    }
    return Layer.merge(NodeTerminal.layer, Console.setConsole(fitted))
  })
)

/** The error output. What cannot be written there is lost: nobody is left to be told. */
export const errors = {
  isTTY: Effect.sync(() => process.stderr.isTTY === true),
  columns: Effect.sync(() => process.stderr.columns ?? 0),
  display: (text: string): Effect.Effect<void> =>
    Effect.async((resume) => {
      process.stderr.write(text, () => resume(Effect.void))
    })
}

/** What the process is given to read. */
export const input: Stream.Stream<Uint8Array> = NodeStream.stdin

const listen = (on: NodeJS.EventEmitter, event: string, listener: () => void) =>
  Effect.acquireRelease(
    Effect.sync(() => on.on(event, listener)),
    () => Effect.sync(() => on.off(event, listener))
  )
