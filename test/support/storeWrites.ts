/** Sessions and writes for tests of stores. */
import type { Entry, SessionStore } from "effect-baton"

export { row } from "./rows.js"

export const user = (id: number, text = `entry ${id}`): Entry.Entry => ({
  _tag: "User",
  id,
  parentId: id === 1 ? null : id - 1,
  at: id,
  operationId: "op",
  content: [{ type: "text", text }]
})

/** A write at a place; the first one claims the session. */
export const append = (
  session: string,
  expectedSeq: number,
  more: Partial<SessionStore.Append> = {}
): SessionStore.Append => ({
  session,
  incarnation: `${session}-1`,
  owner: "me",
  epoch: expectedSeq === 1 ? 0 : 1,
  lease: expectedSeq === 1 ? "claim" : "keep",
  leaseFor: 60_000,
  expectedSeq,
  entries: [user(expectedSeq)],
  running: null,
  partial: null,
  children: [],
  delivered: [],
  ...more
})
