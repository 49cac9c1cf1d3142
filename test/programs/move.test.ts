/**
 * The head of a session goes to any entry, and nothing is lost.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, TestClock } from "effect"
import {
  Agent,
  Conversation,
  Engine,
  Errors,
  Sandbox,
  Script,
  Session,
  type Sessions,
  SessionStore,
  Skill,
  Tool
} from "effect-baton"
import { StoreJournal } from "effect-baton/testing"
import { History } from "../../src/services/History.js"
import { emptySandbox } from "../support/emptySandbox.js"
import { echo, engine, open, watchedModel } from "../support/engine.js"
import { begin, gate, linesOf, settle } from "../support/stage.js"
import { engineOf, seen, shape, storeAfter, wrong } from "../support/tree.js"
import { problems } from "../support/validMessages.js"

const plain = Agent.make("a", { tools: [echo], delegate: "off" })

const sandbox = emptySandbox(() =>
  Effect.succeed({ stdout: "", stderr: "", exitCode: 0, dropped: { stdout: 0, stderr: 0 } })
)

const script = [
  Script.on("use", Script.calls(Script.call("echo", { text: "once" })), "used"),
  Script.on("fail", { fail: new Errors.ModelRejected({ model: "m", reason: "no" }) }),
  Script.always(({ prompt }) => `about ${prompt}`)
]

/** What the next request of a session would begin with, by what its engine knows, which is read by nobody else. */
const warm = (session: Sessions.Session) =>
  Effect.gen(function* () {
    const history = yield* History
    const { incarnation } = (yield* SessionStore.Memory).get(session.id)!.row
    return (yield* history.begin(session.id, incarnation)).conversation
  })

/** A session with branches: prompts, a failed one, one that was rolled back, and a compaction's place left free. */
const branched = (session: Sessions.Session) =>
  Effect.gen(function* () {
    yield* session.prompt("one")
    yield* session.prompt("use")
    yield* session.moveTo(4)
    yield* session.prompt("other")
    yield* Effect.flip(session.prompt("fail"))
    yield* session.rewind()
    yield* session.prompt("use")
    return yield* session.history
  })

describe("moveTo", () => {
  it.scoped(
    "each entry of a history with branches, and back: the fold is that of the way there, and nothing is lost",
    () =>
      Effect.gen(function* () {
        const session = yield* open(plain)
        const before = yield* branched(session)
        const end = before.length
        assert.isAbove(end, 20)
        for (const target of [...before.map(({ id }) => id), null]) {
          const moved = yield* session.moveTo(target)
          assert.strictEqual(moved.to, target)
          const entries = yield* session.history
          const there = shape(Conversation.Conversation.at(entries, target))
          assert.deepStrictEqual(shape(yield* warm(session)), there)
          assert.deepStrictEqual(problems(there.messages), [])
          // Whoever knows nothing finds the same.
          assert.deepStrictEqual(seen(entries), there.messages)
          yield* session.moveTo(end)
          assert.deepStrictEqual((yield* warm(session)).messages(), seen(before))
          assert.deepStrictEqual((yield* session.history).slice(0, end), before)
        }
        assert.deepStrictEqual(wrong(yield* session.history), [])
      }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("then goes on from there, whatever the entry", () =>
    Effect.gen(function* () {
      const { layer, requests } = watchedModel(script)
      yield* Effect.gen(function* () {
        const session = yield* open(plain)
        const before = yield* branched(session)
        for (const { id } of before) {
          const lines = linesOf(Conversation.Conversation.at(before, id).messages())
          yield* session.moveTo(id)
          requests.length = 0
          assert.include((yield* session.prompt("next")).text, "about")
          const sent = linesOf(requests[0]!.messages)
          assert.deepStrictEqual(problems(requests[0]!.messages), [])
          // The last words of the user are joined by the next ones.
          assert.deepStrictEqual(sent.slice(0, lines.length - 1), lines.slice(0, -1))
          assert.match(sent.at(-1)!, /next$/)
          assert.deepStrictEqual(wrong(yield* session.history), [])
        }
      }).pipe(Effect.provide(Layer.provideMerge(Engine.layer, Layer.provideMerge(SessionStore.layerMemory, layer))))
    })
  )

  it.scoped("tells where it was and went; where it is already nothing is written", () =>
    Effect.gen(function* () {
      const session = yield* open(plain)
      assert.deepStrictEqual(yield* session.moveTo(null), { from: null, to: null, entry: undefined })
      assert.deepStrictEqual(yield* session.history, [])
      yield* session.prompt("one")
      yield* session.prompt("two")
      assert.deepStrictEqual(yield* session.moveTo(8), { from: 8, to: 8, entry: undefined })
      assert.deepStrictEqual(yield* session.moveTo(4), { from: 8, to: 4, entry: 9 })
      assert.deepStrictEqual(yield* session.moveTo(4), { from: 4, to: 4, entry: undefined })
      assert.deepStrictEqual(yield* session.moveTo(9), { from: 4, to: 9, entry: undefined })
      assert.deepStrictEqual(yield* session.moveTo(null), { from: 4, to: null, entry: 10 })
      assert.deepStrictEqual(yield* session.moveTo(8), { from: null, to: 8, entry: 11 })
      assert.strictEqual((yield* session.history).length, 11)
      const row = (yield* SessionStore.Memory).get("s")!.row
      assert.deepInclude(row, { owner: null, running: null })
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("an entry that is not there, or a name, is refused; so is what is none", () =>
    Effect.gen(function* () {
      const session = yield* open(plain)
      yield* session.prompt("one")
      for (const target of [0, 5, -1, 1.5, "there", "1"]) {
        const error = yield* Effect.flip(session.moveTo(target))
        assert.instanceOf(error, Errors.EntryNotFound)
        assert.deepInclude(error, { session: "s", entry: target })
      }
      for (const [target, options, path] of [
        [undefined, {}, "target"],
        [{}, {}, "target"],
        [1, 3, "options"],
        [1, { onBusy: "steer" }, "onBusy"],
        [1, { files: "yes" }, "files"],
        [1, { files: true }, "files"]
      ] as const) {
        const error = yield* Effect.flip(session.moveTo(target as never, options as never))
        assert.deepInclude(error, { _tag: "InvalidInput", path })
      }
      assert.strictEqual((yield* session.history).length, 4)
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("takes the sandbox's files along where they are asked for, while the session is held", () =>
    Effect.gen(function* () {
      const asked: Array<{ readonly incarnation: string; readonly way: ReadonlyArray<number> }> = []
      let held: string | undefined
      let inside: Effect.Effect<void> = Effect.void
      const restored = { restored: ["a.txt"], conflicts: [{ path: "b.txt", reason: "it was changed" }] }
      const keeping: Context.Tag.Service<typeof Sandbox.Sandbox> = {
        ...emptySandbox(() => Effect.void),
        restore: (incarnation, onPath) =>
          Effect.as(
            Effect.tap(inside, () => {
              const places = Array.from({ length: 20 }, (_, i) => i + 1)
              asked.push({ incarnation, way: places.filter(onPath) })
            }),
            restored
          )
      }
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { delegate: "off", workspace: "off" }))
        yield* session.prompt("one")
        yield* session.prompt("two")
        inside = Effect.match(session.shell("true"), {
          onFailure: (error) => {
            held = error._tag === "SessionBusy" ? error.running : error._tag
          },
          onSuccess: () => {}
        })
        assert.deepStrictEqual(yield* session.moveTo(4, { files: true }), { from: 8, to: 4, entry: 9, files: restored })
        assert.strictEqual(held, "move")
        assert.notProperty(yield* session.moveTo(8), "files")
        // Where it is there already too.
        assert.deepStrictEqual((yield* session.moveTo(8, { files: true })).files, restored)
        assert.deepStrictEqual((yield* session.rewind({ files: true })).files, restored)
        const { incarnation } = (yield* SessionStore.Memory).get("s")!.row
        assert.deepStrictEqual(
          asked,
          [
            [1, 2, 3, 4],
            [1, 2, 3, 4, 5, 6, 7, 8],
            [1, 2, 3, 4]
          ].map((way) => ({ incarnation, way }))
        )
        const failing = new Errors.SandboxError({ operation: "write", path: "a.txt", reason: "it is full" })
        inside = Effect.die(failing)
        assert.isTrue(Cause.isDie(yield* Effect.flip(Effect.sandbox(session.moveTo(1, { files: true })))))
        assert.strictEqual((yield* session.prompt("on")).text, "about on")
        assert.deepStrictEqual(wrong(yield* session.history), [])
      }).pipe(Effect.provide(Layer.merge(engine(script), Layer.succeed(Sandbox.Sandbox, keeping))))
    })
  )
})

describe("rewind", () => {
  it.scoped("goes to before what was asked last, and gives that, of every kind", () =>
    Effect.gen(function* () {
      const skill = Skill.make("mend", { description: "Mends", instructions: "Mend it." })
      const agent = Agent.make("a", { tools: [echo], skills: [skill], workspace: "off" })
      yield* Effect.gen(function* () {
        const session = yield* open(agent)
        yield* session.prompt([{ type: "text", text: "one" }])
        const lengths = [(yield* session.history).length]
        yield* session.skill("mend", { args: "the door" })
        lengths.push((yield* session.history).length)
        yield* session.task("two")
        lengths.push((yield* session.history).length)
        yield* session.shell("true")
        const texts = ["true", "two", "the door", "one"]
        for (const [i, text] of texts.entries()) {
          const moved = yield* session.rewind()
          assert.deepStrictEqual(moved.input, [{ type: "text", text }])
          assert.strictEqual(moved.to, [...lengths.toReversed(), null][i])
        }
        assert.deepInclude(yield* Effect.flip(session.rewind()), { _tag: "InvalidInput", path: "steps" })
        yield* session.moveTo(lengths[2]!)
        assert.deepStrictEqual((yield* session.rewind({ steps: 2 })).input, [{ type: "text", text: "the door" }])
        assert.deepInclude(yield* Effect.flip(session.rewind({ steps: 2 })), { _tag: "InvalidInput", path: "steps" })
        for (const steps of [0, -1, 1.5, "1" as never, null as never]) {
          assert.deepInclude(yield* Effect.flip(session.rewind({ steps })), { _tag: "InvalidInput", path: "steps" })
        }
        assert.deepInclude(yield* Effect.flip(session.rewind({ onBusy: "rollback" as never })), { path: "onBusy" })
        assert.deepStrictEqual(linesOf(seen(yield* session.history)), ["user: one", "assistant: about one"])
      }).pipe(Effect.provide(Layer.merge(engine(script), Layer.succeed(Sandbox.Sandbox, sandbox))))
    })
  )
})

describe("edit", () => {
  it.scoped("says something else in the place of an input, in one write, and gives its reply", () =>
    Effect.gen(function* () {
      const store = yield* storeAfter([])
      const requests: Array<ReadonlyArray<string>> = []
      const about = Script.always(({ prompt, request }) => {
        requests.push(linesOf(request.messages))
        return `about ${prompt}`
      })
      const sessions = yield* engineOf(store.context, [about])
      const session = yield* sessions.open({ id: "s", agent: plain })
      yield* session.prompt("one")
      yield* session.prompt("two")
      yield* session.prompt("three")
      const writes = store.writes.length
      const second = (yield* session.history).filter((entry) => entry._tag === "User")[1]!
      const reply = yield* session.edit(second.id, "2", { limits: { turns: 3 } })
      assert.strictEqual(reply.text, "about 2")
      assert.deepStrictEqual(reply.entries, { from: 14, to: 17 })
      const first = store.writes[writes]!
      assert.deepStrictEqual(first._tag === "Appended" && first.entries.map((entry) => entry._tag), [
        "HeadMoved",
        "OperationStarted",
        "User"
      ])
      // Before the start of what began with it.
      assert.deepInclude((yield* session.history)[12], { _tag: "HeadMoved", parentId: 4 })
      const lines = ["user: one", "assistant: about one", "user: 2", "assistant: about 2"]
      assert.deepStrictEqual(requests.at(-1), lines.slice(0, -1))
      assert.deepStrictEqual(linesOf(seen(yield* session.history)), lines)
      // What was left can be edited too: the other way is still there.
      yield* session.edit(10, "3")
      assert.deepStrictEqual(linesOf(seen(yield* session.history)).slice(2), [
        "user: two",
        "assistant: about two",
        "user: 3",
        "assistant: about 3"
      ])
      assert.deepStrictEqual(requests.at(-1)!.slice(2), ["user: two", "assistant: about two", "user: 3"])
      yield* session.edit(2, "1")
      assert.deepStrictEqual(linesOf(seen(yield* session.history)), ["user: 1", "assistant: about 1"])
      // Where it was moved to before it, that is where it stands.
      yield* session.rewind()
      const before = (yield* session.history).length
      yield* session.edit(2, "I")
      assert.strictEqual((yield* session.history)[before]!._tag, "OperationStarted")
      assert.deepStrictEqual(wrong(yield* session.history), [])
    })
  )

  it.scoped("of one that joined goes back to before that, within the operation", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const work = Tool.make("work", { description: "Works", run: () => Effect.as(at.stop, "worked") })
      yield* Effect.gen(function* () {
        const session = yield* open(Agent.make("a", { tools: [work], delegate: "off" }))
        const going = yield* begin(session.prompt("go"))
        yield* at.reached
        const steering = yield* begin(session.prompt("steered", { onBusy: "steer" }))
        yield* at.open
        yield* Fiber.join(steering)
        yield* Fiber.join(going)
        const joined = (yield* session.history).filter((entry) => entry._tag === "User")[1]!
        yield* session.edit(joined.id, "turned")
        assert.deepStrictEqual(linesOf(seen(yield* session.history)), [
          "user: go",
          "assistant: work()",
          "tool: worked",
          "user: turned",
          "assistant: about turned"
        ])
        assert.deepStrictEqual(wrong(yield* session.history), [])
      }).pipe(Effect.provide(engine([Script.on("go", Script.calls(Script.call("work")), "done"), ...script])))
    })
  )

  it.scoped("of anything else is refused, and nothing is written", () =>
    Effect.gen(function* () {
      const session = yield* open(Agent.make("a", { tools: [echo], workspace: "off", delegate: "off" }))
      yield* session.prompt("use")
      yield* session.shell("true")
      const entries = yield* session.history
      for (const { _tag, id } of entries) {
        if (id === 2) continue
        const error = yield* Effect.flip(session.edit(id, "x"))
        assert.deepInclude(error, { _tag: "InvalidInput", path: "entry" }, _tag)
      }
      assert.deepInclude(yield* Effect.flip(session.edit(99, "x")), { _tag: "EntryNotFound", entry: 99 })
      assert.deepInclude(yield* Effect.flip(session.edit("2" as never, "x")), { _tag: "InvalidInput", path: "entry" })
      assert.deepInclude(yield* Effect.flip(session.edit(2, "")), { _tag: "InvalidInput", path: "input" })
      for (const onBusy of ["steer", "followUp", "rollback"] as const) {
        const error = yield* Effect.flip(session.edit(2, "x", { onBusy: onBusy as never }))
        assert.deepInclude(error, { _tag: "InvalidInput", path: "onBusy" })
      }
      assert.deepStrictEqual(yield* session.history, entries)
    }).pipe(Effect.provide(Layer.merge(engine(script), Layer.succeed(Sandbox.Sandbox, sandbox))))
  )

  it.scoped("is run once by its id, of which the entry is a part, also in the next process", () =>
    Effect.gen(function* () {
      const store = yield* storeAfter([])
      const one = yield* (yield* engineOf(store.context, script)).open({ id: "s", agent: plain })
      yield* one.prompt("one")
      yield* one.prompt("two")
      const reply = yield* one.edit(6, "2", { operationId: "e" })
      const { length } = yield* one.history
      const two = yield* (yield* engineOf(store.context, script)).open({ id: "s", agent: plain })
      const { entries, text } = yield* two.edit(6, "2", { operationId: "e" })
      assert.deepStrictEqual({ entries, text }, { entries: reply.entries, text: reply.text })
      assert.strictEqual((yield* Effect.flip(two.edit(2, "2", { operationId: "e" })))._tag, "OperationConflict")
      assert.strictEqual((yield* Effect.flip(two.prompt("2", { operationId: "e" })))._tag, "OperationConflict")
      assert.strictEqual((yield* one.history).length, length)
    })
  )

  it.scoped("interrupts what runs where it is told to, and waits where it is told to", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const slow = Script.on("slow", { before: at.stop, text: "slow" })
      yield* Effect.gen(function* () {
        const session = yield* open(plain)
        yield* session.prompt("one")
        const going = yield* begin(session.prompt("slow"))
        assert.strictEqual((yield* Effect.flip(session.edit(2, "x")))._tag, "SessionBusy")
        const waiting = yield* begin(session.edit(2, "y", { onBusy: "wait" }))
        assert.strictEqual((yield* session.edit(2, "x", { onBusy: "interrupt" })).text, "about x")
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(going)))
        assert.strictEqual((yield* Fiber.join(waiting)).text, "about y")
        assert.deepStrictEqual(linesOf(seen(yield* session.history)), ["user: y", "assistant: about y"])
        assert.deepStrictEqual(wrong(yield* session.history), [])
      }).pipe(Effect.provide(engine([slow, ...script])))
    })
  )
})

describe("labels", () => {
  it.scoped("name entries, move with a name, and are taken away; the newest holds", () =>
    Effect.gen(function* () {
      const session = yield* open(plain)
      yield* session.prompt("one")
      assert.deepStrictEqual(yield* session.label("end"), { label: "end", entry: 4 })
      assert.deepStrictEqual(yield* session.label("end too"), { label: "end too", entry: 4 })
      yield* session.label("asked", 2)
      assert.deepStrictEqual(
        [...(yield* session.labels)],
        [
          ["end", 4],
          ["end too", 4],
          ["asked", 2]
        ]
      )
      yield* session.label("end", 3)
      yield* session.label("asked", null)
      const { length } = yield* session.history
      assert.deepStrictEqual(yield* session.label("asked", null), { label: "asked", entry: null })
      assert.strictEqual((yield* session.history).length, length)
      assert.deepStrictEqual(
        [...(yield* session.labels)],
        [
          ["end too", 4],
          ["end", 3]
        ]
      )
      assert.deepStrictEqual((yield* session.moveTo("end")).to, 3)
      // They are those of the whole history, wherever the head is.
      yield* session.moveTo(null)
      assert.strictEqual((yield* session.labels).size, 2)
      assert.strictEqual((yield* Effect.flip(session.moveTo("asked")))._tag, "EntryNotFound")
      yield* session.moveTo("end too")
      const forked = yield* session.fork("f")
      assert.strictEqual((yield* forked.labels).get("end"), 3)
      yield* forked.label("end", 1)
      assert.strictEqual((yield* session.labels).get("end"), 3)
      assert.deepStrictEqual(linesOf(seen(yield* session.history)), ["user: one", "assistant: about one"])
      assert.deepStrictEqual(wrong(yield* session.history), [])
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("that are none are refused", () =>
    Effect.gen(function* () {
      const session = yield* open(plain)
      assert.deepInclude(yield* Effect.flip(session.label("x")), { _tag: "InvalidInput", path: "entry" })
      yield* session.prompt("one")
      for (const name of ["", "12", "a\nb", "\ud800", "x".repeat(257), 5 as never, null as never]) {
        assert.deepInclude(yield* Effect.flip(session.label(name)), { _tag: "InvalidInput", path: "label" })
      }
      for (const entry of [0, 9, 1.5])
        assert.strictEqual((yield* Effect.flip(session.label("x", entry)))._tag, "EntryNotFound")
      assert.deepInclude(yield* Effect.flip(session.label("x", "y" as never)), { _tag: "InvalidInput", path: "entry" })
      assert.deepInclude(yield* Effect.flip(session.label("x", 1, { onBusy: "steer" as never })), { path: "onBusy" })
      assert.strictEqual((yield* session.history).length, 4)
      yield* session.label("x".repeat(256))
    }).pipe(Effect.provide(engine(script)))
  )
})

describe("a session that is held", () => {
  const moves: Record<
    string,
    (session: Sessions.Session, onBusy?: "wait" | "interrupt") => Effect.Effect<unknown, { readonly _tag: string }>
  > = {
    moveTo: (session, onBusy) => session.moveTo(1, { onBusy }),
    rewind: (session, onBusy) => session.rewind({ onBusy }),
    label: (session, onBusy) => session.label("x", 1, { onBusy }),
    edit: (session, onBusy) => session.edit(2, "x", { onBusy })
  }

  for (const [name, move] of Object.entries(moves)) {
    it.scoped(`refuses ${name}, lets it wait, or is interrupted for it`, () =>
      Effect.gen(function* () {
        const at = yield* gate
        yield* Effect.gen(function* () {
          const session = yield* open(plain)
          yield* session.prompt("one")
          const going = yield* begin(session.prompt("slow"))
          assert.strictEqual((yield* Effect.flip(move(session)))._tag, "SessionBusy")
          const waiting = yield* begin(move(session, "wait"))
          yield* at.open
          yield* Fiber.join(going)
          yield* Fiber.join(waiting)
          assert.strictEqual((yield* session.prompt("on")).text.slice(0, 5), "about")
          assert.deepStrictEqual(wrong(yield* session.history), [])
        }).pipe(Effect.provide(engine([Script.on("slow", { before: at.stop, text: "slow" }), ...script])))
      })
    )

    it.scoped(`refuses ${name} from within a tool call of its own, and never hangs`, () =>
      Effect.gen(function* () {
        let own: Sessions.Session
        const answers: Array<string> = []
        const tries = (["wait", "interrupt"] as const).map((onBusy) => () => move(own, onBusy))
        const mover = Tool.make("move", {
          description: "Moves",
          run: () =>
            Effect.forEach([() => move(own), ...tries], (it) =>
              Effect.match(it(), {
                onFailure: ({ _tag }) => void answers.push(_tag),
                onSuccess: () => void answers.push("done")
              })
            )
        })
        yield* Effect.gen(function* () {
          own = yield* open(Agent.make("a", { tools: [mover], delegate: "off" }))
          yield* own.prompt("one")
          assert.strictEqual((yield* own.prompt("go")).text, "done")
          assert.deepStrictEqual(answers, ["SessionBusy", "SessionDeadlock", "SessionDeadlock"])
        }).pipe(Effect.provide(engine([Script.on("go", Script.calls(Script.call("move")), "done"), ...script])))
      })
    )
  }

  it.scoped("by what an engine left unfinished that has ended is gone on with by it, before the head moves", () =>
    Effect.gen(function* () {
      for (const name of ["moveTo", "rewind", "label", "edit"] as const) {
        const store = yield* storeAfter([])
        const at = yield* gate
        const two = yield* (yield* engineOf(store.context, script)).open({ id: "s", agent: plain })
        yield* two.prompt("one")
        const going = yield* Effect.scoped(
          Effect.gen(function* () {
            const one = yield* engineOf(store.context, [Script.always({ before: at.stop, text: "never" })])
            const fiber = yield* Effect.forkDaemon((yield* one.open({ id: "s", agent: plain })).prompt("use"))
            yield* at.reached
            return fiber
          })
        )
        assert.isTrue(Exit.isFailure(yield* Fiber.await(going)))
        assert.isNotNull(store.memory.get("s")!.row.running)
        yield* moves[name]!(two)
        const entries = yield* two.history
        assert.include(
          entries.map((entry) => entry._tag),
          "OperationResumed"
        )
        assert.deepStrictEqual(wrong(entries), [], name)
      }
    })
  )

  it.scoped("by another engine is waited for, and what that left unfinished is resumed first", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const slow = Script.on("slow", { before: at.stop, text: "slow" })
      const store = yield* storeAfter([])
      const one = yield* (yield* engineOf(store.context, [slow, ...script])).open({ id: "s", agent: plain })
      yield* one.prompt("one")
      const two = yield* (yield* engineOf(store.context, script)).open({ id: "s", agent: plain })
      const going = yield* begin(one.prompt("slow"))
      const error = yield* Effect.flip(two.moveTo(1))
      assert.deepInclude(error, { _tag: "SessionBusy", requested: "move", running: "prompt" })
      const waiting = yield* begin(two.moveTo(4, { onBusy: "wait" }))
      yield* at.open
      yield* Fiber.join(going)
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(yield* Fiber.join(waiting), { from: 8, to: 4, entry: 9 })
      assert.strictEqual((yield* one.prompt("on")).text, "about on")
      assert.deepStrictEqual(linesOf(seen(yield* one.history)).length, 4)
      // The process of a prompt ends: it is gone on with, then the head moves.
      const cut =
        store.writes.findIndex((it) => it._tag === "Appended" && it.entries.some((entry) => entry.id === 5)) + 1
      for (const name of ["moveTo", "rewind", "label", "edit"] as const) {
        const next = yield* storeAfter(store.writes.slice(0, cut))
        const three = yield* (yield* engineOf(next.context, script)).open({ id: "s", agent: plain })
        yield* moves[name]!(three, "wait")
        const entries = yield* three.history
        assert.include(
          entries.map((entry) => entry._tag),
          "OperationResumed"
        )
        assert.deepStrictEqual(wrong(entries), [], name)
      }
    })
  )
})

describe("a handle that has not seen what others wrote", () => {
  it.scoped("moves by what is stored, through the same engine and another one", () =>
    Effect.gen(function* () {
      const store = yield* storeAfter([])
      const one = yield* engineOf(store.context, script)
      const first = yield* one.open({ id: "s", agent: plain })
      const second = yield* one.open({ id: "s", agent: plain })
      const third = yield* (yield* engineOf(store.context, script)).open({ id: "s", agent: plain })
      yield* first.prompt("one")
      assert.deepStrictEqual(yield* second.moveTo(null), { from: 4, to: null, entry: 5 })
      assert.deepStrictEqual(yield* third.moveTo(null), { from: null, to: null, entry: undefined })
      yield* third.moveTo(4)
      assert.deepStrictEqual(yield* first.moveTo(4), { from: 4, to: 4, entry: undefined })
      assert.deepStrictEqual((yield* second.rewind()).input, [{ type: "text", text: "one" }])
      assert.deepStrictEqual(yield* first.label("x", 1), { label: "x", entry: 1 })
      assert.strictEqual((yield* Effect.flip(third.label("y")))._tag, "InvalidInput")
      yield* third.label("x", null)
      const { length } = yield* first.history
      yield* second.label("x", null)
      assert.strictEqual((yield* first.history).length, length)
      yield* third.edit(2, "two")
      assert.strictEqual((yield* first.edit(2, "three")).text, "about three")
      assert.deepStrictEqual(linesOf(seen(yield* first.history)), ["user: three", "assistant: about three"])
      assert.deepStrictEqual(wrong(yield* first.history), [])
    })
  )

  it.scoped("is refused where another engine has begun something since, also where it would write nothing", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const slow = Script.on("slow", { before: at.stop, text: "slow" })
      const store = yield* storeAfter([])
      const one = yield* (yield* engineOf(store.context, [slow, ...script])).open({ id: "s", agent: plain })
      const two = yield* (yield* engineOf(store.context, script)).open({ id: "s", agent: plain })
      yield* two.prompt("one")
      const going = yield* begin(one.prompt("slow"))
      const refusals: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>> = [
        two.moveTo(4),
        two.moveTo(1),
        two.label("none", null),
        two.label("x", 1),
        two.edit(2, "x")
      ]
      for (const refused of refusals) {
        assert.strictEqual((yield* Effect.flip(refused))._tag, "SessionBusy")
      }
      yield* at.open
      yield* Fiber.join(going)
      assert.deepStrictEqual(yield* two.moveTo(4), { from: 8, to: 4, entry: 9 })
    })
  )
})

describe("a rollback", () => {
  it.scoped("leaves the head where another engine has moved it to in between", () =>
    Effect.gen(function* () {
      const at = yield* gate
      const store = yield* storeAfter([])
      const two = yield* (yield* engineOf(store.context, script)).open({ id: "s", agent: plain })
      const ended = yield* gate
      const moving = yield* begin(Effect.zipRight(ended.stop, two.moveTo(2)))
      const inner = Context.get(store.context, SessionStore.SessionStore)
      const between: typeof inner = {
        ...inner,
        append: (write) =>
          Effect.tap(inner.append(write), () =>
            write.entries.some((entry) => entry._tag === "OperationSettled" && entry.outcome === "interrupted")
              ? Effect.zipRight(ended.open, Fiber.await(moving))
              : Effect.void
          )
      }
      const slow = Script.on("slow", { before: at.stop, text: "slow" })
      const context = Context.make(SessionStore.SessionStore, between)
      const one = yield* (yield* engineOf(context, [slow, ...script])).open({ id: "s", agent: plain })
      yield* one.prompt("one")
      yield* one.prompt("use")
      yield* begin(one.prompt("slow"))
      assert.strictEqual((yield* one.prompt("back", { onBusy: "rollback" })).text, "about back")
      const entries = yield* one.history
      assert.deepStrictEqual(wrong(entries), [])
      assert.deepStrictEqual(linesOf(seen(entries)), ["user: one | back", "assistant: about back"])
    })
  )
})

describe("cut at any point", () => {
  it.scoped("after each write the history is whole, and the next process goes on from where the head is", () =>
    Effect.gen(function* () {
      const store = yield* storeAfter([])
      const session = yield* (yield* engineOf(store.context, script)).open({ id: "s", agent: plain })
      yield* branched(session)
      yield* session.label("here", 7)
      yield* session.edit(2, "use")
      yield* session.moveTo("here")
      for (let n = 1; n <= store.writes.length; n++) {
        const next = yield* storeAfter(store.writes.slice(0, n))
        const then = StoreJournal.keptAfter(store.writes.slice(0, n)).get("s")!
        const again = yield* (yield* engineOf(next.context, script)).open({ id: "s", agent: plain })
        yield* again.resumed?.ended ?? Effect.void
        const entries = yield* again.history
        assert.deepStrictEqual(entries.slice(0, then.entries.length), then.entries)
        assert.deepStrictEqual(wrong(entries), [], `cut after ${n}`)
        if (then.row.running === null) assert.deepStrictEqual(entries, then.entries)
        const before = linesOf(seen(entries))
        yield* again.prompt("after")
        const now = linesOf(seen(yield* again.history))
        assert.deepStrictEqual(now.slice(0, Math.max(0, before.length - 1)), before.slice(0, -1))
        assert.strictEqual(now.at(-1), "assistant: about after")
      }
    })
  )

  it.scoped("interrupted at every point, a move was made or not, and the session is free", () =>
    Effect.gen(function* () {
      const session = yield* open(plain)
      yield* session.prompt("use")
      const { length } = yield* session.history
      const tries: Record<string, Effect.Effect<unknown, unknown>> = {
        moveTo: session.moveTo(2),
        rewind: session.rewind(),
        label: session.label("x"),
        edit: session.edit(2, "other"),
        fork: session.fork("f")
      }
      for (const [name, effect] of Object.entries(tries)) {
        for (let steps = 0; steps < 40; steps++) {
          const before = yield* session.history
          const fiber = yield* Effect.fork(effect)
          yield* Effect.repeatN(Effect.yieldNow(), steps)
          const exit = yield* Fiber.interrupt(fiber)
          const entries = yield* session.history
          assert.deepStrictEqual(entries.slice(0, before.length), before)
          assert.deepStrictEqual(wrong(entries), [], `${name} after ${steps}`)
          const { row } = (yield* SessionStore.Memory).get("s")!
          assert.deepInclude(row, { owner: null, running: null })
          if (Exit.isSuccess(exit) && name !== "fork") assert.isAtLeast(entries.length, before.length)
          yield* session.moveTo(length)
        }
      }
      yield* settle
      assert.strictEqual((yield* session.prompt("on")).text, "about on")
    }).pipe(Effect.provide(engine(script)))
  )

  it.scoped("as functions they do the same", () =>
    Effect.gen(function* () {
      const ref = yield* Session.open({ id: "s", agent: plain })
      yield* Session.prompt(ref, "one")
      yield* Session.label(ref, "x", 2)
      assert.strictEqual((yield* Session.moveTo(ref, "x")).entry, 6)
      yield* Session.moveTo(ref, 4)
      assert.deepStrictEqual((yield* Session.rewind(ref)).input, [{ type: "text", text: "one" }])
      assert.strictEqual((yield* Session.edit(ref, 2, "two")).text, "about two")
      assert.strictEqual((yield* Session.labels(ref)).get("x"), 2)
    }).pipe(Effect.provide(engine(script)))
  )
})
