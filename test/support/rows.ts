/**
 * Sessions as stores are given them.
 */
import type { SessionStore } from "effect-baton"

export const row = (id: string, more: Partial<SessionStore.NewSession> = {}): SessionStore.NewSession => ({
  id,
  incarnation: `${id}-1`,
  agent: "a",
  cwd: ".",
  parent: null,
  depth: 0,
  createdAt: 1_700_000_000_000,
  origin: null,
  ...more
})
