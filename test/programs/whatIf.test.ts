/**
 * What would have been: recorded results stand for calls, and no effect is made again.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { Agent, Conversation, type Entry, Errors, Script, Session, Sessions, Skill, Tool } from "effect-baton"
import { open, engine, echo } from "../support/engine.js"
import { begin, gate, linesOf, settle } from "../support/stage.js"
import { engineOf, sameBytes, seen, storeAfter, wrong } from "../support/tree.js"

/** Tools that write down what they do, outside of any store. */
const ledger = () => {
  const done: Array<string> = []
  let n = 0
  const tool = (name: string, effects?: Tool.Effects) =>
    Tool.make(name, {
      description: name,
      effects,
      parameters: Schema.Struct({ x: Schema.optional(Schema.Number), y: Schema.optional(Schema.Number) }),
      run: ({ x }) =>
        Effect.sync(() => {
          done.push(`${name}(${x ?? ""})`)
          return `${name} ${x ?? ""} #${++n}`
        })
    })
  return { done, tool }
}

const results = (entries: ReadonlyArray<Entry.Entry>, from: number) =>
  entries.flatMap((entry) =>
    entry._tag === "ToolSettled" && entry.id > from
      ? [`${entry.result.slice(0, 24)}${entry.replayed === undefined ? "" : " R"}`]
      : []
  )

const pay = (x: number) => Script.call("pay", { x })

/** Pays twice the same, and once more, and looks. */
const paying = [Script.calls(pay(1), pay(1)), Script.calls(pay(2), Script.call("look", {})), "paid"]

const setUp = () => {
  const book = ledger()
  const agent = Agent.make("a", { tools: [book.tool("pay"), book.tool("look", "pure")], delegate: "off" })
  return { ...book, agent }
}

/** A store with a session in which "go" was prompted, what the tools had done by then, and an engine to go on with. */
const ran = (second: Script.Scene | undefined, first: ReadonlyArray<Script.Reply> = paying) =>
  Effect.gen(function* () {
    const { agent, done, tool } = setUp()
    const store = yield* storeAfter([])
    const one = yield* (yield* engineOf(store.context, [Script.on("go", ...first)])).open({ id: "s", agent })
    yield* one.prompt("go")
    const before = yield* one.history
    const sessions = yield* engineOf(store.context, [
      ...(second === undefined ? [] : [second]),
      Script.on("go", ...first),
      Script.always("ok")
    ])
    const session = yield* sessions.get({ id: "s", agent })
    return { agent, before, done, tool, session, sessions, store, spent: done.length }
  })

describe("a what-if", () => {
  it.scoped(
    "runs no handler for what is recorded, and gives each call the result that it had; the original is as it was",
    () =>
      Effect.gen(function* () {
        const { before, done, session, spent, store } = yield* ran(undefined)
        assert.deepStrictEqual(done, ["pay(1)", "pay(1)", "pay(2)", "look()"])
        const reply = yield* session.whatIf("w", { from: 2 })
        assert.strictEqual(reply.text, "paid")
        assert.strictEqual(reply._tag, "Reply")
        assert.strictEqual(done.length, spent)
        const entries = yield* reply.session.history
        assert.deepStrictEqual(results(entries, before.length), [
          "pay 1 #1 R",
          "pay 1 #2 R",
          "pay 2 #3 R",
          "look  #4 R"
        ])
        const own = entries.slice(before.length)
        assert.notInclude(
          own.map((entry) => entry._tag),
          "ToolStarted"
        )
        assert.deepStrictEqual(
          own.slice(0, 2).map((entry) => entry._tag),
          ["HeadMoved", "OperationStarted"]
        )
        assert.deepInclude(own[1], { request: { replay: { from: 2, unrecorded: "refuse" } } })
        assert.deepStrictEqual(wrong(entries), [])
        assert.deepStrictEqual(linesOf(seen(entries)), linesOf(seen(before)))
        sameBytes(store.memory.get("s")!.entries, before)
        assert.deepInclude(store.memory.get("s")!.row, { owner: null, running: null })
        // A replayed call is told by what it repeats.
        for (const entry of own) {
          if (entry._tag !== "ToolSettled") continue
          const source = before[entry.replayed! - 1]!
          assert.strictEqual(source._tag === "ToolSettled" && source.result, entry.result)
        }
        assert.isAbove(reply.usage.total.input, 0)
        assert.strictEqual((yield* reply.session.prompt("more")).text, "ok")
      })
  )

  it.scoped("takes arguments in another order for the same, gives the k-th the k-th, and refuses the next", () =>
    Effect.gen(function* () {
      const first = [Script.calls(Script.call("pay", { x: 1, y: 2 }), Script.call("pay", { x: 1, y: 2 })), "paid"]
      const second = Script.on(
        "again",
        Script.calls(Script.call("pay", { y: 2, x: 1 })),
        Script.calls(Script.call("look", {}), Script.call("pay", { y: 2, x: 1 }), Script.call("pay", { x: 1, y: 2 })),
        "done"
      )
      const { before, done, session, spent } = yield* ran(second, first)
      const reply = yield* session.whatIf("w", { from: null, input: "again" })
      assert.strictEqual(reply.text, "done")
      assert.strictEqual(done.length, spent)
      assert.deepStrictEqual(results(yield* reply.session.history, before.length), [
        "pay 1 #1 R",
        "There is no record of th",
        "pay 1 #2 R",
        "There is no record of th"
      ])
    })
  )

  it.scoped("with run goes on by itself after the first call that has no record, from the next turn on", () =>
    Effect.gen(function* () {
      const second = Script.on(
        "again",
        Script.calls(pay(1)),
        Script.calls(Script.call("pay", { x: 7 }), pay(2)),
        Script.calls(pay(1)),
        "done"
      )
      const { before, done, session, spent } = yield* ran(second)
      const reply = yield* session.whatIf("w", { from: 1, input: "again", unrecorded: "run" })
      assert.deepStrictEqual(done.slice(spent), ["pay(7)", "pay(1)"])
      const entries = yield* reply.session.history
      assert.deepStrictEqual(results(entries, before.length).toSorted(), [
        "pay 1 #1 R",
        "pay 1 #6",
        "pay 2 #3 R",
        "pay 7 #5"
      ])
      assert.deepStrictEqual(wrong(entries), [])
    })
  )

  it.scoped("asks for each call without a record, runs what is granted, and refuses the rest", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const second = Script.on(
        "again",
        Script.calls(Script.call("pay", { x: 7 }), pay(1), Script.call("nothing"), Script.call("pay", { x: 8 })),
        Script.calls(pay(1), Script.call("pay", { x: 9 })),
        "done"
      )
      const { before, done, session, spent } = yield* ran(second)
      const reply = yield* session.whatIf("w", {
        from: null,
        input: "again",
        unrecorded: ({ args, id, name }) =>
          Effect.sync(() => {
            assert.isString(id)
            asked.push([name, args])
            return (args as { x: number }).x !== 7 && (args as { x: number }).x !== 9
          })
      })
      // A tool that is not there is refused for that.
      assert.deepStrictEqual(asked, [
        ["pay", { x: 7 }],
        ["pay", { x: 8 }],
        // The replay has ended: what is recorded counts no more.
        ["pay", { x: 1 }],
        ["pay", { x: 9 }]
      ])
      assert.deepStrictEqual(done.slice(spent), ["pay(8)", "pay(1)"])
      const entries = yield* reply.session.history
      assert.deepStrictEqual(
        results(entries, before.length).toSorted(),
        [
          "There is no record of th",
          "pay 1 #1 R",
          'There is no tool "nothin',
          "pay 8 #5",
          "pay 1 #6",
          "There is no record of th"
        ].toSorted()
      )
      assert.deepStrictEqual(wrong(entries), [])
      const started = entries.filter((entry) => entry._tag === "ToolStarted" && entry.id > before.length)
      assert.strictEqual(started.length, 2)
    })
  )

  it.scoped("takes an answer that fails for no, with what is wrong; interrupted while it asks it starts nothing", () =>
    Effect.gen(function* () {
      const second = Script.on("again", Script.calls(Script.call("pay", { x: 7 })), "done")
      const { before, done, session, spent } = yield* ran(second)
      const failing = yield* session.whatIf("w", {
        from: null,
        input: "again",
        unrecorded: () => Effect.die(new Error("nobody there"))
      })
      const settled = (yield* failing.session.history).findLast((entry) => entry._tag === "ToolSettled")!
      assert.match(settled._tag === "ToolSettled" ? settled.result : "", /was not run.*nobody there/)
      const at = yield* gate
      const asking = yield* begin(
        session.whatIf("v", { from: null, input: "again", unrecorded: () => Effect.as(at.stop, true) })
      )
      yield* at.reached
      yield* Fiber.interrupt(asking)
      assert.strictEqual(done.length, spent)
      const own = (yield* (yield* session.fork("x")).history).length
      assert.strictEqual(own, before.length)
    })
  )

  it.scoped("replays tasks without a child, skills' calls without their files, and failures as they were", () =>
    Effect.gen(function* () {
      const { done, tool } = ledger()
      const broken = Tool.make("broken", {
        description: "Breaks",
        run: () => {
          done.push("broken")
          return Effect.fail("it broke")
        }
      })
      const skill = Skill.make("mend", { description: "Mends", instructions: "Mend it." })
      const digger = Agent.make("digger", { tools: [tool("dig")], delegate: "off" })
      const agent = Agent.make("a", {
        tools: [broken],
        skills: [skill],
        subagents: [digger],
        delegate: "off",
        workspace: "off"
      })
      const script = [
        Script.on(
          "go",
          Script.calls(Script.task("dig here", { agent: "digger" }), Script.call("broken")),
          Script.calls(Script.call("activate_skill", { name: "mend" }), Script.call("unknown")),
          "done"
        ),
        Script.on("dig", Script.calls(Script.call("dig")), "dug")
      ]
      yield* Effect.gen(function* () {
        const sessions = yield* Sessions.Sessions
        const session = yield* sessions.open({ id: "s", agent })
        yield* session.prompt("go")
        const before = yield* session.history
        const spent = done.length
        const reply = yield* session.whatIf("w", { from: 3 })
        assert.strictEqual(reply.text, "done")
        assert.strictEqual(done.length, spent)
        assert.deepStrictEqual(yield* sessions.list("w"), [])
        assert.strictEqual((yield* sessions.list("s")).length, 1)
        const entries = yield* reply.session.history
        const strip = (all: ReadonlyArray<Entry.Entry>) =>
          all
            .flatMap((entry) =>
              entry._tag === "ToolSettled" ? [[entry.name, entry.outcome, entry.result] as const] : []
            )
            .toSorted(([a], [b]) => (a < b ? -1 : 1))
        assert.deepStrictEqual(strip(entries.slice(before.length)), strip(before))
        assert.notInclude(
          entries.slice(before.length).map((entry) => entry._tag),
          "TaskLink"
        )
      }).pipe(Effect.provide(engine(script)))
    })
  )

  it.scoped("from within a turn goes on from its end, also where the original is still at it", () =>
    Effect.gen(function* () {
      const { before, done, session, spent } = yield* ran(Script.on("again", Script.calls(pay(1), pay(2)), "done"))
      const first = before.findIndex((entry) => entry._tag === "Assistant") + 1
      const within = before.filter((entry) => entry.id >= first && entry.id < first + 5)
      for (const { id } of within) {
        const reply = yield* session.whatIf(`w${id}`, { from: id })
        const entries = yield* reply.session.history
        assert.deepStrictEqual(linesOf(seen(entries)), linesOf(seen(before)), `from ${id}`)
        assert.deepStrictEqual(results(entries, before.length), ["pay 2 #3 R", "look  #4 R"])
      }
      // What lies before that is no record.
      const again = yield* session.whatIf("v", { from: first, input: "again" })
      assert.deepStrictEqual(results(yield* again.session.history, before.length), [
        "There is no record of th",
        "pay 2 #3 R"
      ])
      assert.strictEqual(done.length, spent)
      // Of one that is at work the open calls are interrupted, for the fork.
      const at = yield* gate
      const wait = Tool.make("wait", { description: "Waits", run: () => Effect.as(at.stop, "waited") })
      yield* Effect.gen(function* () {
        const busy = yield* open(Agent.make("b", { tools: [wait, echo], delegate: "off" }))
        const going = yield* begin(busy.prompt("go"))
        yield* at.reached
        yield* settle
        const reply = yield* busy.whatIf("w", { from: 3 })
        assert.match(reply.text, /hi.*interrupted/)
        yield* at.open
        assert.match((yield* Fiber.join(going)).text, /hi.*waited/)
      }).pipe(
        Effect.provide(
          engine([
            Script.on("go", Script.calls(Script.call("echo", { text: "hi" }), Script.call("wait")), ({ results }) =>
              results.map(({ text }) => text).join(" ")
            )
          ])
        )
      )
    })
  )

  it.scoped("is answered by another model or agent, with tools and a result of its own", () =>
    Effect.gen(function* () {
      class Prices extends Context.Tag("Prices")<Prices, { readonly of: number }>() {}
      const price = Tool.make("price", { description: "Tells it", run: () => Effect.map(Prices, ({ of }) => `${of}`) })
      const Answer = Schema.Struct({ sum: Schema.Number })
      const { agent, done, session, spent, store } = yield* ran(
        Script.on("sum", Script.calls(pay(1), Script.call("price")), Script.calls(Script.call("finish", { sum: 3 })))
      )
      const other = Agent.make("other", { tools: [...agent.tools, price], delegate: "off" })
      const reply = yield* session
        .whatIf("w", { from: null, input: "sum", agent: other, model: "big", resultSchema: Answer, unrecorded: "run" })
        .pipe(Effect.provideService(Prices, { of: 5 }))
      assert.deepStrictEqual(reply.value, { sum: 3 })
      assert.strictEqual(reply.model, "big")
      assert.strictEqual(reply.session.agent, "other")
      assert.strictEqual(done.length, spent)
      assert.strictEqual(store.memory.get("w")!.row.agent, "other")
      assert.deepStrictEqual(results(yield* reply.session.history, 12).slice(-3), ["pay 1 #1 R", "5", "Accepted."])
    })
  )

  it.scoped("of a what-if has each record once", () =>
    Effect.gen(function* () {
      const { done, session, spent } = yield* ran(Script.on("more", Script.calls(pay(1), pay(1), pay(1)), "done"))
      const one = yield* session.whatIf("w", { from: 2 })
      const { length } = yield* one.session.history
      const two = yield* one.session.whatIf("v", { from: null, input: "more" })
      assert.strictEqual(done.length, spent)
      assert.deepStrictEqual(results(yield* two.session.history, length), [
        "pay 1 #1 R",
        "pay 1 #2 R",
        "There is no record of th"
      ])
    })
  )

  it.scoped("that cannot be is refused before there is a fork", () =>
    Effect.gen(function* () {
      const { before, session, sessions } = yield* ran(undefined)
      const refused: ReadonlyArray<readonly [unknown, unknown, string, string?]> = [
        ["", { from: 2 }, "InvalidSessionId"],
        ["s", { from: 2 }, "SessionAlreadyExists"],
        ["w", undefined, "InvalidInput", "from"],
        ["w", {}, "InvalidInput", "from"],
        ["w", { from: {} }, "InvalidInput", "from"],
        ["w", { from: 99 }, "EntryNotFound"],
        ["w", { from: "there" }, "EntryNotFound"],
        ["w", { from: null }, "InvalidInput", "from"],
        ["w", { from: before.length }, "InvalidInput", "from"],
        ["w", { from: 2, input: "" }, "InvalidInput", "input"],
        ["w", { from: 2, images: [] }, "InvalidInput", "images"],
        ["w", { from: 2, unrecorded: "ask" }, "InvalidInput", "unrecorded"],
        ["w", { from: 2, limits: { x: 1 } }, "InvalidInput", "limits.x"],
        ["w", { from: 2, model: "" }, "InvalidInput", "model"],
        ["w", { from: 2, agent: 5 }, "InvalidInput"]
      ]
      for (const [id, options, tag, path] of refused) {
        const error = yield* Effect.flip(session.whatIf(id as never, options as never))
        assert.strictEqual(error._tag, tag, JSON.stringify(options))
        if (path !== undefined) assert.deepInclude(error, { path })
      }
      assert.deepStrictEqual(
        (yield* sessions.list()).map(({ id }) => id),
        ["s"]
      )
    })
  )

  it.scoped("that fails leaves its fork, with what it had come to", () =>
    Effect.gen(function* () {
      const rejected = new Errors.ModelRejected({ model: "m", reason: "no" })
      const { agent, session, sessions } = yield* ran(Script.on("again", Script.calls(pay(1)), { fail: rejected }))
      assert.strictEqual(
        (yield* Effect.flip(session.whatIf("w", { from: null, input: "again" })))._tag,
        "ModelRejected"
      )
      const left = yield* sessions.get({ id: "w", agent })
      assert.strictEqual((yield* left.prompt("hello")).text, "ok")
      assert.deepStrictEqual(wrong(yield* left.history), [])
    })
  )

  it.scoped("is a function too", () =>
    Effect.gen(function* () {
      const { agent, done } = setUp()
      yield* Effect.gen(function* () {
        const ref = yield* Session.open({ id: "s", agent })
        yield* Session.prompt(ref, "go")
        const spent = done.length
        const { session, text } = yield* Session.whatIf(ref, "w", { from: 2 })
        assert.strictEqual(text, "paid")
        assert.strictEqual(done.length, spent)
        assert.strictEqual(session.id, "w")
      }).pipe(Effect.provide(engine([Script.on("go", ...paying)])))
    })
  )
})

describe("a what-if whose process ends", () => {
  const second = Script.on(
    "again",
    Script.calls(pay(1)),
    Script.calls(pay(1), Script.call("pay", { x: 7 }), pay(2)),
    // It is recorded, and by then that counts no more.
    Script.calls(Script.call("look", {})),
    "done"
  )

  for (const unrecorded of ["refuse", "run", "ask"] as const) {
    it.scoped(`(${unrecorded}) is gone on with after any write, and runs nothing that is recorded`, () =>
      Effect.gen(function* () {
        const { agent, done, session, spent, store } = yield* ran(second)
        const writes = store.writes.length
        yield* session.whatIf("w", {
          from: 2,
          input: "again",
          unrecorded: unrecorded === "ask" ? () => Effect.succeed(true) : unrecorded
        })
        const ranFirst = done.slice(spent)
        assert.deepStrictEqual(ranFirst, unrecorded === "refuse" ? [] : ["pay(7)", "look()"])
        for (let n = writes + 1; n <= store.writes.length; n++) {
          done.length = 0
          const next = yield* storeAfter(store.writes.slice(0, n))
          const left = next.memory.get("w")!
          const hadStarted = left.entries.some(
            (entry) =>
              entry._tag === "ToolStarted" && entry.id > 12 && entry.operationId === left.row.running?.operationId
          )
          const sessions = yield* engineOf(next.context, [second, Script.always("ok")])
          const again = yield* sessions.get({ id: "w", agent })
          yield* again.resumed?.ended ?? Effect.void
          const entries = yield* again.history
          assert.deepStrictEqual(wrong(entries), [], `cut after ${n}`)
          const whenRun = unrecorded === "run" ? (hadStarted ? ["look()"] : ["pay(7)", "look()"]) : []
          // What was granted and begun, and does no harm, may be run again.
          const granted = unrecorded === "ask" && hadStarted ? ["look()"] : []
          const allowed = [[], whenRun, whenRun.slice(1), granted]
          assert.isTrue(
            allowed.some((it) => JSON.stringify(it) === JSON.stringify(done)),
            `cut after ${n}: ${done.join()}`
          )
          if (left.row.running === null) assert.deepStrictEqual(entries, left.entries)
          const replayed = entries.flatMap((entry) =>
            entry._tag === "ToolSettled" && entry.replayed !== undefined ? [entry.replayed] : []
          )
          assert.strictEqual(new Set(replayed).size, replayed.length, `cut after ${n}: a record was given twice`)
          const names = entries.flatMap((entry) =>
            entry._tag === "ToolSettled" && entry.replayed !== undefined ? [entry.name] : []
          )
          if (unrecorded === "run") assert.notInclude(names, "look", `cut after ${n}: the replay had ended`)
          if (again.resumed !== undefined) {
            assert.deepStrictEqual(linesOf(seen(entries)).at(-1), "assistant: done")
            assert.isAtLeast(replayed.length, 3)
          }
        }
      })
    )
  }

  it.scoped("refuses what it would have asked for", () =>
    Effect.gen(function* () {
      const { agent, done, session, store } = yield* ran(second)
      const at = yield* Deferred.make<boolean>()
      const asking = yield* begin(
        session.whatIf("w", { from: 2, input: "again", unrecorded: () => Deferred.await(at) })
      )
      const cut = store.writes.length
      const next = yield* storeAfter(store.writes.slice(0, cut))
      const spent = done.length
      const again = yield* (yield* engineOf(next.context, [second])).get({ id: "w", agent })
      yield* again.resumed!.ended
      assert.strictEqual(done.length, spent)
      const entries = yield* again.history
      assert.deepStrictEqual(wrong(entries), [])
      assert.strictEqual(
        linesOf(Conversation.Conversation.at(entries, entries.length).messages()).at(-1),
        "assistant: done"
      )
      yield* Fiber.interrupt(asking)
      const cutFork = store.memory.get("w")!.entries
      assert.deepStrictEqual(wrong(cutFork), [])
      assert.deepStrictEqual(
        cutFork.flatMap((entry) => (entry._tag === "ToolSettled" && entry.id > 14 ? [entry.outcome] : [])).slice(-3),
        ["not-run", "not-run", "not-run"]
      )
      assert.isTrue(Exit.isFailure(yield* Fiber.await(asking)))
    })
  )
})
