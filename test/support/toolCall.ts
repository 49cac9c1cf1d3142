/** A call as a tool is given it outside of any engine. */
import { Effect } from "effect"
import type { ToolCall } from "../../src/services/Tool.js"

export const callIn = (cwd: string): ToolCall => ({
  callId: "call-1",
  key: "key-1",
  session: "session-1",
  operationId: "operation-1",
  cwd,
  signal: new AbortController().signal,
  runPromise: (effect) => Effect.runPromise(effect)
})
