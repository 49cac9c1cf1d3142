import { assert } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { BuiltinTools, NodeSandbox } from "effect-baton/node"
import { Limits } from "../../src/services/Limits.js"
import { Sandbox, SandboxTools } from "../../src/services/Sandbox.js"
import { callIn } from "./toolCall.js"
import { plant, tempFolder, type Tree } from "./folder.js"

export { callIn } from "./toolCall.js"

/** The tools over a new folder: each call gives the text that the model gets, or fails with it. */
export const ground = (tree: Tree) =>
  Effect.gen(function* () {
    const root = yield* tempFolder
    plant(root, tree)
    const context = yield* Layer.build(
      Layer.provideMerge(BuiltinTools.layer, NodeSandbox.layer({ root, killGrace: 100 }))
    )
    const tools = Context.get(context, SandboxTools)
    const handle = (name: string, args: object, cwd = ".") =>
      tools.find((tool) => tool.name === name)!.handle(args, callIn(cwd))
    const use = (name: string, args: object, cwd = ".") =>
      Effect.map(handle(name, args, cwd), (value) => {
        if (typeof value !== "string") assert.fail("a tool gave no text")
        assert.isAtMost(value.length, Context.get(context, Limits).toolResult)
        assert.isTrue(value.isWellFormed())
        return value
      })
    return { root, tools, handle, use, sandbox: Context.get(context, Sandbox) }
  })

export const lines = (text: string) => text.split("\n").filter((line) => line !== "" && !line.startsWith("["))

/**
 * Runs an effect and makes sure that the event loop was not blocked for 100 ms, in the best of five runs: other tests
 * share the machine.
 */
export const unblocked = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    let best = Infinity
    for (let run = 0; run < 5; run++) {
      const [value, blocked] = yield* blockedWhile(effect)
      best = Math.min(best, blocked())
      if (best < 100) return value
    }
    return assert.fail(`the event loop was blocked for ${best} ms`)
  })

const blockedWhile = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      let last = performance.now()
      let longest = 0
      const look = () => {
        const now = performance.now()
        longest = Math.max(longest, now - last)
        last = now
        return longest
      }
      return { look, timer: setInterval(look, 1) }
    }),
    ({ look }) => Effect.map(effect, (value) => [value, look] as const),
    ({ timer }) => Effect.sync(() => clearInterval(timer))
  )
