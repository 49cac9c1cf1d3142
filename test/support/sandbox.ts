/** A sandbox of this machine beside what is out of its bounds. */
import * as fs from "node:fs"
import * as path from "node:path"
import { Context, Effect, Layer } from "effect"
import { NodeSandbox } from "effect-baton/node"
import { Sandbox } from "../../src/services/Sandbox.js"
import { plant, tempFolder, type Tree } from "./folder.js"

export const makeSandbox = (options: NodeSandbox.Options) =>
  Effect.map(Layer.build(NodeSandbox.layer({ killGrace: 100, ...options })), (context) => Context.get(context, Sandbox))

/** `ground/root` is the sandbox; what lies beside it is out of bounds. */
export const groundOf = (tree: Tree, options: Partial<NodeSandbox.Options> = {}) =>
  Effect.gen(function* () {
    const folder = yield* tempFolder
    plant(folder, { "root/": "", "outside/secret.txt": "SECRET", ...tree })
    const root = path.join(folder, "root")
    return { folder, root, sandbox: yield* makeSandbox({ root, ...options }) }
  })

/** All drafts of writes that stand below a folder. */
export const draftsIn = (folder: string): ReadonlyArray<string> =>
  fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const at = path.join(folder, entry.name)
    if (entry.isDirectory()) return draftsIn(at)
    return entry.name.endsWith(".draft") ? [at] : []
  })

/** What this process holds open, without what the look at it opens. */
export const descriptors = (): number => fs.readdirSync("/proc/self/fd").length

/** A number of seconds for `sleep` that no other run of the tests on this machine has, by its whole part and this process. */
export const ownSeconds = (whole: number): string => `${whole}.${process.pid}`

/** The processes whose command line has a number in it. */
export const processesWith = (seconds: string): ReadonlyArray<number> => {
  const number = new RegExp(`(?<![\\d.])${seconds.replace(".", "\\.")}(?![\\d.])`)
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").match(number) !== null
      } catch {
        return false
      }
    })
    .map(Number)
}
