import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, FastCheck as fc, Fiber, Layer, TestClock, TestContext } from "effect"
import { Agent, Engine, Errors, Model, Script, Sessions, SessionStore } from "effect-baton"
import { engine, open } from "../support/engine.js"
import { agent, hanging, live, script } from "../support/histories.js"
import { row } from "../support/rows.js"
import { append, user } from "../support/storeWrites.js"

const left = Effect.flatMap(SessionStore.SessionStore, (store) =>
  Effect.map(store.measure, (all) => all.map((it) => it.row.id))
)

/** Sessions of one entry each, made at these times, in milliseconds. */
const at = (times: Readonly<Record<string, number>>) =>
  Effect.gen(function* () {
    const store = yield* SessionStore.SessionStore
    for (const [id, time] of Object.entries(times)) {
      yield* store.create(row(id, { createdAt: 0 }))
      yield* store.append(append(id, 1, { entries: [{ ...user(1), at: time }], lease: "once" }))
    }
  })

describe("removing", () => {
  it.effect("tells what was removed", () =>
    Effect.gen(function* () {
      yield* live("s", [{ does: "call", calls: ["nested"] }])
      const sessions = yield* Sessions.Sessions
      const measured = yield* (yield* SessionStore.SessionStore).measure
      const sum = (of: "entries" | "bytes") => measured.reduce((all, it) => all + it[of], 0)
      assert.deepStrictEqual(yield* sessions.remove("s"), {
        sessions: measured.map((it) => it.row.id),
        entries: sum("entries"),
        bytes: sum("bytes")
      })
      assert.lengthOf(measured, 3)
    }).pipe(Effect.provide(engine(script)))
  )
})

describe("pruning", () => {
  it.effect("ends where damaged sessions stand above themselves, and leaves them", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore.SessionStore
      const sessions = yield* Sessions.Sessions
      yield* live("sound", [{ does: "say", text: "x" }])
      yield* store.create(row("task:x:1", { parent: "task:x:1", depth: 1 }))
      yield* store.create(row("task:x:2", { parent: "task:x:3", depth: 1 }))
      yield* store.create(row("task:x:3", { parent: "task:x:2", depth: 1 }))
      const { removed } = yield* sessions.prune({ olderThan: 0, keep: ({ id }) => id !== "sound", dryRun: true })
      assert.deepStrictEqual(removed, [])
      yield* TestClock.adjust(1)
      const { removed: gone } = yield* sessions.prune({ olderThan: 0, keep: ({ id }) => id !== "sound" })
      assert.deepStrictEqual(
        gone.map(({ id }) => id),
        ["sound"]
      )
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("leaves a fork that was made lately, however old the entry is at which", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      yield* live("old", [{ does: "say", text: "x" }])
      const session = yield* open(agent, "old")
      const last = (yield* session.history).at(-1)!
      yield* TestClock.adjust(5_000)
      yield* session.fork("young", last.id)
      const { removed } = yield* sessions.prune({ olderThan: 1_000 })
      assert.deepStrictEqual(
        removed.map(({ id }) => id),
        ["old"]
      )
      assert.deepStrictEqual(yield* left, ["young"])
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("by age removes what was used last before, with the sessions of its tasks, the oldest first", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      yield* live("young child", [{ does: "say", text: "x" }])
      yield* live("old", [{ does: "call", calls: ["nested"] }])
      yield* TestClock.adjust(1_000)
      // What its task does last is its own doing.
      const { id } = (yield* sessions.list("old"))[0]!
      yield* live("other", [{ does: "call", calls: ["task"] }])
      const of = (yield* sessions.list("other"))[0]!.id
      yield* TestClock.adjust(1_000)
      const child = yield* sessions.get({ id: of, agent: Agent.make("worker") })
      yield* child.prompt("say on")
      yield* TestClock.adjust(500)
      const options = { olderThan: "1 second" } as const
      const told = yield* sessions.prune({ ...options, dryRun: true })
      assert.lengthOf(yield* left, 6)
      const pruned = yield* sessions.prune(options)
      assert.deepStrictEqual(pruned, told)
      assert.deepStrictEqual(
        pruned.removed.map((it) => [it.id, it.reason, it.sessions.length, it.activeAt]),
        [
          ["young child", "age", 1, 0],
          ["old", "age", 3, 0]
        ]
      )
      assert.deepStrictEqual(pruned.removed[1]!.sessions.slice(0, 2), ["old", id])
      assert.deepStrictEqual(pruned.skipped, [])
      assert.strictEqual(pruned.left.sessions, 1)
      assert.deepStrictEqual(yield* left, ["other", of])
      // Exactly so old is not older.
      assert.deepStrictEqual((yield* sessions.prune({ olderThan: 500 })).removed, [])
      assert.lengthOf((yield* sessions.prune({ olderThan: 499 })).removed, 1)
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("by number and by size removes no more than has to go", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      yield* at({ b: 2, a: 1, d: 4, c: 3 })
      const byNumber = yield* sessions.prune({ maxSessions: 3 })
      assert.deepStrictEqual(
        byNumber.removed.map(({ id, reason }) => [id, reason]),
        [["a", "count"]]
      )
      const { bytes } = byNumber.left
      assert.deepStrictEqual(byNumber.left, { sessions: 3, bytes })
      assert.deepStrictEqual((yield* sessions.prune({ maxBytes: bytes })).removed, [])
      const bySize = yield* sessions.prune({ maxBytes: bytes - 1, keep: ({ id }) => id === "b" })
      assert.deepStrictEqual(
        bySize.removed.map(({ id, reason }) => [id, reason]),
        [["c", "bytes"]]
      )
      assert.deepStrictEqual(yield* left, ["b", "d"])
      assert.strictEqual((yield* sessions.prune({ maxSessions: 0 })).left.bytes, 0)
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("by size goes on where forks keep what it removed, and tells what is left", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const store = yield* SessionStore.SessionStore
      const bytes = Effect.map(store.measure, (all) => all.reduce((sum, it) => sum + it.bytes, 0))
      yield* live("first", [{ does: "say", text: "x".repeat(10_000) }])
      yield* TestClock.adjust(1_000)
      const first = yield* open(agent, "first")
      yield* first.fork("second")
      yield* TestClock.adjust(1_000)
      yield* live("third", [{ does: "say", text: "y" }])
      const all = yield* bytes
      const pruned = yield* sessions.prune({ maxBytes: all - 1 })
      assert.deepStrictEqual(
        pruned.removed.map(({ entries, id }) => [id, entries > 0]),
        [
          ["first", false],
          ["second", true]
        ]
      )
      assert.strictEqual(pruned.left.bytes, yield* bytes)
      assert.strictEqual(pruned.left.bytes, all - pruned.removed[1]!.bytes)
      assert.deepStrictEqual(yield* left, ["third"])
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("leaves where something runs, waits, or is held or unfinished, interrupts nothing, and says so", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      const store = yield* SessionStore.SessionStore
      yield* hanging("runs")
      yield* at({ waits: 1, held: 2, elsewhere: 3, free: 4, moves: 5 })
      const waits = (yield* store.get("waits"))!
      const item = {
        id: "i",
        operationId: "o",
        key: undefined,
        when: "wait",
        content: [],
        request: undefined,
        at: 0
      } as const
      yield* store.put(waits, item)
      yield* store.append(
        append("elsewhere", 2, {
          epoch: 1,
          lease: "claim",
          owner: "other",
          running: { operationId: "o", kind: "shell", since: 0 }
        })
      )
      yield* store.append(append("moves", 2, { epoch: 1, lease: "claim", owner: "other" }))
      yield* at({ unfinished: 6 })
      yield* store.append(
        append("unfinished", 2, {
          epoch: 1,
          lease: "claim",
          leaseFor: 0,
          running: { operationId: "o", kind: "prompt", since: 0 }
        })
      )
      yield* TestClock.adjust(10_000)
      const held = yield* Deferred.make<void>()
      const holding = yield* Effect.fork(
        (yield* open(agent, "held")).prompt("say x").pipe(Effect.zipRight(Deferred.await(held)))
      )
      yield* Fiber.poll(holding)
      const expected = {
        removed: ["free"],
        skipped: {
          runs: /^session "(runs|task:runs:[^"]+)" is already running prompt$/,
          waits: /^an input waits in session "waits"$/,
          elsewhere: /^session "elsewhere" is already running shell in another process \(other\)$/,
          moves: /^session "moves" is held in another process \(other\)$/,
          unfinished: /^session "unfinished" has an unfinished prompt$/
        } as Readonly<Record<string, RegExp>>
      }
      yield* Effect.repeatN(Effect.yieldNow(), 100)
      for (const dryRun of [true, false]) {
        const { removed, skipped } = yield* sessions.prune({ maxSessions: 0, keep: ({ id }) => id === "held", dryRun })
        assert.deepStrictEqual(
          removed.map(({ id }) => id),
          expected.removed
        )
        assert.sameMembers(
          skipped.map(({ id }) => id),
          Object.keys(expected.skipped)
        )
        for (const { id, reason } of skipped) assert.match(reason, expected.skipped[id]!)
      }
      assert.strictEqual((yield* store.get("runs"))?.running?.kind, "prompt")
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("leaves what is used while it looks", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      yield* live("a", [{ does: "say", text: "x" }])
      yield* live("b", [{ does: "call", calls: ["task"] }])
      yield* live("c", [{ does: "say", text: "x" }])
      yield* live("d", [{ does: "say", text: "x" }])
      yield* TestClock.adjust(1_000)
      const session = yield* open(agent, "b")
      const { removed, skipped } = yield* sessions.prune({ olderThan: 10 })
      assert.deepStrictEqual(
        removed.map(({ id }) => id),
        ["a", "c"]
      )
      const reason = "it was used or removed meanwhile"
      assert.deepStrictEqual(skipped, [
        { id: "b", reason },
        { id: "d", reason }
      ])
      assert.strictEqual((yield* session.prompt("say y")).text, "answer to say y")
    }).pipe(Effect.provide(Layer.provideMerge(Engine.layer, Layer.merge(usedMeanwhile, Model.layerScripted(script)))))
  )

  it.effect("fails where the store does, and is whole or gone where it is interrupted", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions.Sessions
      yield* at({ a: 1, b: 2, c: 3 })
      const error = yield* Effect.flip(sessions.prune({ maxSessions: 0 }))
      assert.strictEqual(error.message, "The session store failed to remove: no.")
      assert.deepStrictEqual(yield* left, ["b", "c"])
      const fiber = yield* Effect.fork(sessions.prune({ maxSessions: 0 }))
      yield* Effect.repeatN(Effect.yieldNow(), 100)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      assert.deepStrictEqual(yield* left, ["c"])
      assert.lengthOf((yield* sessions.prune({ maxSessions: 0 })).removed, 1)
    }).pipe(
      Effect.provide(
        Layer.provideMerge(
          Engine.layer,
          Layer.merge(removing(["ok", "fail", "ok", "hang", "ok"]), Model.layerScripted(script))
        )
      )
    )
  )

  it.effect("refuses limits that are none, and none at all", () =>
    Effect.gen(function* () {
      const { prune } = yield* Sessions.Sessions
      yield* at({ a: 1 })
      yield* TestClock.adjust(1_000)
      const told = (options: unknown) =>
        Effect.map(Effect.flip(prune(options as Sessions.PruneOptions)), ({ message }) => message)
      for (const none of [{}, undefined, { keep: () => false }, { dryRun: true }]) {
        assert.strictEqual(yield* told(none), "Invalid input at options: no limit is given.")
      }
      for (const olderThan of [-1, Number.NaN, Infinity, "-5 minutes", -1n, [-1, 0], [Number.NaN, 0], "x", null, {}]) {
        assert.strictEqual(yield* told({ olderThan }), "Invalid input at olderThan: it is no duration from 0 on.")
      }
      for (const maxSessions of [-1, 1.5, Number.NaN, Infinity, "1", null]) {
        assert.strictEqual(
          yield* told({ maxSessions }),
          "Invalid input at maxSessions: it is not a whole number from 0 on."
        )
      }
      for (const maxBytes of [-1, Number.NaN, Infinity, "1", null]) {
        assert.strictEqual(yield* told({ maxBytes }), "Invalid input at maxBytes: it is not a number from 0 on.")
      }
      assert.strictEqual(yield* told({ maxBytes: 1, keep: "a" }), "Invalid input at keep: it is not a function.")
      assert.deepStrictEqual(yield* left, ["a"])
    }).pipe(Effect.provide(engine(script)))
  )

  it("is what a model of it says", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            time: fc.nat(20),
            texts: fc.array(fc.nat(50), { minLength: 1, maxLength: 3 }),
            kept: fc.boolean(),
            child: fc.boolean(),
            busy: fc.nat(4)
          }),
          { maxLength: 8 }
        ),
        fc.record({
          olderThan: fc.option(fc.nat(20), { nil: undefined }),
          maxSessions: fc.option(fc.nat(8), { nil: undefined }),
          maxBytes: fc.option(fc.nat(2_000), { nil: undefined })
        }),
        (made, limits) =>
          Effect.gen(function* () {
            if (Object.values(limits).every((it) => it === undefined)) return
            const store = yield* SessionStore.SessionStore
            const sessions = yield* Sessions.Sessions
            for (const [i, { busy, child, texts, time }] of made.entries()) {
              const id = `s${i}`
              yield* store.create(row(id, { createdAt: 0 }))
              const entries = texts.map((length, n) => ({ ...user(n + 1, "x".repeat(length)), at: child ? 0 : time }))
              const running = busy === 0 ? ({ operationId: "o", kind: "prompt", since: 0 } as const) : null
              yield* store.append(append(id, 1, { entries, running, lease: "once" }))
              if (!child) continue
              const below = `task:${id}:1`
              yield* store.create(row(below, { parent: id, depth: 1, createdAt: 0 }))
              yield* store.append(append(below, 1, { entries: [{ ...user(1), at: time }], lease: "once" }))
            }
            yield* TestClock.setTime(20)
            const sizes = new Map((yield* store.measure).map((it) => [it.row.id, it.bytes]))
            const bytesOf = (i: number) => (sizes.get(`s${i}`) ?? 0) + (sizes.get(`task:s${i}:1`) ?? 0)
            const order = made.map((_, i) => i).toSorted((a, b) => made[a]!.time - made[b]!.time)
            const there = new Set(order)
            const gone: Array<readonly [string, string]> = []
            const skipped: Array<string> = []
            const bytes = () => [...there].reduce((sum, i) => sum + bytesOf(i), 0)
            for (const i of order) {
              const { busy, kept, time } = made[i]!
              const reason =
                20 - time > (limits.olderThan ?? Infinity)
                  ? "age"
                  : there.size > (limits.maxSessions ?? Infinity)
                    ? "count"
                    : bytes() > (limits.maxBytes ?? Infinity)
                      ? "bytes"
                      : undefined
              if (reason === undefined || kept) continue
              if (busy === 0) skipped.push(`s${i}`)
              else {
                there.delete(i)
                gone.push([`s${i}`, reason])
              }
            }
            const pruned = yield* sessions.prune({ ...limits, keep: ({ id }) => made[Number(id.slice(1))]!.kept })
            assert.deepStrictEqual(
              pruned.removed.map(({ id, reason }) => [id, reason]),
              gone.map((it) => [...it])
            )
            assert.deepStrictEqual(
              pruned.skipped.map(({ id }) => id),
              skipped
            )
            assert.deepStrictEqual(pruned.left, { sessions: there.size, bytes: bytes() })
            assert.strictEqual(
              (yield* store.measure).reduce((sum, it) => sum + it.bytes, 0),
              bytes()
            )
          }).pipe(
            Effect.provide(engine([Script.always("ok")])),
            Effect.provide(TestContext.TestContext),
            Effect.runPromise
          )
      ),
      { numRuns: 60 }
    ))
})

/** A store in which a task of "b" gets an entry between being measured and being removed, and "d" a task. */
const usedMeanwhile = Layer.map(SessionStore.layerMemory, (context) => context).pipe(
  Layer.flatMap((context) =>
    Layer.effect(
      SessionStore.SessionStore,
      Effect.map(SessionStore.SessionStore, (store) => ({
        ...store,
        measure: Effect.tap(store.measure, () =>
          Effect.gen(function* () {
            yield* Effect.orDie(store.create(row("task:d:1", { parent: "d", depth: 1 })))
            const [child] = yield* store.list("b")
            yield* store
              .append({
                ...append(child!.id, child!.nextSeq, { epoch: child!.epoch, lease: "once" }),
                incarnation: child!.incarnation
              })
              .pipe(Effect.orDie)
          })
        )
      }))
    ).pipe(Layer.provide(Layer.succeedContext(context)))
  )
)

/** A store whose removals go like this, in turn. */
const removing = (fates: ReadonlyArray<"ok" | "fail" | "hang">) =>
  Layer.effect(
    SessionStore.SessionStore,
    Effect.map(SessionStore.SessionStore, (store) => {
      let n = 0
      return {
        ...store,
        remove: (keys: ReadonlyArray<SessionStore.SessionKey>, owner: string) => {
          const fate = fates[n++]
          if (fate === "hang") return Effect.never
          return fate === "fail"
            ? new Errors.SessionStoreError({ operation: "remove", reason: "no" })
            : store.remove(keys, owner)
        }
      }
    })
  ).pipe(Layer.provide(SessionStore.layerMemory))
