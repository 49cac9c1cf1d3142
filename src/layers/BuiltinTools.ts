/**
 * The tools that come with the sandbox: `read`, `write`, `edit`, `glob`, `grep` and `bash`.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Sandbox, SandboxTools } from "../services/Sandbox.js"
import type * as Tool from "../services/Tool.js"
import { bash } from "./tools/bash.js"
import { edit } from "./tools/edit.js"
import { glob } from "./tools/glob.js"
import { grep } from "./tools/grep.js"
import { read } from "./tools/read.js"
import { write } from "./tools/write.js"

export { bash } from "./tools/bash.js"
export { edit } from "./tools/edit.js"
export { glob } from "./tools/glob.js"
export { grep } from "./tools/grep.js"
export { read } from "./tools/read.js"
export { write } from "./tools/write.js"

/**
 * All of them, for an agent that is given them by hand. Results are text of at most about 50 KB; one that was cut says
 * so and how to go on. Relative paths start from the call's working folder. Calls of `write` and `edit` for one file take
 * turns, whatever the file is called and whichever session asks, within one sandbox: what another one over the same
 * folder or another program writes between the reading and the writing of an edit is lost. Interrupting a call of `bash`
 * ends its processes; one of `write` or `edit` has changed its file or not; the others change nothing, and none leaves
 * anything behind.
 */
export const tools: ReadonlyArray<Tool.Tool<Sandbox>> = [read, write, edit, glob, grep, bash]

/** Gives the tools, provided with the sandbox of this layer, to every agent that works with the sandbox's tools. */
export const layer: Layer.Layer<SandboxTools, never, Sandbox> = Layer.effect(
  SandboxTools,
  Effect.map(Sandbox, (sandbox) =>
    tools.map((tool): Tool.Tool => ({
      name: tool.name,
      description: tool.description,
      deadline: tool.deadline,
      polling: tool.polling,
      effects: tool.effects,
      get inputSchema() {
        return tool.inputSchema
      },
      handle: (args, call) => Effect.provideService(tool.handle(args, call), Sandbox, sandbox)
    }))
  )
)
