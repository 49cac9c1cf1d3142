/**
 * Which model the executable uses: named on the command line, or told by the keys in its environment.
 */
import * as Config from "effect/Config"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"

/** The model, and why it is this one, in words that go after "model". */
export type ModelChoice =
  | { readonly _tag: "Scripted"; readonly model: string; readonly reason: string }
  | {
      readonly _tag: "Anthropic" | "OpenAi"
      /** With the provider before it. */
      readonly model: string
      readonly reason: string
      readonly apiKey: Redacted.Redacted
      readonly apiUrl: string | undefined
    }

/** The command line and the environment name no model that can be used. */
export class ModelNotUsable extends Data.TaggedError("ModelNotUsable")<{ readonly reason: string }> {
  override get message() {
    return this.reason
  }
}

/** The models used where only a key is given. */
export const defaultModels = { anthropic: "anthropic/claude-sonnet-4-5", openai: "openai/gpt-5" }

/** Chooses. A key that is empty counts as none; with both keys and no name it is Anthropic. */
export const choose = (asked: string | undefined): Effect.Effect<ModelChoice, ModelNotUsable> =>
  Effect.flatMap(Effect.mapError(environment, wrongEnvironment), (env) => {
    if (asked === "scripted") return Effect.succeed(scripted("as asked"))
    if (asked !== undefined) return named(asked, env)
    if (Option.isSome(env.anthropic.key)) return named(defaultModels.anthropic, env, "because ANTHROPIC_API_KEY is set")
    if (Option.isSome(env.openai.key)) return named(defaultModels.openai, env, "because OPENAI_API_KEY is set")
    return Effect.succeed(scripted("embedded; no API key is set"))
  })

const scripted = (reason: string): ModelChoice => ({ _tag: "Scripted", model: "scripted", reason })

const named = (
  model: string,
  env: Config.Config.Success<typeof environment>,
  reason = "as asked"
): Effect.Effect<ModelChoice, ModelNotUsable> => {
  const [, provider, id] = /^(anthropic|openai)\/(\S+)$/.exec(model) ?? []
  if (id === undefined || (provider !== "anthropic" && provider !== "openai")) {
    return new ModelNotUsable({
      reason: `There is no model ${JSON.stringify(model)}: it is anthropic/<id>, openai/<id> or scripted.`
    })
  }
  const { key, url } = env[provider]
  if (Option.isNone(key)) {
    const variable = provider === "anthropic" ? "ANTHROPIC_API_KEY" : "OPENAI_API_KEY"
    return new ModelNotUsable({ reason: `The model ${model} needs ${variable} in the environment.` })
  }
  return Effect.succeed({
    _tag: provider === "anthropic" ? "Anthropic" : "OpenAi",
    model,
    reason: Option.match(url, { onNone: () => reason, onSome: ({ host }) => `${reason}, at ${host}` }),
    apiKey: key.value,
    apiUrl: Option.match(url, { onNone: () => undefined, onSome: ({ href }) => href.replace(/\/+$/, "") })
  })
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
    Config.mapAttempt((text) => (text.trim() === "" ? Option.none<URL>() : Option.some(httpUrl(name, text))))
  )

const httpUrl = (name: string, text: string): URL => {
  if (!URL.canParse(text) || !/^https?:/.test(text)) throw new Error(`${name} is not an http or https address`)
  return new URL(text)
}

const environment = Config.all({
  anthropic: Config.all({ key: key("ANTHROPIC_API_KEY"), url: url("ANTHROPIC_BASE_URL") }),
  openai: Config.all({ key: key("OPENAI_API_KEY"), url: url("OPENAI_BASE_URL") })
})

const wrongEnvironment = (error: { readonly message?: string }): ModelNotUsable =>
  new ModelNotUsable({ reason: `The environment is not usable: ${error.message ?? String(error)}.` })
