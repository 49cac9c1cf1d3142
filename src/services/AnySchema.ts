/**
 * Schemas as applications hand them over: of `effect/Schema`, or of the package `@effect/schema`.
 *
 * Works on the syntax tree alone, so that neither package is loaded here.
 */
import type * as Effect from "effect/Effect"
import * as JSONSchema from "effect/JSONSchema"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import type * as Types from "effect/Types"

/** What both packages' schemas have in common. */
export interface AnySchema {
  readonly Type: unknown
  readonly Encoded: unknown
  readonly Context: unknown
  readonly ast: object
}

/** The fields of a struct: of `effect/Schema` all, of `@effect/schema` those that are schemas. */
export type Fields = Readonly<Record<string, Schema.Struct.Field | AnySchema>>

/** What a struct of these fields decodes to. */
export type FieldsType<F> = F extends Schema.Struct.Fields
  ? Types.Simplify<Schema.Struct.Type<F>>
  : { readonly [K in keyof F]: ValueOf<F[K]> }

/** What decoding and encoding a struct of these fields needs. */
export type FieldsContext<F> = F extends Schema.Struct.Fields ? Schema.Struct.Context<F> : ContextOf<F[keyof F]>

/** What a schema decodes to. */
export type ValueOf<S> = S extends AnySchema ? S["Type"] : undefined

/** What decoding and encoding by a schema needs. */
export type ContextOf<S> = S extends AnySchema ? S["Context"] : never

/** A schema made ready once: decoding, encoding and its JSON Schema. */
export interface Codec {
  /** From the encoded form. Fails with every mistake in the input, not with the first alone. */
  readonly decode: (input: unknown) => Effect.Effect<unknown, ParseResult.ParseIssue, unknown>
  /** To the encoded form. Fails where the value does not fit. */
  readonly encode: (value: unknown) => Effect.Effect<unknown, ParseResult.ParseIssue, unknown>
  /**
   * JSON Schema (draft 7) of the encoded form. The top level is never a `$ref`, because providers read the `type` of
   * a tool's parameters there. Throws where the schema has no JSON Schema, for instance for a recursive one without
   * an `identifier` annotation.
   */
  readonly jsonSchema: () => object
}

/** Makes a schema ready. A recursive schema is walked once, when it is first used. */
export const codec = (schema: AnySchema): Codec => codecOf(astOf(schema))

/** Makes the struct of some fields ready, as `Schema.Struct` makes it. Throws where one of them is none. */
export const codecOfFields = (fields: Fields): Codec => codecOf(struct(fields))

const codecOf = (ast: AST.AST): Codec => {
  const own = { ast } as Schema.Schema<unknown, unknown, unknown>
  return {
    decode: ParseResult.decodeUnknown(own, { errors: "all" }),
    encode: ParseResult.encodeUnknown(own),
    jsonSchema: () => toJsonSchema(own.ast)
  }
}

/** Whether a value is a schema of either package. */
export const isSchema = (value: unknown): value is AnySchema =>
  (typeof value === "object" || typeof value === "function") &&
  value !== null &&
  (ownTypeId in value || foreignTypeId in value) &&
  // It has the mark of a schema as well.
  !(ownSignatureId in value || foreignSignatureId in value)

const struct = (fields: Fields): AST.AST => {
  const from: Array<AST.PropertySignature> = []
  const to: Array<AST.PropertySignature> = []
  const renamed: Array<AST.PropertySignatureTransformation> = []
  for (const [key, field] of Object.entries(fields)) {
    if (isSchema(field)) {
      const type = astOf(field)
      from.push(new AST.PropertySignature(key, type, false, true))
      to.push(new AST.PropertySignature(key, AST.typeAST(type), false, true))
      continue
    }
    if (!isPropertySignature(field)) throw new TypeError(`the field "${key}" is not a schema`)
    const { ast } = field
    if (ast._tag === "PropertySignatureDeclaration") {
      from.push(new AST.PropertySignature(key, ast.type, ast.isOptional, true, ast.annotations))
      to.push(new AST.PropertySignature(key, AST.typeAST(ast.type), ast.isOptional, true, ast.annotations))
    } else {
      const name = ast.from.fromKey ?? key
      from.push(new AST.PropertySignature(name, ast.from.type, ast.from.isOptional, true, ast.from.annotations))
      to.push(new AST.PropertySignature(key, ast.to.type, ast.to.isOptional, true, ast.to.annotations))
      renamed.push(new AST.PropertySignatureTransformation(name, key, ast.decode, ast.encode))
    }
  }
  const encoded = new AST.TypeLiteral(from, [])
  if (renamed.length === 0) return encoded
  return new AST.Transformation(encoded, new AST.TypeLiteral(to, []), new AST.TypeLiteralTransformation(renamed))
}

const isPropertySignature = (field: unknown): field is Schema.PropertySignature.All =>
  typeof field === "object" && field !== null && ownSignatureId in field

/** The schema's syntax tree as `effect/SchemaAST` reads it; that of `effect/Schema` is returned as it is. */
export const astOf = (schema: AnySchema): AST.AST =>
  foreignTypeId in schema ? mirror(schema.ast as AST.AST) : (schema.ast as AST.AST)

/** What is wrong with an input, one line for each place, for a model or a person. */
export const explainIssue = (issue: ParseResult.ParseIssue): string =>
  ParseResult.ArrayFormatter.formatIssueSync(issue)
    .map(({ message, path }) => (path.length === 0 ? message : `${path.map(String).join(".")}: ${message}`))
    .join("\n")

const definitionPath = "#/$defs/"

const toJsonSchema = (ast: AST.AST): object => {
  const definitions: Record<string, JSONSchema.JsonSchema7> = {}
  let schema = JSONSchema.fromAST(ast, { definitions, definitionPath, topLevelReferenceStrategy: "skip" })
  // A recursive schema at the top is a reference all the same.
  while ("$ref" in schema && schema.$ref.startsWith(definitionPath)) {
    const definition = definitions[unescape(schema.$ref.slice(definitionPath.length))]
    if (definition === undefined || definition === schema) break
    schema = definition
  }
  return Object.keys(definitions).length === 0 ? schema : { ...schema, $defs: definitions }
}

/** A JSON pointer's step as the key that it names. */
const unescape = (step: string): string => step.replaceAll("~1", "/").replaceAll("~0", "~")

// `@effect/schema` 0.75.5 has the trees of `effect/Schema`, with annotations under symbols of its own. What follows
// writes each tree again with the annotations under both names: those of `@effect/schema` are still read by the
// functions inside it.

/** Marks a schema of `effect/Schema`. */
const ownTypeId = Symbol.for("effect/Schema")
/** Mark what a field may be in either package besides a schema. */
const ownSignatureId = Symbol.for("effect/PropertySignature")
const foreignSignatureId = Symbol.for("@effect/schema/PropertySignature")
/** Marks a schema of `@effect/schema`. */
const foreignTypeId = Symbol.for("@effect/schema/Schema")
const foreignAnnotation = "@effect/schema/annotation/"
const foreignSchemaId = "@effect/schema/TypeId/"

const mirrored = new WeakMap<object, AST.AST>()

const mirror = (ast: AST.AST): AST.AST => {
  const known = mirrored.get(ast)
  if (known !== undefined) return known
  const own = write(ast)
  mirrored.set(ast, own)
  return own
}

const write = (ast: AST.AST): AST.AST => {
  const annotations = annotationsOf(ast.annotations)
  switch (ast._tag) {
    case "Declaration":
      return new AST.Declaration(ast.typeParameters.map(mirror), ast.decodeUnknown, ast.encodeUnknown, annotations)
    case "Literal":
      return new AST.Literal(ast.literal, annotations)
    case "UniqueSymbol":
      return new AST.UniqueSymbol(ast.symbol, annotations)
    case "UndefinedKeyword":
      return new AST.UndefinedKeyword(annotations)
    case "VoidKeyword":
      return new AST.VoidKeyword(annotations)
    case "NeverKeyword":
      return new AST.NeverKeyword(annotations)
    case "UnknownKeyword":
      return new AST.UnknownKeyword(annotations)
    case "AnyKeyword":
      return new AST.AnyKeyword(annotations)
    case "StringKeyword":
      return new AST.StringKeyword(annotations)
    case "NumberKeyword":
      return new AST.NumberKeyword(annotations)
    case "BooleanKeyword":
      return new AST.BooleanKeyword(annotations)
    case "BigIntKeyword":
      return new AST.BigIntKeyword(annotations)
    case "SymbolKeyword":
      return new AST.SymbolKeyword(annotations)
    case "ObjectKeyword":
      return new AST.ObjectKeyword(annotations)
    case "Enums":
      return new AST.Enums(ast.enums, annotations)
    case "TemplateLiteral": {
      const [first, ...others] = ast.spans
      return new AST.TemplateLiteral(ast.head, [span(first), ...others.map(span)], annotations)
    }
    case "TupleType":
      return new AST.TupleType(
        ast.elements.map((it) => new AST.OptionalType(mirror(it.type), it.isOptional, annotationsOf(it.annotations))),
        ast.rest.map((it) => new AST.Type(mirror(it.type), annotationsOf(it.annotations))),
        ast.isReadonly,
        annotations
      )
    case "TypeLiteral":
      return new AST.TypeLiteral(
        ast.propertySignatures.map(
          (it) =>
            new AST.PropertySignature(
              it.name,
              mirror(it.type),
              it.isOptional,
              it.isReadonly,
              annotationsOf(it.annotations)
            )
        ),
        ast.indexSignatures.map((it) => new AST.IndexSignature(mirror(it.parameter), mirror(it.type), it.isReadonly)),
        annotations
      )
    case "Union":
      return AST.Union.make(ast.types.map(mirror), annotations)
    case "Suspend":
      return new AST.Suspend(() => mirror(ast.f()), annotations)
    case "Refinement":
      return new AST.Refinement(mirror(ast.from), ast.filter, annotations)
    case "Transformation":
      return new AST.Transformation(mirror(ast.from), mirror(ast.to), ast.transformation, annotations)
  }
}

const span = (it: AST.TemplateLiteralSpan): AST.TemplateLiteralSpan =>
  new AST.TemplateLiteralSpan(mirror(it.type), it.literal)

const annotationsOf = (annotations: AST.Annotations): AST.Annotations => {
  const own: Record<PropertyKey, unknown> = { ...annotations }
  for (const key of Object.getOwnPropertySymbols(annotations)) {
    const name = Symbol.keyFor(key)
    if (name === undefined || !name.startsWith(foreignAnnotation)) continue
    const kind = name.slice(foreignAnnotation.length)
    const value = annotations[key]
    if (kind === "Type") own[AST.SchemaIdAnnotationId] = schemaId(value)
    else own[Symbol.for(`effect/annotation/${kind}`)] = kind === "Surrogate" ? mirror(value as AST.AST) : value
  }
  return own as AST.Annotations
}

/** What `@effect/schema` calls the type of a filter. JSON Schema looks at those of `int` and `parseJson`. */
const schemaId = (value: unknown): unknown => {
  const name = typeof value === "symbol" ? Symbol.keyFor(value) : undefined
  if (name === undefined || !name.startsWith(foreignSchemaId)) return value
  const kind = name.slice(foreignSchemaId.length)
  return kind === "ParseJson" ? AST.ParseJsonSchemaId : Symbol.for(`effect/SchemaId/${kind}`)
}
