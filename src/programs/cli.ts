/**
 * The command line.
 */
import * as Args from "@effect/cli/Args"
import * as CliApp from "@effect/cli/CliApp"
import * as Command from "@effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Agent from "../services/Agent.js"
import { Sessions } from "../services/Session.js"

export const run = (
  args: ReadonlyArray<string>,
  options: { readonly version: string; readonly engine: Layer.Layer<Sessions> }
): Effect.Effect<void, unknown, CliApp.CliApp.Environment> => {
  const prompt = Command.make("prompt", { text: Args.text({ name: "text" }) }, ({ text }) =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const session = yield* sessions.open({ id: "main", agent: Agent.make("baton") })
      const reply = yield* session.prompt(text)
      yield* Console.log(reply.text)
    })
  ).pipe(Command.provide(options.engine))
  const baton = Command.make("baton").pipe(Command.withSubcommands([prompt]))
  return Command.run(baton, { name: "Baton", version: options.version })(args)
}

export const exitCode = (exit: Exit.Exit<unknown, unknown>): number => (Exit.isSuccess(exit) ? 0 : 1)
