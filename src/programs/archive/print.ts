/**
 * Values of a schema as JSON in the one way: fields in the order in which the schema names them, and no others.
 */
import type * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"

type Order = (value: unknown) => unknown

/** Prints values of a schema. It is walked once; it may not be recursive, nor transform anything. */
export const printer = <A>({ ast }: Schema.Schema<A>): ((value: A) => string) => {
  const order = orderOf(ast)
  return (value) => JSON.stringify(order(value))
}

const orderOf = (ast: AST.AST): Order => {
  switch (ast._tag) {
    case "Refinement":
      return orderOf(ast.from)
    case "TypeLiteral":
      return ofStruct(ast)
    case "TupleType":
      return ofArray(ast)
    case "Union":
      return ofUnion(ast)
    default:
      // A text, a number, or JSON of anybody's: as it is.
      return same
  }
}

const same: Order = (value) => value

const ofStruct = ({ indexSignatures, propertySignatures }: AST.TypeLiteral): Order => {
  // A record has no fields of its own, and its names are anybody's.
  if (indexSignatures.length > 0) return same
  const fields = propertySignatures.map(({ name, type }) => [name, orderOf(type)] as const)
  return (value) => {
    const given = value as Readonly<Record<PropertyKey, unknown>>
    const ordered: Record<PropertyKey, unknown> = {}
    for (const [name, order] of fields) if (given[name] !== undefined) ordered[name] = order(given[name])
    return ordered
  }
}

const ofArray = ({ rest }: AST.TupleType): Order => {
  const item = rest[0] === undefined ? same : orderOf(rest[0].type)
  return item === same ? same : (value) => (value as ReadonlyArray<unknown>).map(item)
}

/** The members of a union that are objects are told from each other by fields that are literals. */
const ofUnion = ({ types }: AST.Union): Order => {
  const structs = types.flatMap((type) => {
    if (type._tag !== "TypeLiteral") return []
    const marks = type.propertySignatures.flatMap(({ name, type }) =>
      type._tag === "Literal" ? [[name, type.literal] as const] : []
    )
    return [{ marks, order: ofStruct(type) }]
  })
  const others = types.filter((type) => type._tag === "TupleType").map(orderOf)
  return (value) => {
    if (typeof value !== "object" || value === null) return value
    if (Array.isArray(value)) return (others[0] ?? same)(value)
    const given = value as Readonly<Record<PropertyKey, unknown>>
    const found = structs.find(({ marks }) => marks.every(([name, literal]) => given[name] === literal))
    return found === undefined ? value : found.order(value)
  }
}
