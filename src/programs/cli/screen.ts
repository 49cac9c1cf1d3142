/**
 * Where a command shows what it does.
 */
import type { PlatformError } from "@effect/platform/Error"
import * as Terminal from "@effect/platform/Terminal"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Format, jsonLine, summary, textLines } from "../render.js"
import { clean, type Tree } from "../tree.js"

/** How what happens is shown. */
export interface Screen {
  readonly format: Format
  readonly colours: boolean
  /** Whether the figures of usage are estimated. */
  readonly estimated: boolean
  /** Shows a line that is not about an event. */
  readonly say: (line: string) => Effect.Effect<void, PlatformError, Terminal.Terminal>
}

/** Shows what was brought, and how it went. */
export const conclude = ({ estimated, format }: Screen, text: string, tree: Tree) =>
  Effect.gen(function* () {
    if (format === "json") return
    const terminal = yield* Terminal.Terminal
    const lines = yield* fit(text)
    const how = tree.roots.length === 0 ? "It was run before: this is what it brought." : summary(tree, { estimated })
    const footer = yield* fit(how)
    yield* terminal.display(["", ...lines, "", ...footer].map((line) => `${line}\n`).join(""))
  })

/** Shows lines as they are. */
export const show = (lines: ReadonlyArray<string>): Effect.Effect<void, PlatformError, Terminal.Terminal> =>
  lines.length === 0
    ? Effect.void
    : Effect.flatMap(Terminal.Terminal, (terminal) => terminal.display(lines.map((line) => `${line}\n`).join("")))

/** Shows what was done: the sentence, or the value as one line of JSON. */
export const said = (given: { readonly json: boolean }, value: object, sentence: string) =>
  given.json ? show([jsonLine(value)]) : Effect.flatMap(fit(sentence), show)

/** Prints a text as it is to a file or another program, and on a terminal without what would take effect there. */
export const print = (text: string): Effect.Effect<void, PlatformError, Terminal.Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    yield* terminal.display((yield* terminal.isTTY) ? clean(text) : text)
  })

/** How wide a line may be: without end where the output is no terminal. */
export const lineWidth: Effect.Effect<number, never, Terminal.Terminal> = Effect.gen(function* () {
  const terminal = yield* Terminal.Terminal
  return (yield* terminal.isTTY) ? (yield* terminal.columns) || 80 : Number.POSITIVE_INFINITY
})

/** Text in lines for the terminal; as it is where the output is none. */
export const fit = (text: string): Effect.Effect<ReadonlyArray<string>, never, Terminal.Terminal> =>
  Effect.map(lineWidth, (width) => textLines(text, width))

export const coloursAllowed = Effect.map(
  Effect.orElseSucceed(Config.option(Config.string("NO_COLOR")), () => Option.none<string>()),
  (value) => Option.getOrElse(value, () => "") === ""
)

/** Whether the output is a terminal that colours are wanted on. */
export const paintsColours: Effect.Effect<boolean, never, Terminal.Terminal> = Effect.gen(function* () {
  const terminal = yield* Terminal.Terminal
  return (yield* terminal.isTTY) && (yield* coloursAllowed)
})
