/**
 * The contract of sandboxes, held by those that come with Baton. Each case gets a sandbox of its own.
 */
import * as fs from "node:fs"
import { describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { Sandbox } from "effect-baton"
import { NodeSandbox } from "effect-baton/node"
import { SandboxContract } from "effect-baton/testing"
import { VirtualSandbox } from "effect-baton/virtual"
import { tempFolder } from "../support/folder.js"

const contract = (name: string, layer: Layer.Layer<Sandbox.Sandbox, unknown>): void => {
  describe.concurrent(`${name} holds to the contract of sandboxes`, () => {
    for (const { name: sentence, run } of SandboxContract.cases) {
      it.live(sentence, () => Effect.provide(run, Layer.fresh(layer)))
    }
  })
}

contract(
  "the sandbox of this machine",
  Layer.unwrapScoped(Effect.map(tempFolder, (folder) => NodeSandbox.layer({ root: fs.realpathSync(folder) })))
)

contract("the virtual sandbox in memory", VirtualSandbox.layer())

contract(
  "the virtual sandbox over a folder",
  Layer.unwrapScoped(Effect.map(tempFolder, (overlay) => VirtualSandbox.layer({ overlay, root: "/some/where" })))
)

contract(
  "the virtual sandbox after a restore",
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const kept = yield* Effect.scoped(
        Effect.flatMap(
          Layer.build(VirtualSandbox.layer()),
          (it) => Context.get(it, VirtualSandbox.VirtualSandbox).snapshot
        )
      )
      const layer = VirtualSandbox.layer({ files: { "gone/f": "x" } })
      const restored = Effect.flatMap(VirtualSandbox.VirtualSandbox, (it) =>
        it.restore(JSON.parse(JSON.stringify(kept)))
      )
      return Layer.provideMerge(Layer.effectDiscard(restored), layer)
    })
  )
)
