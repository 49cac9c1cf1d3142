/**
 * The store over a `SqlClient`.
 */
import { SqlClient, TransactionConnection } from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import {
  SessionAlreadyExists,
  SessionOwned,
  SessionStoreError,
  StaleLease,
  type UnsupportedFormat
} from "../../services/Errors.js"
import {
  type Append,
  type Appended,
  type InboxItem,
  type NewSession,
  type SessionKey,
  type SessionRow,
  SessionStore,
  type WriteError
} from "../../services/SessionStore.js"
import { pause } from "../tools/pace.js"
import type { Database, Failure } from "./Database.js"
import { type Dialect, pageSize, sessionParameters, type Write } from "./Dialect.js"
import { codeOf, isCollision, isDuplicate, isRefusal, storeError } from "./errors.js"
import { begin, held, remove } from "./forks.js"
import * as format from "./format.js"
import { operation, read } from "./histories.js"
import { measure } from "./measure.js"
import { dialect as pg } from "./pg.js"
import * as records from "./records.js"
import { isPlain, type Row, sessionRow } from "./rows.js"
import { makeSearch } from "./search.js"
import { dialect as sqlite } from "./sqlite.js"
import { sessionProblem, unkept } from "./texts.js"
import { CommitFailed, isSynchronous, transaction, withConnection } from "./transaction.js"
import * as Writer from "./Writer.js"

export const layer: Layer.Layer<SessionStore, UnsupportedFormat | SessionStoreError, SqlClient> = Layer.scoped(
  SessionStore,
  Effect.flatMap(SqlClient, (sql) => make(sql))
)

const make = (
  sql: SqlClient
): Effect.Effect<Context.Tag.Service<SessionStore>, UnsupportedFormat | SessionStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const dialect: Dialect = yield* sql.onDialectOrElse({
      sqlite: () => Effect.succeed(sqlite),
      pg: () => Effect.succeed(pg),
      orElse: () =>
        new SessionStoreError({
          operation: "open",
          reason: "it is kept in SQLite or Postgres, and in no other database"
        })
    })
    /** The one connection of an SQLite client. */
    const own = yield* withConnection(sql, (connection) =>
      Effect.as(format.prepare(connection, dialect), connection)
    ).pipe(
      Effect.catchTags({
        SqlError: (error) => storeError("open", error),
        CommitFailed: (error) => storeError("open", error)
      })
    )
    const { statements } = dialect

    /** Fails where the caller has the connection that this would wait for. */
    const outside = <A, E>(operation: string, self: Effect.Effect<A, E>): Effect.Effect<A, E | SessionStoreError> =>
      Effect.withFiberRuntime((fiber) => {
        const inside = Context.getOption(fiber.currentContext, TransactionConnection)
        // A fork may have outlived the transaction that it was made in.
        return inside._tag === "Some" && inside.value[0] === own && !(isSynchronous(own) && own.isFree)
          ? new SessionStoreError({
              operation,
              reason: "it was asked inside a transaction of the same database, whose end it would wait for"
            })
          : self
      })

    const using = <A, E>(
      operation: string,
      use: (connection: Connection) => Effect.Effect<A, E | Failure>
    ): Effect.Effect<A, Exclude<E, Failure> | SessionStoreError> =>
      outside(operation, explained(operation, withConnection(sql, use)))

    const rows = <A = Row>(connection: Connection, text: string, ...parameters: ReadonlyArray<unknown>) =>
      connection.execute(text, parameters, undefined) as Effect.Effect<ReadonlyArray<A>, SqlError>

    /** In pages, so that the event loop is free between them. */
    const pages = (operation: string, text: string, ...parameters: ReadonlyArray<unknown>) =>
      Effect.gen(function* () {
        const all: Array<SessionRow> = []
        for (let after: Row["key"] = 0; ;) {
          const page = yield* using(operation, (connection) => rows(connection, text, ...parameters, after))
          for (const row of page) all.push(sessionRow(row))
          const last = page.at(-1)
          if (last === undefined || page.length < pageSize) return all
          after = last.key
          yield* pause
        }
      })

    const get = (id: string): Effect.Effect<SessionRow | undefined, SessionStoreError> =>
      isPlain(id)
        ? Effect.map(
            using("read", (connection) => rows(connection, statements.get, id)),
            ([row]) => (row === undefined ? undefined : sessionRow(row))
          )
        : Effect.succeed(undefined)

    const atOnce = <A, E>(
      operation: string,
      use: (connection: Connection) => Effect.Effect<A, E | Failure>
    ): Effect.Effect<A, Exclude<E, Failure> | SessionStoreError> =>
      using(operation, (connection) => colliding(transaction(connection, dialect.begin, use(connection))))

    const database: Database = {
      dialect,
      rows,
      using,
      atOnce,
      index: (texts) => outside("search", explained("search", colliding(dialect.index(sql, own, texts))))
    }
    const search = yield* makeSearch(database)

    /** Why a write was refused; `undefined` where nothing speaks against it any more. */
    const refusal = (write: Write): Effect.Effect<WriteError | undefined, SessionStoreError> =>
      Effect.gen(function* () {
        const { epoch, expectedSeq, incarnation, lease, owner, session } = write
        const row = yield* get(session)
        if (row === undefined || row.incarnation !== incarnation) return new StaleLease({ session, reason: "removed" })
        const claims = lease === "claim" || lease === "once"
        if (claims && row.leased && row.owner !== null && row.owner !== owner) {
          return new SessionOwned({ session, owner: row.owner, running: row.running })
        }
        if (row.epoch !== epoch || (!claims && row.owner !== owner)) {
          return new StaleLease({ session, reason: "epoch" })
        }
        if (row.nextSeq !== expectedSeq) return new StaleLease({ session, reason: "sequence" })
        for (const { id } of write.children) {
          if ((yield* get(id)) !== undefined) {
            return new SessionStoreError({ operation: "write", reason: `session "${id}" exists already` })
          }
        }
        if (write.delivered.length > 0) {
          const waiting = new Set((yield* inInbox({ id: session, incarnation })).map(({ id }) => id))
          if (!write.delivered.every((id) => waiting.has(id))) return new StaleLease({ session, reason: "delivered" })
        }
        return undefined
      })

    const inInbox = ({ id, incarnation }: SessionKey): Effect.Effect<ReadonlyArray<InboxItem>, SessionStoreError> =>
      Effect.flatMap(
        using("read", (connection) => rows(connection, statements.waiting, id, incarnation)),
        (found) =>
          Effect.forEach(found as unknown as ReadonlyArray<{ readonly body: string }>, ({ body }) => {
            const item = records.itemOf(body)
            return item === undefined
              ? new SessionStoreError({ operation: "read", reason: `an input of session "${id}" cannot be read` })
              : Effect.succeed(item)
          })
      )

    const made = (writes: ReadonlyArray<Write>): Effect.Effect<ReadonlyArray<Exit.Exit<Appended, WriteError>>> =>
      Effect.matchEffect(colliding(dialect.append(sql, own, writes)), {
        onSuccess: (told) =>
          told.includes(undefined)
            ? Effect.forEach(told, (it, i) =>
                it === undefined ? refused(writes[i]!, again) : Effect.succeed(Exit.succeed(it))
              )
            : Effect.succeed(told.map((it) => Exit.succeed(it!))),
        onFailure: (error) => {
          if (writes.length > 1 && leftNothing(error)) {
            // One of them is at fault: each for itself, so that it is the only one to fail.
            return Effect.map(
              Effect.forEach(writes, (it) => made([it])),
              (exits) => exits.flat()
            )
          }
          if (isDuplicate(codeOf(error)) && leftNothing(error)) {
            return Effect.map(refused(writes[0]!, Effect.fail(error)), (exit) => [exit])
          }
          return Effect.succeed(writes.map(() => Exit.fail(storeError("write", error))))
        }
      })
    const again = undefined

    const refused = (
      write: Write,
      otherwise: Effect.Effect<never, Failure> | undefined
    ): Effect.Effect<Exit.Exit<Appended, WriteError>> =>
      Effect.flatMap(Effect.exit(refusal(write)), (reason): Effect.Effect<Exit.Exit<Appended, WriteError>> => {
        if (Exit.isFailure(reason)) return Effect.succeed(Exit.failCause(reason.cause))
        if (reason.value !== undefined) return Effect.succeed(Exit.fail(reason.value))
        if (otherwise !== undefined) return Effect.exit(explained("write", otherwise))
        // What spoke against it has gone: a lease has run out, or was given up.
        return Effect.map(made([write]), ([exit]) => exit!)
      })

    const writer = yield* Writer.make<Write, Appended, WriteError>({
      nameOf: ({ session }) => session,
      lengthOf: ({ entries }) => entries.reduce((length, { body }) => length + body.length, 0),
      make: made,
      closed: () => new SessionStoreError({ operation: "write", reason: "it is closed" })
    })

    const append = (write: Append): Effect.Effect<Appended, WriteError> =>
      Effect.suspend(() => {
        const encoded = encode(write)
        return encoded instanceof SessionStoreError ? encoded : outside("write", writer.write(encoded))
      })

    const create = (session: NewSession): Effect.Effect<void, SessionAlreadyExists | SessionStoreError> =>
      Effect.suspend(() => {
        const problem = sessionProblem(session)
        if (problem !== undefined) return problem
        return Effect.catchIf(
          withoutExplanation((connection) =>
            connection.execute(statements.create, sessionParameters(session), undefined)
          ),
          (error): error is SqlError => error._tag === "SqlError" && isDuplicate(codeOf(error)),
          () => new SessionAlreadyExists({ session: session.id })
        ).pipe(Effect.asVoid, (it) => outside("create", explained("create", it)))
      })

    const withoutExplanation = <A>(use: (connection: Connection) => Effect.Effect<A, Failure>) =>
      withConnection(sql, use)

    return {
      get,
      create,
      list: (parent) =>
        parent === undefined
          ? pages("list", statements.roots)
          : isPlain(parent)
            ? pages("list", statements.children, parent)
            : Effect.succeed([]),
      unsettled: Effect.suspend(() => pages("list", statements.unsettled)),
      append,
      renew: (owner, leases, leaseFor) =>
        leases.length === 0
          ? Effect.succeed([])
          : Effect.map(
              using("renew", (connection) => colliding(dialect.renew(connection, owner, leases, leaseFor))),
              (kept) => {
                const ids = new Set(kept)
                return leases.flatMap(({ id }) => (ids.has(id) ? id : []))
              }
            ),
      read: (id, incarnation, fromSeq, toSeq = Number.MAX_SAFE_INTEGER) =>
        isPlain(id) && isPlain(incarnation)
          ? read(database, id, incarnation, Math.max(1, fromSeq), toSeq)
          : Effect.succeed([]),
      operation: (id, incarnation, operationId) =>
        isPlain(id) && isPlain(incarnation) && isPlain(operationId)
          ? operation(database, id, incarnation, operationId)
          : Effect.succeed([]),
      remove: (sessions, owner) => remove(database, sessions, owner),
      begin: (sessions) => begin(database, sessions),
      measure: measure(database),
      search,
      put: (key, item) =>
        Effect.suspend(() => {
          const body = itemText(item)
          if (body instanceof SessionStoreError) return body
          return atOnce("write", (connection) =>
            Effect.gen(function* () {
              const row = isPlain(key.id) ? yield* held(database, connection, key) : undefined
              if (row === undefined) return yield* new StaleLease({ session: key.id, reason: "removed" })
              const put = yield* rows(connection, statements.put, row.key, item.id, body)
              if (put.length > 0) yield* rows(connection, statements.countPut, row.key)
            })
          )
        }),
      waiting: inInbox,
      withdraw: (key, item) =>
        atOnce("write", (connection) =>
          Effect.gen(function* () {
            if (!isPlain(item) || !isPlain(key.id) || (yield* held(database, connection, key)) === undefined)
              return false
            return (yield* rows(connection, statements.withdraw, key.id, key.incarnation, item)).length > 0
          })
        )
    }
  })

/** How often a transaction is made again that collided with another one. */
const collisions = 5

const colliding = <A, E>(self: Effect.Effect<A, E>, times = collisions): Effect.Effect<A, E> =>
  Effect.catchAll(self, (error) =>
    times > 0 && isCollision(codeOf(error)) ? colliding(self, times - 1) : Effect.fail(error)
  )

/** Whether a failed transaction is known to have left nothing. */
const leftNothing = (error: Failure): boolean => {
  const code = codeOf(error)
  return error._tag === "SqlError" && (code.startsWith("SQLITE_") || isRefusal(code))
}

const explained = <A, E>(
  operation: string,
  self: Effect.Effect<A, E>
): Effect.Effect<A, Exclude<E, Failure> | SessionStoreError> =>
  Effect.mapError(self, (error) => (isFailure(error) ? storeError(operation, error) : (error as Exclude<E, Failure>)))

const isFailure = (error: unknown): error is Failure =>
  error instanceof CommitFailed ||
  (typeof error === "object" && error !== null && "_tag" in error && error._tag === "SqlError")

/** A write as text; what no database keeps as it is, and what is no JSON, is refused. */
const encode = (write: Append): Write | SessionStoreError => {
  const { children, delivered, expectedSeq, incarnation, owner, running, session } = write
  if (!isPlain(owner) || !isPlain(session) || !isPlain(incarnation) || !isPlain(running?.operationId ?? "")) {
    return unkept("write", "a name")
  }
  if (!delivered.every(isPlain)) return unkept("write", "the id of an input")
  for (const child of children) {
    const problem = sessionProblem(child)
    if (problem !== undefined) return problem
  }
  try {
    const entries = write.entries.map((entry, i) => records.store(entry, expectedSeq + i))
    if (!entries.every(({ operation }) => operation === null || isPlain(operation))) return unkept("write", "a name")
    return { ...write, entries, partial: write.partial === null ? null : JSON.stringify(write.partial) }
  } catch (cause) {
    return new SessionStoreError({ operation: "write", reason: "an entry is no JSON", cause })
  }
}

const itemText = (item: InboxItem): string | SessionStoreError => {
  if (!isPlain(item.id)) return unkept("write", "the id of an input")
  try {
    return JSON.stringify(item)
  } catch (cause) {
    return new SessionStoreError({ operation: "write", reason: "an input is no JSON", cause })
  }
}
