/**
 * Which models the executable uses: named on the command line, or told by the keys in its environment.
 */
import * as Config from "effect/Config"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Agent from "./Agent.js"

/** Where a provider is reached, and with what key. */
export interface Access {
  readonly apiKey: Redacted.Redacted
  readonly apiUrl: string | undefined
}

/** Where a server is reached that speaks OpenAI's older API; many ask for no key. */
export interface CompatibleAccess {
  readonly apiKey: Redacted.Redacted | undefined
  readonly apiUrl: string
}

/** The providers that the environment makes available, by the prefix of their models. */
export interface Providers {
  readonly anthropic?: Access | undefined
  readonly openai?: Access | undefined
  readonly compatible?: CompatibleAccess | undefined
}

/** The models of a run. */
export interface ModelChoice {
  /** The one that is used where an agent names none. */
  readonly model: string
  /** Why it is this one, in words that go after "model". */
  readonly reason: string
  /** Tried in order when a model is not available. */
  readonly fallbacks: ReadonlyArray<string>
  readonly providers: Providers
}

/** The command line and the environment name no model that can be used. */
export class ModelNotUsable extends Data.TaggedError("ModelNotUsable")<{ readonly reason: string }> {
  override get message() {
    return this.reason
  }
}

/** The models used where only a key is given. */
export const defaultModels = { anthropic: "anthropic/claude-sonnet-5", openai: "openai/gpt-5" }

/** What the command line asks for. */
export interface Asked {
  readonly model: string | undefined
  readonly fallbacks: ReadonlyArray<string>
  /** The agent that is to work, which may name models of its own. */
  readonly agent?: Pick<Agent.Any, "name" | "model" | "fallbacks"> | undefined
}

/**
 * Chooses: what the command line names, else what the agent names, else by the keys. A key that is empty counts as none;
 * with both keys and no name it is Anthropic.
 */
export const choose = (asked: Asked): Effect.Effect<ModelChoice, ModelNotUsable> =>
  Effect.flatMap(Effect.mapError(environment, wrongEnvironment), (providers) => {
    const [model, because] = preferred(asked, providers)
    const fallbacks = asked.fallbacks.length > 0 ? asked.fallbacks : (asked.agent?.fallbacks ?? [])
    for (const name of [model, ...fallbacks]) {
      const reason = wrongName(name, providers)
      if (reason !== undefined) return new ModelNotUsable({ reason })
    }
    const url = providers[prefixOf(model)]?.apiUrl
    const reason = url === undefined ? because : `${because}, at ${new URL(url).host}`
    return Effect.succeed({ model, reason, fallbacks, providers })
  })

const preferred = ({ agent, model }: Asked, { anthropic, openai }: Providers): readonly [string, string] => {
  if (model !== undefined) return [model, "as asked"]
  if (agent?.model !== undefined) return [agent.model, `as its agent ${agent.name} asks`]
  if (anthropic !== undefined) return [defaultModels.anthropic, "because ANTHROPIC_API_KEY is set"]
  if (openai !== undefined) return [defaultModels.openai, "because OPENAI_API_KEY is set"]
  return ["scripted", "embedded; no API key is set"]
}

/** What each provider needs in the environment. */
const needs: Readonly<Record<keyof Providers, string>> = {
  anthropic: "ANTHROPIC_API_KEY",
  openai: "OPENAI_API_KEY",
  compatible: "OPENAI_BASE_URL"
}

const prefixOf = (model: string) => model.slice(0, Math.max(0, model.indexOf("/"))) as keyof Providers

/** What is wrong with a name, if anything is. */
const wrongName = (model: string, providers: Providers): string | undefined => {
  if (model === "scripted") return undefined
  const prefix = prefixOf(model)
  if (!Object.hasOwn(needs, prefix) || !/^\w+\/\S+$/.test(model)) {
    const names = Object.keys(needs).map((it) => `${it}/<id>`)
    return `There is no model ${JSON.stringify(model)}: it is ${names.join(", ")} or scripted.`
  }
  return providers[prefix] === undefined ? `The model ${model} needs ${needs[prefix]} in the environment.` : undefined
}

const key = (name: string) =>
  Config.map(
    Config.option(Config.redacted(name)),
    Option.filter((it) => Redacted.value(it).trim() !== "")
  )

/** A variable that is empty counts as unset. */
const url = (name: string) =>
  Config.string(name).pipe(
    Config.withDefault(""),
    Config.mapAttempt((text) => (text.trim() === "" ? undefined : httpUrl(name, text)))
  )

const httpUrl = (name: string, text: string): string => {
  if (!URL.canParse(text) || !/^https?:/.test(text)) throw new Error(`${name} is not an http or https address`)
  return new URL(text).href.replace(/\/+$/, "")
}

const environment: Config.Config<Providers> = Config.map(
  Config.all({
    anthropicKey: key("ANTHROPIC_API_KEY"),
    anthropicUrl: url("ANTHROPIC_BASE_URL"),
    openaiKey: key("OPENAI_API_KEY"),
    openaiUrl: url("OPENAI_BASE_URL")
  }),
  ({ anthropicKey, anthropicUrl, openaiKey, openaiUrl }) => ({
    anthropic: access(anthropicKey, anthropicUrl),
    openai: access(openaiKey, openaiUrl),
    compatible: openaiUrl === undefined ? undefined : { apiKey: Option.getOrUndefined(openaiKey), apiUrl: openaiUrl }
  })
)

const access = (apiKey: Option.Option<Redacted.Redacted>, apiUrl: string | undefined): Access | undefined =>
  Option.isSome(apiKey) ? { apiKey: apiKey.value, apiUrl } : undefined

const wrongEnvironment = (error: { readonly message?: string }): ModelNotUsable =>
  new ModelNotUsable({ reason: `The environment is not usable: ${error.message ?? String(error)}.` })
