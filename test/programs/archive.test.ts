/**
 * Exports and imports: what goes out comes in, and what is none does not.
 */
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, FastCheck as fc, Fiber, Layer, Stream } from "effect"
import { Conversation, type Errors, Model, Sessions, SessionStore, type Usage } from "effect-baton"
import { Archive } from "effect-baton/history"
import { SqlSessionStore } from "effect-baton/sql"
import { SqliteSessionStore } from "effect-baton/sqlite"
import { Messages } from "effect-baton/testing"
import { engine, engineOver, open } from "../support/engine.js"
import { tempFolder } from "../support/folder.js"
import * as postgres from "../support/postgres.js"
import { type Act, acts, agent, hanging, live, script } from "../support/histories.js"
import { row } from "../support/rows.js"
import { append, user } from "../support/storeWrites.js"

const linesOf = (id: string) => Effect.map(Stream.runCollect(Archive.exportSession(id)), Chunk.toReadonlyArray)

/** Imports into a store of its own, and tells what is there afterwards. */
const imported = (lines: Iterable<string>, options?: Archive.ImportOptions) =>
  Effect.flatMap(Archive.importSessions(lines, options), ({ sessions }) =>
    Effect.map(linesOf(sessions[0]!.id), (again) => ({ sessions, again }))
  )

const memory = <A, E>(effect: Effect.Effect<A, E, SessionStore.SessionStore>) =>
  Effect.provide(effect, SessionStore.layerMemory)

/** What is wrong with an export, in a store that nothing was written to by it. */
const refusal = (lines: Iterable<string>, options?: Archive.ImportOptions) =>
  memory(
    Effect.gen(function* () {
      const error = yield* Effect.flip(Archive.importSessions(lines, options))
      assert.deepStrictEqual(yield* (yield* SessionStore.SessionStore).measure, [])
      return error._tag === "InvalidExport" ? `${error.line}: ${error.reason}` : error._tag
    })
  )

const grown = (past: ReadonlyArray<Act>) =>
  Effect.provide(Effect.zipRight(live("s", past), linesOf("s")), engine(script))

const head = (session: object = {}, more: object = {}) =>
  JSON.stringify({
    baton: "session",
    format: 4,
    session: { id: "s", agent: "a", cwd: ".", parent: null, depth: 0, createdAt: 1, origin: null, ...session },
    ...more
  })

/** The end of an export of so many sessions. */
const end = (sessions = 1) => JSON.stringify({ baton: "end", sessions })

const start = (id: number, more: object = {}) =>
  JSON.stringify({
    _tag: "OperationStarted",
    id,
    parentId: id === 1 ? null : id - 1,
    at: 0,
    operationId: "o",
    kind: "prompt",
    ...more
  })

const entry = (tag: string, id: number, more: object = {}) =>
  JSON.stringify({ _tag: tag, id, parentId: id === 1 ? null : id - 1, at: 0, operationId: "o", ...more })

const zero = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
const report = { turns: zero, retries: zero, compactions: zero, tasks: zero, total: zero }
const settledLine = (id: number, more: object = {}) =>
  entry("OperationSettled", id, { kind: "prompt", outcome: "completed", usage: report, ...more })

type Store = () => Layer.Layer<SessionStore.SessionStore, unknown>

/** Stores that an export goes to and comes from; a layer is built anew for each session. */
const sqlite: Store = () =>
  Layer.unwrapScoped(
    Effect.map(tempFolder, (folder) => SqliteSessionStore.layer({ filename: `${folder}/sessions.db` }))
  )
const onPostgres: Store = () => Layer.provide(SqlSessionStore.layer, postgres.fresh)

/** `runs`: how many pasts are tried; a store that is a file or a server takes longer to begin. */
const exportsTo = (name: string, layer: Store, runs: number): void =>
  void describe(`exports to ${name}`, () => {
    it.effect("come out as they came in, with whatever past", () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(acts, async (past) => {
            const program = Effect.gen(function* () {
              const lines = yield* grown(past)
              const { again, sessions } = yield* Effect.provide(imported(lines), layer())
              assert.deepStrictEqual(again, lines)
              assert.deepStrictEqual(
                sessions.map(({ interrupted }) => interrupted),
                sessions.map(() => undefined)
              )
              // From there to memory and back.
              assert.deepStrictEqual((yield* memory(imported(again))).again, lines)
            })
            await Effect.runPromise(Effect.scoped(program))
          }),
          { numRuns: runs }
        )
      )
    )

    it.scoped("give a session that goes on", () =>
      Effect.gen(function* () {
        const lines = yield* grown([
          { does: "call", calls: ["echo", "nested"] },
          { does: "say", text: "x" }
        ])
        yield* Effect.gen(function* () {
          yield* Archive.importSessions(lines)
          const session = yield* open(agent)
          assert.isUndefined(session.resumed)
          const before = yield* session.history
          assert.strictEqual((yield* session.prompt("say more")).text, "answer to say more")
          assert.deepStrictEqual((yield* session.history).slice(0, before.length), before)
          const [child] = yield* (yield* Sessions.Sessions).list("s")
          assert.strictEqual(child?.depth, 1)
        }).pipe(Effect.provide(engineOver(Layer.merge(layer(), Model.layerScripted(script)))))
      })
    )
  })

exportsTo("memory", () => SessionStore.layerMemory, 60)
exportsTo("SQLite", sqlite, 15)

postgres.describePostgres("Postgres", () => {
  exportsTo("Postgres", onPostgres, 6)

  it.effect("what went through all the stores is as it was, byte for byte", () =>
    Effect.gen(function* () {
      let lines = yield* grown([
        { does: "say", text: "\ud83d one \u0000" },
        { does: "call", calls: ["echo", "nested", "bad"] },
        { does: "rollback", text: "gone" },
        { does: "compact", to: 3 },
        { does: "move", to: 5 },
        { does: "label", to: 4, text: "name" },
        { does: "cut", text: "x" }
      ])
      const first = lines
      for (const layer of [sqlite, onPostgres, () => SessionStore.layerMemory, onPostgres, sqlite]) {
        lines = (yield* Effect.scoped(Effect.provide(imported(lines), layer()))).again
        assert.deepStrictEqual(lines, first)
      }
    })
  )
})

describe("an export", () => {
  it.effect("is a line for a session and one for each entry, its children after it, the oldest first", () =>
    Effect.gen(function* () {
      const lines = yield* grown([{ does: "call", calls: ["nested", "task"] }])
      const told = lines.map((line) => JSON.parse(line) as { baton?: string; session: { id: string; depth: number } })
      const sessions = told.filter(({ baton }) => baton === "session").map(({ session }) => session)
      assert.deepStrictEqual(
        sessions.map(({ depth }) => depth),
        [0, 1, 2, 1]
      )
      assert.strictEqual(sessions[2]!.id.startsWith(`task:${sessions[1]!.id}:`), true)
      assert.strictEqual(
        lines[0],
        '{"baton":"session","format":4,"session":{"id":"s","agent":"lead","cwd":".","parent":null,"depth":0,"createdAt":0,"origin":null}}'
      )
      assert.match(
        lines[1]!,
        /^\{"_tag":"OperationStarted","id":1,"parentId":null,"at":0,"operationId":"[^"]+","kind":"prompt"/
      )
    })
  )

  it.effect("has its fields in the order of the format, whatever order they are stored in", () =>
    Effect.gen(function* () {
      const lines = yield* grown([{ does: "call", calls: ["echo"] }])
      const turned = lines.map((line) => JSON.stringify(reversed(JSON.parse(line))))
      assert.notDeepEqual(turned, lines)
      assert.deepStrictEqual((yield* memory(imported(turned))).again, lines)
    })
  )

  it.effect("of a session that is not there fails, and of a name that is none", () =>
    memory(
      Effect.gen(function* () {
        assert.strictEqual((yield* Effect.flip(linesOf("s"))).message, 'There is no session "s".')
        assert.strictEqual((yield* Effect.flip(linesOf("a\nb")))._tag, "SessionNotFound")
      })
    )
  )

  it.effect("fails where the session is removed under it, and tells no other of its name", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore.SessionStore
      for (const after of [1, 2, 4]) {
        const id = `s${after}`
        yield* live(id, [{ does: "call", calls: ["task"] }])
        const key = (yield* store.get(id))!
        let n = 0
        const lines = Archive.exportSession(id).pipe(
          Stream.rechunk(1),
          Stream.tap(() =>
            ++n === after
              ? Effect.zipRight(store.remove([key], "x"), store.create(row(id, { incarnation: "other" })))
              : Effect.void
          )
        )
        assert.strictEqual((yield* Effect.flip(Stream.runDrain(lines)))._tag, "SessionNotFound")
      }
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("of what runs is told as it stands, and ended where it is imported", () =>
    Effect.gen(function* () {
      yield* hanging("s")
      const lines = yield* linesOf("s")
      const { again, sessions } = yield* memory(imported(lines))
      assert.deepStrictEqual(
        sessions.map(({ interrupted }) => interrupted !== undefined),
        [true, true]
      )
      const added = again
        .filter((line) => !lines.includes(line))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
      assert.deepStrictEqual(
        added.map(({ _tag, by, outcome }) => [_tag, outcome, by]),
        [
          ["TaskSettled", "interrupted", undefined],
          ["ToolSettled", "interrupted", undefined],
          ["OperationSettled", "interrupted", "import"],
          ["OperationSettled", "interrupted", "import"]
        ]
      )
      // Ended, it goes in and out as it is.
      assert.deepStrictEqual((yield* memory(imported(again))).again, again)
      yield* Effect.gen(function* () {
        const sessionsOf = yield* Sessions.Sessions
        yield* Archive.importSessions(lines)
        assert.deepStrictEqual(yield* sessionsOf.recover([agent]), [])
        const session = yield* open(agent)
        assert.isUndefined(session.resumed)
        assert.strictEqual((yield* session.prompt("say on")).text, "answer to say on")
        assert.deepStrictEqual(Messages.problems(Conversation.fold(yield* session.history)), [])
      }).pipe(Effect.provide(engine(script)))
    }).pipe(Effect.provide(engine(script)))
  )
})

describe("histories of every kind", () => {
  it.effect("a named task that ran twice goes out and in, and its tree and page tell the two apart", () =>
    Effect.gen(function* () {
      const session = yield* open(agent)
      const options = { agent: "worker", operationId: "1" }
      const cut = yield* Effect.fork(session.task("hang", options))
      yield* Effect.repeatN(Effect.yieldNow(), 100)
      yield* Fiber.interrupt(cut)
      yield* session.task("hang", { ...options, operationId: "2" }).pipe(Effect.timeoutOption(0))
      yield* session.task("say x", { ...options, operationId: "3" })
      const again = yield* Effect.fork(session.task("hang", options))
      yield* Effect.repeatN(Effect.yieldNow(), 100)
      const lines = yield* linesOf("s")
      const { sessions } = yield* memory(imported(lines))
      assert.strictEqual(sessions[0]!.interrupted, "1")
      const [, , , last] = (yield* session.tree()).trunk.steps
      assert.deepStrictEqual([last?.status, last?.tasks[0]?.status], ["running", "running"])
      assert.strictEqual((yield* session.transcript({ tasks: "off" })).match(/no end is recorded/g)?.length, 1)
      yield* Fiber.interrupt(again)
      const ended = yield* linesOf("s")
      assert.deepStrictEqual((yield* memory(imported(ended))).again, ended)
      const named = yield* memory(imported(ended, { as: "new" }))
      assert.notInclude(named.again.join("\n"), "task:s:")
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("a fork goes out with what it shares, and stands by itself where it comes in", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore.SessionStore
      yield* live("s", [
        { does: "call", calls: ["task"] },
        { does: "say", text: "x" }
      ])
      const original = yield* linesOf("s")
      const { incarnation } = (yield* store.get("s"))!
      const session = row("fork", { origin: { session: "s", entry: 9 } })
      yield* store.begin([{ session, base: { id: "s", incarnation, seq: 9 }, entries: [] }])
      const lines = yield* linesOf("fork")
      assert.include(lines[0]!, '"origin":{"session":"s","entry":9}')
      assert.deepStrictEqual(lines.slice(1), [...original.slice(1, 10), end()])
      const { again } = yield* memory(imported(lines))
      assert.deepStrictEqual(again, lines)
      // The tasks are those of the other session, whatever this one is named.
      assert.include((yield* memory(imported(lines, { as: "new" }))).again.join("\n"), '"child":"task:s:')
    }).pipe(Effect.provide(engine(script)))
  )

  it.effect("a long one is as it was when its line was reached, whatever is written meanwhile", () =>
    memory(
      Effect.gen(function* () {
        const store = yield* SessionStore.SessionStore
        yield* store.create(row("s"))
        yield* store.append(append("s", 1, { entries: Array.from({ length: 600 }, (_, i) => user(i + 1)) }))
        let next = 601
        const lines = yield* Archive.exportSession("s").pipe(
          Stream.rechunk(1),
          Stream.tap(() => store.append(append("s", next++))),
          Stream.runCollect
        )
        assert.strictEqual(lines.length, 602)
        assert.include(Chunk.unsafeGet(lines, 600), '"id":600,')
      })
    )
  )

  it.effect("calls of what runs are ended by whether they were started", () =>
    Effect.gen(function* () {
      const calls = ["a", "b"].map((id) => ({ type: "tool-call", id, name: "x", args: {} }))
      const reply = { content: calls, model: "m", finish: "tool-calls", usage: zero, usageReported: true }
      const lines = [
        head(),
        start(1),
        entry("Assistant", 2, reply),
        entry("ToolStarted", 3, { callId: "b", name: "x" })
      ]
      const { again } = yield* memory(imported([...lines, end()]))
      const ends = again.map((line) => JSON.parse(line) as { readonly callId?: string; readonly outcome?: string })
      assert.deepStrictEqual(
        ends.flatMap(({ callId, outcome }) =>
          callId === undefined || outcome === undefined ? [] : [[callId, outcome]]
        ),
        [
          ["a", "not-run"],
          ["b", "interrupted"]
        ]
      )
    })
  )

  it.effect("what runs is ended with what it used, its tasks by what their sessions did", () =>
    Effect.gen(function* () {
      const used = { ...zero, input: 7, output: 1 }
      const words = {
        content: [{ type: "text", text: "x" }],
        model: "m",
        finish: "stop",
        usage: used,
        usageReported: true
      }
      const lines = [
        head(),
        start(1),
        entry("Assistant", 2, words),
        entry("TaskLink", 3, { taskId: "t", child: "task:s:1", agent: "a", description: "" }),
        entry("TaskLink", 4, { taskId: "u", child: "task:s:gone", agent: "a", description: "" }),
        head({ id: "task:s:1", parent: "s", depth: 1 }),
        start(1),
        entry("Assistant", 2, words),
        settledLine(3, { usage: { ...report, total: used } }),
        start(4, { kind: "compact" }),
        entry("CompactionStalled", 5, { reason: "", trigger: "manual", tokensBefore: 1, model: "m", usage: used }),
        end(2)
      ]
      const { again } = yield* memory(imported(lines))
      const ends = again
        .filter((line) => line.includes('"import"'))
        .map((line) => JSON.parse(line) as { readonly usage: Usage.UsageReport })
      assert.deepStrictEqual(
        ends.map(({ usage: { compactions, tasks, total, turns } }) =>
          [turns, compactions, tasks, total].map(({ input }) => input)
        ),
        [
          [7, 0, 14, 21],
          [0, 7, 0, 7]
        ]
      )
    })
  )
})

/** The same value with the fields of every object the other way round. */
const reversed = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(reversed)
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      // Arguments are anybody's and stay as they are.
      .map(([key, it]) => [key, key === "args" ? it : reversed(it)])
  )
}

describe("an import", () => {
  it.effect("under another name names what is below it under that, and nothing else", () =>
    Effect.gen(function* () {
      const lines = yield* grown([
        { does: "call", calls: ["nested"] },
        { does: "rollback", text: "xxxxxx" }
      ])
      assert.include(lines.join("\n"), '"by":{"session":"s"')
      const { again, sessions } = yield* memory(imported(lines, { as: "new" }))
      const text = lines
        .join("\n")
        .replaceAll('"s"', '"new"')
        .replaceAll("task:s:", "task:new:")
        .replaceAll("task:task:s:", "task:task:new:")
      assert.strictEqual(again.join("\n"), text)
      assert.strictEqual(sessions[0]!.id, "new")
      assert.strictEqual(yield* refusal(lines, { as: "task:x" }), "InvalidSessionId")
      assert.strictEqual(yield* refusal(lines, { as: "" }), "InvalidSessionId")
    })
  )

  it.effect("takes a task's session by itself where it is given a name", () =>
    Effect.gen(function* () {
      const lines = yield* grown([{ does: "call", calls: ["nested"] }])
      const from = lines.findIndex((line, i) => i > 0 && line.startsWith('{"baton"'))
      const child = [...lines.slice(from, -1), end(2)]
      assert.strictEqual(yield* refusal(child), "1: it is the session of a task, which needs a name of its own")
      const { again } = yield* memory(imported(child, { as: "new" }))
      assert.match(again[0]!, /"id":"new".*"parent":null,"depth":0/)
      const nested = again.find((line, i) => i > 0 && line.startsWith('{"baton":"session"'))!
      assert.match(nested, /"id":"task:new:[^"]+".*"parent":"new","depth":1/)
      assert.include(
        again.find((line) => line.includes('"TaskLink"'))!,
        '"child":"task:new:'
      )
    })
  )

  it.effect("is all or nothing", () =>
    memory(
      Effect.gen(function* () {
        const store = yield* SessionStore.SessionStore
        const lines = [head({ id: "a" }), end(), head({ id: "b" }), start(1), settledLine(2), end()]
        yield* store.create(row("b"))
        assert.strictEqual((yield* Effect.flip(Archive.importSessions(lines))).message, 'Session "b" exists already.')
        assert.isUndefined(yield* store.get("a"))
        assert.strictEqual(
          (yield* Effect.flip(Archive.importSessions([...lines, head({ id: "c" }), "?"])))._tag,
          "InvalidExport"
        )
        assert.isUndefined(yield* store.get("c"))
        yield* store.remove([row("b")], "x")
        const { sessions } = yield* Archive.importSessions(lines)
        assert.deepStrictEqual(
          sessions.map(({ entries, id }) => [id, entries]),
          [
            ["a", 0],
            ["b", 2]
          ]
        )
      })
    )
  )

  it.effect("takes lines as they come: a text, an Iterable, a Stream that may fail, and blank lines at the end", () =>
    Effect.gen(function* () {
      const lines = [head(), start(1), settledLine(2), end()]
      const text = `${lines.join("\r\n")}\n\n`
      for (const given of [
        text,
        lines,
        new Set(lines),
        Stream.fromIterable(lines),
        Stream.splitLines(Stream.make(text))
      ]) {
        const { sessions } = yield* memory(Archive.importSessions(given))
        assert.strictEqual(sessions[0]!.entries, 2)
      }
      const broken = Stream.concat(Stream.fromIterable(lines), Stream.fail("gone" as const))
      assert.strictEqual(yield* Effect.flip(memory(Archive.importSessions(broken))), "gone")
    })
  )

  it.effect("takes what format 2 and 3 wrote, and nothing newer or older", () =>
    Effect.gen(function* () {
      for (const format of [2, 3]) {
        const { again } = yield* memory(imported([head({}, { format }), start(1), settledLine(2), end()]))
        assert.include(again[0]!, '"format":4')
      }
      assert.strictEqual(
        yield* refusal([head({}, { format: 5 })]),
        "1: it is of format 5, and the newest that this version knows is 4"
      )
      assert.strictEqual(
        yield* refusal([head({}, { format: 1 })]),
        "1: it is of format 1, and the oldest that is taken is 2"
      )
      for (const format of ["4", 4.5, null, undefined]) {
        assert.strictEqual(yield* refusal([head({}, { format })]), "1: it tells no format")
      }
    })
  )

  const secret = "sk-very-secret"
  const call = { type: "tool-call", id: "c", name: "x", args: {} }
  const reply = { content: [call], model: "m", finish: "tool-calls", usage: zero, usageReported: true }
  const link = { taskId: "t", child: "task:s:1", agent: "a", description: "" }
  const table: ReadonlyArray<readonly [string, ReadonlyArray<string>, string]> = [
    ["nothing", [], "1: there is no session"],
    ["nothing but blank lines", ["", " "], "1: there is no session"],
    ["no JSON", [secret], "1: it is no JSON"],
    ["a line that is too long", [head(), "x".repeat(64_000_001)], "2: it is longer than 64000000 characters"],
    ["half a line", [head().slice(0, 40)], "1: it is no JSON"],
    ["a blank line between", [head(), "", start(1)], "2: it is empty"],
    ["what has no end", [head(), start(1), settledLine(2)], "4: it is cut off: its end is missing"],
    ["a session that is missing", [head(), end(2)], "2: it ends an export of 2 sessions, and has 1"],
    ["an end first", [end()], "1: an export begins with a session"],
    ["an entry behind the end", [head(), end(), start(1)], "3: an export begins with a session"],
    ["another export in one", [head(), head({ id: "t" }), end(2)], "2: the export before it has not ended"],
    [
      "a child behind the end",
      [head(), end(), head({ id: "task:s:1", parent: "s", depth: 1 }), end()],
      "3: its parent does not stand before it"
    ],
    ["tasks that stand too deep", [head({ depth: 257 })], "1: what it tells of the session is not of the format"],
    ["an entry first", [start(1)], "1: an export begins with a session"],
    ["something else", [`{"baton":"${secret}"}`], "1: it begins nothing that is known"],
    ["a header with more", [head({ secret })], "1: what it tells of the session is not of the format"],
    ["a header with less", [head({ agent: undefined })], "1: what it tells of the session is not of the format"],
    ["a name that is none", [head({ id: "a\nb" })], "1: its session's name is none"],
    ["a child by its name", [head({ id: "task:x:1" })], "1: it is named as a child and is none"],
    ["a depth without a parent", [head({ depth: 1 })], "1: it is no child and tells of a depth"],
    [
      "a child first",
      [head({ id: "task:x:1", parent: "x", depth: 1 })],
      "1: it is the session of a task, which needs a name of its own"
    ],
    [
      "a child of another",
      [head(), head({ id: "task:x:1", parent: "x", depth: 1 })],
      "2: its parent does not stand before it"
    ],
    [
      "a child of another name",
      [head(), head({ id: "task:x:1", parent: "s", depth: 1 })],
      "2: it is not named as a child of its parent"
    ],
    [
      "a child of no name",
      [head(), head({ id: "task:s:", parent: "s", depth: 1 })],
      "2: it is not named as a child of its parent"
    ],
    [
      "a child that is no deeper",
      [head(), head({ id: "task:s:1", parent: "s", depth: 0 })],
      "2: it is no deeper than its parent"
    ],
    ["a session twice", [head(), head()], "2: a session of that name stands before it"],
    ["no entry", [head(), "7"], "2: it is no entry"],
    ["an entry of no kind", [head(), entry(secret, 1)], "2: it is of no kind that is known"],
    ["a field of a wrong kind", [head(), start(1, { kind: secret })], '2: its "kind" is not of the format'],
    [
      "a limit of a wrong kind",
      [head(), start(1, { request: { limits: { [secret]: "x" } } })],
      '2: its "request.limits" is not of the format'
    ],
    ["a field too many", [head(), start(1, { [secret]: 1 })], "2: it has a field that no entry has"],
    [
      "a key that sets a prototype",
      [head(), start(1).replace('"kind"', '"__proto__":{},"kind"')],
      "2: a key of that name is not allowed"
    ],
    [
      "a value that is too deep",
      [head(), start(1, { request: { result: JSON.parse("[".repeat(200) + "]".repeat(200)) } })],
      "2: it is nested deeper than 128 levels"
    ],
    ["a place that is another", [head(), start(2, { parentId: null })], "2: it says that it is entry 2"],
    [
      "a parent that is not the one before",
      [head(), start(1), settledLine(2), start(3, { parentId: 1 })],
      "4: it does not follow the entry before it"
    ],
    ["a first entry with a parent", [head(), start(1, { parentId: 1 })], "2: it does not follow the entry before it"],
    [
      "a head that moves forward",
      [head(), entry("HeadMoved", 1, { parentId: 1 })],
      "2: its parent does not come before it"
    ],
    [
      "a head that moves meanwhile",
      [head(), start(1), entry("HeadMoved", 2, { parentId: null })],
      "3: the head moves while an operation runs"
    ],
    [
      "two operations at once",
      [head(), start(1), start(2)],
      "3: an operation begins before the one before it has ended"
    ],
    ["an end of nothing", [head(), settledLine(1)], "2: the operation does not run"],
    ["an end of another", [head(), start(1), settledLine(2, { operationId: "p" })], "3: the operation does not run"],
    [
      "a result of no call",
      [head(), start(1), entry("ToolStarted", 2, { callId: "c", name: "x" })],
      "3: there is no such call"
    ],
    [
      "two calls of one id",
      [head(), start(1), entry("Assistant", 2, reply), entry("Assistant", 3, reply)],
      "4: a call of the same id stands before it"
    ],
    [
      "two calls of one id in one reply",
      [head(), start(1), entry("Assistant", 2, { ...reply, content: [call, call] })],
      "3: a call of the same id stands before it"
    ],
    [
      "an end of no task",
      [
        head(),
        start(1),
        entry("TaskSettled", 2, { taskId: "t", child: "task:s:1", outcome: "completed", usage: zero })
      ],
      "3: there is no such task"
    ],
    [
      "two tasks in one session",
      [head(), start(1), entry("TaskLink", 2, link), entry("TaskLink", 3, link)],
      "4: a task in the same session stands before it"
    ],
    [
      "a task's session that is none",
      [head(), start(1), entry("TaskLink", 2, { ...link, child: "x" })],
      "3: the name of its session is none"
    ],
    [
      "a name for what comes later",
      [head(), entry("Label", 1, { label: "x", entry: 1 })],
      "2: it names what does not come before it"
    ],
    [
      "a replay of what comes later",
      [head(), start(1, { request: { replay: { from: 1, unrecorded: "run" } } })],
      "2: it replays what does not come before it"
    ],
    [
      "a repetition of what comes later",
      [
        head(),
        start(1),
        entry("Assistant", 2, reply),
        entry("ToolSettled", 3, { callId: "c", name: "x", outcome: "success", result: "", replayed: 3 })
      ],
      "4: it repeats what does not come before it"
    ],
    [
      "a compaction that keeps what is not there",
      [
        head(),
        start(1),
        entry("Compaction", 2, {
          summary: "",
          firstKept: 1,
          trigger: "manual",
          tokensBefore: 1,
          tokensAfter: 1,
          files: { read: [], changed: [] },
          model: "m",
          usage: zero
        })
      ],
      "3: no message began with entry 1"
    ]
  ]
  for (const [what, lines, told] of table) {
    it.effect(`refuses ${what}`, () =>
      Effect.gen(function* () {
        const found = yield* refusal(lines)
        assert.strictEqual(found, told)
        assert.notInclude(found, secret)
      })
    )
  }

  it.effect("refuses a second tree where one is to be renamed", () =>
    Effect.map(refusal([head(), end(), head({ id: "t" }), end()], { as: "u" }), (told) =>
      assert.strictEqual(told, "3: a second tree of sessions cannot be renamed with the first")
    )
  )

  /** A changed export is refused, or what comes of it is a session that folds, exports as it is, and goes on. */
  const survives = (lines: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const taken = yield* Effect.either(Archive.importSessions(lines))
      const { measure } = yield* SessionStore.SessionStore
      if (taken._tag === "Left") {
        const error: Errors.InvalidExport | { readonly _tag: string } = taken.left
        if (!("line" in error)) return assert.strictEqual(error._tag, "InvalidExport")
        // The line behind the last is where the end is missing.
        assert.isTrue(error.line >= 1 && error.line <= lines.length + 1)
        assert.deepStrictEqual(yield* measure, [])
        return
      }
      const [root] = taken.right.sessions
      const once = yield* linesOf(root!.id)
      assert.deepStrictEqual((yield* memory(imported(once))).again, once)
      const sessions = yield* Sessions.Sessions
      for (const { id } of taken.right.sessions) {
        const session = yield* sessions.get({ id, agent })
        assert.isUndefined(session.resumed)
        const { text } = yield* session.prompt("say on", { model: "scripted" })
        assert.include(text, "answer to")
      }
    }).pipe(Effect.provide(engine(script)))

  it.effect("refuses every beginning of an export, and takes the whole of it", () =>
    Effect.gen(function* () {
      const lines = yield* grown([
        { does: "call", calls: ["echo", "nested"] },
        { does: "compact", to: 3 },
        { does: "rollback", text: "xxxxxx" },
        { does: "label", to: 2, text: "here" },
        { does: "move", to: 1 }
      ])
      for (let n = 1; n < lines.length; n++) {
        const half = lines[n]!.slice(0, lines[n]!.length >> 1)
        assert.strictEqual(yield* refusal([...lines.slice(0, n), half]), `${n + 1}: it is no JSON`)
        assert.strictEqual(yield* refusal(lines.slice(0, n)), `${n + 1}: it is cut off: its end is missing`)
      }
      yield* survives(lines)
    })
  )

  it.effect("refuses every change of one line, or takes it as a session that goes on", () =>
    Effect.gen(function* () {
      const past: ReadonlyArray<Act> = [
        { does: "call", calls: ["echo", "task"] },
        { does: "reject", text: "x" },
        { does: "compact", to: 1 },
        { does: "cut", text: "xxxxxxxxxx" },
        { does: "move", to: 0 },
        { does: "say", text: "y" }
      ]
      const lines = yield* grown(past)
      const change: fc.Arbitrary<(lines: ReadonlyArray<string>) => ReadonlyArray<string>> = fc.oneof(
        fc.nat().map((n) => (all: ReadonlyArray<string>) => all.toSpliced(n % all.length, 1)),
        fc.nat().map((n) => (all: ReadonlyArray<string>) => all.toSpliced(n % all.length, 0, all[n % all.length]!)),
        fc.tuple(fc.nat(), fc.nat()).map(
          ([n, m]) =>
            (all: ReadonlyArray<string>) =>
              all.with(n % all.length, all[m % all.length]!)
        ),
        fc
          .tuple(fc.nat(), fc.nat(), fc.jsonValue({ maxDepth: 1 }))
          .map(([n, m, value]) => (all: ReadonlyArray<string>) => {
            const line = all[n % all.length]!
            return all.with(n % all.length, changed(line, m, value))
          }),
        fc
          .tuple(fc.nat(), fc.nat(), fc.string({ maxLength: 3 }))
          .map(([n, m, text]) => (all: ReadonlyArray<string>) => {
            const line = all[n % all.length]!
            const at = m % line.length
            return all.with(n % all.length, line.slice(0, at) + text + line.slice(at + 1))
          })
      )
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(change, (make) => Effect.runPromise(survives(make(lines)))),
          { numRuns: 300 }
        )
      )
    })
  )
})

/** A line with another value in one of the places of its JSON. */
const changed = (line: string, n: number, value: unknown): string => {
  const places: Array<[Record<string, unknown>, string]> = []
  const walk = (at: unknown): void => {
    if (typeof at !== "object" || at === null) return
    for (const key of Object.keys(at)) {
      places.push([at as Record<string, unknown>, key])
      walk((at as Record<string, unknown>)[key])
    }
  }
  const whole = JSON.parse(line) as unknown
  walk(whole)
  const [object, key] = places[n % places.length]!
  object[key] = value
  return JSON.stringify(whole)
}

/** How often the event loop came around while an effect ran. */
const turnsIn = (effect: Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    let turns = 0
    const count = () => {
      turns++
      next = setImmediate(count)
    }
    let next = setImmediate(count)
    yield* Effect.ensuring(
      effect,
      Effect.sync(() => clearImmediate(next))
    )
    return turns
  })

it.effect("long exports and imports leave the event loop free", () =>
  memory(
    Effect.gen(function* () {
      const store = yield* SessionStore.SessionStore
      const lines = [head()]
      for (let id = 1; id < 2_049; id += 2) lines.push(start(id), settledLine(id + 1))
      lines.push(end())
      const within = Effect.provideService(SessionStore.SessionStore, store)
      assert.isAtLeast(yield* turnsIn(within(Archive.importSessions(lines))), 32)
      assert.isAtLeast(yield* turnsIn(within(Stream.runDrain(Archive.exportSession("s")))), 8)
      // A few lines may be long.
      const long = [head({ id: "t" }), ...lines.slice(1, 7), end()].map((line) => line + " ".repeat(1_000_000))
      assert.isAtLeast(yield* turnsIn(within(Archive.importSessions(long))), 7)
    })
  )
)
