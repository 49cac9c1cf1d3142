/**
 * A session's events as a Stream.
 */
import * as Chunk from "effect/Chunk"
import type * as Context from "effect/Context"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CorruptRecord, SessionNotFound, SessionStoreError } from "../services/Errors.js"
import { type Event, ofEntry } from "../services/Event.js"
import { copyOf, type Events } from "../services/Events.js"
import type { History } from "../services/History.js"
import { Arrivals } from "./Arrivals.js"

/** What happens in a session, or in all of them, from when the Stream is run. */
export const follow = (events: Context.Tag.Service<Events>, session?: string): Stream.Stream<Event> =>
  Stream.unwrapScoped(Effect.map(arriving(events, session), Stream.repeatEffectChunk))

/** The durable events after an entry, then `Synced`, then what happens: no gap, and nothing twice. */
export const replay = (
  events: Context.Tag.Service<Events>,
  history: Context.Tag.Service<History>,
  session: string,
  incarnation: string,
  after: number
): Stream.Stream<Event, SessionNotFound | CorruptRecord | SessionStoreError> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const from = Math.max(0, Math.trunc(after) || 0)
      // Following begins before reading, so that nothing falls between; what both bring is left out below.
      const next = yield* arriving(events, session)
      const entries = yield* history.read(session, incarnation, from + 1)
      const last = entries.at(-1)?.id ?? from
      const past = entries.map((entry) => copyOf(ofEntry(session, entry)))
      past.push({ _tag: "Synced", session, at: yield* Clock.currentTimeMillis })
      const isNew = (event: Event) => !("seq" in event) || event.seq === undefined || event.seq > last
      return Stream.concat(
        Stream.fromChunk(Chunk.unsafeFromArray(past)),
        Stream.repeatEffectChunk(Effect.map(next, Chunk.filter(isNew)))
      )
    })
  )

/** Begins to follow; what it gives waits for events and takes out all that have come, until the scope closes. */
const arriving = (
  events: Context.Tag.Service<Events>,
  session: string | undefined
): Effect.Effect<Effect.Effect<Chunk.Chunk<Event>>, never, Scope.Scope> =>
  Effect.suspend(() => {
    const arrivals = new Arrivals()
    return Effect.as(
      events.listen(session, (event) => arrivals.add(event)),
      arrivals.take
    )
  })
