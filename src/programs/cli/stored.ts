/**
 * Commands that work on what is stored: none asks a model, runs a tool or goes on with anything.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Agent from "../../services/Agent.js"
import { type SessionBusy, type SessionNotFound, type SessionStoreError, StaleLease } from "../../services/Errors.js"
import { Recovery } from "../../services/Recovery.js"
import { SessionRef } from "../../services/Session.js"
import type { SessionRow, SessionStore } from "../../services/SessionStore.js"
import type { Needs } from "../engine.js"
import { stoppable } from "../stoppable.js"
import { oneLine } from "../tree.js"
import { tell } from "./ending.js"
import type { Executable, Place } from "./Executable.js"
import type { Located } from "./options.js"
import { rowOf } from "./named.js"
import { heldBy } from "./resumption.js"
import { placeOf } from "./withEngine.js"

/** Something in the session has not ended, and nobody is at it. */
class Unfinished extends Data.TaggedError("Unfinished")<{ readonly session: string; readonly kind: string }> {
  override get message() {
    return `Session "${oneLine(this.session)}" has an unfinished ${this.kind}, which is gone on with first: baton resume. Nothing was written.`
  }
}

/** Runs a command over what sessions are kept in. */
export const overStore = <A, E, E2, R>(
  executable: Executable<E>,
  given: Located,
  body: Effect.Effect<A, E2, R | SessionStore>
) => over(executable, given, executable.store, body)

/** Runs a command that writes to what sessions are kept in, by an engine that asks nobody. */
export const overHistories = <A, E, E2, R>(
  executable: Executable<E>,
  given: Located,
  body: Effect.Effect<A, E2, R | Needs>
) => over(executable, given, executable.histories, body)

/** What is not there yet is not made: there is nothing in it. */
const over = <A, E, E2, R, Out>(
  executable: Executable<E>,
  given: Located,
  layer: (place: Place) => Layer.Layer<Out, E>,
  body: Effect.Effect<A, E2, R | Out>
) =>
  Effect.gen(function* () {
    const place = placeOf(given)
    const isThere = yield* executable.exists(place)
    return yield* stoppable(layer(isThere ? place : { ...place, store: "memory" }), executable.stop, false, body)
  }).pipe(Effect.onError(tell))

/** A handle that opens nothing: what waits in the session is not run by it. */
export const handleOf = (row: SessionRow): SessionRef => new SessionRef(row, Agent.make(row.agent))

/** Writes to a session in which nothing is unfinished, and refuses any other. */
export const atRest = <A, E2, R>(
  executable: Pick<Executable<never>, "isGone">,
  id: string,
  write: (ref: SessionRef) => Effect.Effect<A, E2, R>
): Effect.Effect<
  A,
  E2 | SessionBusy | SessionNotFound | SessionStoreError | Unfinished,
  Exclude<R, Recovery> | SessionStore
> =>
  Effect.gen(function* () {
    const row = yield* rowOf(id)
    yield* refused(executable, row)
    const written = Effect.provideService(write(handleOf(row)), Recovery, nobody(id))
    return yield* Effect.tapError(written, (error) =>
      // It may have been left unfinished just now.
      error instanceof StaleLease ? Effect.flatMap(rowOf(id), (now) => refused(executable, now)) : Effect.void
    )
  })

const refused = (
  executable: Pick<Executable<never>, "isGone">,
  row: SessionRow
): Effect.Effect<void, SessionBusy | Unfinished> => {
  if (row.running === null) return Effect.void
  const busy = row.owner === null || executable.isGone(row.owner) ? undefined : heldBy(row)
  return busy ?? new Unfinished({ session: row.id, kind: row.running.kind })
}

/** Goes on with nothing: the write is refused that would have to wait for that. */
const nobody = (session: string): typeof Recovery.Service => ({
  resume: (_, { kind, operationId }) => ({
    kind,
    operationId,
    started: new StaleLease({ session, reason: "sequence" }),
    ended: Effect.void,
    interrupt: Effect.void
  }),
  background: () => {}
})
