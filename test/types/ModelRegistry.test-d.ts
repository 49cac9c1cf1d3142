import { Context, Layer } from "effect"
import { Engine, type Errors, Model } from "effect-baton"
import { describe, expectTypeOf, it } from "vitest"

class Key extends Context.Tag("test/Key")<Key, string>() {}
class Region extends Context.Tag("test/Region")<Region, string>() {}
class Other extends Context.Tag("test/Other")<Other, string>() {}

declare const model: Layer.Layer<Model.Model>
declare const failing: Layer.Layer<Model.Model, Error>
declare const keyed: Layer.Layer<Model.Model, Error, Key>
declare const regional: Layer.Layer<Model.Model | Other, never, Region>
declare const wide: string

const providers = { anthropic: model, openai: failing }

type Registry<R = never> = Layer.Layer<Model.Model, Errors.ModelNotConfigured, R>

describe("Model.layerRegistry", () => {
  it("needs what its layers need, and fails with a name that leads nowhere", () => {
    expectTypeOf(Model.layerRegistry({})).toEqualTypeOf<Registry>()
    expectTypeOf(Model.layerRegistry({ providers, default: "openai/x" })).toEqualTypeOf<Registry>()
    expectTypeOf(
      Model.layerRegistry({
        providers: { a: keyed, b: { layer: regional, info: { maxOutput: 1 } } },
        models: { c: model, d: "a/x" },
        limits: { "b/x": { contextWindow: 1 }, c: { maxOutput: 1 } }
      })
    ).toEqualTypeOf<Registry<Key | Region>>()
    expectTypeOf(Model.layerRegistry({ models: { c: { layer: keyed } } })).toEqualTypeOf<Registry<Key>>()
  })

  it("takes the place of a model", () => {
    const engine = Layer.provide(Engine.layerMemory, Model.layerRegistry({ models: { c: model }, limits: { c: {} } }))
    expectTypeOf<Layer.Layer.Context<typeof engine>>().toEqualTypeOf<never>()
  })

  it("knows the names that it serves", () => {
    Model.layerRegistry({ providers, models: { fast: "openai/x", faster: "fast" }, default: "faster" })
    Model.layerRegistry({ providers, fallbacks: ["openai/x", "anthropic/y"] })
    // @ts-expect-error -- no provider of that name
    Model.layerRegistry({ providers, default: "antropic/x" })
    // @ts-expect-error -- a provider is no model
    Model.layerRegistry({ providers, default: "anthropic" })
    // @ts-expect-error -- nothing is declared
    Model.layerRegistry({ default: "x" })
    // @ts-expect-error -- the second is no name
    Model.layerRegistry({ providers, fallbacks: ["openai/x", "y"] })
    // @ts-expect-error -- an alias of nothing
    Model.layerRegistry({ providers, models: { fast: "opnai/x" } })
    // @ts-expect-error -- limits of nothing
    Model.layerRegistry({ providers, limits: { "opnai/x": { maxOutput: 1 } } })
  })

  it("takes names that are known only when the program runs", () => {
    const many: Record<string, string> = {}
    const list: ReadonlyArray<string> = []
    expectTypeOf(
      Model.layerRegistry({ providers, models: { fast: wide }, default: wide, fallbacks: list })
    ).toEqualTypeOf<Registry>()
    expectTypeOf(Model.layerRegistry({ providers, models: many })).toEqualTypeOf<Registry>()
  })

  it("refuses what is no model", () => {
    // @ts-expect-error -- a layer of something else
    Model.layerRegistry({ providers: { a: Layer.succeed(Key, "x") } })
    // @ts-expect-error -- no layer at all
    Model.layerRegistry({ models: { a: { info: { maxOutput: 1 } } } })
  })
})
