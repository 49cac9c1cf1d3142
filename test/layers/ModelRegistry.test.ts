import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Deferred, Effect, Exit, Fiber, FiberRef, Layer, Scope } from "effect"
import { Agent, Errors, Model, Script, SessionStore } from "effect-baton"
import { engineOver, open } from "../support/engine.js"
import { complete, refusal, requestOf } from "../support/rounds.js"

/** A model that says by which name it was asked, and a record of when it was built and released. */
const observed = (
  log: Array<string>,
  name: string,
  options: { readonly before?: Effect.Effect<void, unknown>; readonly defaultModel?: string } = {}
): Layer.Layer<Model.Model, unknown> =>
  Layer.scoped(
    Model.Model,
    Effect.acquireRelease(
      Effect.sync(() => log.push(`begin ${name}`)),
      () => Effect.sync(() => log.push(`release ${name}`))
    ).pipe(
      Effect.zipRight(options.before ?? Effect.void),
      Effect.zipRight(Effect.sync(() => log.push(`built ${name}`))),
      Effect.as(answering(name, options.defaultModel))
    )
  )

const answering = (name: string, defaultModel?: string): Context.Tag.Service<Model.Model> => ({
  defaultModel,
  stream: (request, emit) =>
    Effect.sync(() => {
      emit({ _tag: "TextDelta", text: `${name}: ${request.model}` })
      return { reason: "stop", usage: undefined }
    })
})

/** What the model says that a name leads to. */
const ask = (model: string) =>
  Effect.map(complete(requestOf({ model })), ({ events }) =>
    events.map((event) => ("text" in event ? event.text : event._tag)).join("")
  )

/** A registry in a scope of its own, as an application holds one. */
const held = <E>(layer: Layer.Layer<Model.Model, E>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(layer, scope)
    return {
      model: Context.get(context, Model.Model),
      ask: (model: string) => Effect.provide(ask(model), context),
      close: Scope.close(scope, Exit.void)
    }
  })

describe("names", () => {
  const registry = (log: Array<string> = []) =>
    Model.layerRegistry({
      providers: { anthropic: observed(log, "A", { defaultModel: "unused" }), "router/eu": observed(log, "R") },
      models: {
        own: observed(log, "O", { defaultModel: "its-own" }),
        plain: observed(log, "P"),
        fast: "anthropic/haiku",
        faster: "fast",
        "anthropic/special": "plain",
        scripted: Model.layerScripted([Script.always("said")])
      }
    })

  it.effect("a prefix leads to its provider, which is asked for what stands after it", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ask("anthropic/claude"), "A: claude")
      assert.strictEqual(yield* ask("anthropic/meta/llama:8b"), "A: meta/llama:8b")
      assert.strictEqual(yield* ask("router/eu/x"), "R: x")
    }).pipe(Effect.provide(registry()))
  )

  it.effect("an own name asks its layer for the model that the layer would use by itself", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ask("own"), "O: its-own")
      assert.strictEqual(yield* ask("plain"), "P: plain")
      assert.strictEqual(yield* ask("scripted"), "said")
    }).pipe(Effect.provide(registry()))
  )

  it.effect("an alias leads on, and an own name goes before a prefix", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ask("fast"), "A: haiku")
      assert.strictEqual(yield* ask("faster"), "A: haiku")
      assert.strictEqual(yield* ask("anthropic/special"), "P: plain")
    }).pipe(Effect.provide(registry()))
  )

  it.effect("an own name with a slash in it goes before a prefix as well", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ask("anthropic/mine"), "M: anthropic/mine")
      assert.strictEqual(yield* ask("anthropic/other"), "A: other")
    }).pipe(
      Effect.provide(
        Model.layerRegistry({
          providers: { anthropic: observed([], "A") },
          models: { "anthropic/mine": observed([], "M") }
        })
      )
    )
  )

  it.effect("what is no name is refused, and the names are told", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { ask, close } = yield* held(registry(log))
      for (const name of [
        "nope",
        "anthropic",
        "anthropic/",
        "/x",
        "router/x",
        "own/x",
        "__proto__",
        "constructor",
        ""
      ]) {
        const error = yield* Effect.flip(ask(name))
        assert.instanceOf(error, Errors.ModelNotConfigured)
        assert.strictEqual(error.model, name)
        assert.strictEqual(
          error.message,
          `No layer serves the model "${name}" (known models: anthropic/<id>, router/eu/<id>, own, plain, fast, faster, anthropic/special, scripted).`
        )
      }
      yield* close
      assert.deepStrictEqual(log, [])
    })
  )

  it.effect("names of JavaScript's own objects are names like any other", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ask("__proto__"), "P: __proto__")
      assert.strictEqual(yield* ask("constructor/x"), "C: x")
    }).pipe(
      Effect.provide(
        Model.layerRegistry({
          models: { ["__proto__"]: Layer.succeed(Model.Model, answering("P")) },
          providers: { constructor: Layer.succeed(Model.Model, answering("C")) }
        })
      )
    )
  )

  it.effect("a registry may stand in a registry", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ask("inner/anthropic/claude"), "A: claude")
      const { error } = yield* refusal(requestOf({ model: "inner/nope" }))
      assert.include(error.message, 'No layer serves the model "inner/nope" (known models: anthropic/<id>,')
    }).pipe(Effect.provide(Model.layerRegistry({ providers: { inner: registry() } })))
  )

  it.effect("default and fallbacks are told to the loop", () =>
    Effect.gen(function* () {
      const { model } = yield* held(
        Model.layerRegistry({
          providers: { anthropic: observed([], "A") },
          models: { fast: "anthropic/haiku" },
          default: "fast",
          fallbacks: ["anthropic/sonnet", "fast"]
        })
      )
      assert.strictEqual(model.defaultModel, "fast")
      assert.deepStrictEqual(model.fallbacks, ["anthropic/sonnet", "fast"])
      const bare = (yield* held(Model.layerRegistry({}))).model
      assert.strictEqual(bare.defaultModel, undefined)
      assert.deepStrictEqual(bare.fallbacks, [])
      const { error } = yield* Effect.provideService(refusal(), Model.Model, bare)
      assert.strictEqual(error.message, 'No layer serves the model "test" (none is declared).')
    })
  )

  it.effect("a registry is refused whose default, fallback or alias leads nowhere", () =>
    Effect.gen(function* () {
      const plain = observed([], "P")
      const wide: string = "antropic/x"
      const refused = (layer: Layer.Layer<Model.Model, Errors.ModelNotConfigured>) =>
        Effect.map(Effect.flip(Effect.scoped(Layer.build(layer))), (error) => error.message)
      assert.strictEqual(
        yield* refused(Model.layerRegistry({ models: { plain }, default: wide })),
        'No layer serves the model "antropic/x" (known models: plain).'
      )
      assert.include(
        yield* refused(Model.layerRegistry({ models: { plain }, fallbacks: ["plain", wide] })),
        "antropic/x"
      )
      assert.include(yield* refused(Model.layerRegistry({ models: { plain, fast: wide } })), "antropic/x")
      const around: Record<string, string> = { a: "b", b: "a" }
      assert.strictEqual(
        yield* refused(Model.layerRegistry({ models: around })),
        'The model "a" cannot be used: it is an alias of itself.'
      )
    })
  )
})

describe("a layer of a registry", () => {
  it.effect("is built when it is first asked for, once, and released with the registry", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { ask, close } = yield* held(
        Model.layerRegistry({
          providers: { a: observed(log, "A"), b: observed(log, "B") },
          models: { c: observed(log, "C"), d: "a/d" },
          default: "c"
        })
      )
      assert.deepStrictEqual(log, [])
      yield* ask("a/1")
      assert.deepStrictEqual(log, ["begin A", "built A"])
      yield* ask("d")
      yield* ask("a/2")
      assert.deepStrictEqual(log, ["begin A", "built A"])
      yield* ask("c")
      yield* close
      assert.deepStrictEqual(log, ["begin A", "built A", "begin C", "built C", "release C", "release A"])
    })
  )

  it.effect("is built once by first uses at the same time", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const { ask, close } = yield* held(
        Model.layerRegistry({ providers: { a: observed(log, "A", { before: Deferred.await(gate) }) } })
      )
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], (i) => Effect.fork(ask(`a/${i}`)))
      yield* Effect.yieldNow()
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Fiber.join(Fiber.all(fibers)), ["A: 1", "A: 2", "A: 3", "A: 4", "A: 5"])
      yield* close
      assert.deepStrictEqual(log, ["begin A", "built A", "release A"])
    })
  )

  it.effect("goes on being built while one of those who wait is left, and is given up with the last", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const begun = yield* Effect.makeSemaphore(0)
      const gate = yield* Deferred.make<void>()
      const before = Effect.zipRight(begun.release(1), Deferred.await(gate))
      const { ask, close } = yield* held(Model.layerRegistry({ providers: { a: observed(log, "A", { before }) } }))
      const first = yield* Effect.fork(ask("a/1"))
      yield* begun.take(1)
      const second = yield* Effect.fork(ask("a/2"))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(first)
      assert.deepStrictEqual(log, ["begin A"])
      // Whoever interrupts the last one waits until what was built in part is released.
      yield* Fiber.interrupt(second)
      assert.deepStrictEqual(log, ["begin A", "release A"])
      const third = yield* Effect.fork(ask("a/3"))
      yield* begun.take(1)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(third), "A: 3")
      yield* close
      assert.deepStrictEqual(log, ["begin A", "release A", "begin A", "built A", "release A"])
    })
  )

  it.effect("that is still being built is given up when the registry ends", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const begun = yield* Deferred.make<void>()
      const before = Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)
      const { ask, close } = yield* held(Model.layerRegistry({ providers: { a: observed(log, "A", { before }) } }))
      const asking = yield* Effect.fork(ask("a/1"))
      yield* Deferred.await(begun)
      yield* close
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(asking)))
      assert.deepStrictEqual(log, ["begin A", "release A"])
    })
  )

  it.effect("that fails to build fails the call, is released, and is built again for the next", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      let attempts = 0
      const before = Effect.suspend(() => (attempts++ === 0 ? Effect.fail("no route") : Effect.void))
      const { ask, close } = yield* held(Model.layerRegistry({ providers: { a: observed(log, "A", { before }) } }))
      const error = yield* Effect.flip(ask("a/1"))
      assert.instanceOf(error, Errors.ModelUnavailable)
      assert.strictEqual(error.message, 'The model "a/1" is not available: its layer was not built, no route.')
      assert.deepStrictEqual(log, ["begin A", "release A"])
      assert.strictEqual(yield* ask("a/1"), "A: 1")
      yield* close
      assert.deepStrictEqual(log, ["begin A", "release A", "begin A", "built A", "release A"])
    })
  )

  it.effect("that lacks a setting fails for good, under the name that was asked for", () =>
    Effect.gen(function* () {
      const from = (config: Config.Config<unknown>) => Layer.unwrapEffect(Effect.map(config, () => observed([], "A")))
      const port = Config.nested(Config.integer("PORT"), "SOME")
      const either = Config.orElse(Config.all([Config.string("X"), Config.string("Y")]), () => Config.string("Z"))
      const { ask } = yield* held(
        Model.layerRegistry({
          providers: { a: from(Config.redacted("SOME_KEY")), b: from(port), c: from(either) },
          models: { fast: "a/1" }
        })
      )
      const error = yield* Effect.flip(ask("fast"))
      assert.instanceOf(error, Errors.ModelNotConfigured)
      assert.strictEqual(error.message, 'The model "fast" cannot be used: SOME_KEY is not set.')
      assert.strictEqual(
        (yield* Effect.flip(ask("b/1"))).message,
        'The model "b/1" cannot be used: SOME.PORT is not usable (Expected an integer value but received "x").'
      )
      assert.strictEqual(
        (yield* Effect.flip(ask("c/1"))).message,
        'The model "c/1" cannot be used: X is not set, and Y is not set, or Z is not set.'
      )
    }).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["SOME.PORT", "x"]]))))
  )

  it.effect("is built where the registry stands, not where it is first asked for", () =>
    Effect.gen(function* () {
      const where = FiberRef.unsafeMake("outside")
      class Key extends Context.Tag("test/Key")<Key, string>() {}
      const layer = Layer.effect(
        Model.Model,
        Effect.zipWith(Key, FiberRef.get(where), (key, place) => answering(`${key} ${place}`))
      )
      const { ask } = yield* held(
        Layer.provide(Model.layerRegistry({ models: { a: { layer } } }), Layer.succeed(Key, "registry's"))
      )
      assert.strictEqual(
        yield* ask("a").pipe(Effect.locally(where, "inside"), Effect.provideService(Key, "caller's")),
        "registry's outside: a"
      )
    })
  )

  it.effect("that dies while it is built lets the call die, and is built again for the next", () =>
    Effect.gen(function* () {
      let attempts = 0
      const before = Effect.suspend(() => (attempts++ === 0 ? Effect.die("a bug") : Effect.void))
      const { ask } = yield* held(Model.layerRegistry({ models: { a: observed([], "A", { before }) } }))
      assert.deepStrictEqual(yield* Effect.exit(ask("a")), Exit.die("a bug"))
      assert.strictEqual(yield* ask("a"), "A: a")
    })
  )
})

describe("errors of a model", () => {
  it.effect("bear the name that was asked for", () =>
    Effect.gen(function* () {
      const failures: ReadonlyArray<Errors.ModelError> = [
        new Errors.ModelUnavailable({ model: "x", reason: "busy", retryAfter: 1000, cause: "why" }),
        new Errors.ModelRejected({ model: "x", reason: "no", status: 401 }),
        new Errors.ContextOverflow({ model: "x", reason: "long" }),
        new Errors.ModelNotConfigured({ model: "x", known: ["y"] })
      ]
      for (const fail of failures) {
        const models = { a: Model.layerScripted([Script.always({ text: "half", fail })]) }
        const { error, events } = yield* Effect.provide(
          refusal(requestOf({ model: "a" })),
          Model.layerRegistry({ models })
        )
        assert.deepStrictEqual({ ...error }, { ...fail, model: "a" })
        assert.strictEqual(error.message, fail.message.replace('"x"', '"a"'))
        assert.lengthOf(events, 1)
      }
    })
  )
})

describe("limits", () => {
  const providers = {
    a: {
      layer: observed([], "A"),
      info: (id: string) => (id === "known" ? { contextWindow: 1000, maxOutput: 100 } : undefined)
    },
    b: observed([], "B")
  }

  it.effect("come from the entry, and field by field from what is said of a name", () =>
    Effect.gen(function* () {
      const { model } = yield* held(
        Model.layerRegistry({
          providers,
          models: {
            local: { layer: observed([], "L"), info: { contextWindow: 8192 } },
            fast: "a/known",
            faster: "fast"
          },
          limits: { "a/known": { maxOutput: 50 }, faster: { contextWindow: 500 }, "b/x": { maxOutput: 7 } }
        })
      )
      assert.deepStrictEqual(model.info?.("local"), { contextWindow: 8192 })
      assert.deepStrictEqual(model.info?.("a/known"), { contextWindow: 1000, maxOutput: 50 })
      assert.deepStrictEqual(model.info?.("fast"), { name: "a/known", contextWindow: 1000, maxOutput: 50 })
      assert.deepStrictEqual(model.info?.("faster"), { name: "a/known", contextWindow: 500, maxOutput: 50 })
      assert.deepStrictEqual(model.info?.("b/x"), { maxOutput: 7 })
      for (const name of ["a/other", "b/y", "nope", "__proto__"]) assert.strictEqual(model.info?.(name), undefined)
    })
  )

  it.effect("messages are counted by the layer that is asked, once it is built", () =>
    Effect.gen(function* () {
      const counts = Layer.succeed(Model.Model, {
        defaultModel: "own",
        count: (model: string) => Effect.succeed(model.length),
        stream: () => Effect.succeed({ reason: "stop" as const, usage: undefined })
      })
      const { model } = yield* held(
        Model.layerRegistry({
          providers: { a: counts, b: observed([], "B") },
          models: { short: "a/long-name", local: counts }
        })
      )
      const count = (name: string) => model.count?.(name, []) ?? Effect.succeed(-1)
      assert.isUndefined(yield* count("a/long-name"))
      for (const name of ["a/x", "local", "b/x"]) {
        yield* model.stream(
          { model: name, thinking: undefined, instructions: "", messages: [], tools: [] },
          () => undefined
        )
      }
      assert.strictEqual(yield* count("short"), "long-name".length)
      assert.strictEqual(yield* count("local"), "own".length)
      assert.isUndefined(yield* count("b/x"))
      assert.isUndefined(yield* count("nobody/x"))
    })
  )

  it.effect("that a layer tells itself count once it is built, after all others", () =>
    Effect.gen(function* () {
      const inner = Model.layerRegistry({ providers, limits: { "a/known": { maxOutput: 60 } } })
      const { ask, model } = yield* held(
        Model.layerRegistry({ providers: { inner }, limits: { "inner/a/known": { contextWindow: 1 } } })
      )
      assert.deepStrictEqual(model.info?.("inner/a/known"), { contextWindow: 1 })
      yield* ask("inner/a/known")
      assert.deepStrictEqual(model.info?.("inner/a/known"), { contextWindow: 1, maxOutput: 60 })
    })
  )
})

describe("an engine over a registry", () => {
  it.effect("takes the model of the call, of the agent, of the parent, or the default", () =>
    Effect.gen(function* () {
      const script = (name: string) =>
        Model.layerScripted([
          Script.on("go", Script.calls(Script.task("child", { agent: "b" })), name),
          Script.always(name)
        ])
      const models = { one: script("one"), two: script("two"), three: script("three") }
      yield* Effect.gen(function* () {
        const b = Agent.make("b", { model: "two" })
        const session = yield* open(Agent.make("a", { subagents: [b] }))
        assert.deepInclude(yield* session.prompt("x"), { text: "one", model: "one" })
        assert.deepInclude(yield* session.prompt("x", { model: "three" }), { text: "three", model: "three" })
        assert.deepInclude(yield* session.task("x", { agent: "b" }), { text: "two", model: "two" })
        const reply = yield* session.prompt("go", { model: "three" })
        assert.strictEqual(reply.text, "three")
        const results = (yield* session.history).flatMap((entry) => (entry._tag === "ToolSettled" ? [entry] : []))
        assert.include(JSON.stringify(results), "two")
        const error = yield* Effect.flip(session.prompt("x", { model: "four" }))
        assert.strictEqual(error.message, 'No layer serves the model "four" (known models: one, two, three).')
      }).pipe(
        Effect.provide(
          engineOver(Layer.merge(SessionStore.layerMemory, Model.layerRegistry({ models, default: "one" })))
        )
      )
    })
  )

  it.effect("goes on to a fallback, by whatever provider, and builds it only then", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const fail = new Errors.ModelUnavailable({ model: "x", reason: "overloaded" })
      const registry = Model.layerRegistry({
        providers: { other: observed(log, "O") },
        models: { down: Model.layerScripted([Script.always({ fail })]), next: "other/y" },
        default: "down",
        fallbacks: ["next"]
      })
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a"))
        const failed = yield* Effect.flip(session.prompt("x", { fallbacks: [], limits: { retries: 0 } }))
        assert.strictEqual(failed.message, 'The model "down" is not available: overloaded.')
        assert.deepStrictEqual(log, [])
        const reply = yield* session.prompt("x", { limits: { retries: 0 } })
        assert.deepInclude(reply, { text: "O: y", model: "next" })
        assert.deepStrictEqual(log, ["begin O", "built O"])
      }).pipe(Effect.provide(engineOver(Layer.merge(SessionStore.layerMemory, registry))))
      assert.deepStrictEqual(log, ["begin O", "built O", "release O"])
    })
  )
})
