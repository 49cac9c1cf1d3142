/**
 * A model of many: names lead to the layers that serve them.
 */
import * as ConfigError from "effect/ConfigError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Errors from "../services/Errors.js"
import { Model, type ModelInfo } from "../services/Model.js"
import { Lazy, type Place } from "./registry/Lazy.js"

/** A layer with what is known of its models. */
export interface Entry<out R = never> {
  readonly layer: Layer.Layer<Model, unknown, R>
  /** Of the layer's only model; or of each, by the name that the layer is asked for. */
  readonly info?: ModelInfo | ((model: string) => ModelInfo | undefined) | undefined
}

/** What serves a name: a layer, alone or with what is known of its models. Whatever it fails with fails the call. */
export type Served<R = unknown> = Layer.Layer<Model, unknown, R> | Entry<R>

/** What a layer needs. */
export type Requirements<S> =
  S extends Layer.Layer<infer _Out, infer _E, infer R> ? R : S extends Entry<infer R> ? R : never

/** The names that a registry of these providers and models serves. */
export type NameOf<Providers, Models> = (keyof Models & string) | `${keyof Providers & string}/${string}`

/** A text that is not known before the program runs is checked then. */
type Checked<S, Name extends string> = S extends string ? (string extends S ? S : Name) : S

export interface Options<Providers, Models, Default extends string, Fallback extends string> {
  /** Each serves every name that begins with its own and a slash: `anthropic` is asked for `x` by `anthropic/x`. */
  readonly providers?: Providers | undefined
  /**
   * Names of your own, each for a layer or for another name. A layer is asked for the model that it uses by itself. An
   * own name goes before a provider's.
   */
  readonly models?:
    | (Models & { readonly [K in keyof Models]: Checked<Models[K], NameOf<Providers, Models>> })
    | undefined
  /** What is known of a model by its name, over what the entry knows; what is said of an alias is said of it alone. */
  readonly limits?: Readonly<Partial<Record<NameOf<NoInfer<Providers>, NoInfer<Models>>, ModelInfo>>> | undefined
  /** Used where neither call nor agent names a model. */
  readonly default?: (Default & Checked<Default, NameOf<NoInfer<Providers>, NoInfer<Models>>>) | undefined
  /** Tried in order when a model is not available. */
  readonly fallbacks?:
    | ReadonlyArray<Fallback & Checked<Fallback, NameOf<NoInfer<Providers>, NoInfer<Models>>>>
    | undefined
}

/**
 * A model that looks up by its name who answers a request.
 *
 * A layer is built when it is first asked for, once, where the registry is built and for as long as that lives; one
 * that is never asked for is never built. Interrupting all who wait for it gives the attempt up. An attempt that
 * failed fails the call and is not remembered: with the layer's own error where that is a model's, with
 * `ModelNotConfigured` where it is a `ConfigError`, with `ModelUnavailable` otherwise. Parts that two layers share are
 * built for each.
 *
 * Errors bear the name that was asked for. Fails with `ModelNotConfigured` where the default, a fallback or an alias
 * leads nowhere; a call fails with it for a name that is not served.
 */
export const layer = <
  const Providers extends Readonly<Record<string, Served>> = {},
  const Models extends Readonly<Record<string, Served | string>> = {},
  const Default extends string = never,
  const Fallback extends string = never
>(
  options: Options<Providers, Models, Default, Fallback>
): Layer.Layer<
  Model,
  Errors.ModelNotConfigured,
  Requirements<Providers[keyof Providers]> | Requirements<Models[keyof Models]>
> => {
  type R = Requirements<Providers[keyof Providers]> | Requirements<Models[keyof Models]>
  return Layer.scoped(
    Model,
    Effect.flatMap(Effect.runtime<R>(), (runtime) =>
      Effect.flatMap(Effect.scope, (scope) => {
        const registry = new Registry(options as Settings, { runtime, scope } as Place<unknown>)
        const names = [
          ...registry.aliases.keys(),
          ...(registry.defaultModel === undefined ? [] : [registry.defaultModel])
        ]
        const wrong = [...names, ...registry.fallbacks]
          .map((name) => registry.resolve(name))
          .find((found) => found instanceof Errors.ModelNotConfigured)
        return wrong ?? Effect.succeed<Context.Tag.Service<Model>>(registry)
      })
    )
  )
}

/** The options without their types. */
interface Settings {
  readonly providers?: Readonly<Record<string, Served>> | undefined
  readonly models?: Readonly<Record<string, Served | string>> | undefined
  readonly limits?: Readonly<Record<string, ModelInfo | undefined>> | undefined
  readonly default?: string | undefined
  readonly fallbacks?: ReadonlyArray<string> | undefined
}

/** An entry, and its model once it was asked for. */
interface Source {
  readonly model: Lazy<Model, Context.Tag.Service<Model>, unknown, unknown>
  readonly info: Entry["info"]
}

/** Where a name leads. */
interface Target {
  readonly source: Source
  /** The name that its layer knows; none where the layer is asked for the model that it uses by itself. */
  readonly id: string | undefined
  /** The name by which the registry found it. */
  readonly name: string
  /** The name that was asked for, and those that it stands for. */
  readonly names: ReadonlyArray<string>
}

type Service = Context.Tag.Service<Model>

class Registry implements Service {
  readonly defaultModel: string | undefined
  readonly fallbacks: ReadonlyArray<string>
  readonly aliases = new Map<string, string>()
  private readonly models = new Map<string, Source>()
  private readonly providers = new Map<string, Source>()
  private readonly limits: ReadonlyMap<string, ModelInfo | undefined>
  private readonly known: ReadonlyArray<string>

  constructor(settings: Settings, place: Place<unknown>) {
    const source = (served: Served): Source => {
      const { info, layer } = isEntry(served) ? served : { layer: served, info: undefined }
      return { model: new Lazy(Model, layer, place), info }
    }
    const providers = Object.entries(settings.providers ?? {})
    const models = Object.entries(settings.models ?? {})
    for (const [prefix, served] of providers) this.providers.set(prefix, source(served))
    for (const [name, served] of models) {
      if (typeof served === "string") this.aliases.set(name, served)
      else this.models.set(name, source(served))
    }
    this.limits = new Map(Object.entries(settings.limits ?? {}))
    this.known = [...providers.map(([prefix]) => `${prefix}/<id>`), ...models.map(([name]) => name)]
    this.defaultModel = settings.default
    this.fallbacks = settings.fallbacks ?? []
  }

  readonly stream: Service["stream"] = (request, emit) => {
    const target = this.resolve(request.model)
    if (target instanceof Errors.ModelNotConfigured) return target
    const { id, name, source } = target
    const ask = (service: Service) => {
      const model = id ?? service.defaultModel ?? name
      return Effect.mapError(service.stream(model === request.model ? request : { ...request, model }, emit), (error) =>
        under(request.model, error)
      )
    }
    const { model } = source
    return model.built === undefined
      ? Effect.flatMap(
          Effect.mapError(model.get, (error) => notBuilt(request.model, error)),
          ask
        )
      : ask(model.built)
  }

  readonly info = (asked: string): ModelInfo | undefined => {
    const target = this.resolve(asked)
    if (target instanceof Errors.ModelNotConfigured) return undefined
    const { id, name, names, source } = target
    const built = source.model.built
    const model = id ?? built?.defaultModel ?? name
    const own = typeof source.info === "function" ? source.info(model) : source.info
    const told = [...names.map((it) => this.limits.get(it)), own, built?.info?.(model)]
    const first = (key: "contextWindow" | "maxOutput") => told.find((info) => info?.[key] !== undefined)?.[key]
    const contextWindow = first("contextWindow")
    const maxOutput = first("maxOutput")
    if (contextWindow === undefined && maxOutput === undefined && name === asked) return undefined
    return {
      ...(name === asked ? undefined : { name }),
      ...(contextWindow === undefined ? undefined : { contextWindow }),
      ...(maxOutput === undefined ? undefined : { maxOutput })
    }
  }

  readonly count: NonNullable<Service["count"]> = (asked, messages) => {
    const target = this.resolve(asked)
    if (target instanceof Errors.ModelNotConfigured) return Effect.succeed(undefined)
    const { id, name, source } = target
    // What is counted was answered by it, or is estimated.
    const service = source.model.built
    return service?.count?.(id ?? service.defaultModel ?? name, messages) ?? Effect.succeed(undefined)
  }

  /** Follows the aliases; an own name goes before a prefix, and a longer prefix before a shorter one. */
  resolve(asked: string): Target | Errors.ModelNotConfigured {
    const names = [asked]
    let name = asked
    for (let next = this.aliases.get(name); next !== undefined; next = this.aliases.get(name)) {
      if (names.includes(next)) {
        return new Errors.ModelNotConfigured({ model: asked, reason: "it is an alias of itself" })
      }
      names.push(next)
      name = next
    }
    const source = this.models.get(name)
    if (source !== undefined) return { source, id: undefined, name, names }
    for (let at = name.lastIndexOf("/"); at > 0; at = name.lastIndexOf("/", at - 1)) {
      const provider = this.providers.get(name.slice(0, at))
      const id = name.slice(at + 1)
      if (provider !== undefined && id !== "") return { source: provider, id, name, names }
    }
    return new Errors.ModelNotConfigured({ model: name, known: this.known })
  }
}

const isEntry = (served: Served): served is Entry<unknown> => !Layer.isLayer(served)

/** What a call fails with whose layer could not be built. */
const notBuilt = (model: string, error: unknown): Errors.ModelError => {
  if (isModelError(error)) return under(model, error)
  if (ConfigError.isConfigError(error)) {
    return new Errors.ModelNotConfigured({ model, reason: settingOf(error), cause: error })
  }
  const reason = error instanceof Error ? error.message : String(error)
  return new Errors.ModelUnavailable({ model, reason: `its layer was not built, ${ending(reason)}`, cause: error })
}

/** What is wrong with a setting. Of a secret one only the name is told, as its error hides the rest. */
const settingOf = (error: ConfigError.ConfigError): string => {
  switch (error._op) {
    case "And":
      return `${settingOf(error.left)}, and ${settingOf(error.right)}`
    case "Or":
      return `${settingOf(error.left)}, or ${settingOf(error.right)}`
    case "MissingData":
      return `${error.path.join(".")} is not set`
    default:
      return `${error.path.join(".")} is not usable (${error.message})`
  }
}

/** The error's message brings a full stop itself. */
const ending = (text: string): string => text.trim().replace(/\.$/, "")

const isModelError = (error: unknown): error is Errors.ModelError =>
  error instanceof Errors.ModelNotConfigured ||
  error instanceof Errors.ModelUnavailable ||
  error instanceof Errors.ModelRejected ||
  error instanceof Errors.ContextOverflow

/** The error under the name that was asked for. */
const under = (model: string, error: Errors.ModelError): Errors.ModelError => {
  if (error.model === model) return error
  switch (error._tag) {
    case "ModelNotConfigured":
      return new Errors.ModelNotConfigured({ ...error, model })
    case "ModelUnavailable":
      return new Errors.ModelUnavailable({ ...error, model })
    case "ModelRejected":
      return new Errors.ModelRejected({ ...error, model })
    case "ContextOverflow":
      return new Errors.ContextOverflow({ ...error, model })
  }
}
