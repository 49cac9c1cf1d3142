/**
 * The line that a session's entries stand below, and the one that ends an export.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { formatVersion } from "../../services/Entry.js"
import * as SessionId from "../../services/SessionId.js"
import type { NewSession } from "../../services/SessionStore.js"
import { printer } from "./print.js"

/** The oldest format of entries that is taken. */
const oldest = 2

/** How deep the tasks of an export may stand, several times what any engine lets them. */
const deepest = 256

const Session = Schema.Struct({
  id: Schema.String,
  agent: Schema.String,
  cwd: Schema.String,
  parent: Schema.NullOr(Schema.String),
  depth: Schema.Int.pipe(Schema.between(0, deepest)),
  createdAt: Schema.Int,
  origin: Schema.NullOr(Schema.Struct({ session: Schema.String, entry: Schema.NonNegative.pipe(Schema.int()) }))
})

const Header = Schema.Struct({ baton: Schema.Literal("session"), format: Schema.Number, session: Session })

const End = Schema.Struct({ baton: Schema.Literal("end"), sessions: Schema.Positive.pipe(Schema.int()) })

/** What is told of a session: all of it but what an importing store gives it anew. */
export type Told = typeof Session.Type

const print = printer(Header)
const isHeader = Schema.is(Header, { onExcessProperty: "error" })
const printEnd = printer(End)

/** Says of an export that it is whole: how many sessions it has. */
export const endLine = (sessions: number): string => printEnd({ baton: "end", sessions })

/** Whether a value ends an export, with how many sessions. */
export const isEnd: (value: unknown) => value is typeof End.Type = Schema.is(End, { onExcessProperty: "error" })

export const headerLine = ({ agent, createdAt, cwd, depth, id, origin, parent }: NewSession): string =>
  print({
    baton: "session",
    format: formatVersion,
    session: { id, agent, cwd, parent, depth, createdAt, origin }
  })

/** Whether a value is meant as a header: no entry has such a field. */
export const isMeant = (value: unknown): value is { readonly baton: unknown } =>
  typeof value === "object" && value !== null && "baton" in value

/** The session that a header tells of, or what is wrong with it. */
export const readHeader = (value: { readonly baton: unknown }): Either.Either<Told, string> => {
  const { baton, format } = value as { readonly baton: unknown; readonly format?: unknown }
  if (baton !== "session") return Either.left("it begins nothing that is known")
  if (typeof format !== "number" || !Number.isInteger(format)) return Either.left("it tells no format")
  if (format > formatVersion) {
    return Either.left(`it is of format ${format}, and the newest that this version knows is ${formatVersion}`)
  }
  if (format < oldest) return Either.left(`it is of format ${format}, and the oldest that is taken is ${oldest}`)
  if (!isHeader(value)) return Either.left("what it tells of the session is not of the format")
  return SessionId.isId(value.session.id) ? Either.right(value.session) : Either.left("its session's name is none")
}
