/**
 * A structured result: the tools by which a model finishes with it or gives up, and what it said by them.
 */
import * as Effect from "effect/Effect"
import { type AnySchema, codec, explainIssue, isSchema } from "../services/AnySchema.js"
import type { ToolCallPart } from "../services/Entry.js"
import { InvalidInput } from "../services/Errors.js"
import type { ToolSpec } from "../services/Model.js"
import type { ToolProblem } from "../services/Tool.js"

/** How it ended; the first one counts. */
export type Verdict =
  | { readonly _tag: "Result"; readonly value: unknown; readonly json: string }
  | { readonly _tag: "GivenUp"; readonly reason: string }

/** What a model is told that stopped without a result. */
export const reminder =
  "[You stopped without a result. Call `finish` with it, or `give_up` with the reason why there is none.]"

/** A result that is asked for. */
export class Wanted {
  verdict: Verdict | undefined
  readonly specs: ReadonlyArray<ToolSpec>
  /** How often the model was reminded. */
  reminders = 0
  /** Asked in the step in which it is to end: whether nothing came that the model has to see before. */
  mayEnd: () => boolean = () => true
  /** The JSON Schema of the result. */
  readonly jsonSchema: object

  private constructor(private readonly tools: Made) {
    this.specs = tools.specs
    this.jsonSchema = tools.result
  }

  /** A result of the kind that a schema tells. Throws where a model cannot be told of it. */
  static of(schema: AnySchema): Wanted {
    return new Wanted(make(schema))
  }

  /** A result that was asked for by another process, of whose schema only the JSON Schema is known: it is not checked. */
  static known(jsonSchema: object): Wanted {
    return new Wanted(toolsOf(jsonSchema, Effect.succeed))
  }

  /** Decodes a result that was accepted before, or says what is wrong with it. */
  decode(encoded: unknown): Effect.Effect<unknown, string, unknown> {
    return this.tools.decode(encoded)
  }

  /** Whether a call is one of its own, with arguments that can be looked at. */
  takes({ name, raw }: ToolCallPart): boolean {
    return name === "finish" ? raw === undefined || this.tools.wrapped : name === "give_up" && raw === undefined
  }

  /** Handles a call of `finish` or `give_up`. */
  handle({ args, name, raw }: ToolCallPart): Effect.Effect<string, ToolProblem, unknown> {
    return Effect.suspend(() => {
      if (this.verdict !== undefined) return Effect.fail({ text: "The work is finished already." })
      if (name === "give_up") return this.giveUp(args)
      const encoded = this.tools.wrapped ? unwrap(args, raw) : args
      return Effect.matchEffect(this.tools.decode(encoded), {
        onFailure: (text) => Effect.fail({ text: this.tools.wrapped ? `${text}\n${howToWrap}` : text }),
        onSuccess: (value) => this.take({ _tag: "Result", value, json: JSON.stringify(encoded) })
      })
    })
  }

  private giveUp(args: unknown): Effect.Effect<string, ToolProblem> {
    const { reason } = args as { readonly reason?: unknown }
    if (typeof reason !== "string" || reason.trim() === "") return Effect.fail({ text: '"reason" must be a text.' })
    return this.take({ _tag: "GivenUp", reason: reason.trim() })
  }

  /** Another one may have come first, while this one was decoded. */
  private take(verdict: Verdict): Effect.Effect<string, ToolProblem> {
    if (this.verdict !== undefined) return Effect.fail({ text: "The work is finished already." })
    if (!this.mayEnd()) return Effect.fail({ text: "A message came meanwhile. Read it, then call this tool again." })
    this.verdict = verdict
    return Effect.succeed("Accepted.")
  }
}

interface Made {
  readonly result: object
  readonly specs: ReadonlyArray<ToolSpec>
  /** Whether the result is a field of the arguments, which providers want to be an object. */
  readonly wrapped: boolean
  /** Decodes a result, or says what is wrong with it and where. */
  readonly decode: (encoded: unknown) => Effect.Effect<unknown, string, unknown>
}

const made = new WeakMap<AnySchema, Made>()

/** Made once for a schema, so that a provider's adapter meets the same tools again. */
const make = (schema: AnySchema): Made => {
  let known = made.get(schema)
  if (known === undefined) {
    const { decode, jsonSchema } = codec(schema)
    known = toolsOf(jsonSchema(), (encoded) =>
      Effect.mapError(decode(encoded), (issue) => `The result is not of the kind asked for.\n${explainIssue(issue)}`)
    )
    made.set(schema, known)
  }
  return known
}

const toolsOf = (result: object, decode: Made["decode"]): Made => ({
  result,
  specs: [
    {
      name: "finish",
      description: "Ends the work with its result.",
      inputSchema: isWrapped(result) ? wrap(result) : result
    },
    giveUp
  ],
  wrapped: isWrapped(result),
  decode
})

/** Providers want the arguments of a tool to be an object: any other result is a field of one. */
const isWrapped = (result: object): boolean => !("type" in result && result.type === "object")

/** What a call of `finish` gave as the result, in JSON, by the result's JSON Schema. */
export const finishedWith = ({ args, raw }: ToolCallPart, result: unknown): string =>
  JSON.stringify(typeof result === "object" && result !== null && isWrapped(result) ? unwrap(args, raw) : args)

const howToWrap = 'Give it as { "result": … }.'

/** A result as it was asked for, or without the object around it, as models send it all the same. */
const unwrap = (args: unknown, raw: string | undefined): unknown => {
  if (raw === undefined) return typeof args === "object" && args !== null && "result" in args ? args.result : args
  try {
    return JSON.parse(raw)
  } catch {
    return undefined
  }
}

const wrap = (result: object): object => {
  const { $defs, ...schema } = result as { readonly $defs?: object }
  return {
    type: "object",
    properties: { result: schema },
    required: ["result"],
    additionalProperties: false,
    ...($defs === undefined ? undefined : { $defs })
  }
}

const giveUp: ToolSpec = {
  name: "give_up",
  description: "Ends the work without a result, where there can be none.",
  inputSchema: {
    type: "object",
    properties: { reason: { type: "string", description: "Why there is no result." } },
    required: ["reason"],
    additionalProperties: false
  }
}

/** The result that is asked for, or what is wrong with its schema: it has no JSON Schema that a model could be told. */
export const wantedOf = (schema: AnySchema): Wanted | InvalidInput => {
  if (!isSchema(schema)) return new InvalidInput({ path: "resultSchema", reason: "it is not a schema" })
  try {
    return Wanted.of(schema)
  } catch (error) {
    return new InvalidInput({ path: "resultSchema", reason: error instanceof Error ? error.message : String(error) })
  }
}
