/**
 * A session's events as a Stream.
 */
import type * as Context from "effect/Context"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { SessionNotFound, SessionStoreError } from "../services/Errors.js"
import { type Event, ofEntry } from "../services/Event.js"
import type { Events } from "../services/Events.js"
import type { History } from "../services/History.js"

/** What happens in a session, or in all of them, from when the Stream is run. */
export const follow = (events: Context.Tag.Service<Events>, session?: string): Stream.Stream<Event> =>
  Stream.unwrapScoped(Effect.map(events.subscribe(session), (queue) => Stream.fromQueue(queue)))

/** The durable events after an entry, then `Synced`, then what happens: no gap, and nothing twice. */
export const replay = (
  events: Context.Tag.Service<Events>,
  history: Context.Tag.Service<History>,
  session: string,
  incarnation: string,
  after: number
): Stream.Stream<Event, SessionNotFound | SessionStoreError> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      // Following begins before reading, so that nothing falls between; what both bring is left out below.
      const queue = yield* events.subscribe(session)
      const entries = yield* history.read(session, incarnation, after + 1)
      const last = entries.at(-1)?.id ?? 0
      const synced: Event = { _tag: "Synced", session, at: yield* Clock.currentTimeMillis }
      const past = entries.map((entry) => ofEntry(session, entry))
      const next = Stream.filter(
        Stream.fromQueue(queue),
        (event) => !("seq" in event) || event.seq === undefined || event.seq > last
      )
      return Stream.concat(Stream.fromIterable([...past, synced]), next)
    })
  )
