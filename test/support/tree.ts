/**
 * Sessions with a past, and what must hold of a history wherever its head was moved to.
 */
import { assert } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Conversation, Engine, type Entry, Model, type Script, Sessions, SessionStore } from "effect-baton"
import { StoreJournal } from "effect-baton/testing"
import { problems } from "./validMessages.js"

/** The requests that a model would be sent, and what else shows how a history is folded. */
export const shape = (conversation: Conversation.Conversation) => ({
  workspace: conversation.workspace,
  calls: [...conversation.calls].toSorted(),
  measured: conversation.measured,
  starts: conversation.starts(),
  messages: conversation.messages()
})

/** The messages at the end of a history, by the parents from there. */
export const seen = (entries: ReadonlyArray<Entry.Entry>) =>
  Conversation.Conversation.at(entries, entries.length === 0 ? null : entries.length).messages()

/** What is wrong with a history whose head may be anywhere. */
export const wrong = (entries: ReadonlyArray<Entry.Entry>): ReadonlyArray<string> => {
  const found: Array<string> = []
  let running: string | undefined
  const ends = new Map<string, number>()
  for (const [i, entry] of entries.entries()) {
    if (entry.id !== i + 1) found.push(`entry ${i + 1} is numbered ${entry.id}`)
    if (entry._tag !== "HeadMoved" && entry.parentId !== (i === 0 ? null : i)) found.push(`entry ${i + 1} follows none`)
    if (entry._tag === "OperationStarted") {
      if (running !== undefined) found.push(`${entry.operationId} started within ${running}`)
      running = entry.operationId
    } else if (entry._tag === "HeadMoved" || entry._tag === "Label") {
      if (running !== undefined) found.push(`entry ${i + 1} stands within ${running}`)
    } else if (entry.operationId !== running) found.push(`entry ${i + 1} belongs to nothing that runs`)
    if (entry._tag === "OperationSettled") running = undefined
    if (entry._tag === "Assistant") {
      for (const part of entry.content) if (part.type === "tool-call") ends.set(part.id, 0)
    }
    if (entry._tag === "ToolSettled") ends.set(entry.callId, (ends.get(entry.callId) ?? 9) + 1)
    if (entry._tag === "TaskLink") ends.set(entry.taskId, 0)
    if (entry._tag === "TaskSettled") ends.set(entry.taskId, (ends.get(entry.taskId) ?? 9) + 1)
  }
  if (running !== undefined) found.push(`${running} has no end`)
  for (const [it, count] of ends) if (count !== 1) found.push(`${it} has ${count} ends`)
  for (const problem of problems(seen(entries))) found.push(problem)
  return found
}

/** An engine of its own over a store that is there. */
export const engineOf = (store: Context.Context<SessionStore.SessionStore>, script: Script.Script) =>
  Effect.map(
    Layer.build(Layer.provide(Engine.layer, Layer.merge(Layer.succeedContext(store), Model.layerScripted(script)))),
    (context) => Context.get(context, Sessions.Sessions)
  )

/** A store whose writes are kept, after those of an earlier one. */
export const storeAfter = (writes: Iterable<StoreJournal.StoreWrite>) =>
  Effect.map(Layer.build(StoreJournal.layerAfter(writes)), (context) => ({
    context,
    writes: Context.get(context, StoreJournal.StoreJournal),
    memory: Context.get(context, SessionStore.Memory)
  }))

/** The same entries but for what time and chance put into them. */
export const sameBytes = (a: ReadonlyArray<Entry.Entry>, b: ReadonlyArray<Entry.Entry>): void =>
  assert.deepStrictEqual(
    a.map((entry) => JSON.stringify(entry)),
    b.map((entry) => JSON.stringify(entry))
  )
