/**
 * A tool is a small value: a name, a description, schemas, and a handler.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberId from "effect/FiberId"
import type { AiTool, AiToolkit, AiWithHandler, HandlerOf, NeedsOf, ToolkitNeeds } from "./AiTool.js"
import {
  type AnySchema,
  type ContextOf,
  explainIssue,
  type Fields,
  type FieldsContext,
  type FieldsType
} from "./AnySchema.js"
import { print } from "./Json.js"
import type { ToolSpec } from "./Model.js"
import { currentMark, promiseLineage } from "./SessionLock.js"
import { codecOf, type JsonSchemaParameters, parametersOf, type AnyParameters, setProblem } from "./ToolParts.js"

export { type JsonSchemaParameters, jsonSchema, type AnyParameters } from "./ToolParts.js"

/** What a handler is told of the call that it serves. */
export interface ToolCall {
  readonly callId: string
  readonly session: string
  readonly operationId: string
  /**
   * Names this call for good, in whatever process it runs and however often: a key for what an idempotent tool does
   * elsewhere. Made of the session, the operation and the call.
   */
  readonly key: string
  /** The folder that the session works in, as the sandbox names it. */
  readonly cwd: string
  /** Aborted when the call is interrupted or passes its deadline. */
  readonly signal: AbortSignal
  /**
   * Runs an Effect from a handler that is an async function, within the call: it has the call's right of entry, and
   * ends with the call.
   */
  readonly runPromise: <A, E>(effect: Effect.Effect<A, E>) => Promise<A>
}

/**
 * What running a call twice does: nothing, since it changes nothing (`pure`), or nothing more than running it once, by
 * `ToolCall.key` for instance (`idempotent`). A call that was cut when its process ended is run again only then.
 */
export type Effects = "pure" | "idempotent"

/** Why a call brought no value. `text` is what the model is told. */
export interface ToolProblem {
  readonly text: string
}

/** A tool, ready to be given to a model. `R` is what its handler needs. */
export interface Tool<out R = never> extends ToolSpec {
  /** In milliseconds; without one the engine's `toolDeadline` holds. */
  readonly deadline: number | undefined
  /** It may be called again and again with the same result without that being held against the model. */
  readonly polling: boolean
  /** What a second run of the same call would do, where that is known to be harmless. */
  readonly effects: Effects | undefined
  /** Decodes the arguments, runs the handler, encodes the value. Never fails but with what the model is told. */
  readonly handle: (args: unknown, call: ToolCall) => Effect.Effect<unknown, ToolProblem, R>
}

/** Any tool, whatever it needs. */
export type Any = Tool<unknown>

/**
 * What may stand in a list of tools: a tool, a list of tools, and a tool or a toolkit of `@effect/ai`, with its handlers or
 * without.
 */
export type Listed = Any | AiTool | AiToolkit | AiWithHandler | ReadonlyArray<Listed>

/**
 * What a tool needs, or whatever stands in a list of tools. A tool of `@effect/ai` needs its handler, which is found by the
 * tool's name where the session is opened.
 */
export type Requirements<T> =
  T extends Tool<infer R>
    ? R
    : T extends ReadonlyArray<infer Item>
      ? // A list of anything: without this the type would be looked into for good.
        [Listed] extends [Item]
        ? unknown
        : Requirements<Item>
      : T extends AiTool
        ? HandlerOf<T["name"]> | NeedsOf<T>
        : ToolkitNeeds<T>

/** One part of a result. In the text that is kept beside the parts an image is a mark, and a JSON value its text. */
export type ContentPart =
  | { readonly type: "text"; readonly text: string }
  /** `data` is base64, or the bytes. */
  | { readonly type: "image"; readonly mediaType: string; readonly data: string | Uint8Array }
  | { readonly type: "json"; readonly value: unknown }

/** A handler's value in parts. */
export interface Content {
  readonly [contentTypeId]: typeof contentTypeId
  readonly parts: ReadonlyArray<ContentPart>
}

const contentTypeId: unique symbol = Symbol.for("baton/Tool/Content")

/**
 * A handler's value in parts: texts, images and JSON values, for a tool without a `success` schema. An image is at most
 * 10 MB, all of a result at most 20 MB. One that no provider would read makes the call a failure that says which.
 */
export const content = (parts: ReadonlyArray<ContentPart>): Content => ({ [contentTypeId]: contentTypeId, parts })

/** Whether a value was made by `content`. */
export const isContent = (value: unknown): value is Content =>
  typeof value === "object" && value !== null && contentTypeId in value

/** What a handler may give back. */
export type Answer<A, E, R> = Effect.Effect<A, E, R> | PromiseLike<A> | A

type Value<S> = S extends AnySchema ? S["Type"] : unknown
type Params<P> = P extends AnySchema
  ? P["Type"]
  : P extends JsonSchemaParameters
    ? Readonly<Record<string, unknown>>
    : P extends Fields
      ? FieldsType<P>
      : Record<string, never>
type Needs<S> = S extends AnySchema ? ContextOf<S> : S extends Fields ? FieldsContext<S> : never

/** What a handler needs, by what it gives back. */
export type HandlerRequirements<A> = 0 extends 1 & A
  ? never
  : A extends Effect.Effect<infer _A, infer _E, infer R>
    ? R
    : never

export interface Options<P, S, A, E, R> {
  readonly description: string
  /** Schema of an object, its fields, or its `jsonSchema`; without them the tool takes no arguments. */
  readonly parameters?: P | undefined
  /** Schema of the handler's value, encoded to JSON for the model. Without one the value is sent as it is. */
  readonly success?: S | undefined
  /** In milliseconds, or a Duration. */
  readonly deadline?: number | Duration.Duration | undefined
  /** Set for a tool that is asked again until something has happened: its repetition is no lack of progress. */
  readonly polling?: boolean | undefined
  /** Set where a call may be run again that was started when its process ended. Otherwise it ends as `unknown`. */
  readonly effects?: Effects | undefined
  /**
   * Runs the call: an Effect, a promise or a plain value. What it fails with is told to the model. Interruption waits for
   * the end of either, no longer than `toolGrace`.
   */
  readonly run: (params: Params<P>, call: ToolCall) => A | Effect.Effect<Value<S>, E, R>
}

/**
 * A tool from its parts. Arguments are decoded before the handler runs; a mistake in them is told to the model. What is
 * wrong with the parts, whatever their types say, is told where the tool is used, as `InvalidInput`.
 */
export const make = <
  const P extends AnyParameters | undefined = undefined,
  const S extends AnySchema | undefined = undefined,
  E = never,
  R = never,
  const A extends Answer<Value<S>, unknown, unknown> = never
>(
  name: string,
  options: Options<P, S, A, E, R>
): Tool<NoInfer<R | HandlerRequirements<A> | Needs<P> | Needs<S>>> => {
  const parts: Partial<Options<P, S, A, E, R>> = typeof options === "object" && options !== null ? options : {}
  const parameters = parts.parameters === undefined ? undefined : parametersOf(parts.parameters)
  const success = parts.success === undefined ? undefined : codecOf(parts.success)
  const { deadline } = parts
  let inputSchema: object | undefined
  const encode =
    success === undefined
      ? Effect.succeed<unknown>
      : (value: unknown) => Effect.mapError(success.encode(value), badValue)
  const run = (params: unknown, call: ToolCall) =>
    Effect.matchCauseEffect(
      answer(() => options.run(params as Params<P>, call) as Answer<unknown, unknown, unknown>),
      { onFailure: failed, onSuccess: encode }
    )
  const handle = (args: unknown, call: ToolCall): Effect.Effect<unknown, ToolProblem, unknown> => {
    if (parameters === undefined) return run({}, call)
    const decoded = parameters.decode(args)
    // A schema without effects of its own has decoded by now.
    if (Either.isEither(decoded) && Either.isRight(decoded)) return run(decoded.right, call)
    return Effect.flatMap(Effect.mapError(decoded, badArguments), (params) => run(params, call))
  }
  const tool: Tool<R | HandlerRequirements<A> | Needs<P> | Needs<S>> = {
    name,
    description: parts.description as string,
    deadline: Duration.isDuration(deadline) ? Duration.toMillis(deadline) : deadline,
    polling: parts.polling ?? false,
    effects: parts.effects,
    get inputSchema() {
      return (inputSchema ??= parameters?.jsonSchema() ?? noParameters)
    },
    handle: handle as Tool<R | HandlerRequirements<A> | Needs<P> | Needs<S>>["handle"]
  }
  if (typeof parts.run !== "function") setProblem(tool, { field: "run", reason: "it is not a function" })
  else if (success?.broken !== undefined) setProblem(tool, { field: "success", reason: success.broken })
  return tool
}

/** JSON Schema of a tool that takes no arguments. */
export const noParameters = { type: "object", properties: {}, additionalProperties: false }

/** Runs a handler whatever it gives back. Around a promise the lineage is kept, so that a call back is recognised. */
const answer = <A, E, R>(run: () => Answer<A, E, R>): Effect.Effect<A, E | Thrown, R> =>
  Effect.withFiberRuntime<A, E | Thrown, R>((fiber) => {
    const mark = fiber.getFiberRef(currentMark)
    const id = fiber.id()
    const given = mark === undefined || !FiberId.isRuntime(id) ? run() : promiseLineage.run({ mark, fiber: id.id }, run)
    if (Effect.isEffect(given)) return given as Effect.Effect<A, E, R>
    if (!isPromiseLike(given)) return Effect.succeed(given as A)
    // A promise cannot be interrupted: its end is awaited, as that of an Effect's finalizers is.
    return Effect.uninterruptible(
      Effect.async<A, Thrown>((resume) => {
        given.then(
          (value) => resume(Effect.succeed(value)),
          (error: unknown) => resume(Effect.fail(new Thrown(error)))
        )
      })
    )
  })

/** What a promise rejected with. */
class Thrown {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

const isPromiseLike = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"

const badArguments = (issue: Parameters<typeof explainIssue>[0]): ToolProblem => ({
  text: `The arguments do not fit the tool's parameters.\n${explainIssue(issue)}`
})

const badValue = (issue: Parameters<typeof explainIssue>[0]): ToolProblem => ({
  text: `The tool gave a value that does not fit its own schema.\n${explainIssue(issue)}`
})

/**
 * A failure or a defect becomes what the model is told; interruption stays interruption. One that failed at one of
 * several things at a time, of which the others were interrupted for it, has failed.
 */
const failed = (cause: Cause.Cause<unknown>): Effect.Effect<never, ToolProblem> => {
  if (Cause.isInterruptedOnly(cause)) return Effect.failCause(cause as Cause.Cause<never>)
  const error = Cause.squash(cause)
  return Effect.fail({ text: describe(error instanceof Thrown ? error.error : error) })
}

/** A failure in one sentence: its tag or name, and its message. Never a stack, and never throws. */
export const describe = (error: unknown): string => {
  try {
    return sentence(error)
  } catch {
    return "The tool failed with something that cannot be described."
  }
}

const sentence = (error: unknown): string => {
  if (typeof error === "string") return error
  if (typeof error !== "object" || error === null) return `The tool failed with ${String(error)}.`
  const tag = "_tag" in error && typeof error._tag === "string" ? error._tag : undefined
  const name = tag ?? (error instanceof Error ? error.name : undefined)
  const message = "message" in error && typeof error.message === "string" ? error.message : ""
  if (message === "") return `The tool failed with ${name ?? printed(error)}.`
  return name === undefined || name === "Error" ? message : `${name}: ${message}`
}

const printed = (error: object): string => {
  const it = print(error)
  return "json" in it ? it.json : `a value that cannot be shown: ${it.problem}`
}
