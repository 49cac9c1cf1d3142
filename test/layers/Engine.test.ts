import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Agent, Engine, Model, Script, Sessions } from "effect-baton"
import { BuiltinTools, NodeSandbox } from "effect-baton/node"

const root = fileURLToPath(new URL("../..", import.meta.url))

describe("Engine", () => {
  it.live("with a sandbox: the shell works in it, and the general delegate has its tools", () =>
    Effect.gen(function* () {
      const session = yield* (yield* Sessions.Sessions).open({ id: "s", agent: Agent.make("a") })
      const shell = yield* session.shell('basename "$PWD"; echo "$WORD"', { cwd: "docs", env: { WORD: "hello" } })
      assert.deepStrictEqual([shell.stdout, shell.exitCode], ["docs\nhello\n", 0])
      const reply = yield* session.prompt("look")
      assert.match(reply.text, /"name": "effect-baton"/)
    }).pipe(
      Effect.provide(
        Engine.layerMemory.pipe(
          Layer.provide(BuiltinTools.layer),
          Layer.provide(NodeSandbox.layer({ root })),
          Layer.provide(
            Model.layerScripted([
              Script.on("look", Script.calls(Script.task("read it")), (seen) => seen.results[0]!.text),
              Script.on(
                "read it",
                Script.calls(Script.call("read", { path: "package.json" })),
                (seen) => seen.results[0]!.text
              )
            ])
          )
        )
      )
    )
  )
})
