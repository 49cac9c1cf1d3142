/**
 * Agents that stand in files of this machine.
 */
import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import { readAgent } from "../programs/agentJson.js"
import type * as Agent from "../services/Agent.js"
import { AgentNotUsable } from "../services/AgentFile.js"
import type { Sandbox } from "../services/Sandbox.js"
import { loadModule } from "./agentFile/module.js"
import * as BuiltinTools from "./BuiltinTools.js"
import { reasonOf } from "./sandbox/faults.js"
import * as SkillFolder from "./SkillFolder.js"

/** The longest file that is read, in bytes. */
const maxFile = 1024 * 1024

/**
 * Reads the agent of a file: one in JSON, or one that a module exports as its default or as `agent`. A module runs, with
 * the rights of this process. What its tools need is not known here: whatever the executable provides is there, the
 * sandbox among it.
 */
export const load = (file: string): Effect.Effect<Agent.Agent<Sandbox>, AgentNotUsable> =>
  Effect.gen(function* () {
    const extension = path.extname(file)
    if (extension === ".json") return yield* readAgent(files, BuiltinTools.tools, path.normalize(file))
    if (!modules.has(extension)) {
      const reason = `its name ends in none of .json, ${[...modules].join(", ")}`
      return yield* new AgentNotUsable({ file, reason })
    }
    yield* Effect.mapError(read(file), (reason) => new AgentNotUsable({ file, reason }))
    return (yield* loadModule(file)) as Agent.Agent<Sandbox>
  })

const modules: ReadonlySet<string> = new Set([".ts", ".mts", ".js", ".mjs"])

const read = (file: string): Effect.Effect<string, string> =>
  Effect.tryPromise({
    try: async () => {
      const stat = await fs.stat(file)
      if (stat.isDirectory()) return { reason: "it is a folder" }
      if (!stat.isFile()) return { reason: "it is not a regular file" }
      if (stat.size > maxFile) return { reason: `it has more than ${maxFile} bytes` }
      return { text: await fs.readFile(file, "utf8") }
    },
    catch: reasonOf
  }).pipe(Effect.flatMap(({ reason, text }) => (text === undefined ? Effect.fail(reason) : Effect.succeed(text))))

const files = {
  resolve: (file: string, at: string) => path.normalize(path.isAbsolute(at) ? at : path.join(path.dirname(file), at)),
  read,
  skill: (folder: string) => Effect.mapError(SkillFolder.load(folder), ({ path: at, reason }) => `${at}: ${reason}`)
}
