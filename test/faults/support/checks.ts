/**
 * What must hold after every restart.
 */
import { Chunk, type Context, Effect, Stream } from "effect"
import { Conversation, type Entry, type Event, type SessionStore } from "effect-baton"
import { doubled, type Effected, onlyOnce, problems } from "../../support/recoveries.js"
import { type Life, recover, start, type Started } from "./engine.js"
import { linesOf } from "./ledger.js"
import { type Ack, digestOf } from "./scenario.js"

interface Kept {
  readonly row: SessionStore.SessionRow
  readonly entries: ReadonlyArray<Entry.Entry>
  readonly waiting: ReadonlyArray<SessionStore.InboxItem>
}

export type Snapshot = ReadonlyMap<string, Kept>

/** All that a store holds. */
export const snapshot = (store: Context.Tag.Service<SessionStore.SessionStore>): Effect.Effect<Snapshot, unknown> =>
  Effect.gen(function* () {
    const kept = new Map<string, Kept>()
    const queue = [...(yield* store.list())]
    for (let row = queue.shift(); row !== undefined; row = queue.shift()) {
      const entries = yield* store.read(row.id, row.incarnation, 1)
      kept.set(row.id, { row, entries, waiting: yield* store.waiting(row) })
      queue.push(...(yield* store.list(row.id)))
    }
    return kept
  })

/** The ids of the replies that are recorded, by what was asked for them. */
const bought = (kept: Snapshot): ReadonlySet<string> => {
  const digests = new Set<string>()
  for (const { entries } of kept.values()) {
    entries.forEach((entry, i) => {
      if (entry._tag !== "Assistant" || entry.finish === "interrupted" || entry.model === "") return
      digests.add(digestOf(Conversation.Conversation.at(entries, i === 0 ? null : i).messages()))
    })
  }
  return digests
}

/** The durable events of a session, from its history. */
const replayed = ({ actors: { agent }, sessions }: Started, id: string) =>
  Effect.gen(function* () {
    const session = yield* sessions.get({ id, agent })
    const events = yield* Stream.runCollect(Stream.takeUntil(session.replay(), (it) => it._tag === "Synced"))
    return Chunk.toReadonlyArray(events).filter((it) => it._tag !== "Synced")
  })

/** Recovers as a second process does, and tells what is wrong then; empty where everything is as it must be. */
export const checked = (life: Pick<Life, "folder" | "store">): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.gen(function* () {
    const { folder } = life
    const wrong: Array<string> = []
    const asked = linesOf<{ readonly digest: string }>(folder, "requests").length
    const heard = linesOf<Event.Event & { readonly seq: number }>(folder, "events")
    const acks = linesOf<Ack>(folder, "acks")

    const recovering = Effect.gen(function* () {
      const second = yield* start({ ...life, isFirst: false })
      const before = yield* snapshot(second.store)
      const session = yield* recover(second)
      const after = yield* snapshot(second.store)
      for (const [id, { entries }] of before) {
        const now = after.get(id)?.entries.slice(0, entries.length)
        if (JSON.stringify(now) !== JSON.stringify(entries)) wrong.push(`${id}: entries are lost or altered`)
      }
      wrong.push(...problems(after))
      for (const [id, { row, waiting }] of after) {
        if (row.owner !== null) wrong.push(`${id}: still owned by ${row.owner}`)
        if (row.partial !== null) wrong.push(`${id}: still streaming`)
        if (waiting.length > 0) wrong.push(`${id}: ${waiting.length} inputs wait`)
      }
      wrong.push(...acknowledged(acks, after))
      const known = bought(before)
      for (const { digest } of linesOf<{ readonly digest: string }>(folder, "requests").slice(asked)) {
        if (known.has(digest)) wrong.push("a reply that is recorded was asked for again")
      }
      wrong.push(...effects(linesOf<Effected>(folder, "effects"), after))
      for (const id of after.keys()) {
        const events = (yield* replayed(second, id)) as ReadonlyArray<Event.Event & { readonly seq: number }>
        events.forEach((event, i) => {
          if (event.seq !== i + 1) wrong.push(`${id}: event ${i + 1} of the replay is that of entry ${event.seq}`)
        })
        for (const live of heard) {
          if (live.session !== id) continue
          if (JSON.stringify(live) !== JSON.stringify(events[live.seq - 1]))
            wrong.push(`${id}: event ${live.seq} was heard as ${JSON.stringify(live)} and is replayed otherwise`)
        }
      }
      return { after, session }
    })
    const { after } = yield* Effect.scoped(recovering)

    const again = Effect.gen(function* () {
      const third = yield* start({ ...life, isFirst: false })
      const session = yield* recover(third)
      if (session.resumed !== undefined) wrong.push("something is resumed a second time")
      const now = yield* snapshot(third.store)
      if (JSON.stringify([...now]) !== JSON.stringify([...after])) wrong.push("a second recovery changed something")
      const { text } = yield* session.prompt("canary")
      if (text !== "ok") wrong.push(`the canary was answered with ${JSON.stringify(text)}`)
      wrong.push(...problems(yield* snapshot(third.store)))
    })
    yield* Effect.scoped(again)
    return wrong
  })

/** What was acknowledged and is not there, or not so. */
export const acknowledged = (acks: ReadonlyArray<Ack>, kept: Snapshot): ReadonlyArray<string> =>
  acks.flatMap((ack) => {
    if ("died" in ack) return [`${ack.step} died: ${ack.died}`]
    if ("failed" in ack || ack.ok.entries === undefined) return []
    const { from, to } = ack.ok.entries
    const entries = kept.get("s")?.entries ?? []
    const [first, last] = [entries[from - 1], entries[to - 1]]
    const isThere =
      (first?._tag === "OperationStarted" || first?._tag === "HeadMoved") &&
      last?._tag === "OperationSettled" &&
      last.outcome === "completed" &&
      last.operationId === first.operationId
    return isThere ? [] : [`${ack.step} was acknowledged and is not there`]
  })

/** Effects that were had twice, and results of effects that were never had. */
const effects = (done: ReadonlyArray<Effected>, kept: Snapshot): ReadonlyArray<string> => {
  const wrong = doubled(done).map((it) => `done twice: ${it}`)
  if (done.filter(({ tool }) => tool === "shell").length > 1) wrong.push("the command was run twice")
  const had = new Set(done.map(({ key, tool }) => `${tool} ${key}`))
  for (const [id, { entries, row }] of kept) {
    for (const entry of entries) {
      if (entry._tag !== "ToolSettled" || entry.outcome !== "success" || entry.replayed !== undefined) continue
      // It is the other session's.
      if (row.origin !== null && entry.id <= row.origin.entry) continue
      if (!onlyOnce.has(entry.name) && entry.name !== "pay") continue
      const key = JSON.stringify([id, row.incarnation, entry.operationId, entry.callId])
      if (!had.has(`${entry.name} ${key}`)) wrong.push(`${id}: ${entry.name} succeeded and was never done`)
    }
    const pays = entries.filter((it) => it._tag === "ToolStarted" && it.name === "pay").length
    const keys = new Set(done.flatMap((it) => (it.tool === "pay" && it.key.startsWith(`["${id}"`) ? [it.key] : [])))
    if (keys.size > pays) wrong.push(`${id}: pay was run under ${keys.size} keys for ${pays} calls`)
  }
  return wrong
}
