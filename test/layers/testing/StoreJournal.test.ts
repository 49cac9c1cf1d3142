import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Agent, Conversation, Engine, Model, Script, Sessions, SessionStore } from "effect-baton"
import { Messages, StoreJournal, TestEngine } from "effect-baton/testing"
import { contract, row } from "../../contracts/SessionStore.js"
import { echo, engineOver } from "../../support/engine.js"

const child = Agent.make("child", { tools: [echo], delegate: "off" })
const agent = Agent.make("a", { tools: [echo], subagents: [child], delegate: "off" })
const script = [
  Script.on(
    "go",
    Script.calls(Script.call("echo", { text: "x" }), Script.task("look", { agent: "child" }), Script.call("no")),
    "Done."
  ),
  Script.on("look", Script.calls(Script.call("echo", { text: "y" })), "Looked."),
  Script.always("Still here.")
]

const open = Effect.flatMap(Sessions.Sessions, (it) => it.open({ id: "s", agent }))

/** What a prompt with a task writes. */
const written = Effect.gen(function* () {
  yield* Effect.flatMap(open, (session) => session.prompt("go"))
  return [...(yield* StoreJournal.StoreJournal)]
}).pipe(Effect.provide(TestEngine.layer(script)))

contract("the memory store with its journal", () => StoreJournal.layer)

describe("StoreJournal", () => {
  it.effect("has each write as one step, in order, and what a store holds after some of them", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const memory = yield* SessionStore.Memory
      const session = yield* open
      yield* session.prompt("go")
      const writes = yield* StoreJournal.StoreJournal
      const tags = writes.map((write) =>
        write._tag === "Appended" ? write.entries.map((entry) => entry._tag).join(" ") : write._tag
      )
      assert.deepStrictEqual(tags.slice(0, 3), ["Created", "OperationStarted User", "Assistant"])
      assert.strictEqual(tags.at(-1), "Assistant OperationSettled")
      const plain = (kept: ReadonlyMap<string, StoreJournal.Kept>) =>
        [...kept].map(([id, { entries, row }]) => ({ id, row: { ...row }, entries: [...entries] }))
      assert.deepStrictEqual(plain(StoreJournal.keptAfter(writes)), plain(memory))
      assert.lengthOf([...memory.keys()], 2)
      const before = [...writes]
      yield* sessions.remove("s")
      assert.strictEqual(writes.at(-1)?._tag, "Removed")
      assert.strictEqual(StoreJournal.keptAfter(writes).size, 0)
      assert.strictEqual(StoreJournal.keptAfter(before).size, 2)
    }).pipe(Effect.provide(TestEngine.layer(script)))
  )

  it.effect("a session goes on after a crash at any write, and a provider takes its history", () =>
    Effect.gen(function* () {
      const writes = yield* written
      for (let n = 0; n <= writes.length; n++) {
        for (const { entries } of StoreJournal.keptAfter(writes.slice(0, n)).values()) {
          assert.deepStrictEqual(Messages.problems(Conversation.fold(entries)), [])
        }
        yield* Effect.gen(function* () {
          const session = yield* open
          assert.strictEqual((yield* session.prompt("and now?")).text, "Still here.")
          const journal = yield* StoreJournal.StoreJournal
          assert.deepStrictEqual(journal.slice(0, n), writes.slice(0, n))
          // The new engine claims the session with its first write.
          const next = journal[n]
          const epoch = StoreJournal.keptAfter(writes.slice(0, n)).get("s")?.row.epoch ?? 0
          if (n === 0) assert.strictEqual(next?._tag, "Created")
          else assert.strictEqual(next?._tag === "Appended" ? next.row.epoch : undefined, epoch + 1)
        }).pipe(
          Effect.provide(
            engineOver(Layer.merge(StoreJournal.layerAfter(writes.slice(0, n)), Model.layerScripted(script)))
          )
        )
      }
    })
  )

  it.effect("a refused write is not in it", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore.SessionStore
      const writes = yield* StoreJournal.StoreJournal
      const claim = (session: string) => ({
        session,
        incarnation: "s-1",
        owner: "me",
        epoch: 0,
        lease: "claim" as const,
        leaseFor: 1000,
        expectedSeq: 1,
        entries: [],
        running: null,
        partial: null,
        children: [],
        delivered: []
      })
      yield* Effect.flip(store.append(claim("nobody")))
      yield* store.create(row("s"))
      yield* Effect.flip(store.create(row("s")))
      yield* Effect.flip(store.append({ ...claim("s"), expectedSeq: 2 }))
      yield* store.remove([{ id: "s", incarnation: "another" }], "me")
      assert.deepStrictEqual(writes, [{ _tag: "Created", row: row("s") }])
    }).pipe(Effect.provide(StoreJournal.layer))
  )

  it.effect("engines of their own have journals of their own", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* StoreJournal.StoreJournal, [])
      yield* open
      assert.lengthOf(yield* StoreJournal.StoreJournal, 1)
    }).pipe(
      Effect.provide(Layer.provideMerge(Engine.layer, Layer.merge(StoreJournal.layer, Model.layerScripted([])))),
      Effect.repeatN(1)
    )
  )
})
