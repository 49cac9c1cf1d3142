/**
 * Sessions, writes and inputs to try a store with.
 */
import type { Entry } from "../../../services/Entry.js"
import {
  type Append,
  fresh as newRow,
  type InboxItem,
  type NewSession,
  type SessionKey,
  type SessionRow
} from "../../../services/SessionStore.js"

export const session = (id: string, more: Partial<NewSession> = {}): NewSession => ({
  id,
  incarnation: `${id}/1`,
  agent: "agent",
  cwd: "/work",
  parent: null,
  depth: 0,
  createdAt: 1_700_000_000_123,
  origin: null,
  ...more
})

/** A session as it is before anybody wrote to it. */
export const fresh = (session: NewSession, more: Partial<SessionRow> = {}): SessionRow => ({
  ...newRow(session),
  ...more
})

export const keyOf = ({ id, incarnation }: SessionKey): SessionKey => ({ id, incarnation })

/** An hour: longer than any trial. */
export const long = 3_600_000

/** An entry that says where it stands. */
export const user = (id: number, text = `entry ${id}`): Entry => ({
  _tag: "User",
  id,
  parentId: id === 1 ? null : id - 1,
  at: 1_700_000_000_000 + id,
  operationId: "operation",
  content: [{ type: "text", text }]
})

export const users = (from: number, count: number): ReadonlyArray<Entry> =>
  Array.from({ length: count }, (_, i) => user(from + i))

/** The first write: it claims the session. */
export const claim = (of: NewSession, more: Partial<Append> = {}): Append => ({
  session: of.id,
  incarnation: of.incarnation,
  owner: "me",
  epoch: 0,
  lease: "claim",
  leaseFor: long,
  expectedSeq: 1,
  entries: [],
  running: null,
  partial: null,
  children: [],
  delivered: [],
  ...more
})

/** A write of the owner in its first epoch. */
export const keep = (of: NewSession, expectedSeq: number, more: Partial<Append> = {}): Append =>
  claim(of, { epoch: 1, lease: "keep", expectedSeq, ...more })

export const input = (id: string, more: Partial<InboxItem> = {}): InboxItem => ({
  id,
  operationId: `operation of ${id}`,
  when: "wait",
  content: [{ type: "text", text: `what ${id} says` }],
  key: "digest",
  request: { model: "a/b", limits: { turns: 3, tokens: null } },
  at: 1_700_000_000_456,
  ...more
})
