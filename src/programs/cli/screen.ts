/**
 * Where a command shows what it does.
 */
import type { PlatformError } from "@effect/platform/Error"
import * as Terminal from "@effect/platform/Terminal"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Format, summary, textLines } from "../render.js"
import type { Tree } from "../tree.js"

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

/** Text in lines for the terminal; as it is where the output is none. */
export const fit = (text: string): Effect.Effect<ReadonlyArray<string>, never, Terminal.Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    return textLines(text, (yield* terminal.isTTY) ? (yield* terminal.columns) || 80 : Number.POSITIVE_INFINITY)
  })

export const coloursAllowed = Effect.map(
  Effect.orElseSucceed(Config.option(Config.string("NO_COLOR")), () => Option.none<string>()),
  (value) => Option.getOrElse(value, () => "") === ""
)
