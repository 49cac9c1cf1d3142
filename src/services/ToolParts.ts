/**
 * The parts that a tool is made from, whatever their types say.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { type AnySchema, type Codec, codec, codecOfFields, type Fields, isSchema } from "./AnySchema.js"

/** What a tool's arguments may be told by: a schema of an object, the fields of one, or its JSON Schema. */
export type AnyParameters = AnySchema | Fields | JsonSchemaParameters

/** Arguments that are told by a JSON Schema and come as they are. */
export interface JsonSchemaParameters {
  readonly [typeId]: () => object
}

const typeId: unique symbol = Symbol.for("baton/Tool/Parameters")

/** Arguments that are looked at before they come as they are. */
interface Checked extends JsonSchemaParameters {
  readonly decode: Codec["decode"]
}

/**
 * Parameters of which there is a JSON Schema alone, as those of a tool that is served elsewhere. The model is told of it;
 * the arguments come as they are, a JSON object, and the handler has to look at them.
 */
export const jsonSchema = (schema: object): JsonSchemaParameters => ({ [typeId]: () => schema })

/** Parameters that a schema has to take, and that come as they are: the handler decodes them itself. */
export const checked = (schema: AnySchema): JsonSchemaParameters => {
  const { decode, jsonSchema } = codec(schema)
  const checked: Checked = { [typeId]: jsonSchema, decode: (args) => Effect.as(decode(args), args) }
  return checked
}

/** A codec; or one that throws what is wrong with the schema where its JSON Schema is asked for, and decodes nothing. */
export interface MaybeCodec extends Codec {
  readonly broken?: string
}

/** The codec of a tool's parameters. Never throws. */
export const parametersOf = (parameters: unknown): MaybeCodec =>
  attempt(() => {
    if (typeof parameters === "object" && parameters !== null) {
      if (typeId in parameters) return asTheyAre(parameters as JsonSchemaParameters)
      if (isFields(parameters)) return codecOfFields(parameters)
    }
    return ofSchema(parameters)
  })

/** The codec of a schema. Never throws. */
export const codecOf = (schema: unknown): MaybeCodec => attempt(() => ofSchema(schema))

const ofSchema = (schema: unknown): Codec => {
  if (!isSchema(schema)) throw new TypeError(notSchema)
  return codec(schema)
}

const notSchema = "it is not a schema"

/** Whether it is a plain object: what is in it is looked at later. */
const isFields = (value: object): value is Fields => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return !isSchema(value) && (prototype === Object.prototype || prototype === null)
}

const asTheyAre = (parameters: JsonSchemaParameters): Codec => ({
  decode: (parameters as Partial<Checked>).decode ?? Either.right,
  encode: Either.right,
  jsonSchema: parameters[typeId]
})

const attempt = (make: () => Codec): MaybeCodec => {
  try {
    return make()
  } catch (error) {
    const broken = error instanceof TypeError ? error.message : notSchema
    const none = () => Effect.dieMessage(broken)
    return { broken, decode: none, encode: none, jsonSchema: () => thrown(error) }
  }
}

const thrown = (error: unknown): never => {
  throw error instanceof TypeError ? error : new TypeError(notSchema, { cause: error })
}

/** A part of a tool that is not what it has to be. */
export interface PartProblem {
  readonly field: string
  readonly reason: string
}

const problems = new WeakMap<object, PartProblem>()

/** Notes what is wrong with a part that a tool was made from, where that cannot be seen of the tool. */
export const setProblem = (tool: object, problem: PartProblem): void => void problems.set(tool, problem)

/** What was noted of a tool, if anything. */
export const problemOf = (tool: object): PartProblem | undefined => problems.get(tool)
