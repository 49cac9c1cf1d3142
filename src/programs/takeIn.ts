/**
 * Inputs that join the prompt that runs, and what lies for it in the store's inbox.
 */
import * as Effect from "effect/Effect"
import * as Draft from "../services/Draft.js"
import type { SessionStoreError, StoreError } from "../services/Errors.js"
import type { Input } from "../services/Inbox.js"
import type { Operation } from "./held.js"

/** Puts inputs that are to join a prompt, and that nobody here knows of, into the inbox that the prompt looks into. */
export const takeIn = ({ engine, journal, ref }: Operation): Effect.Effect<void, SessionStoreError> => {
  const seen = journal.inbox
  return Effect.map(engine.store.waiting(ref), (items) => {
    journal.inboxSeen = seen
    for (const { content, id, key, operationId, when } of items) {
      if (when === "wait" || engine.inbox.has(ref.incarnation, id)) continue
      const asked = key === undefined ? undefined : { operationId, key }
      engine.inbox.put(ref.incarnation, {
        id,
        asked,
        content,
        when,
        storing: undefined,
        promised: true,
        onDelivered: () => {}
      })
    }
  })
}

/** Stores inputs after other drafts, and gives those that were: what was taken back meanwhile is left out. */
export const deliver = (
  running: Operation,
  drafts: ReadonlyArray<Draft.Draft>,
  inputs: ReadonlyArray<Input>
): Effect.Effect<ReadonlyArray<Input>, StoreError> => {
  const { engine, journal, ref } = running
  const all = [...drafts, ...inputs.map(({ asked, content }) => Draft.user(content, asked))]
  if (all.length === 0) return Effect.succeed(inputs)
  const delivered = inputs.flatMap(({ id }) => id ?? [])
  return Effect.matchEffect(engine.history.append(journal, running.id, all, { delivered }), {
    onSuccess: () => Effect.succeed(inputs),
    onFailure: (error) =>
      error._tag === "StaleLease" && error.reason === "delivered"
        ? Effect.flatMap(engine.store.waiting(ref), (items) => {
            const there = new Set(items.map(({ id }) => id))
            return deliver(
              running,
              drafts,
              inputs.filter(({ id }) => id === undefined || there.has(id))
            )
          })
        : Effect.fail(error)
  })
}
