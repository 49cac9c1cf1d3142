import { Context, Effect, Layer } from "effect"
import { describe, expectTypeOf, it } from "vitest"
import { Agent, Tool } from "effect-baton"
import { Laws } from "effect-baton/testing"

class A extends Context.Tag("A")<A, { readonly a: number }>() {}
class B extends Context.Tag("B")<B, { readonly b: string }>() {}

const tool = Tool.make("t", { description: "", run: () => Effect.map(A, ({ a }) => a) })
const agent = Agent.make("a", { tools: [tool] })
const a = Layer.succeed(A, { a: 1 })
const b = Layer.succeed(B, { b: "" })

const use = (_effect: Effect.Effect<unknown, unknown>): void => {}

describe("a subject", () => {
  it("needs a layer for its tools", () => {
    const report = Laws.check({ agent, script: [], layer: a })
    expectTypeOf(report).toEqualTypeOf<Effect.Effect<Laws.Report, Laws.LawBroken>>()
    // @ts-expect-error nobody gives A
    use(Laws.check({ agent, script: [] }))
    // @ts-expect-error B is not A
    use(Laws.check({ agent, script: [], layer: b }))
  })

  it("needs one for its invariant too", () => {
    const invariant = () => Effect.map(B, (it) => it.b === "")
    use(Laws.check({ agent, script: [], layer: Layer.merge(a, b), invariant }))
    // @ts-expect-error nobody gives B
    use(Laws.check({ agent, script: [], layer: a, invariant }))
  })

  it("needs none where nothing is needed, and may be made anew for each run", () => {
    use(Laws.check({ agent: Agent.make("a"), script: [] }))
    use(Laws.check(() => ({ agent: Agent.make("a"), script: [], invariant: ({ seed }) => seed > 0 })))
    use(Laws.replay(() => ({ agent, script: [], layer: a }), { seed: 1, step: 3, crash: 2 }))
  })
})
