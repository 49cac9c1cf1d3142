/**
 * A session that goes on from an entry of another one, which knows nothing of it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer } from "effect"
import {
  Agent,
  Conversation,
  type Entry,
  Errors,
  Event,
  Ids,
  Model,
  Script,
  Session,
  Sessions,
  SessionStore,
  Tool
} from "effect-baton"
import { SqliteSessionStore } from "effect-baton/sqlite"
import { EventPairs } from "effect-baton/testing"
import { echo, engine, engineOver, open } from "../support/engine.js"
import { tempFolder } from "../support/folder.js"
import { begin, gate, settle } from "../support/stage.js"
import { engineOf, sameBytes, storeAfter, wrong } from "../support/tree.js"

const worker = Agent.make("worker", { tools: [echo], delegate: "off" })

const plain = Agent.make("a", { tools: [echo], delegate: "off" })

const script = [
  Script.on("use", Script.calls(Script.call("echo", { text: "once" })), "used"),
  Script.always(({ prompt }) => `about ${prompt}`)
]

/** A prompt of two tasks, each of which stops at a gate: what happens at each stop is up to the test. */
const running = <A>(atStop: (session: Sessions.Session, stop: number) => Effect.Effect<A, unknown>) =>
  Effect.gen(function* () {
    const store = yield* storeAfter([])
    const gates = yield* Effect.all([gate, gate, gate])
    const wait = (n: number) =>
      Tool.make(`wait${n}`, { description: "Waits", run: () => Effect.as(gates[n]!.stop, `waited ${n}`) })
    const stops = (n: number) => Agent.make(`worker${n}`, { tools: [wait(n)], delegate: "off" })
    const lead = Agent.make("lead", { tools: [wait(2)], subagents: [stops(0), stops(1)], delegate: "off" })
    const sessions = yield* engineOf(store.context, [
      Script.on(
        "go",
        Script.calls(
          Script.task("one", { agent: "worker0" }),
          Script.task("two", { agent: "worker1" }),
          Script.call("wait2")
        ),
        "all done"
      ),
      Script.on(/^one/, Script.calls(Script.call("wait0")), "first"),
      Script.on(/^two/, Script.calls(Script.call("wait1")), "second"),
      Script.always("goes on")
    ])
    const session = yield* sessions.open({ id: "s", agent: lead })
    yield* session.prompt("hello")
    const going = yield* begin(session.prompt("go"))
    const found: Array<A> = []
    for (const [n, it] of gates.entries()) {
      yield* it.reached
      yield* settle
      found.push(yield* atStop(session, n))
      yield* it.open
      yield* settle
    }
    const reply = yield* Fiber.join(going)
    assert.strictEqual(reply.text, "all done")
    found.push(yield* atStop(session, gates.length))
    return { found, sessions, session, store, entries: yield* session.history }
  })

describe("a fork", () => {
  const stores = [
    ["memory", SessionStore.layerMemory],
    [
      "SQLite",
      Layer.unwrapScoped(
        Effect.map(tempFolder, (folder) => SqliteSessionStore.layer({ filename: `${folder}/sessions.db` }))
      )
    ]
  ] as const
  for (const [name, store] of stores) {
    it.scoped(`of a session at rest shares its entries, goes on by itself, and leaves it as it was, in ${name}`, () =>
      Effect.gen(function* () {
        const session = yield* open(plain)
        yield* session.prompt("use")
        const before = yield* session.history
        const forked = yield* session.fork("f")
        assert.deepInclude(forked, { id: "f", agent: "a", cwd: session.cwd })
        assert.deepStrictEqual(yield* forked.history, before)
        assert.strictEqual((yield* forked.prompt("more")).text, "about more")
        yield* session.prompt("other")
        const own = yield* forked.history
        assert.deepStrictEqual(own.slice(0, before.length), before)
        assert.deepStrictEqual(wrong(own), [])
        assert.deepStrictEqual(
          Conversation.fold(own).map(({ role }) => role),
          ["user", "assistant", "tool", "assistant", "user", "assistant"]
        )
        const kept = yield* SessionStore.SessionStore
        assert.deepInclude(yield* kept.get("f"), {
          parent: null,
          depth: 0,
          agent: "a",
          origin: { session: "s", entry: before.length }
        })
        const size = (yield* kept.measure).find((it) => it.row.id === "f")
        assert.strictEqual(size?.entries, own.length - before.length)
        assert.strictEqual((yield* session.history).length, before.length + 4)
      }).pipe(
        Effect.provide(
          engineOver(
            Layer.merge(Layer.fresh<SessionStore.SessionStore, unknown, never>(store), Model.layerScripted(script))
          )
        )
      )
    )
  }

  it.scoped("of a session that nobody wrote to is one", () =>
    Effect.gen(function* () {
      const session = yield* open(plain)
      const forked = yield* session.fork("f")
      assert.deepStrictEqual(yield* forked.history, [])
      assert.strictEqual((yield* forked.prompt("hi")).text, "about hi")
      assert.deepStrictEqual(yield* session.history, [])
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("at every entry of a running prompt with two tasks: both sides finish", () =>
    Effect.gen(function* () {
      let made = 0
      const { entries, found, session, sessions } = yield* running((session) =>
        Effect.gen(function* () {
          const now = yield* session.history
          const forks: Array<{
            readonly fork: Sessions.Session
            readonly at: number
            readonly shared: ReadonlyArray<Entry.Entry>
          }> = []
          for (const { id } of now) {
            const name = `f${++made}`
            forks.push({ fork: yield* session.fork(name, id), at: id, shared: now.slice(0, id) })
            // At work in the midst of the original's work.
            if (id % 5 === 0) assert.strictEqual((yield* forks.at(-1)!.fork.prompt("early")).text, "goes on")
          }
          return forks
        })
      )
      assert.isAbove(made, 60)
      for (const { at, fork, shared } of found.flat()) {
        const own = yield* fork.history
        assert.deepStrictEqual(own.slice(0, at), shared)
        assert.deepStrictEqual(wrong(own), [], `forked at ${at}`)
        assert.deepStrictEqual(
          EventPairs.unpaired(own.map((entry) => Event.ofEntry(fork.id, entry))).filter((it) => !it.includes("Turn")),
          []
        )
        assert.strictEqual((yield* fork.prompt("next")).text, "goes on")
        assert.deepStrictEqual(wrong(yield* fork.history), [])
        // Children are the original's.
        assert.deepStrictEqual(yield* sessions.list(fork.id), [])
      }
      assert.strictEqual((yield* sessions.list("s")).length, 2)
      assert.deepStrictEqual(wrong(entries), [])
      assert.strictEqual((yield* session.prompt("again")).text, "goes on")
    })
  )

  it.scoped("changes no byte of what the original comes to", () =>
    Effect.gen(function* () {
      /** Ids by who asks: those of a fork are drawn from another series. */
      const run = (forks: boolean) =>
        Effect.gen(function* () {
          let n = 0
          let forking = 0
          let made = 0
          const ids = { unsafeNext: () => (forking > 0 ? `fork-${forking++}` : `id-${++n}`) }
          const { entries, store } = yield* running((session) =>
            Effect.gen(function* () {
              if (!forks) return
              forking++
              for (const { id } of yield* session.history) yield* session.fork(`f${++made}`, id)
              forking = 0
            })
          ).pipe(Effect.provideService(Ids.Ids, ids))
          const children = [...store.memory].filter(([id]) => id.startsWith("task:")).map(([, it]) => it.entries)
          return { entries, children, forks: [...store.memory.keys()].filter((id) => id.startsWith("f")).length }
        })
      const without = yield* run(false)
      const withForks = yield* run(true)
      assert.strictEqual(without.forks, 0)
      assert.isAbove(withForks.forks, 60)
      sameBytes(withForks.entries, without.entries)
      assert.strictEqual(withForks.children.length, 2)
      for (const [i, child] of withForks.children.entries()) sameBytes(child, without.children[i]!)
    })
  )

  it.scoped("has what was open as interrupted by it, with what was used as far as that was recorded", () =>
    Effect.gen(function* () {
      const { found } = yield* running((session, stop) =>
        Effect.gen(function* () {
          const before = yield* session.history
          const forked = yield* session.fork(`f${stop}`)
          return { before, own: (yield* forked.history).slice(before.length) }
        })
      )
      const [first, , , last] = found
      assert.deepStrictEqual(
        first!.own.map((entry) => entry._tag),
        ["TaskSettled", "TaskSettled", "ToolSettled", "ToolSettled", "ToolSettled", "OperationSettled"]
      )
      for (const entry of first!.own)
        if (entry._tag === "ToolSettled" || entry._tag === "TaskSettled")
          assert.strictEqual(entry.outcome, "interrupted")
      const end = first!.own.at(-1)!
      const reply = first!.before.findLast((entry) => entry._tag === "Assistant")!
      if (end._tag !== "OperationSettled" || reply._tag !== "Assistant") return assert.fail()
      assert.deepInclude(end, { outcome: "interrupted", by: "fork", operationId: reply.operationId })
      assert.deepStrictEqual(end.usage.turns, reply.usage)
      assert.deepStrictEqual(end.usage.total, reply.usage)
      assert.deepStrictEqual(last!.own, [])
    })
  )

  it.scoped("of calls that were not started has them as not run", () =>
    Effect.gen(function* () {
      const session = yield* open(plain)
      yield* session.prompt("use")
      const reply = (yield* session.history).find((entry) => entry._tag === "Assistant")!
      const own = (yield* (yield* session.fork("f", reply.id)).history).slice(reply.id)
      assert.deepStrictEqual(
        own.map((entry) => (entry._tag === "ToolSettled" ? entry.outcome : entry._tag)),
        ["not-run", "OperationSettled"]
      )
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("of a fork, and of that one, has the entries of all; and a child session may be forked too", () =>
    Effect.gen(function* () {
      const lead = Agent.make("lead", { subagents: [worker], delegate: "off" })
      const sessions = yield* Sessions.Sessions
      const session = yield* sessions.open({ id: "s", agent: lead })
      const { session: childId } = yield* session.task("use", { agent: "worker" })
      yield* session.prompt("one")
      const f = yield* session.fork("f")
      yield* f.prompt("two")
      const g = yield* f.fork("g")
      yield* g.prompt("three")
      const at = (yield* f.history).length - 1
      const h = yield* g.fork("h", at)
      assert.strictEqual((yield* h.prompt("four")).text, "about four")
      for (const it of [f, g, h]) assert.deepStrictEqual(wrong(yield* it.history), [])
      assert.deepStrictEqual((yield* g.history).slice(0, at), (yield* h.history).slice(0, at))
      const child = yield* sessions.get({ id: childId, agent: worker })
      const ofChild = yield* child.fork("c")
      assert.strictEqual((yield* ofChild.prompt("use")).text, "used")
      const memory = yield* SessionStore.Memory
      assert.deepInclude(memory.get("c")!.row, { parent: null, depth: 0 })
      assert.deepStrictEqual(
        (yield* sessions.list()).map(({ id }) => id),
        ["s", "f", "g", "h", "c"]
      )
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("stays when the original is removed; a handle of the removed one makes none", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const session = yield* open(plain)
      yield* session.prompt("use")
      const forked = yield* session.fork("f")
      const before = yield* forked.history
      yield* sessions.remove("s")
      assert.deepStrictEqual(yield* forked.history, before)
      assert.strictEqual((yield* forked.prompt("more")).text, "about more")
      assert.strictEqual((yield* Effect.flip(session.fork("g")))._tag, "SessionNotFound")
      yield* open(plain)
      assert.strictEqual((yield* Effect.flip(session.fork("g")))._tag, "SessionNotFound")
      assert.strictEqual((yield* Effect.flip(session.labels))._tag, "SessionNotFound")
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("with a wrong id or entry is refused, and nothing is made", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const session = yield* open(plain)
      yield* session.prompt("use")
      yield* session.label("here", 3)
      for (const id of ["", "task:x", "a\u0000", 7 as never]) {
        assert.strictEqual((yield* Effect.flip(session.fork(id)))._tag, "InvalidSessionId")
      }
      assert.strictEqual((yield* Effect.flip(session.fork("s")))._tag, "SessionAlreadyExists")
      for (const entry of [0, -1, 1.5, Number.NaN, 99, "there", "3", "", {} as never]) {
        const error = yield* Effect.flip(session.fork("f", entry))
        assert.instanceOf(error, Errors.EntryNotFound)
      }
      assert.deepStrictEqual(
        (yield* sessions.list()).map(({ id }) => id),
        ["s"]
      )
      const named = yield* session.fork("f", "here")
      assert.strictEqual((yield* named.history)[2]!._tag, "Assistant")
      assert.deepInclude((yield* SessionStore.Memory).get("f")!.row.origin, { entry: 3 })
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("reads no more than the operation that its entry lies in", () =>
    Effect.gen(function* () {
      const store = yield* storeAfter([])
      const sessions = yield* engineOf(store.context, script)
      const session = yield* sessions.open({ id: "s", agent: plain })
      for (let i = 0; i < 60; i++) yield* session.prompt(`${i}`)
      const reads: Array<readonly [number, number | undefined]> = []
      const inner = yield* Effect.provide(SessionStore.SessionStore, store.context)
      const watched = {
        ...inner,
        read: (id: string, incarnation: string, from: number, to?: number) => {
          reads.push([from, to])
          return inner.read(id, incarnation, from, to)
        }
      }
      const other = yield* engineOf(yield* Layer.build(Layer.succeed(SessionStore.SessionStore, watched)), script)
      const handle = yield* other.get({ id: "s", agent: plain })
      yield* handle.fork("f")
      assert.deepStrictEqual(reads, [[177, 240]])
      reads.length = 0
      yield* handle.fork("g", 100)
      assert.deepStrictEqual(reads, [[37, 100]])
    })
  )

  it.scoped(
    "takes an id that names an operation of the original for its own: recorded stays recorded, cut runs again",
    () =>
      Effect.gen(function* () {
        const session = yield* open(plain)
        const reply = yield* session.prompt("use", { operationId: "once" })
        const whole = yield* session.fork("f")
        assert.strictEqual((yield* whole.prompt("use", { operationId: "once" })).text, "used")
        assert.strictEqual((yield* whole.history).length, reply.entries.to)
        const cut = yield* session.fork("g", 3)
        const [start, end] = [(yield* cut.history)[0]!, (yield* cut.history).at(-1)!]
        if (start._tag !== "OperationStarted" || end._tag !== "OperationSettled") return assert.fail()
        assert.isString(end.key)
        assert.strictEqual(end.key, start.key)
        assert.strictEqual((yield* cut.prompt("use", { operationId: "once" })).text, "used")
        assert.isAbove((yield* cut.history).length, reply.entries.to)
        assert.strictEqual(
          (yield* Effect.flip(whole.prompt("other", { operationId: "once" })))._tag,
          "OperationConflict"
        )
      }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("is made within a tool call of the session itself, and while another engine is at work in it", () =>
    Effect.gen(function* () {
      const store = yield* storeAfter([])
      let own: Sessions.Session
      const at = yield* gate
      const forker = Tool.make("fork", {
        description: "Forks its own session",
        run: () => Effect.orDie(Effect.as(Effect.zipLeft(own.fork("inner"), at.stop), "forked"))
      })
      const agent = Agent.make("a", { tools: [forker], delegate: "off" })
      const forks = [Script.on("go", Script.calls(Script.call("fork")), "done"), Script.always("ok")]
      const one = yield* engineOf(store.context, forks)
      const two = yield* engineOf(store.context, forks)
      own = yield* one.open({ id: "s", agent })
      const going = yield* begin(own.prompt("go"))
      yield* at.reached
      const there = yield* two.get({ id: "s", agent })
      const outer = yield* there.fork("outer")
      assert.strictEqual((yield* outer.prompt("hi")).text, "ok")
      assert.strictEqual((yield* Effect.flip(there.prompt("hi")))._tag, "SessionBusy")
      yield* at.open
      assert.strictEqual((yield* Fiber.join(going)).text, "done")
      assert.strictEqual((yield* (yield* one.get({ id: "inner", agent })).prompt("hi")).text, "ok")
      for (const [, { entries }] of store.memory) assert.deepStrictEqual(wrong(entries), [])
    })
  )

  it.scoped("of which a crash cut what came after it is whole", () =>
    Effect.gen(function* () {
      const store = yield* storeAfter([])
      const sessions = yield* engineOf(store.context, script)
      const session = yield* sessions.open({ id: "s", agent: plain })
      yield* session.prompt("use")
      const forked = yield* session.fork("f", 4)
      yield* forked.prompt("use")
      for (let n = 1; n <= store.writes.length; n++) {
        const next = yield* storeAfter(store.writes.slice(0, n))
        const again = yield* engineOf(next.context, script)
        for (const id of next.memory.keys()) {
          const handle = yield* again.get({ id, agent: plain })
          yield* handle.resumed?.ended ?? Effect.void
          assert.strictEqual((yield* handle.prompt("after")).text, "about after")
          assert.deepStrictEqual(wrong(yield* handle.history), [], `${id} cut after ${n}`)
        }
      }
    })
  )

  it.scoped("is a function too", () =>
    Effect.gen(function* () {
      const ref = yield* Session.open({ id: "s", agent: plain })
      yield* Session.prompt(ref, "use")
      const forked = yield* Session.fork(ref, "f", 2)
      assert.strictEqual((yield* Session.prompt(forked, "more")).text, "about more")
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(Session.labels(forked))))
    }).pipe(Effect.provide(engine(script)))
  )
})
