/**
 * What long histories cost: folding one, a turn on a long session beside one on a short session, opening a long one
 * anew, and a fork of it.
 *
 *     npm run bench:history
 */
import { Agent, Conversation, Engine, type Entry, Model, Sessions, SessionStore } from "effect-baton"
import { SqliteSessionStore } from "effect-baton/sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const lengths = [1_000, 10_000, 100_000]
const rounds = 7

const zero = { input: 1, output: 1, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
const model = Layer.succeed(Model.Model, {
  defaultModel: "instant",
  stream: (_, emit) =>
    Effect.sync(() => {
      emit({ _tag: "TextDelta", text: "done" })
      return { reason: "stop" as const, usage: zero }
    })
})
const agent = Agent.make("main", { delegate: "off" })

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!
const shown = (millis: number): string => (millis < 1 ? `${(millis * 1_000).toFixed(0)} us` : `${millis.toFixed(2)} ms`)

/** Prompts with a call each: seven entries, of 1 KB where somebody speaks. */
const entriesOf = (count: number): Array<Entry.Entry> => {
  const usage = { turns: zero, retries: zero, compactions: zero, tasks: zero, total: zero }
  const text = "x".repeat(1_000)
  const entries: Array<Entry.Entry> = []
  const add = (entry: object): void => {
    const id = entries.length + 1
    entries.push({ ...entry, id, parentId: id === 1 ? null : id - 1, at: id, operationId: "op" } as Entry.Entry)
  }
  const reply = (content: ReadonlyArray<object>) =>
    add({ _tag: "Assistant", content, model: "m", finish: "stop", usage: zero, usageReported: true })
  for (let i = 0; entries.length + 7 <= count; i++) {
    const callId = `call_${i}`
    add({ _tag: "OperationStarted", kind: "prompt" })
    add({ _tag: "User", content: [{ type: "text", text }] })
    reply([{ type: "tool-call", id: callId, name: "read", args: { path: "a" } }])
    add({ _tag: "ToolStarted", callId, name: "read" })
    add({ _tag: "ToolSettled", callId, name: "read", outcome: "success", result: text })
    reply([{ type: "text", text }])
    add({ _tag: "OperationSettled", kind: "prompt", outcome: "completed", usage })
  }
  return entries
}

const timed = async (run: () => unknown): Promise<number> => {
  const from = performance.now()
  await run()
  return performance.now() - from
}

const rows: Array<Record<string, string>> = []

/** One line of figures, and how the largest grew beside the length. */
const tell = (what: string, took: ReadonlyArray<number>): void => {
  const growth = took.at(-1)! / took.at(-2)!
  const figures = Object.fromEntries(lengths.map((length, i) => [`${length} entries`, shown(took[i]!)]))
  rows.push({ what, ...figures, "100,000 : 10,000": `${growth.toFixed(1)}x` })
}

const folds = async (): Promise<void> => {
  const took: Array<number> = []
  for (const length of lengths) {
    const entries = entriesOf(length)
    const times: Array<number> = []
    for (let i = 0; i < rounds; i++) times.push(await timed(() => Conversation.fold(entries)))
    took.push(median(times))
  }
  tell("the fold of a history", took)
}

const on = async (name: string, store: Layer.Layer<SessionStore.SessionStore, unknown>): Promise<void> => {
  const runtime = ManagedRuntime.make(Layer.provideMerge(Engine.layer, Layer.merge(store, model)))
  const [warm, cold, forks, forked]: [Array<number>, Array<number>, Array<number>, Array<number>] = [[], [], [], []]
  for (const length of lengths) {
    const id = `long-${length}`
    const row = { id, incarnation: id, agent: "main", cwd: ".", parent: null, depth: 0, createdAt: 0, origin: null }
    const begin = Effect.flatMap(SessionStore.SessionStore, (it) =>
      it.begin([{ session: row, base: null, entries: entriesOf(length) }])
    )
    await runtime.runPromise(begin)
    const session = await runtime.runPromise(Effect.flatMap(Sessions.Sessions, (it) => it.get({ id, agent })))
    // The first one folds all that was there.
    cold.push(await timed(() => runtime.runPromise(session.prompt("go on"))))
    const [prompts, ways, firsts]: [Array<number>, Array<number>, Array<number>] = [[], [], []]
    for (let i = 0; i < 50; i++) prompts.push(await timed(() => runtime.runPromise(session.prompt("go on"))))
    for (let i = 0; i < rounds; i++) {
      let fork: Sessions.Session | undefined
      ways.push(
        await timed(async () => {
          fork = await runtime.runPromise(session.fork(`${id}-fork-${i}`))
        })
      )
      firsts.push(await timed(() => runtime.runPromise(fork!.prompt("another way"))))
    }
    warm.push(median(prompts))
    forks.push(median(ways))
    forked.push(median(firsts))
  }
  tell(`${name}: the first prompt after opening it`, cold)
  tell(`${name}: a further prompt, of one turn`, warm)
  tell(`${name}: a fork at its end`, forks)
  tell(`${name}: the first prompt of the fork`, forked)
  await runtime.dispose()
}

const folder = mkdtempSync(join(tmpdir(), "baton-bench-"))
try {
  await folds()
  await on("memory", SessionStore.layerMemory)
  await on("SQLite", SqliteSessionStore.layer({ filename: join(folder, "sessions.db") }))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.table(rows)
